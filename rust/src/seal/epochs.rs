//! The keys of a store's epochs, and of the generations of its namespaces.
//!
//! Every sealer of a store shares them, so that a new epoch is written under and read at once, and
//! that a key which was destroyed is let go of. A *generation* of a namespace is its key from some
//! epoch on: which one an envelope needs is told by the envelope's epoch.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

/// One epoch.
#[derive(Clone)]
pub struct Epoch {
    /// From 1; 0 for keys outside a store's epochs.
    pub number: u32,
    /// Its key.
    pub key: Zeroizing<[u8; 32]>,
}

/// A key of a namespace, in the epochs from `since` on that no later one is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Generation {
    /// The first epoch.
    pub since: u32,
    /// The key: destroying it destroys what it sealed.
    pub key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("since", &self.since).finish_non_exhaustive()
    }
}

/// The generations of all namespaces by their ids, ascending.
pub type Generations = BTreeMap<[u8; 16], Vec<Generation>>;

/// All epochs whose keys are there, ascending, and the generations of namespaces.
pub struct Epochs(RwLock<Shared>);

struct Shared {
    /// How often they were replaced.
    turn: u64,
    epochs: Vec<Epoch>,
    generations: Arc<Generations>,
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Epochs").field(&self.newest()).finish()
    }
}

impl Epochs {
    /// These epochs, ascending by number.
    pub fn new(epochs: Vec<Epoch>) -> Self {
        Epochs(RwLock::new(Shared { turn: 1, epochs, generations: Arc::default() }))
    }

    /// A single one that is never replaced.
    pub fn fixed(key: &[u8; 32]) -> Self {
        Epochs::new(vec![Epoch { number: 0, key: Zeroizing::new(*key) }])
    }

    fn shared(&self) -> RwLockReadGuard<'_, Shared> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the epoch that is written under.
    pub fn newest(&self) -> u32 {
        self.shared().epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// The key of an epoch; `wrong-context` if it is not there.
    pub fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>> {
        let epochs = &self.shared().epochs;
        let found = epochs.binary_search_by_key(&number, |epoch| epoch.number).ok();
        let found = found.and_then(|at| epochs.get(at));
        found.map(|epoch| epoch.key.clone()).ok_or_else(|| {
            Error::new("wrong-context", "an envelope of an epoch that this store has no key of")
                .with("epoch", u64::from(number))
        })
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Epoch> {
        self.shared().epochs.clone()
    }

    /// Changes whenever they are replaced.
    pub fn turn(&self) -> u64 {
        self.shared().turn
    }

    /// The generations of a namespace as of a turn; None if they are not known here.
    pub fn generations(&self, namespace: &[u8; 16]) -> (u64, Option<Vec<Generation>>) {
        let shared = self.shared();
        (shared.turn, shared.generations.get(namespace).cloned())
    }

    /// Replaces them; every sealer that shares them follows. They must be on disk.
    pub fn publish(&self, epochs: Vec<Epoch>, generations: Arc<Generations>) {
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let turn = shared.turn + 1;
        *shared = Shared { turn, epochs, generations };
    }
}
