//! Comparing maps.

use super::leaf::Entry;
use super::map::{Node, leaf_entries};
use super::writer::FirstEight;
use super::{Hash, Nodes};
use crate::error::Result;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

/// The entries of two maps that are not in both, ascending, never opening a subtree that both share.
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

type Identities = HashSet<(Hash, Option<Hash>), BuildHasherDefault<FirstEight>>;

fn drop_common(left: &mut Vec<Node>, right: &mut Vec<Node>) {
    let identity = |node: &Node| (node.hash, node.keys.map(|(hash, _)| hash));
    let in_left: Identities = left.iter().map(identity).collect();
    let common: Identities = right.iter().map(identity).filter(|id| in_left.contains(id)).collect();
    left.retain(|node| !common.contains(&identity(node)));
    right.retain(|node| !common.contains(&identity(node)));
}
