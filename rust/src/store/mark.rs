//! Which version of a name a live object came from, and what its next save must follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which version of a name a live object came from; 0 for none. Set where the commit is known to be
/// durable, so that it is right whatever happens to who waits for the save.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

impl Mark {
    /// The version.
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The object is now equal to that version.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Release);
    }
}

/// What a save must follow. Looked up when the saves before it are settled.
#[derive(Debug, Clone)]
pub enum Base {
    /// The version that the object came from.
    Mark(Arc<Mark>),
    /// One version.
    Number(u64),
    /// Whatever is there.
    Latest,
}

impl Base {
    /// As [`Save`] wants it.
    pub fn number(&self) -> Option<u64> {
        match self {
            Base::Mark(mark) => Some(mark.number()),
            Base::Number(number) => Some(*number),
            Base::Latest => None,
        }
    }
}
