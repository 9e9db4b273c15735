//! Vector sets in memory: what makes recall fast.
//!
//! One for each space of a namespace that is searched. A set is a cache and nothing else: it is
//! made from the vectors in the store, and before each search it is brought to the very map that the
//! search is to see, by what differs between the two. So it cannot disagree with the store, whoever
//! committed, crashed or rolled back.

mod set;

pub use set::{Set, Similar};

use super::Store;
use super::documents::DocumentId;
use super::view::Agent;
use crate::error::{Error, Result};
use crate::tree::Nodes;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, RwLock};

type Namespace = [u8; 16];

/// What a search is to find.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// A vector of the space's dimension, of any length but none.
    pub query: &'a [f32],
    /// How many at most.
    pub k: usize,
    /// Which share of the nearest is to be found, on average.
    pub recall: f32,
    /// The classes that may be found.
    pub visible: &'a [u8],
    /// Only these may be found; None for all.
    pub within: Option<&'a BTreeSet<DocumentId>>,
    /// What has expired by then is not found.
    pub now_ns: u64,
}

impl Wish<'_> {
    /// Whether a vector of this class and expiry may be found.
    pub fn sees(&self, class: u8, expires_ns: u64) -> bool {
        self.visible.contains(&class) && (expires_ns == 0 || self.now_ns < expires_ns)
    }
}

/// Sets by namespace and space; those not used for longest are let go first.
#[derive(Debug)]
pub struct Sets {
    held: HashMap<(Namespace, String), Held>,
    most_bytes: usize,
    turn: u64,
}

#[derive(Debug)]
struct Held {
    set: Arc<RwLock<Set>>,
    bytes: usize,
    /// When it was used last.
    turn: u64,
}

impl Sets {
    /// At most so many bytes of them; one is held, however large.
    pub fn new(most_bytes: usize) -> Self {
        Sets { held: HashMap::new(), most_bytes, turn: 0 }
    }

    fn get(&mut self, namespace: Namespace, space: &str) -> Arc<RwLock<Set>> {
        self.turn += 1;
        let held = self.held.entry((namespace, space.to_owned())).or_insert_with(|| {
            let set = Arc::new(RwLock::new(Set::new(space)));
            Held { set, bytes: 0, turn: 0 }
        });
        held.turn = self.turn;
        Arc::clone(&held.set)
    }

    /// Notes how large a set is, if it is held still, and makes room.
    fn measured(&mut self, namespace: Namespace, space: &str, bytes: usize) {
        if let Some(held) = self.held.get_mut(&(namespace, space.to_owned())) {
            held.bytes = bytes;
        }
        while self.held.len() > 1 && self.size_bytes() > self.most_bytes {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.turn);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.held.remove(&oldest);
        }
    }

    fn size_bytes(&self) -> usize {
        self.held.values().map(|held| held.bytes).sum()
    }

    /// Lets go of all.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

fn poisoned<T>(_: T) -> Error {
    Error::new("store", "an earlier search died; reopen the store")
}

impl Store {
    /// What is held of vectors.
    pub(super) fn sets(&self) -> Result<MutexGuard<'_, Sets>> {
        self.sets.lock().map_err(poisoned)
    }

    /// Reads the set of a space as the namespace's map has it.
    pub(super) fn with_set<T>(
        &self,
        agent: &Agent,
        space: &str,
        nodes: &dyn Nodes,
        read: impl FnOnce(&Set) -> Result<T>,
    ) -> Result<T> {
        let namespace = agent.sealer.context().namespace;
        let set = self.sets()?.get(namespace, space);
        {
            let set = set.read().map_err(poisoned)?;
            if set.agrees(&agent.map) {
                return read(&set);
            }
        }
        let mut set = set.write().map_err(poisoned)?;
        set.bring(nodes, &agent.map)?;
        let bytes = set.size_bytes();
        let found = read(&set);
        drop(set);
        self.sets()?.measured(namespace, space, bytes);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(sets: &Sets) -> Vec<&str> {
        let mut names: Vec<_> = sets.held.keys().map(|(_, space)| space.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_was_not_searched_for_longest_makes_room() {
        let mut sets = Sets::new(100);
        for space in ["a", "b", "c"] {
            sets.get([1; 16], space);
            sets.measured([1; 16], space, 40);
        }
        assert_eq!(held(&sets), ["b", "c"]);
        sets.get([1; 16], "b");
        sets.get([2; 16], "d");
        sets.measured([2; 16], "d", 40);
        assert_eq!(held(&sets), ["b", "d"]);
    }

    #[test]
    fn one_is_held_however_large_and_one_that_was_let_go_does_not_count() {
        let mut sets = Sets::new(100);
        sets.get([1; 16], "a");
        sets.measured([1; 16], "a", 1_000);
        assert_eq!(held(&sets), ["a"]);
        sets.clear();
        sets.measured([1; 16], "a", 1_000);
        assert_eq!((held(&sets), sets.size_bytes()), (vec![], 0));
    }
}
