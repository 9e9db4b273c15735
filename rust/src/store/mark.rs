//! Which version of a name a live object came from, and what its next save must follow.

use super::records::Version;
use std::sync::{Arc, Mutex, PoisonError};

/// Which version of a name. A number comes again after its name was forgotten; a number with its time
/// does not, unless the clock stood still all the while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// From 1; 0 for none.
    pub number: u64,
    /// When it was committed; 0 for whichever version has the number.
    pub created_ns: u64,
}

impl Stamp {
    /// Whether this is what a save must follow where `latest` is the newest version.
    pub(super) fn is_of(self, latest: Option<&Version>) -> bool {
        let latest = latest.map(Stamp::from).unwrap_or_default();
        self.number == latest.number
            && (self.created_ns == 0 || self.created_ns == latest.created_ns)
    }
}

impl From<&Version> for Stamp {
    fn from(version: &Version) -> Self {
        Stamp { number: version.number, created_ns: version.created_ns }
    }
}

/// Which version of a name a live object came from. Set where the commit is known to be durable, so
/// that it is right whatever happens to who waits for the save.
#[derive(Debug, Default)]
pub struct Mark(Mutex<Stamp>);

impl Mark {
    /// The version.
    pub fn stamp(&self) -> Stamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object is now equal to that version.
    pub fn set(&self, stamp: Stamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
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
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Base::Mark(mark) => Some(mark.stamp()),
            Base::Number(number) => Some(Stamp { number: *number, created_ns: 0 }),
            Base::Latest => None,
        }
    }
}
