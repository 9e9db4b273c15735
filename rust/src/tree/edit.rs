//! Editing plain maps by copying paths.
//!
//! The old tree is read from left to right beside the edits. A subtree that no edit touches is kept
//! as it is wherever a node of its height would begin anyway; all else is taken apart and built
//! again, until the ends of old and new nodes fall together. So an edit costs a path, and the tree
//! is the one that building it at once would give.

use super::branch::{self, Child, Node};
use super::cut::Cut;
use super::ends::Ends;
use super::leaf::{self, Entry, MAX_INLINE_BYTES, Value};
use super::map::{Edit, Map, leaf_entries};
use super::writer::Writer;
use super::{Hash, Nodes, blob};
use crate::error::Result;
use crate::seal::{NodeId, hash_kind, kind};
use std::collections::{BTreeMap, HashMap, btree_map};
use std::iter::Peekable;

impl Map {
    /// The map with `edits`. What the old map needed and the new one does not is told to `writer`,
    /// which must share no nodes between values.
    pub fn apply<E: Into<Edit>>(
        &self,
        nodes: &dyn Nodes,
        writer: &mut Writer<'_>,
        edits: BTreeMap<Vec<u8>, Option<E>>,
    ) -> Result<Map> {
        let edits: BTreeMap<_, _> =
            edits.into_iter().map(|(key, value)| (key, value.map(E::into))).collect();
        let mut splice = Splice {
            nodes,
            writer,
            edits: edits.into_iter().peekable(),
            leaf: Vec::new(),
            leaf_ends: Ends::new(0),
            levels: Vec::new(),
            opened: HashMap::new(),
        };
        match &self.root {
            Some(root) => {
                // The last key of all is not needed: the last node takes all further edits.
                splice.walk(Child { last: Vec::new(), node: root.clone() }, true)?;
            }
            None => splice.put_edits_before(None)?,
        }
        let root = splice.finish(self.root.as_ref().map(|root| root.id))?;
        let Splice { writer, opened, .. } = splice;
        opened.into_values().for_each(|id| writer.lose(id));
        Ok(Map { root })
    }
}

/// Nodes of one height, on their way into nodes above.
struct Level {
    group: Vec<Child>,
    ends: Ends,
    total: usize,
}

struct Splice<'a, 'w> {
    nodes: &'a dyn Nodes,
    writer: &'a mut Writer<'w>,
    edits: Peekable<btree_map::IntoIter<Vec<u8>, Option<Edit>>>,
    /// The entries of the leaf that is being filled. A full leaf, like a full group, is only written
    /// when something follows: what stands alone at the end is the root.
    leaf: Vec<Entry>,
    leaf_ends: Ends,
    /// By height.
    levels: Vec<Level>,
    /// Nodes of the old map that were taken apart and not built again.
    opened: HashMap<Hash, NodeId>,
}

impl Splice<'_, '_> {
    fn walk(&mut self, child: Child, is_last: bool) -> Result<()> {
        let touched = self.edits.peek().is_some_and(|(key, _)| is_last || *key <= child.last);
        if !touched && self.begins_node(child.node.height) {
            return self.keep(child);
        }
        self.opened.insert(child.node.hash, child.node.id);
        if child.node.height == 0 {
            return self.walk_leaf(&child, is_last);
        }
        let children = child.node.children(self.nodes)?;
        let count = children.len();
        for (at, below) in children.into_iter().enumerate() {
            self.walk(below, is_last && at + 1 == count)?;
        }
        Ok(())
    }

    fn walk_leaf(&mut self, child: &Child, is_last: bool) -> Result<()> {
        for entry in leaf_entries(self.nodes, &child.node)? {
            self.put_edits_before(Some(&entry.key))?;
            match self.edits.next_if(|(key, _)| *key == entry.key) {
                Some((_, value)) => self.replace(entry, value)?,
                None => self.put(entry)?,
            }
        }
        if is_last { self.put_edits_before(None) } else { Ok(()) }
    }

    /// Puts the edits of keys that were not there; `None` is beyond all keys.
    fn put_edits_before(&mut self, limit: Option<&[u8]>) -> Result<()> {
        let before = |key: &[u8]| limit.is_none_or(|limit| key < limit);
        while let Some((key, value)) = self.edits.next_if(|(key, _)| before(key)) {
            if let Some(bytes) = value {
                let value = self.value(bytes)?;
                self.put(Entry { key, value })?;
            }
        }
        Ok(())
    }

    fn replace(&mut self, old: Entry, value: Option<Edit>) -> Result<()> {
        if let Some(blob) = old.value.blob {
            let same = match &value {
                Some(Edit::Bytes(new)) if new.len() as u64 == old.value.size_bytes() => {
                    *new == old.value.clone().whole(self.nodes)?
                }
                // Its node would be taken for the old one, which leads to the old blob.
                Some(Edit::Sealed(new)) => new.same(&old.value),
                _ => false,
            };
            if same {
                return self.put(old);
            }
            blob.refs(self.nodes, &mut |_, _, id| {
                self.writer.lose(id);
                true
            })?;
        }
        match value {
            Some(bytes) => {
                let value = self.value(bytes)?;
                self.put(Entry { key: old.key, value })
            }
            None => Ok(()),
        }
    }

    fn value(&mut self, edit: Edit) -> Result<Value> {
        let bytes = match edit {
            Edit::Sealed(value) => return Ok(value),
            Edit::Bytes(bytes) => bytes,
        };
        if bytes.len() <= MAX_INLINE_BYTES {
            return Ok(Value::inline(bytes));
        }
        let blob = blob::write(self.writer, &bytes, Cut::Content)?;
        Ok(Value { inline: Vec::new(), blob: Some(blob) })
    }

    /// Whether a node of this height would begin with what comes next.
    fn begins_node(&self, height: u8) -> bool {
        let below = self.levels.iter().take(usize::from(height));
        self.leaf_ends.at_start() && below.into_iter().all(|level| level.ends.at_start())
    }

    fn keep(&mut self, child: Child) -> Result<()> {
        let height = usize::from(child.node.height);
        self.flush_leaf()?;
        for below in 0..height {
            self.flush(below)?;
        }
        self.push(height, child)
    }

    fn put(&mut self, entry: Entry) -> Result<()> {
        if self.leaf_ends.at_start() {
            self.flush_leaf()?;
        }
        self.leaf_ends.after(&entry.key);
        self.leaf.push(entry);
        Ok(())
    }

    fn push(&mut self, height: usize, child: Child) -> Result<()> {
        while self.levels.len() <= height {
            let ends = Ends::new(self.levels.len() + 1);
            self.levels.push(Level { group: Vec::new(), ends, total: 0 });
        }
        if self.levels.get(height).is_some_and(|level| level.ends.at_start()) {
            self.flush(height)?;
        }
        if let Some(level) = self.levels.get_mut(height) {
            level.ends.after(&child.last);
            level.group.push(child);
            level.total += 1;
        }
        Ok(())
    }

    fn flush_leaf(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.leaf);
        let Some(last) = entries.last().map(|entry| entry.key.clone()) else {
            return Ok(());
        };
        let (a, b) = leaf::encode(&entries);
        let (hash, id) = self.node(kind::LEAF, &a, &b)?;
        let size_bytes = entries.iter().map(|entry| entry.value.size_bytes()).sum();
        let entries = entries.len() as u64;
        let node = Node { height: 0, packed: false, hash, id, keys: None, entries, size_bytes };
        self.push(0, Child { last, node })
    }

    fn flush(&mut self, height: usize) -> Result<()> {
        let group = self.levels.get_mut(height).map(|level| std::mem::take(&mut level.group));
        let group = group.unwrap_or_default();
        if group.is_empty() {
            return Ok(());
        }
        let built = branch::join(height, &group, |a, b| self.node(kind::BRANCH, a, b))?;
        self.push(height + 1, built)
    }

    /// A node of the old map if it is as it was, else a new one.
    fn node(&mut self, kind: u8, a: &[u8], b: &[u8]) -> Result<(Hash, NodeId)> {
        let hash = hash_kind(kind, a);
        match self.opened.remove(&hash) {
            Some(id) => Ok((hash, id)),
            None => self.writer.node(kind, a, b),
        }
    }

    fn finish(&mut self, old_root: Option<NodeId>) -> Result<Option<Node>> {
        self.flush_leaf()?;
        let mut height = 0;
        while height < self.levels.len() {
            if self.levels.iter().skip(height).map(|level| level.total).sum::<usize>() > 1 {
                self.flush(height)?;
            } else if let Some(root) = self.levels.get_mut(height).and_then(|l| l.group.pop()) {
                // Nothing was built below it, so it is a kept one.
                let below = height.checked_sub(1).and_then(|below| self.levels.get(below));
                let kept = below.is_some_and(|below| below.total == 0);
                return match kept && Some(root.node.id) != old_root {
                    true => self.without_lone_children(root.node).map(Some),
                    false => Ok(Some(root.node)),
                };
            }
            height += 1;
        }
        Ok(None)
    }

    /// A branch with one child is no root: built at once, the tree would end with that child.
    fn without_lone_children(&mut self, mut root: Node) -> Result<Node> {
        while root.height > 0 {
            let mut children = root.children(self.nodes)?;
            match children.pop() {
                Some(only) if children.is_empty() => {
                    self.opened.insert(root.hash, root.id);
                    root = only.node;
                }
                _ => break,
            }
        }
        Ok(root)
    }
}
