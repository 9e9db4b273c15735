//! Comparing maps.

use super::leaf::Entry;
use super::map::{Map, Node, Order, Range, leaf_entries};
use super::writer::FirstEight;
use super::{Hash, Nodes};
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

/// The entries of two maps that are not in both, ascending, never opening a subtree that both share.
pub fn unshared(nodes: &dyn Nodes, a: &Node, b: &Node) -> Result<(Vec<Entry>, Vec<Entry>)> {
    unshared_in(nodes, a, b, &Range::prefix(b""))
}

/// The same of a range alone: nothing is opened that has no keys of it.
fn unshared_in(
    nodes: &dyn Nodes,
    a: &Node,
    b: &Node,
    range: &Range,
) -> Result<(Vec<Entry>, Vec<Entry>)> {
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
                    let children = node.children(nodes)?;
                    below.extend(range.among(&children).iter().map(|child| child.node.clone()));
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
        all.retain(|entry| range.contains(&entry.key));
        Ok(all)
    };
    Ok((read(left)?, read(right)?))
}

/// The keys of which two maps hold different values, ascending; what both share is not opened.
pub fn changed(nodes: &dyn Nodes, a: &Map, b: &Map) -> Result<Vec<Vec<u8>>> {
    changed_in(nodes, a, b, &Range::prefix(b""))
}

/// The same of a range alone.
pub fn changed_in(nodes: &dyn Nodes, a: &Map, b: &Map, range: &Range) -> Result<Vec<Vec<u8>>> {
    let all = |map: &Map| map.range(nodes, range, Order::Ascending, usize::MAX);
    let (left, right) = match (&a.root, &b.root) {
        (Some(a), Some(b)) => unshared_in(nodes, a, b, range)?,
        _ => (all(a)?, all(b)?),
    };
    let mut keys = Vec::new();
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(before), Some(after)) => before.key.cmp(&after.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(keys),
        };
        let before = left.next_if(|_| order.is_le());
        let after = right.next_if(|_| order.is_ge());
        let same = matches!((&before, &after), (Some(a), Some(b)) if a.value.same(&b.value));
        keys.extend(before.or(after).map(|entry| entry.key).filter(|_| !same));
    }
}

type Identities = HashSet<(Hash, Option<Hash>), BuildHasherDefault<FirstEight>>;

fn drop_common(left: &mut Vec<Node>, right: &mut Vec<Node>) {
    let identity = |node: &Node| (node.hash, node.keys.map(|(hash, _)| hash));
    let in_left: Identities = left.iter().map(identity).collect();
    let common: Identities = right.iter().map(identity).filter(|id| in_left.contains(id)).collect();
    left.retain(|node| !common.contains(&identity(node)));
    right.retain(|node| !common.contains(&identity(node)));
}
