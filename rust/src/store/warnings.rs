//! What callers should be told although nothing failed.

use super::Store;
use crate::error::Error;

impl Store {
    /// Notes it, for the caller that asks next.
    pub(super) fn warn(&self, what: Error) {
        if let Ok(mut warnings) = self.warnings.lock() {
            warnings.push(what);
        }
    }

    /// What happened since this was last asked.
    pub fn take_warnings(&self) -> Vec<Error> {
        self.warnings.lock().map(|mut warnings| std::mem::take(&mut *warnings)).unwrap_or_default()
    }
}
