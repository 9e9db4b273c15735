//! Reading any map, and editing plain ones.

use super::branch::{self, Child};
use super::ends::Ends;
use super::leaf::{self, Entry, MAX_INLINE_BYTES, Value, Visit};
use super::writer::Writer;
use super::{Nodes, blob};
use crate::error::Result;
use crate::seal::{NodeId, kind};
use std::collections::{BTreeMap, HashSet};

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
    let mut node = root.clone();
    while node.height > 0 {
        let children = node.children(nodes)?;
        match children.into_iter().find(|child| child.last.as_slice() >= key) {
            Some(child) => node = child.node,
            None => return Ok(None),
        }
    }
    let found = leaf_entries(nodes, &node)?.into_iter().find(|entry| entry.key == key);
    Ok(found.map(|entry| entry.value))
}

/// The entries of two maps that are not in both, never opening a subtree that both share.
pub fn unshared(nodes: &dyn Nodes, a: &Node, b: &Node) -> Result<(Vec<Entry>, Vec<Entry>)> {
    let (mut left, mut right) = (vec![a.clone()], vec![b.clone()]);
    loop {
        drop_common(&mut left, &mut right);
        let height = left.iter().chain(&right).map(|node| node.height).max().unwrap_or(0);
        if height == 0 {
            break;
        }
        for side in [&mut left, &mut right] {
            let mut below = Vec::new();
            for node in std::mem::take(side) {
                if node.height == height {
                    below.extend(node.children(nodes)?.into_iter().map(|child| child.node));
                } else {
                    below.push(node);
                }
            }
            *side = below;
        }
    }
    let read = |side: Vec<Node>| -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        for node in side {
            all.extend(leaf_entries(nodes, &node)?);
        }
        Ok(all)
    };
    Ok((read(left)?, read(right)?))
}

fn drop_common(left: &mut Vec<Node>, right: &mut Vec<Node>) {
    let identity = |node: &Node| (node.hash, node.keys.map(|(hash, _)| hash));
    let in_left: HashSet<_> = left.iter().map(identity).collect();
    let common: HashSet<_> = right.iter().map(identity).filter(|id| in_left.contains(id)).collect();
    left.retain(|node| !common.contains(&identity(node)));
    right.retain(|node| !common.contains(&identity(node)));
}

/// Edits of a plain map: new values, and None for what is removed.
pub type Edits = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

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

    /// The entries whose keys begin with `prefix`, in order. Opens the leaves that may hold some.
    pub fn prefixed(&self, nodes: &dyn Nodes, prefix: &[u8]) -> Result<Vec<Entry>> {
        let Some(root) = &self.root else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for leaf in leaves(nodes, root)? {
            if !leaf.last.is_empty() && leaf.last.as_slice() < prefix {
                continue;
            }
            let mut beyond = false;
            for entry in leaf_entries(nodes, &leaf.node)? {
                beyond = entry.key.as_slice() > prefix && !entry.key.starts_with(prefix);
                if entry.key.starts_with(prefix) {
                    found.push(entry);
                }
            }
            if beyond {
                break;
            }
        }
        Ok(found)
    }

    /// The map with `edits`. Opens the branches and the leaves that change.
    pub fn apply(&self, nodes: &dyn Nodes, writer: &mut Writer<'_>, edits: Edits) -> Result<Map> {
        let old = match &self.root {
            Some(root) => leaves(nodes, root)?,
            None => Vec::new(),
        };
        let mut splice = Splice { writer, done: Vec::new(), open: Vec::new(), ends: Ends::new(0) };
        let mut edits = edits.into_iter().peekable();
        let count = old.len();
        for (at, child) in old.into_iter().enumerate() {
            // The last leaf takes all further edits: there is no later one.
            let is_last = at + 1 == count;
            let within = |key: &[u8]| is_last || key <= child.last.as_slice();
            let touched = edits.peek().is_some_and(|(key, _)| is_last || within(key));
            if !touched && splice.ends.at_start() {
                splice.keep(child);
                continue;
            }
            for entry in leaf_entries(nodes, &child.node)? {
                while let Some((key, value)) = edits.next_if(|(key, _)| *key < entry.key) {
                    splice.put_edit(key, value)?;
                }
                match edits.next_if(|(key, _)| *key == entry.key) {
                    Some((key, value)) => splice.put_edit(key, value)?,
                    None => splice.put(entry)?,
                }
            }
            while let Some((key, value)) = edits.next_if(|(key, _)| within(key)) {
                splice.put_edit(key, value)?;
            }
        }
        for (key, value) in edits {
            splice.put_edit(key, value)?;
        }
        splice.close()?;
        let Splice { writer, done, .. } = splice;
        Ok(Map { root: branch::build(writer, done)? })
    }
}

/// Streams entries into leaves.
struct Splice<'a, 'w> {
    writer: &'a mut Writer<'w>,
    done: Vec<Child>,
    open: Vec<Entry>,
    ends: Ends,
}

impl Splice<'_, '_> {
    /// Keeps a leaf as it is.
    fn keep(&mut self, child: Child) {
        self.writer.refer(child.node.hash, child.node.id);
        self.done.push(child);
    }

    fn put_edit(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()> {
        let Some(bytes) = value else { return Ok(()) };
        let value = if bytes.len() > MAX_INLINE_BYTES {
            Value { inline: Vec::new(), blob: Some(blob::write(self.writer, &bytes)?) }
        } else {
            Value::inline(bytes)
        };
        self.put(Entry { key, value })
    }

    fn put(&mut self, entry: Entry) -> Result<()> {
        let end = self.ends.after(&entry.key);
        self.open.push(entry);
        if end { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.open);
        let Some(last) = entries.last().map(|entry| entry.key.clone()) else {
            return Ok(());
        };
        let (a, b) = leaf::encode(&entries);
        let (hash, id) = self.writer.node(kind::LEAF, &a, &b)?;
        let size_bytes = entries.iter().map(|entry| entry.value.size_bytes()).sum();
        let node = Node {
            height: 0,
            packed: false,
            hash,
            id,
            keys: None,
            entries: entries.len() as u64,
            size_bytes,
        };
        self.done.push(Child { last, node });
        Ok(())
    }
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
