//! Nodes in memory, and numbers that look random.
#![allow(dead_code)] // each test uses a part of it

use _core::engine::Batch;
use _core::error::{Error, Result};
use _core::seal::{Committed, Context, Epochs, NodeId, Place, Scratch, Sealer};
use _core::tree::{Edits, Ids, Known, Map, Node, Nodes, Writer, refs};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nodes as a store keeps them, opened; counts what is read.
#[derive(Default)]
pub struct Memory {
    pub plain: HashMap<NodeId, (u8, Vec<u8>)>,
    pub opened: AtomicUsize,
}

impl Nodes for Memory {
    fn open(&self, kind: u8, id: NodeId) -> Result<Vec<u8>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        match self.plain.get(&id) {
            Some((found, plain)) if *found == kind => Ok(plain.clone()),
            Some(_) => Err(Error::new("tampered", "a node of another kind")),
            None => Err(Error::new("missing", "no such node")),
        }
    }

    fn open_into(&self, kind: u8, id: NodeId, out: &mut [u8]) -> Result<()> {
        let plain = self.open(kind, id)?;
        if plain.len() != out.len() {
            return Err(Error::new("malformed", "a piece has another length"));
        }
        out.copy_from_slice(&plain);
        Ok(())
    }
}

/// A writer's surroundings: keys, ids, and what the newest version refers to.
pub struct Store {
    pub memory: Memory,
    sealer: Sealer,
    ids: Ids,
    known: Known,
    pub lost: Vec<NodeId>,
}

impl Store {
    pub fn new() -> Self {
        let context = Context { store: [1; 16], namespace: [2; 16] };
        Store {
            memory: Memory::default(),
            sealer: Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32]),
            ids: Ids::after(0, 1),
            known: Known::default(),
            lost: Vec::new(),
        }
    }

    /// Writes through a writer and keeps the nodes; gives how many were new.
    pub fn write<T>(&mut self, work: impl FnOnce(&Memory, &mut Writer<'_>) -> T) -> (T, usize) {
        let mut writer = Writer::new(&self.known, &self.sealer, &mut self.ids);
        let done = work(&self.memory, &mut writer);
        let written = writer.finish().unwrap();
        let new = self.keep(&written.batches);
        self.known = written.known;
        (done, new)
    }

    /// Edits a map, and notes the nodes that only the old one needed; gives how many are new.
    pub fn edit(&mut self, map: &Map, edits: Edits) -> (Map, usize) {
        let mut writer = Writer::apart(&self.sealer, &mut self.ids);
        let edited = map.apply(&self.memory, &mut writer, edits).unwrap();
        let written = writer.finish().unwrap();
        let new = self.keep(&written.batches);
        self.lost = written.lost;
        (edited, new)
    }

    /// What the next writer knows of.
    pub fn forget_known_but(&mut self, known: Known) {
        self.known = known;
    }

    fn keep(&mut self, batches: &[Batch]) -> usize {
        let mut scratch = Scratch::default();
        let mut new = 0;
        for (id, sealed) in batches.iter().flat_map(Batch::nodes) {
            let kind = sealed[1];
            let place = Place { kind, id };
            let plain = self.sealer.open(&mut scratch, place, Committed::No, sealed).unwrap();
            assert!(self.memory.plain.insert(id, (kind, plain)).is_none(), "an id was given twice");
            new += 1;
        }
        new
    }

    pub fn apply(&mut self, map: &Map, edits: Edits) -> Map {
        self.edit(map, edits).0
    }

    /// The ids of all nodes that belong to a root.
    pub fn reachable(&self, root: &Node) -> BTreeSet<NodeId> {
        let mut ids = BTreeSet::new();
        refs(&self.memory, root, &mut |_, _, id| {
            ids.insert(id);
            true
        })
        .unwrap();
        ids
    }

    pub fn opened_by<T>(&self, work: impl FnOnce(&Memory) -> T) -> (T, usize) {
        self.memory.opened.store(0, Ordering::Relaxed);
        let done = work(&self.memory);
        (done, self.memory.opened.load(Ordering::Relaxed))
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Few letters, so that keys share prefixes and are prefixes of each other.
    pub fn key(&mut self) -> Vec<u8> {
        let len = 1 + self.below(7);
        (0..len).map(|_| [0, b'a', b'b', b'.', 0xff][self.below(5)]).collect()
    }

    pub fn value(&mut self) -> Vec<u8> {
        let len = [0, 1, 511, 512, 513, 700, 16_256, 16_257, 40_000][self.below(9)];
        let len = if self.below(4) > 0 { self.below(40) } else { len };
        vec![self.next() as u8; len]
    }
}
