//! Large values, cut into pieces of which only the changed ones are written.

use super::writer::{Known, Writer};
use super::{Hash, Nodes};
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Scratch, Sealer, hash_kind, kind, with_scratch};
use crate::wire::{Put, Take};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a piece: 16 of BLAKE3's blocks, which AVX-512 hashes side by side. 16,256 would fill
/// four pages of the engine exactly where this takes a fifth, but hashes three times slower, and
/// hashing is what a save of an unchanged array costs.
pub const CHUNK_BYTES: usize = 16_384;
/// References in an index node.
const FAN_OUT: usize = 256;
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
pub fn write(writer: &mut Writer<'_>, bytes: &[u8]) -> Result<Blob> {
    let mut level = pieces(writer, bytes)?;
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(FAN_OUT));
        for group in level.chunks(FAN_OUT) {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            a.put_varint(group.len() as u64);
            for (hash, id) in group {
                a.extend_from_slice(hash);
                b.extend_from_slice(&id.0);
            }
            above.push(writer.node(kind::INDEX, &a, &b)?);
        }
        level = above;
    }
    let (hash, id) = level.first().copied().ok_or_else(|| Error::new("store", "an empty blob"))?;
    Ok(Blob { hash, id, size_bytes: bytes.len() as u64 })
}

fn pieces(writer: &mut Writer<'_>, bytes: &[u8]) -> Result<Vec<(Hash, NodeId)>> {
    let cut: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
    let mut ids = Vec::with_capacity(cut.len());
    for _ in 0..cut.len() {
        ids.push(writer.next_id()?);
    }
    let (known, sealer) = (writer.known(), writer.sealer());
    let groups: Vec<_> = cut.chunks(GROUP).zip(ids.chunks(GROUP)).collect();
    let done = in_parallel(groups.len(), |group, scratch| {
        let (pieces, ids) = groups.get(group).copied().unwrap_or_default();
        let mut batch = Batch::expecting(pieces.len() * (CHUNK_BYTES + 256));
        let mut refs = Vec::with_capacity(pieces.len());
        for (piece, &id) in pieces.iter().zip(ids) {
            refs.push(write_piece(known, sealer, scratch, (piece, id), &mut batch)?);
        }
        Ok((refs, batch))
    })?;
    let mut all = Vec::with_capacity(cut.len());
    for (refs, mut batch) in done {
        // Equal pieces were sealed side by side; the first one stays.
        let mut twins = HashSet::new();
        for (hash, id) in refs {
            let first = writer.find(&hash).unwrap_or(id);
            if first == id {
                writer.refer(hash, id);
            } else {
                twins.insert(id);
            }
            all.push((hash, first));
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
    /// Calls `each` with hash, kind and id of every piece and index, from the top; what it answers
    /// false for is not opened.
    pub fn refs(
        &self,
        nodes: &dyn Nodes,
        each: &mut dyn FnMut(Hash, u8, NodeId) -> bool,
    ) -> Result<()> {
        if self.size_bytes <= CHUNK_BYTES as u64 {
            each(self.hash, kind::CHUNK, self.id);
        } else if each(self.hash, kind::INDEX, self.id) {
            let indexes = &mut |hash, id| {
                each(hash, kind::INDEX, id);
            };
            for (hash, id) in self.pieces(nodes, indexes)? {
                each(hash, kind::CHUNK, id);
            }
        }
        Ok(())
    }

    fn pieces(
        &self,
        nodes: &dyn Nodes,
        each: &mut dyn FnMut(Hash, NodeId),
    ) -> Result<Vec<(Hash, NodeId)>> {
        let count = self.size_bytes.div_ceil(CHUNK_BYTES as u64);
        let mut height = 0u32;
        while (FAN_OUT as u64).pow(height) < count {
            height += 1;
        }
        let mut level = vec![(self.hash, self.id)];
        for depth in 0..height {
            let mut below = Vec::new();
            for (hash, id) in level {
                if depth > 0 {
                    each(hash, id);
                }
                read_index(nodes, hash, id, &mut below)?;
            }
            level = below;
        }
        if level.len() as u64 != count {
            return Err(Error::new("malformed", "a large value has a wrong number of pieces"));
        }
        Ok(level)
    }

    /// All bytes into `out`, which must be as long as the blob; on all cores.
    pub fn read_into(&self, nodes: &dyn Nodes, out: &mut [u8]) -> Result<()> {
        if out.len() as u64 != self.size_bytes {
            return Err(Error::new("malformed", "a large value has another length"));
        }
        let refs = self.pieces(nodes, &mut |_, _| {})?;
        let groups: Vec<_> = refs
            .chunks(GROUP)
            .zip(out.chunks_mut(GROUP * CHUNK_BYTES))
            .map(|(refs, out)| std::sync::Mutex::new((refs, out)))
            .collect();
        in_parallel(groups.len(), |group, _| {
            let Some(group) = groups.get(group) else {
                return Ok(());
            };
            let mut group = group.lock().map_err(|_| Error::new("store", "a reader died"))?;
            let (refs, ref mut out) = *group;
            for ((hash, id), slot) in refs.iter().zip(out.chunks_mut(CHUNK_BYTES)) {
                nodes.open_into(kind::CHUNK, *id, slot)?;
                check(kind::CHUNK, slot, hash, *id)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn read_index(
    nodes: &dyn Nodes,
    hash: Hash,
    id: NodeId,
    out: &mut Vec<(Hash, NodeId)>,
) -> Result<()> {
    let plain = nodes.open(kind::INDEX, id)?;
    let mut frame = Take::new(&plain);
    let a = frame.bytes()?;
    check(kind::INDEX, a, &hash, id)?;
    let mut content = Take::new(a);
    for _ in 0..content.count()? {
        out.push((content.array()?, NodeId(frame.array()?)));
    }
    content.done()?;
    frame.done()
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
        let mut left = self.size_bytes as usize;
        for (hash, id) in self.pieces(nodes, &mut |_, _| {})? {
            let start = out.len();
            let len = left.min(CHUNK_BYTES);
            out.resize(start + len, 0);
            let slot = out.get_mut(start..).unwrap_or_default();
            nodes.open_into(kind::CHUNK, id, slot)?;
            check(kind::CHUNK, slot, &hash, id)?;
            left -= len;
        }
        Ok(())
    }
}
