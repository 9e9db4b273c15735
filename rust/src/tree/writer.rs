//! Collects the nodes of a new version: known ones are referred to, new ones sealed.

use super::{Hash, blob};
use crate::engine::{Batch, FIRST_OF_MAPS};
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Scratch, Sealer, hash_kind, random};
use crate::wire::Put;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Nodes' hashes are random already: the first eight bytes of each make the table's.
#[derive(Default)]
pub struct FirstEight(u64);

impl Hasher for FirstEight {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    // A fixed array hashes its length first, which says nothing.
    fn write_usize(&mut self, _: usize) {}
}

/// Nodes that are on disk already, by hash.
pub type Known = HashMap<Hash, NodeId, BuildHasherDefault<FirstEight>>;

/// Makes node ids: ascending in time, with a random tail.
#[derive(Debug)]
pub struct Ids {
    last: u64,
    tails: Vec<u64>,
}

impl Ids {
    /// Ids later than `last` and not earlier than the clock.
    pub fn after(last: u64, clock_ns: u64) -> Self {
        Ids { last: last.max(clock_ns.saturating_sub(1)), tails: Vec::new() }
    }

    /// The time part of the last id given.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The next id.
    pub fn next_id(&mut self) -> Result<NodeId> {
        if self.tails.is_empty() {
            let bytes = random::<512>()?;
            let tail = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
            self.tails.extend(bytes.as_chunks().0.iter().map(tail));
        }
        self.last = self.last.checked_add(1).ok_or_else(|| Error::new("store", "ids ran out"))?;
        let tail = self.tails.pop().unwrap_or_default();
        let mut id = [0u8; 16];
        let bytes = self.last.to_be_bytes().into_iter().chain(tail.to_le_bytes());
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(NodeId(id))
    }
}

/// How many small nodes one thread seals at a time.
const GROUP: usize = 48;

/// Collects nodes under one sealer.
pub struct Writer<'a> {
    /// None: nothing is shared.
    known: Option<&'a Known>,
    sealer: &'a Sealer,
    ids: &'a mut Ids,
    /// Places and ranges in `plain` of the nodes to seal.
    pending: Vec<(Place, usize, usize)>,
    plain: Vec<u8>,
    batches: Vec<Batch>,
    refers: Known,
    lost: Vec<NodeId>,
}

/// What a writer collected.
#[derive(Debug, Default)]
pub struct Written {
    /// The new nodes, sealed.
    pub batches: Vec<Batch>,
    /// What the new version refers to.
    pub known: Known,
    /// Nodes that the old version needed and the new one does not.
    pub lost: Vec<NodeId>,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} nodes pending)", self.pending.len())
    }
}

impl<'a> Writer<'a> {
    /// Refers to `known` nodes where it can, and to its own: equal contents are one node.
    pub fn new(known: &'a Known, sealer: &'a Sealer, ids: &'a mut Ids) -> Self {
        Writer { known: Some(known), ..Self::apart(sealer, ids) }
    }

    /// Shares nothing: a node belongs to one place and goes with it. For plain maps.
    pub fn apart(sealer: &'a Sealer, ids: &'a mut Ids) -> Self {
        Writer {
            known: None,
            sealer,
            ids,
            pending: Vec::new(),
            plain: Vec::new(),
            batches: Vec::new(),
            refers: Known::default(),
            lost: Vec::new(),
        }
    }

    /// Says that the new version does not need a node that the old one did.
    pub fn lose(&mut self, id: NodeId) {
        self.lost.push(id);
    }

    /// The sealer of new nodes.
    pub fn sealer(&self) -> &'a Sealer {
        self.sealer
    }

    /// The node of this hash, if it is on disk or collected already.
    pub fn find(&mut self, hash: &Hash) -> Option<NodeId> {
        let known = self.known?;
        if let Some(id) = self.refers.get(hash) {
            return Some(*id);
        }
        let id = *known.get(hash)?;
        self.refers.insert(*hash, id);
        Some(id)
    }

    /// Says that the new version refers to a node that was written elsewhere.
    pub fn refer(&mut self, hash: Hash, id: NodeId) {
        self.refers.insert(hash, id);
    }

    /// Takes over nodes that were sealed elsewhere.
    pub fn add_batch(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// The next id, of a kind of its own where nothing is shared.
    pub fn next_id(&mut self) -> Result<NodeId> {
        let mut id = self.ids.next_id()?;
        if let (None, Some(first)) = (self.known, id.0.first_mut()) {
            *first |= FIRST_OF_MAPS;
        }
        Ok(id)
    }

    /// What is on disk already; None where nothing is shared.
    pub fn known(&self) -> Option<&'a Known> {
        self.known
    }

    /// A node of content `a` and ids `b`.
    pub fn node(&mut self, kind: u8, a: &[u8], b: &[u8]) -> Result<(Hash, NodeId)> {
        let hash = hash_kind(kind, a);
        let id = match self.find(&hash) {
            Some(id) => id,
            None => self.fresh(kind, hash, |plain| {
                plain.put_bytes(a);
                plain.extend_from_slice(b);
            })?,
        };
        Ok((hash, id))
    }

    /// A node that is not known; `content` appends its plaintext.
    pub fn fresh(
        &mut self,
        kind: u8,
        hash: Hash,
        content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<NodeId> {
        let id = self.next_id()?;
        let start = self.plain.len();
        content(&mut self.plain);
        self.pending.push((Place { kind, id }, start, self.plain.len()));
        self.refers.insert(hash, id);
        Ok(id)
    }

    /// Seals what is pending.
    pub fn finish(mut self) -> Result<Written> {
        let groups: Vec<_> = self.pending.chunks(GROUP).collect();
        let (sealer, plain) = (self.sealer, &self.plain);
        let sealed = blob::in_parallel(groups.len(), |group, scratch| {
            let mut batch = Batch::default();
            for &(place, start, end) in groups.get(group).copied().unwrap_or_default() {
                let raw = plain.get(start..end).unwrap_or_default();
                seal(sealer, scratch, place, raw, &mut batch)?;
            }
            Ok(batch)
        })?;
        self.batches.extend(sealed);
        Ok(Written { batches: self.batches, known: self.refers, lost: self.lost })
    }
}

/// Seals one node whose parent's hash binds its content.
pub fn seal(
    sealer: &Sealer,
    scratch: &mut Scratch,
    place: Place,
    raw: &[u8],
    batch: &mut Batch,
) -> Result<()> {
    batch.add(place.id, |out| sealer.seal(scratch, place, Committed::No, raw, out))
}
