//! What an archive keeps beside a copy of `keys.sealed`: packs of nodes, and manifests.
//!
//! A pack: nodes as they lie in the store, one behind another; its table, an envelope of kind `PACK`
//! under the store's key whose node id is the pack's; the length of that envelope (u32). The table:
//! BLAKE3 of all the nodes' bytes (32); varint count, each node's id (16), length (varint) and mark
//! (8), the beginning of its envelope's salt: a node that was sealed anew keeps its id.
//!
//! A manifest is a backup: an envelope of kind `MANIFEST` under the store's key, with a key
//! commitment, whose node id is the manifest's. Its content: format u32, created u64 (ns), nodes
//! and their bytes (varints); the store's head (varint length, bytes); varint count of packs, each
//! id (16), length (varint) and a bit for each node of it that belongs to the backup (varint length,
//! bytes, lowest bit first); varint count of unused packs, each id (16) and since when, u64 (ns).

use crate::error::{Error, Result};
use crate::seal::{Committed, Mark, NodeId, Place, Sealer, kind, mark, with_scratch};
use crate::wire::{Put, Take};

/// Of manifests; rises with every change that an older reader would misread.
const FORMAT: u32 = 1;
/// The length behind a table.
pub const TAIL_BYTES: usize = 4;

/// One node of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub id: NodeId,
    /// How long its envelope is.
    pub size_bytes: u64,
    /// Which of its envelopes.
    pub mark: Mark,
}

/// What lies in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// BLAKE3 of the nodes' bytes.
    pub hash: [u8; 32],
    /// The nodes, in their order.
    pub rows: Vec<Row>,
}

/// One bit for each node of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Sets one.
    pub fn set(&mut self, at: usize) {
        if self.0.len() <= at / 8 {
            self.0.resize(at / 8 + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(at / 8) {
            *byte |= 1 << (at % 8);
        }
    }

    /// Whether one is set.
    pub fn has(&self, at: usize) -> bool {
        self.0.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0)
    }
}

/// A pack, as far as a backup needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The pack.
    pub id: NodeId,
    /// How long the object is.
    pub size_bytes: u64,
    /// Which of its nodes.
    pub used: Bits,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// When it was made.
    pub created_ns: u64,
    /// How many nodes it has.
    pub nodes: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// The store's head, as it lies on disk.
    pub head: Vec<u8>,
    /// Where the nodes lie.
    pub parts: Vec<Part>,
    /// Packs that no backup needed when this one was made, and since when.
    pub unused: Vec<(NodeId, u64)>,
}

impl Table {
    /// The table of what begins a pack; appended to it, with its length.
    pub fn append(&mut self, sealer: &Sealer, id: NodeId, pack: &mut Vec<u8>) -> Result<()> {
        self.hash = *blake3::hash(pack).as_bytes();
        let start = pack.len();
        let place = Place { kind: kind::PACK, id };
        let plain = self.encode();
        with_scratch(|scratch| sealer.seal(scratch, place, Committed::No, &plain, pack))?;
        let too_long = |_| Error::new("too-large", "the table of a pack is too long");
        let length = u32::try_from(pack.len() - start).map_err(too_long)?;
        pack.put_u32(length);
        Ok(())
    }

    /// Opens the envelope of a pack's table.
    pub fn open(sealer: &Sealer, id: NodeId, sealed: &[u8]) -> Result<Self> {
        let place = Place { kind: kind::PACK, id };
        Table::decode(&with_scratch(|s| sealer.open(s, place, Committed::No, sealed))?)
    }

    /// Takes a pack apart: its table, and the bytes of its nodes, which are those that were put.
    pub fn split<'a>(sealer: &Sealer, id: NodeId, pack: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let short = || Error::new("malformed", "a pack of the archive was cut short");
        let end = pack.len().checked_sub(TAIL_BYTES).ok_or_else(short)?;
        let (before, tail) = pack.split_at_checked(end).ok_or_else(short)?;
        let length = Take::new(tail).u32()? as usize;
        let start = before.len().checked_sub(length).ok_or_else(short)?;
        let (nodes, sealed) = before.split_at_checked(start).ok_or_else(short)?;
        let table = Table::open(sealer, id, sealed)?;
        if *blake3::hash(nodes).as_bytes() != table.hash {
            let what = "a pack of the archive holds other bytes than were put there";
            return Err(Error::new("tampered", what));
        }
        Ok((table, nodes))
    }

    /// Adds the node that was appended to a pack.
    pub fn push(&mut self, id: NodeId, sealed: &[u8]) -> Result<()> {
        self.rows.push(Row { id, size_bytes: sealed.len() as u64, mark: mark(sealed)? });
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.hash.to_vec();
        out.put_varint(self.rows.len() as u64);
        for row in &self.rows {
            out.extend_from_slice(&row.id.0);
            out.put_varint(row.size_bytes);
            out.extend_from_slice(&row.mark);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let mut table = Table { hash: take.array()?, rows: Vec::new() };
        for _ in 0..take.count()? {
            let (id, size_bytes) = (NodeId(take.array()?), take.varint()?);
            table.rows.push(Row { id, size_bytes, mark: take.array()? });
        }
        take.done()?;
        Ok(table)
    }
}

impl Manifest {
    /// The object.
    pub fn seal(&self, sealer: &Sealer, id: NodeId) -> Result<Vec<u8>> {
        let place = Place { kind: kind::MANIFEST, id };
        let (plain, mut out) = (self.encode(), Vec::new());
        with_scratch(|s| sealer.seal(s, place, Committed::Yes, &plain, &mut out))?;
        Ok(out)
    }

    /// Opens what [`Manifest::seal`] gave.
    pub fn open(sealer: &Sealer, id: NodeId, sealed: &[u8]) -> Result<Self> {
        let place = Place { kind: kind::MANIFEST, id };
        let opened = with_scratch(|s| sealer.open(s, place, Committed::Yes, sealed));
        let plain = opened.map_err(|error| match error.slug() {
            // The key is right: the archive's keys, which hold it, opened.
            "wrong-key" => Error::new("tampered", "a manifest of the archive was edited"),
            _ => error,
        })?;
        Manifest::decode(&plain)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u32(FORMAT);
        out.put_u64(self.created_ns);
        out.put_varint(self.nodes);
        out.put_varint(self.size_bytes);
        out.put_bytes(&self.head);
        out.put_varint(self.parts.len() as u64);
        for part in &self.parts {
            out.extend_from_slice(&part.id.0);
            out.put_varint(part.size_bytes);
            out.put_bytes(&part.used.0);
        }
        out.put_varint(self.unused.len() as u64);
        for (id, since_ns) in &self.unused {
            out.extend_from_slice(&id.0);
            out.put_u64(*since_ns);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        let format = take.u32()?;
        if format > FORMAT {
            let what = "the backup was made by a newer dachi_fast; upgrade the package";
            return Err(Error::new("format-too-new", what).with("format", u64::from(format)));
        }
        if format == 0 {
            return Err(Error::new("malformed", "a manifest of the archive has no format"));
        }
        let mut manifest = Manifest {
            created_ns: take.u64()?,
            nodes: take.varint()?,
            size_bytes: take.varint()?,
            head: take.bytes()?.to_vec(),
            ..Manifest::default()
        };
        for _ in 0..take.count()? {
            let (id, size_bytes) = (NodeId(take.array()?), take.varint()?);
            manifest.parts.push(Part { id, size_bytes, used: Bits(take.bytes()?.to_vec()) });
        }
        for _ in 0..take.count()? {
            manifest.unused.push((NodeId(take.array()?), take.u64()?));
        }
        take.done()?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::mutate;
    use super::*;
    use crate::seal::{Context, Epochs};

    fn sealer() -> Sealer {
        let context = Context { store: [1; 16], namespace: [0; 16] };
        Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32])
    }

    fn table() -> Table {
        let row = |byte| Row { id: NodeId([byte; 16]), size_bytes: 300, mark: [byte; 8] };
        Table { hash: [9; 32], rows: vec![row(5), row(6)] }
    }

    fn manifest() -> Manifest {
        let mut used = Bits::default();
        used.set(9);
        let part = Part { id: NodeId([5; 16]), size_bytes: 700, used };
        let (head, unused) = (vec![7; 40], vec![(NodeId([6; 16]), 8)]);
        Manifest { created_ns: 7, nodes: 1, size_bytes: 300, head, parts: vec![part], unused }
    }

    #[test]
    fn tables_of_any_bytes() {
        let corpus = [Table::default().encode(), table().encode()];
        let counts = mutate::fuzz("table", &corpus, |bytes| {
            Table::decode(bytes).map(|table| assert_eq!(table.encode(), bytes))
        });
        assert!(counts.others_accepted > 0);
    }

    #[test]
    fn manifests_of_any_bytes() {
        let corpus = [Manifest::default().encode(), manifest().encode()];
        let counts = mutate::fuzz("manifest", &corpus, |bytes| {
            Manifest::decode(bytes).map(|manifest| assert_eq!(manifest.encode(), bytes))
        });
        assert!(counts.others_accepted > 0);
    }

    #[test]
    fn packs_of_any_bytes() -> Result<()> {
        let (sealer, id) = (sealer(), NodeId([2; 16]));
        let mut pack = b"an envelope, at least as long as its salt".to_vec();
        let mut table = Table::default();
        table.push(NodeId([5; 16]), &pack)?;
        table.append(&sealer, id, &mut pack)?;
        assert_eq!(Table::split(&sealer, id, &pack)?.0, table);
        let counts = mutate::fuzz("pack", &[pack.clone()], |bytes| {
            Table::split(&sealer, id, bytes).map(drop)
        });
        assert_eq!(counts.others_accepted, 0, "took what nobody put");
        let other = Table::split(&sealer, NodeId([3; 16]), &pack);
        assert_eq!(other.map_err(|error| error.slug()).err(), Some("tampered"));
        Ok(())
    }

    #[test]
    fn a_manifest_opens_under_its_own_id_only() -> Result<()> {
        let (sealer, id) = (sealer(), NodeId([2; 16]));
        let sealed = manifest().seal(&sealer, id)?;
        assert_eq!(Manifest::open(&sealer, id, &sealed)?, manifest());
        let other = Manifest::open(&sealer, NodeId([3; 16]), &sealed);
        assert_eq!(other.map_err(|error| error.slug()).err(), Some("tampered"));
        Ok(())
    }

    #[test]
    fn bits_are_those_that_were_set() {
        let mut bits = Bits::default();
        [3, 8, 17].into_iter().for_each(|at| bits.set(at));
        let set: Vec<usize> = (0..40).filter(|at| bits.has(*at)).collect();
        assert_eq!(set, vec![3, 8, 17]);
    }
}
