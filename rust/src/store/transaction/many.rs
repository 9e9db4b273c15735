//! Operations over several documents that are one for the ledger.

use super::{At, Transaction};
use crate::error::Result;
use crate::state::Flat;
use crate::store::Store;
use crate::store::documents::{DocumentId, check_type, documents_prefix};
use crate::tree::Range;

impl Transaction {
    /// How many documents of a type there were when it began, expired ones included. It does not
    /// depend on that: others may store and remove some until it is committed.
    pub fn count(&self, store: &Store, name: usize, kind: &str) -> Result<u64> {
        check_type(kind)?;
        let space = self.places.get(name).and_then(|at| self.spaces.get(*at));
        let range = Range::prefix(&documents_prefix(kind));
        let count = space
            .map(|space| space.read(store, &self.view, |map, nodes| map.count(nodes, &range)))
            .transpose()?;
        Ok(count.flatten().unwrap_or_default())
    }

    /// Removes documents as one operation, which the ledger has even if none of them was there.
    /// Gives how many were.
    pub fn remove_all(
        &mut self,
        store: &Store,
        at: At<'_>,
        ids: &[DocumentId],
        operation: &'static str,
    ) -> Result<usize> {
        let (noted, mut removed) = (self.noted.len(), 0);
        for id in ids {
            removed += usize::from(self.remove(store, at, *id)?);
        }
        self.noted.truncate(noted);
        self.note(operation, at, None);
        Ok(removed)
    }

    /// The states that it was to save, in the order of `save`; for another try.
    pub fn into_states(self) -> Vec<Flat> {
        self.saves.into_iter().map(|saved| saved.flat).collect()
    }
}
