//! The keys of a store's epochs.
//!
//! Every sealer of a store shares them, so that a new epoch is written under and read at once.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::{PoisonError, RwLock};
use zeroize::Zeroizing;

/// One epoch.
#[derive(Clone)]
pub struct Epoch {
    /// From 1; 0 for keys outside a store's epochs.
    pub number: u32,
    /// Its key.
    pub key: Zeroizing<[u8; 32]>,
}

/// All epochs whose keys are there, ascending.
pub struct Epochs(RwLock<Vec<Epoch>>);

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Epochs").field(&self.newest()).finish()
    }
}

impl Epochs {
    /// These epochs, ascending by number.
    pub fn new(epochs: Vec<Epoch>) -> Self {
        Epochs(RwLock::new(epochs))
    }

    /// A single one that is never replaced.
    pub fn fixed(key: &[u8; 32]) -> Self {
        Epochs::new(vec![Epoch { number: 0, key: Zeroizing::new(*key) }])
    }

    /// The number of the epoch that is written under.
    pub fn newest(&self) -> u32 {
        let epochs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// The key of an epoch; `wrong-context` if it is not there.
    pub fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>> {
        let epochs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = epochs.binary_search_by_key(&number, |epoch| epoch.number).ok();
        let found = found.and_then(|at| epochs.get(at));
        found.map(|epoch| epoch.key.clone()).ok_or_else(|| {
            Error::new("wrong-context", "an envelope of an epoch that this store has no key of")
                .with("epoch", u64::from(number))
        })
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Epoch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces them; every sealer that shares them follows. They must be on disk.
    pub fn publish(&self, epochs: Vec<Epoch>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = epochs;
    }
}
