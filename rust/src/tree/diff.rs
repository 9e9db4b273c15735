//! Comparing maps.

use super::branch::Child;
use super::leaf::{Entry, Value};
use super::map::{Map, Node, Order, Range, leaf_entries};
use super::writer::FirstEight;
use super::{Hash, Nodes};
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

/// The entries of two maps that are not in both, ascending, never opening a subtree that both share.
pub fn unshared(nodes: &dyn Nodes, a: &Node, b: &Node) -> Result<(Vec<Entry>, Vec<Entry>)> {
    unshared_in(nodes, a, b, &[Range::prefix(b"")])
}

/// The same of some ranges alone: nothing is opened that has no keys of them.
fn unshared_in(
    nodes: &dyn Nodes,
    a: &Node,
    b: &Node,
    ranges: &[Range],
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
                    below.extend(among(node.children(nodes)?, ranges).map(|child| child.node));
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
        all.retain(|entry| ranges.iter().any(|range| range.contains(&entry.key)));
        Ok(all)
    };
    Ok((read(left)?, read(right)?))
}

/// Those of the children of a node that may have keys of some ranges.
fn among(children: Vec<Child>, ranges: &[Range]) -> impl Iterator<Item = Child> {
    let wanted = ranges.iter().map(|range| range.among(&children)).collect::<Vec<_>>();
    let children = children.into_iter().enumerate();
    children.filter(move |(at, _)| wanted.iter().any(|wanted| wanted.contains(at))).map(|(_, c)| c)
}

/// The keys of which two maps hold different values, ascending; what both share is not opened.
pub fn changed(nodes: &dyn Nodes, a: &Map, b: &Map) -> Result<Vec<Vec<u8>>> {
    let changed = changed_in(nodes, a, b, &[Range::prefix(b"")])?;
    Ok(changed.into_iter().map(|(key, _)| key).collect())
}

/// The same of some ranges alone, with the values in the second map.
pub fn changed_in(
    nodes: &dyn Nodes,
    a: &Map,
    b: &Map,
    ranges: &[Range],
) -> Result<Vec<(Vec<u8>, Option<Value>)>> {
    let (left, right) = match (&a.root, &b.root) {
        (Some(a), Some(b)) => unshared_in(nodes, a, b, ranges)?,
        (None, None) => return Ok(Vec::new()),
        _ => (all_in(nodes, a, ranges)?, all_in(nodes, b, ranges)?),
    };
    let mut found = Vec::new();
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(before), Some(after)) => before.key.cmp(&after.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(found),
        };
        let before = left.next_if(|_| order.is_le());
        let after = right.next_if(|_| order.is_ge());
        match (before, after) {
            (Some(a), Some(b)) if a.value.same(&b.value) => {}
            (_, Some(after)) => found.push((after.key, Some(after.value))),
            (Some(before), None) => found.push((before.key, None)),
            (None, None) => {}
        }
    }
}

/// The entries of some ranges, which ascend and do not meet.
fn all_in(nodes: &dyn Nodes, map: &Map, ranges: &[Range]) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for range in ranges {
        all.extend(map.range(nodes, range, Order::Ascending, usize::MAX)?);
    }
    Ok(all)
}

type Identities = HashSet<(Hash, Option<Hash>), BuildHasherDefault<FirstEight>>;

fn drop_common(left: &mut Vec<Node>, right: &mut Vec<Node>) {
    let identity = |node: &Node| (node.hash, node.keys.map(|(hash, _)| hash));
    let in_left: Identities = left.iter().map(identity).collect();
    let common: Identities = right.iter().map(identity).filter(|id| in_left.contains(id)).collect();
    left.retain(|node| !common.contains(&identity(node)));
    right.retain(|node| !common.contains(&identity(node)));
}
