//! Reading maps.

use super::Nodes;
use super::branch::Child;
use super::leaf::{self, Entry, Value, Visit};
use crate::error::Result;
use crate::seal::{NodeId, kind};
use std::collections::BTreeMap;

pub use super::branch::Node;

/// The leaves below `root`, in order, with their last keys. Reads the branches only.
pub fn leaves(nodes: &dyn Nodes, root: &Node) -> Result<Vec<Child>> {
    let mut level = vec![Child { last: Vec::new(), node: root.clone() }];
    while level.first().is_some_and(|child| child.node.height > 0) {
        let mut below = Vec::new();
        for child in level {
            below.extend(child.node.children(nodes)?);
        }
        level = below;
    }
    Ok(level)
}

/// The entries of one leaf.
pub fn leaf_entries(nodes: &dyn Nodes, leaf: &Node) -> Result<Vec<Entry>> {
    match &leaf.keys {
        None => leaf::read(nodes, &leaf.hash, leaf.id),
        Some((hash, id)) => leaf::join(
            leaf::read_keys(nodes, hash, *id)?,
            leaf::read_values(nodes, &leaf.hash, leaf.id)?,
        ),
    }
}

/// All entries below `root`, in order.
pub fn entries(nodes: &dyn Nodes, root: &Node) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for leaf in leaves(nodes, root)? {
        all.extend(leaf_entries(nodes, &leaf.node)?);
    }
    Ok(all)
}

/// Calls `each` with key, inline part and blob of every entry below `root`, in order.
pub fn visit(nodes: &dyn Nodes, root: &Node, each: Visit<'_>) -> Result<()> {
    for leaf in leaves(nodes, root)? {
        let Some((keys_hash, keys_id)) = &leaf.node.keys else {
            for entry in leaf_entries(nodes, &leaf.node)? {
                each(&entry.key, &entry.value.inline, entry.value.blob)?;
            }
            continue;
        };
        let values = (&leaf.node.hash, leaf.node.id);
        leaf::visit_split(nodes, (keys_hash, *keys_id), values, each)?;
    }
    Ok(())
}

/// Calls `each` with hash, kind and id of every node below and with `root`, chunks included; what
/// `each` answers false for is not opened.
pub fn refs(
    nodes: &dyn Nodes,
    root: &Node,
    each: &mut dyn FnMut(super::Hash, u8, NodeId) -> bool,
) -> Result<()> {
    if root.height > 0 {
        if each(root.hash, kind::BRANCH, root.id) {
            for child in root.children(nodes)? {
                refs(nodes, &child.node, each)?;
            }
        }
        return Ok(());
    }
    let content = if root.packed { kind::VALUES } else { kind::LEAF };
    let open = each(root.hash, content, root.id);
    if let Some((hash, id)) = root.keys {
        each(hash, kind::KEYS, id);
    }
    if open {
        for entry in leaf_entries(nodes, root)? {
            if let Some(blob) = entry.value.blob {
                blob.refs(nodes, each)?;
            }
        }
    }
    Ok(())
}

/// The value of one key: as many nodes as the tree is high.
pub fn get(nodes: &dyn Nodes, root: &Node, key: &[u8]) -> Result<Option<Value>> {
    let Some(leaf) = leaf_of(nodes, root, key)? else {
        return Ok(None);
    };
    let mut entries = leaf_entries(nodes, &leaf)?;
    let found = entries.binary_search_by(|entry| entry.key.as_slice().cmp(key));
    Ok(found.ok().map(|at| entries.swap_remove(at).value))
}

/// The leaf that a key belongs to; None behind the last.
pub fn leaf_of(nodes: &dyn Nodes, root: &Node, key: &[u8]) -> Result<Option<Node>> {
    let mut node = root.clone();
    while node.height > 0 {
        let mut children = node.children(nodes)?;
        let at = children.partition_point(|child| child.last.as_slice() < key);
        if at == children.len() {
            return Ok(None);
        }
        node = children.swap_remove(at).node;
    }
    Ok(Some(node))
}

/// Edits of a plain map: new values, and None for what is removed.
pub type Edits = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// The same with a blob that is sealed already.
    Sealed(Value),
}

impl From<Vec<u8>> for Edit {
    fn from(bytes: Vec<u8>) -> Self {
        Edit::Bytes(bytes)
    }
}

/// A plain map at one moment.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// None while it is empty.
    pub root: Option<Node>,
}

impl Map {
    /// The value of a key, blobs included.
    pub fn get(&self, nodes: &dyn Nodes, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        match get(nodes, root, key)? {
            None => Ok(None),
            Some(value) => value.whole(nodes).map(Some),
        }
    }

    /// The values of ascending keys. A node that holds several of them is opened once.
    pub fn get_all(&self, nodes: &dyn Nodes, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>> {
        let mut found = Vec::with_capacity(keys.len());
        match &self.root {
            Some(root) => gather(nodes, root, keys, &mut found)?,
            None => found.resize(keys.len(), None),
        }
        Ok(found)
    }

    /// The entries whose keys begin with `prefix`, in order.
    pub fn prefixed(&self, nodes: &dyn Nodes, prefix: &[u8]) -> Result<Vec<Entry>> {
        self.range(nodes, &Range::prefix(prefix), Order::Ascending, usize::MAX)
    }

    /// The first `limit` entries of a range, in this order. Opens the nodes that hold them.
    pub fn range(
        &self,
        nodes: &dyn Nodes,
        range: &Range,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        if let Some(root) = &self.root {
            collect(nodes, root, range, order, limit, &mut found)?;
        }
        Ok(found)
    }

    /// Calls `each` with key, inline part and blob of every entry of a range, in order.
    pub fn visit(&self, nodes: &dyn Nodes, range: &Range, each: Visit<'_>) -> Result<()> {
        match &self.root {
            Some(root) => visit_in(nodes, root, range, each),
            None => Ok(()),
        }
    }

    /// How many entries a range has: as many nodes as the tree is high, twice.
    pub fn count(&self, nodes: &dyn Nodes, range: &Range) -> Result<u64> {
        let Some(root) = &self.root else {
            return Ok(0);
        };
        let end = match &range.end {
            Some(end) => rank(nodes, root, end)?,
            None => root.entries,
        };
        Ok(end.saturating_sub(rank(nodes, root, &range.start)?))
    }
}

/// Keys from `start` to before `end`; None is beyond all keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first key that belongs to it.
    pub start: Vec<u8>,
    /// The first key behind it that does not.
    pub end: Option<Vec<u8>>,
}

/// From which side a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key.
    Ascending,
    /// From the largest key.
    Descending,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                break;
            }
        }
        Range { start: prefix.to_vec(), end: Some(end).filter(|end| !end.is_empty()) }
    }

    /// This key alone.
    pub fn key(key: &[u8]) -> Self {
        Range { start: key.to_vec(), end: Some([key, &[0]].concat()) }
    }

    /// Whether a key belongs to it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && !self.ends_by(key)
    }

    fn ends_by(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| key >= end.as_slice())
    }

    /// Which of the children of a node may have keys of it.
    pub(super) fn among(&self, children: &[Child]) -> std::ops::Range<usize> {
        let first = children.partition_point(|child| child.last < self.start);
        // All keys of a child are beyond the last one of the child before it.
        let behind = children.partition_point(|child| !self.ends_by(&child.last)) + 1;
        first..behind.min(children.len())
    }
}

fn visit_in(nodes: &dyn Nodes, node: &Node, range: &Range, each: Visit<'_>) -> Result<()> {
    if node.height > 0 {
        let children = node.children(nodes)?;
        let within = children.get(range.among(&children)).unwrap_or_default();
        return within.iter().try_for_each(|child| visit_in(nodes, &child.node, range, each));
    }
    leaf::visit(nodes, &node.hash, node.id, &mut |key, inline, blob| match range.contains(key) {
        true => each(key, inline, blob),
        false => Ok(()),
    })
}

fn collect(
    nodes: &dyn Nodes,
    node: &Node,
    range: &Range,
    order: Order,
    limit: usize,
    found: &mut Vec<Entry>,
) -> Result<()> {
    if node.height == 0 {
        let mut entries = leaf_entries(nodes, node)?;
        entries.retain(|entry| entry.key >= range.start && !range.ends_by(&entry.key));
        if order == Order::Descending {
            entries.reverse();
        }
        entries.truncate(limit.saturating_sub(found.len()));
        found.append(&mut entries);
        return Ok(());
    }
    let children = node.children(nodes)?;
    let within = children.get(range.among(&children)).unwrap_or_default();
    let mut visit = |child: &Child| match found.len() < limit {
        true => collect(nodes, &child.node, range, order, limit, found),
        false => Ok(()),
    };
    match order {
        Order::Ascending => within.iter().try_for_each(&mut visit),
        Order::Descending => within.iter().rev().try_for_each(&mut visit),
    }
}

/// Appends the values of ascending keys, none of which is before `node`.
fn gather(
    nodes: &dyn Nodes,
    node: &Node,
    mut keys: &[Vec<u8>],
    found: &mut Vec<Option<Value>>,
) -> Result<()> {
    if node.height == 0 {
        found.extend(leaf::pick(nodes, &node.hash, node.id, keys)?);
        return Ok(());
    }
    for child in node.children(nodes)? {
        let (here, behind) = keys.split_at(keys.partition_point(|key| *key <= child.last));
        if !here.is_empty() {
            gather(nodes, &child.node, here, found)?;
        }
        keys = behind;
    }
    found.resize(found.len() + keys.len(), None);
    Ok(())
}

/// How many keys are smaller than `key`.
fn rank(nodes: &dyn Nodes, root: &Node, key: &[u8]) -> Result<u64> {
    let (mut node, mut before) = (root.clone(), 0);
    while node.height > 0 {
        let mut children = node.children(nodes)?;
        let at = children.partition_point(|child| child.last.as_slice() < key);
        before += children.iter().take(at).map(|child| child.node.entries).sum::<u64>();
        if at == children.len() {
            return Ok(before);
        }
        node = children.swap_remove(at).node;
    }
    let smaller = |entry: &&Entry| entry.key.as_slice() < key;
    Ok(before + leaf_entries(nodes, &node)?.iter().filter(smaller).count() as u64)
}

impl Value {
    /// All its bytes, read piece by piece on this thread.
    pub fn whole(self, nodes: &dyn Nodes) -> Result<Vec<u8>> {
        let mut bytes = self.inline;
        if let Some(blob) = self.blob {
            blob.append_to(nodes, &mut bytes)?;
        }
        Ok(bytes)
    }
}
