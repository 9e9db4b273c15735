//! Finding out what lies on disk already, without reading all of it.

use super::map::{Node, leaf_entries, leaf_of};
use super::{Known, Nodes};
use crate::error::Result;
use std::collections::HashSet;

/// What a new version may refer to of an old one: its nodes, by hash, and the pieces of those large
/// values that the new version has too, at `large` paths. Opens the branches, and the leaves of
/// these paths.
pub fn known_of<'a>(
    nodes: &dyn Nodes,
    root: &Node,
    large: impl Iterator<Item = &'a [u8]>,
) -> Result<Known> {
    let mut known = Known::default();
    remember(nodes, root, &mut known)?;
    let mut opened = HashSet::new();
    for path in large {
        let Some(leaf) = leaf_of(nodes, root, path)? else { continue };
        if !opened.insert(leaf.id) {
            continue;
        }
        for entry in leaf_entries(nodes, &leaf)? {
            if let Some(blob) = entry.value.blob {
                blob.refs(nodes, &mut |hash, _, id| known.insert(hash, id).is_none())?;
            }
        }
    }
    Ok(known)
}

fn remember(nodes: &dyn Nodes, node: &Node, known: &mut Known) -> Result<()> {
    known.insert(node.hash, node.id);
    if let Some((hash, id)) = node.keys {
        known.insert(hash, id);
    }
    if node.height > 0 {
        for child in node.children(nodes)? {
            remember(nodes, &child.node, known)?;
        }
    }
    Ok(())
}
