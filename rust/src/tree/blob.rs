//! Large values, cut into pieces of which only the changed ones are written.

use super::cut::{Cut, MAX_PIECE_BYTES, pieces};
use super::leaf::framed;
use super::writer::{Known, Writer};
use super::{Hash, Nodes};
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Scratch, Sealer, hash_kind, kind, with_scratch};
use crate::wire::Put;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An index node ends behind a hash with four zero bits, so that a change in one piece rewrites a
/// short index a level; but not before `LEAST` references (equal pieces have equal hashes, and each
/// level must be shorter than the one below), and at `MOST`: so many, sealed, still share a page of
/// the engine with others.
const LEAST: usize = 8;
const MOST: usize = 36;
const MASK: u8 = 15;
/// Higher than any: 8^16 pieces.
const MAX_HEIGHT: u8 = 16;
/// Pieces that one thread takes at a time.
const GROUP: usize = 32;

/// A reference to a large value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Hash of its one piece or its topmost index.
    pub hash: Hash,
    /// That node.
    pub id: NodeId,
    /// How long it is.
    pub size_bytes: u64,
    /// Levels of indexes above the pieces.
    pub height: u8,
    /// How it was cut.
    pub cut: Cut,
}

/// A piece or an index.
#[derive(Debug, Clone, Copy)]
struct Part {
    hash: Hash,
    id: NodeId,
    size_bytes: u64,
}

/// Runs `work` on 0..count, on as many threads as there are cores; results in order.
pub fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize, &mut Scratch) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if count <= 1 || cores() == 1 {
        return with_scratch(|scratch| (0..count).map(|at| work(at, scratch)).collect());
    }
    let next = AtomicUsize::new(0);
    let run = || {
        with_scratch(|scratch| {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return Ok(done);
                }
                done.push((at, work(at, scratch)?));
            }
        })
    };
    let mut all = std::thread::scope(|scope| -> Result<Vec<(usize, T)>> {
        let helpers: Vec<_> = (1..cores().min(count)).map(|_| scope.spawn(run)).collect();
        let mut all = run()?;
        for helper in helpers {
            let done = helper.join().map_err(|_| Error::new("store", "a worker thread died"))?;
            all.extend(done?);
        }
        Ok(all)
    })?;
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}

/// How many threads may work at once; asking the system reads files and takes 14 us.
fn cores() -> usize {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Writes what is new of `bytes`; `bytes` may change under us, so each piece is copied once and the
/// copy is both hashed and sealed.
pub fn write(writer: &mut Writer<'_>, bytes: &[u8], cut: Cut) -> Result<Blob> {
    let mut level = write_pieces(writer, &pieces(bytes, cut))?;
    let mut height = 0;
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len() / LEAST + 1);
        let mut rest = level.as_slice();
        while !rest.is_empty() {
            let (group, after) = rest.split_at_checked(ends(rest)).unwrap_or((rest, &[]));
            above.push(write_index(writer, group)?);
            rest = after;
        }
        level = above;
        height += 1;
    }
    let top = level.first().copied().ok_or_else(|| Error::new("store", "an empty blob"))?;
    Ok(Blob { hash: top.hash, id: top.id, size_bytes: bytes.len() as u64, height, cut })
}

/// How many references the first index takes.
fn ends(level: &[Part]) -> usize {
    let end = |part: &Part| part.hash.first().is_some_and(|byte| byte & MASK == 0);
    let found = level.iter().take(MOST).skip(LEAST - 1).position(end);
    found.map_or(level.len().min(MOST), |at| at + LEAST)
}

fn write_index(writer: &mut Writer<'_>, group: &[Part]) -> Result<Part> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    a.put_varint(group.len() as u64);
    for part in group {
        a.put_varint(part.size_bytes);
        a.extend_from_slice(&part.hash);
        b.extend_from_slice(&part.id.0);
    }
    let (hash, id) = writer.node(kind::INDEX, &a, &b)?;
    Ok(Part { hash, id, size_bytes: group.iter().map(|part| part.size_bytes).sum() })
}

fn write_pieces(writer: &mut Writer<'_>, cut: &[&[u8]]) -> Result<Vec<Part>> {
    let mut ids = Vec::with_capacity(cut.len());
    for _ in 0..cut.len() {
        ids.push(writer.next_id()?);
    }
    let (known, sealer) = (writer.known(), writer.sealer());
    let groups: Vec<_> = cut.chunks(GROUP).zip(ids.chunks(GROUP)).collect();
    let done = in_parallel(groups.len(), |group, scratch| {
        let (pieces, ids) = groups.get(group).copied().unwrap_or_default();
        let size_bytes: usize = pieces.iter().map(|piece| piece.len() + 256).sum();
        let mut batch = Batch::expecting(size_bytes);
        let mut parts = Vec::with_capacity(pieces.len());
        for (piece, &id) in pieces.iter().zip(ids) {
            let (hash, id) = write_piece(known, sealer, scratch, (piece, id), &mut batch)?;
            parts.push(Part { hash, id, size_bytes: piece.len() as u64 });
        }
        Ok((parts, batch))
    })?;
    let mut all = Vec::with_capacity(cut.len());
    for (parts, mut batch) in done {
        // Equal pieces were sealed side by side; the first one stays.
        let mut twins = HashSet::new();
        for part in parts {
            let first = writer.find(&part.hash).unwrap_or(part.id);
            if first == part.id {
                writer.refer(part.hash, part.id);
            } else {
                twins.insert(part.id);
            }
            all.push(Part { id: first, ..part });
        }
        batch.drop_nodes(&twins);
        writer.add_batch(batch);
    }
    Ok(all)
}

/// Seals a piece unless its like is on disk.
fn write_piece(
    known: Option<&Known>,
    sealer: &Sealer,
    scratch: &mut Scratch,
    (piece, id): (&[u8], NodeId),
    batch: &mut Batch,
) -> Result<(Hash, NodeId)> {
    let place = Place { kind: kind::CHUNK, id };
    let mut found = (Hash::default(), id);
    batch.add_if(id, |out| {
        sealer.seal_if(scratch, place, Committed::No, piece, out, |copy| {
            found.0 = hash_kind(kind::CHUNK, copy);
            match known.and_then(|known| known.get(&found.0)) {
                Some(on_disk) => {
                    found.1 = *on_disk;
                    false
                }
                None => true,
            }
        })
    })?;
    Ok(found)
}

impl Blob {
    fn top(&self) -> Part {
        Part { hash: self.hash, id: self.id, size_bytes: self.size_bytes }
    }

    /// Calls `each` with hash, kind and id of every piece and index, from the top; what it answers
    /// false for is not opened.
    pub fn refs(
        &self,
        nodes: &dyn Nodes,
        each: &mut dyn FnMut(Hash, u8, NodeId) -> bool,
    ) -> Result<()> {
        walk(nodes, self.top(), self.height, each)
    }

    fn pieces(&self, nodes: &dyn Nodes) -> Result<Vec<Part>> {
        if self.height > MAX_HEIGHT {
            return Err(Error::new("malformed", "an index is higher than any can be"));
        }
        let mut level = vec![self.top()];
        for _ in 0..self.height {
            let mut below = Vec::new();
            for part in level {
                below.extend(read_index(nodes, part)?);
            }
            level = below;
        }
        // Before memory for one is asked for.
        if level.iter().any(|part| part.size_bytes > MAX_PIECE_BYTES as u64) {
            return Err(Error::new("malformed", "a piece is longer than any can be"));
        }
        Ok(level)
    }

    /// All bytes into `out`, which must be as long as the blob; on all cores.
    pub fn read_into(&self, nodes: &dyn Nodes, mut out: &mut [u8]) -> Result<()> {
        let wrong = || Error::new("malformed", "a large value has another length");
        if out.len() as u64 != self.size_bytes {
            return Err(wrong());
        }
        let parts = self.pieces(nodes)?;
        let mut groups = Vec::with_capacity(parts.len() / GROUP + 1);
        for group in parts.chunks(GROUP) {
            let size_bytes: u64 = group.iter().map(|part| part.size_bytes).sum();
            let split = out.split_at_mut_checked(size_bytes as usize).ok_or_else(wrong)?;
            groups.push(std::sync::Mutex::new((group, split.0)));
            out = split.1;
        }
        in_parallel(groups.len(), |group, _| {
            let Some(group) = groups.get(group) else {
                return Ok(());
            };
            let mut group = group.lock().map_err(|_| Error::new("store", "a reader died"))?;
            let (parts, ref mut out) = *group;
            let mut rest: &mut [u8] = out;
            for part in parts {
                let split = rest.split_at_mut_checked(part.size_bytes as usize);
                let (slot, after) = split.ok_or_else(wrong)?;
                nodes.open_into(kind::CHUNK, part.id, slot)?;
                check(kind::CHUNK, slot, &part.hash, part.id)?;
                rest = after;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn walk(
    nodes: &dyn Nodes,
    part: Part,
    height: u8,
    each: &mut dyn FnMut(Hash, u8, NodeId) -> bool,
) -> Result<()> {
    let Some(below) = height.checked_sub(1) else {
        each(part.hash, kind::CHUNK, part.id);
        return Ok(());
    };
    if height > MAX_HEIGHT {
        return Err(Error::new("malformed", "an index is higher than any can be"));
    }
    if each(part.hash, kind::INDEX, part.id) {
        for part in read_index(nodes, part)? {
            walk(nodes, part, below, each)?;
        }
    }
    Ok(())
}

fn read_index(nodes: &dyn Nodes, index: Part) -> Result<Vec<Part>> {
    let parts = framed(nodes, kind::INDEX, &index.hash, index.id, |a, b| {
        let mut parts = Vec::new();
        for _ in 0..a.count()? {
            let size_bytes = a.varint()?;
            parts.push(Part { hash: a.array()?, id: NodeId(b.array()?), size_bytes });
        }
        Ok(parts)
    })?;
    let sum = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size_bytes));
    if sum != Some(index.size_bytes) {
        return Err(Error::new("malformed", "an index and its pieces differ in length"));
    }
    Ok(parts)
}

/// What a parent says of a node must hold.
pub fn check(kind: u8, content: &[u8], expected: &Hash, id: NodeId) -> Result<()> {
    if hash_kind(kind, content) == *expected {
        return Ok(());
    }
    Err(Error::new("tampered", "a node is not the one that its parent refers to")
        .with("node", id.to_string())
        .with("kind", u64::from(kind)))
}

/// What one read of a value into memory of ours may ask for.
const MAX_VALUE_BYTES: u64 = 1 << 33;

impl Blob {
    /// Appends all bytes to `out`, on this thread.
    pub fn append_to(&self, nodes: &dyn Nodes, out: &mut Vec<u8>) -> Result<()> {
        if self.size_bytes > MAX_VALUE_BYTES {
            return Err(Error::new("malformed", "a value is larger than any can be"));
        }
        for part in self.pieces(nodes)? {
            let start = out.len();
            out.resize(start + part.size_bytes as usize, 0);
            let slot = out.get_mut(start..).unwrap_or_default();
            nodes.open_into(kind::CHUNK, part.id, slot)?;
            check(kind::CHUNK, slot, &part.hash, part.id)?;
        }
        Ok(())
    }
}
