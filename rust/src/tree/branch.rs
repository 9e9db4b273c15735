//! Inner nodes: references to children, each with the last key below it.

use super::ends::Ends;
use super::keys::{KeyReader, KeyWriter};
use super::leaf::framed;
use super::writer::Writer;
use super::{Hash, Nodes};
use crate::error::{Error, Result};
use crate::seal::{NodeId, kind};
use crate::wire::{Put, Take};

/// A reference to a node of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// 0 for a leaf.
    pub height: u8,
    /// Whether leaves are split into keys and values.
    pub packed: bool,
    /// Of the content; of a split leaf, of its values.
    pub hash: Hash,
    /// The node; of a split leaf, its values.
    pub id: NodeId,
    /// The keys of a split leaf.
    pub keys: Option<(Hash, NodeId)>,
    /// Entries below.
    pub entries: u64,
    /// Bytes of values below, blobs included.
    pub size_bytes: u64,
}

/// A reference with the last key below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The last key.
    pub last: Vec<u8>,
    /// The node.
    pub node: Node,
}

/// Trees are at most this high: 64^10 entries.
const MAX_HEIGHT: u8 = 10;

impl Node {
    /// Writes the reference, as records outside the tree hold it.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(self.height);
        out.put_u8(u8::from(self.packed));
        self.put_hashes(out);
        self.put_ids(out);
    }

    fn put_hashes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash);
        if let Some((hash, _)) = &self.keys {
            out.extend_from_slice(hash);
        }
        out.put_varint(self.entries);
        out.put_varint(self.size_bytes);
    }

    fn put_ids(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        if let Some((_, id)) = &self.keys {
            out.extend_from_slice(&id.0);
        }
    }

    /// Reads what [`Node::put`] wrote.
    pub fn take(take: &mut Take<'_>) -> Result<Self> {
        let height = take.u8()?;
        let packed = take.flag()?;
        // Hashes and ids follow one another here, so both come from one reader.
        let mut node = Node::take_hashes(take, height, packed)?;
        node.take_ids(take)?;
        Ok(node)
    }

    fn take_hashes(take: &mut Take<'_>, height: u8, packed: bool) -> Result<Self> {
        if height > MAX_HEIGHT {
            return Err(Error::new("malformed", "a tree is higher than any can be"));
        }
        let hash = take.array()?;
        let keys =
            if packed && height == 0 { Some((take.array()?, NodeId::default())) } else { None };
        let (entries, size_bytes) = (take.varint()?, take.varint()?);
        Ok(Node { height, packed, hash, id: NodeId::default(), keys, entries, size_bytes })
    }

    fn take_ids(&mut self, take: &mut Take<'_>) -> Result<()> {
        self.id = NodeId(take.array()?);
        if let Some((_, id)) = &mut self.keys {
            *id = NodeId(take.array()?);
        }
        Ok(())
    }

    /// The children of a branch.
    pub fn children(&self, nodes: &dyn Nodes) -> Result<Vec<Child>> {
        framed(nodes, kind::BRANCH, &self.hash, self.id, |a, b| {
            if a.u8()? != self.height || a.flag()? != self.packed || self.height == 0 {
                return Err(Error::new("malformed", "a branch lies at a wrong height"));
            }
            let mut keys = KeyReader::default();
            let mut children = Vec::new();
            for _ in 0..a.count()? {
                let last = keys.take(a)?.to_vec();
                let mut node = Node::take_hashes(a, self.height - 1, self.packed)?;
                node.take_ids(b)?;
                children.push(Child { last, node });
            }
            if children.is_empty() {
                return Err(Error::new("malformed", "a branch without children"));
            }
            Ok(children)
        })
    }
}

/// Builds the branches over a level of leaves, up to the root; None over nothing.
pub fn build(writer: &mut Writer<'_>, mut level: Vec<Child>) -> Result<Option<Node>> {
    let mut height = 0;
    while level.len() > 1 {
        let mut above = Vec::new();
        let mut ends = Ends::new(height + 1);
        let mut group: Vec<Child> = Vec::new();
        let count = level.len();
        for (at, child) in level.into_iter().enumerate() {
            let end = ends.after(&child.last);
            group.push(child);
            if end || at + 1 == count {
                above.push(join(height, &group, |a, b| writer.node(kind::BRANCH, a, b))?);
                group.clear();
            }
        }
        level = above;
        height += 1;
    }
    Ok(level.pop().map(|child| child.node))
}

/// A branch over `children` of this height, made by `node` from its content and ids.
pub fn join(
    height: usize,
    children: &[Child],
    node: impl FnOnce(&[u8], &[u8]) -> Result<(Hash, NodeId)>,
) -> Result<Child> {
    let height = u8::try_from(height + 1).unwrap_or(u8::MAX);
    if height > MAX_HEIGHT {
        return Err(Error::new("too-large", "a map has too many entries"));
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let packed = children.first().is_some_and(|child| child.node.packed);
    a.put_u8(height);
    a.put_u8(u8::from(packed));
    a.put_varint(children.len() as u64);
    let mut keys = KeyWriter::default();
    let (mut entries, mut size_bytes) = (0u64, 0u64);
    for Child { last, node } in children {
        keys.put(last, &mut a);
        node.put_hashes(&mut a);
        node.put_ids(&mut b);
        entries = entries.saturating_add(node.entries);
        size_bytes = size_bytes.saturating_add(node.size_bytes);
    }
    let (hash, id) = node(&a, &b)?;
    let last = children.last().map(|child| child.last.clone()).unwrap_or_default();
    Ok(Child { last, node: Node { height, packed, hash, id, keys: None, entries, size_bytes } })
}
