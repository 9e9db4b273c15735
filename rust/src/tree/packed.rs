//! State trees: split leaves built from a walk, with everything about keys done once a shape.

use super::branch::{self, Child, Node};
use super::cut::{Cut, WHOLE_BYTES};
use super::ends::Ends;
use super::leaf::{self, MAX_INLINE_BYTES, put_value};
use super::writer::Writer;
use super::{Hash, blob};
use crate::error::Result;
use crate::seal::{hash_kind, kind};
use crate::state::{Arena, Flat};
use crate::wire::Put;

/// The paths of a state and how they fall into leaves. Two saves of one agent mostly have the same:
/// then sorting, cutting and hashing of keys is not done again.
#[derive(Debug)]
pub struct Shape {
    paths: Arena,
    /// Entries of the walk in ascending order of their paths.
    order: Vec<u32>,
    leaves: Vec<ShapeLeaf>,
}

#[derive(Debug)]
struct ShapeLeaf {
    /// Where the leaf begins and ends in `order`.
    start: usize,
    end: usize,
    /// The content of the node of its keys.
    keys: Vec<u8>,
    keys_hash: Hash,
}

impl Shape {
    /// Works a shape out; two equal paths are an error.
    pub fn new(paths: Arena) -> Result<Self> {
        let order = paths.ascending();
        let mut leaves = Vec::new();
        let mut ends = Ends::new(0);
        let mut start = 0;
        let mut before: Option<&[u8]> = None;
        for (at, &entry) in order.iter().enumerate() {
            let path = paths.get(entry as usize);
            if before == Some(path) {
                return Err(Flat::duplicate(path));
            }
            before = Some(path);
            if ends.after(path) || at + 1 == order.len() {
                leaves.push((start, at + 1));
                start = at + 1;
            }
        }
        let mut shape = Shape { paths, order, leaves: Vec::new() };
        for (start, end) in leaves {
            let mut keys = Vec::new();
            shape.put_keys(start, end, &mut keys);
            let keys_hash = hash_kind(kind::KEYS, &keys);
            shape.leaves.push(ShapeLeaf { start, end, keys, keys_hash });
        }
        Ok(shape)
    }

    /// Whether these are the same paths in the same order.
    pub fn fits(&self, paths: &Arena) -> bool {
        self.paths == *paths
    }

    /// How much memory it takes, roughly.
    pub fn size_bytes(&self) -> usize {
        let paths = self.paths.bytes().len() + self.paths.len() * size_of::<usize>();
        paths + size_of_val(&*self.order) + size_of_val(&*self.leaves)
    }

    fn put_keys(&self, start: usize, end: usize, out: &mut Vec<u8>) {
        let order = self.order.get(start..end).unwrap_or_default();
        let keys = order.iter().map(|&entry| self.paths.get(entry as usize));
        leaf::encode_keys(order.len(), keys, out);
    }
}

/// Writes what is new of a state; None for a state without entries.
pub fn write_state(writer: &mut Writer<'_>, shape: &Shape, flat: &Flat) -> Result<Option<Node>> {
    let blobs = write_blobs(writer, flat)?;
    let mut children = Vec::with_capacity(shape.leaves.len());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for leaf in &shape.leaves {
        a.clear();
        b.clear();
        let order = shape.order.get(leaf.start..leaf.end).unwrap_or_default();
        a.put_varint(order.len() as u64);
        let mut size_bytes = 0u64;
        for &entry in order {
            let inline = flat.values.get(entry as usize);
            let (inline, blob) = match blobs.get(&entry) {
                Some((blob, head)) => (inline.get(..*head).unwrap_or(inline), Some(blob)),
                None => (inline, None),
            };
            put_value(inline, blob, &mut a, &mut b);
            size_bytes += inline.len() as u64 + blob.map_or(0, |blob| blob.size_bytes);
        }
        let keys_id = match writer.find(&leaf.keys_hash) {
            Some(id) => id,
            None => {
                writer.fresh(kind::KEYS, leaf.keys_hash, |plain| plain.put_bytes(&leaf.keys))?
            }
        };
        let (hash, id) = writer.node(kind::VALUES, &a, &b)?;
        let last = order.last().map(|&entry| shape.paths.get(entry as usize).to_vec());
        children.push(Child {
            last: last.unwrap_or_default(),
            node: Node {
                height: 0,
                packed: true,
                hash,
                id,
                keys: Some((leaf.keys_hash, keys_id)),
                entries: order.len() as u64,
                size_bytes,
            },
        });
    }
    branch::build(writer, children)
}

/// Bytes of a value cut by content that stay in its leaf: an encoded container begins with its
/// count, so that otherwise an append would rewrite the first piece beside the last.
const HEAD_BYTES: usize = 64;

/// Which entries have blobs, and how many bytes of their values stay in the leaf.
type Blobs = std::collections::HashMap<u32, (blob::Blob, usize)>;

fn write_blobs(writer: &mut Writer<'_>, flat: &Flat) -> Result<Blobs> {
    let mut blobs = Blobs::new();
    for part in &flat.outside {
        let written = blob::write(writer, part.payload.bytes(), Cut::Fixed)?;
        blobs.insert(part.entry as u32, (written, usize::MAX));
    }
    for (entry, value) in flat.values.iter().enumerate() {
        if value.len() > MAX_INLINE_BYTES && !blobs.contains_key(&(entry as u32)) {
            let head = if value.len() > WHOLE_BYTES { HEAD_BYTES } else { 0 };
            let tail = value.get(head..).unwrap_or_default();
            let written = blob::write(writer, tail, Cut::Content)?;
            blobs.insert(entry as u32, (written, head));
        }
    }
    Ok(blobs)
}
