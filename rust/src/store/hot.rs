//! Nodes of documents that were opened before: decrypted, decompressed and proved, in memory.
//!
//! Opening a leaf of 64 documents takes some 50 us, most of it decompression and hashing; documents
//! that are asked for again, and their neighbours, are there. A node goes by its id and the hash that
//! its parent holds, so one that was proved for another parent is proved again. All is
//! dropped when a key is, and when the store is compacted.

use super::Store;
use super::snapshot::Pinned;
use crate::error::{Error, Result};
use crate::seal::NodeId;
use crate::tree::{Hash, Nodes};
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

/// How much is remembered: 10,000 memories of a kilobyte.
const MOST_BYTES: usize = 32 << 20;

type Namespace = [u8; 16];
/// Where a node lies, and what its content is.
type Place = (Namespace, u8, NodeId, Hash);
type Known = HashMap<Place, Arc<Vec<u8>>>;

/// What was opened, in two halves: the younger one takes in what is used, and becomes the older one
/// when it is full, which is then dropped. So what was used lately stays, without a list to keep.
#[derive(Default)]
pub struct Hot {
    young: Known,
    old: Known,
    young_bytes: usize,
}

impl Hot {
    fn get(&mut self, node: &Place) -> Option<Arc<Vec<u8>>> {
        if let Some(plain) = self.young.get(node) {
            return Some(Arc::clone(plain));
        }
        let plain = self.old.remove(node)?;
        self.keep(*node, Arc::clone(&plain));
        Some(plain)
    }

    fn keep(&mut self, node: Place, plain: Arc<Vec<u8>>) {
        let bytes = plain.len();
        if bytes > MOST_BYTES / 2 {
            return;
        }
        if self.young_bytes + bytes > MOST_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(node, plain).is_none() {
            self.young_bytes += bytes;
        }
    }

    /// Drops all.
    pub fn clear(&mut self) {
        *self = Hot::default();
    }
}

impl Store {
    pub(super) fn hot(&self) -> Result<MutexGuard<'_, Hot>> {
        self.hot.lock().map_err(|_| Error::new("store", "the remembered nodes are gone"))
    }
}

/// Nodes that are remembered when they are opened.
pub(super) struct Remembered<'a>(pub(super) Pinned<'a>);

impl Nodes for Remembered<'_> {
    fn open(&self, kind: u8, id: NodeId) -> Result<Vec<u8>> {
        self.0.open(kind, id)
    }

    fn proved(&self, kind: u8, hash: &Hash, id: NodeId) -> Result<Arc<Vec<u8>>> {
        let Remembered(pinned) = self;
        let node = (pinned.sealer.context().namespace, kind, id, *hash);
        if let Some(plain) = pinned.store.hot()?.get(&node) {
            return Ok(plain);
        }
        let plain = pinned.proved(kind, hash, id)?;
        pinned.store.hot()?.keep(node, Arc::clone(&plain));
        Ok(plain)
    }

    fn open_into(&self, kind: u8, id: NodeId, out: &mut [u8]) -> Result<()> {
        self.0.open_into(kind, id, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> Place {
        ([number; 16], 1, NodeId([number; 16]), [number; 32])
    }

    #[test]
    fn what_was_used_lately_stays_and_the_rest_is_dropped() {
        let mut hot = Hot::default();
        let plain = Arc::new(vec![0; MOST_BYTES / 8]);
        for number in 0..40 {
            hot.keep(node(number), Arc::clone(&plain));
            assert!(hot.get(&node(0)).is_some());
        }
        assert!(hot.get(&node(39)).is_some());
        assert!(hot.get(&node(20)).is_none());
        let held = hot.young.len() + hot.old.len();
        assert!(held <= 8, "{held}");
    }

    #[test]
    fn what_is_too_large_is_not_taken_and_nothing_stays_when_a_key_goes() {
        let mut hot = Hot::default();
        hot.keep(node(1), Arc::new(vec![0; MOST_BYTES]));
        assert!(hot.get(&node(1)).is_none());
        for number in 0..8 {
            hot.keep(node(number), Arc::new(vec![0; MOST_BYTES / 8]));
        }
        hot.clear();
        assert!((0..8).all(|number| hot.get(&node(number)).is_none()));
        assert_eq!(hot.young_bytes, 0);
    }
}
