//! Versions side by side.

use super::records::{BRANCHES, RESERVED, VERSIONS, Version, memory_type, versions_prefix};
use super::view::View;
use super::{Store, Which, unknown_name};
use crate::error::{Error, Result};
use crate::seal::Sealer;
use crate::tree::{Entry as Leaf, Map, Nodes, Order, Range, unshared};
use std::cmp::Ordering;
use std::sync::Arc;

/// One leaf that differs between two versions, as encoded values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its dot path.
    pub path: Vec<u8>,
    /// Before; None if it was not there.
    pub before: Option<Vec<u8>>,
    /// After; None if it is gone.
    pub after: Option<Vec<u8>>,
}

impl Store {
    /// The latest `limit` versions of a name, newest first.
    pub fn history(&self, name: &str, limit: usize) -> Result<Vec<Version>> {
        self.settled(name)?;
        let (versions, sealer) = self.reading(|view| {
            let agent = self.agent(view, name)?.ok_or_else(|| unknown_name(name))?;
            let nodes = self.nodes(&agent.sealer);
            let range = Range::prefix(&versions_prefix(agent.branch));
            let found = agent.map.range(&nodes, &range, Order::Descending, limit)?.into_iter();
            let versions = found.map(|entry| Version::decode(&entry.value.whole(&nodes)?));
            Ok((versions.collect::<Result<Vec<_>>>()?, Arc::clone(&agent.sealer)))
        })?;
        self.note_read(name, &sealer, "history", 0)?;
        Ok(versions)
    }

    /// The names that something was saved under, ascending.
    pub fn names(&self) -> Result<Vec<String>> {
        self.flush()?;
        let mut names = self.reading(|view| self.names_in(view, true))?;
        names.retain(|name| !name.starts_with(RESERVED));
        Ok(names)
    }

    /// The same with those of our own, and those under which there are documents alone.
    pub(super) fn all_names(&self) -> Result<Vec<String>> {
        self.reading(|view| self.names_in(view, false))
    }

    fn names_in(&self, view: &View, saved: bool) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for id in self.namespaces(view)? {
            let sealer = self.namespace_sealer(&id)?;
            let map = self.namespace_map(&view.head, &sealer)?;
            // A branch without versions is the only one: nothing is forked from it.
            let nodes = self.nodes(&sealer);
            if !saved || map.count(&nodes, &Range::prefix(VERSIONS))? > 0 {
                names.extend(self.branches_of(&sealer, &map)?);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names that lead into one namespace.
    pub(super) fn branches_of(&self, sealer: &Sealer, map: &Map) -> Result<Vec<String>> {
        let nodes = self.nodes(sealer);
        let mut names = Vec::new();
        for entry in map.prefixed(&nodes, BRANCHES)? {
            let name = String::from_utf8(entry.value.whole(&nodes)?);
            names.push(name.map_err(|_| Error::new("malformed", "a name is not UTF-8"))?);
        }
        Ok(names)
    }

    /// The leaves that differ between two versions, by path; what both share is not opened.
    pub fn diff(&self, name: &str, a: &Which, b: &Which) -> Result<Vec<Change>> {
        let (changes, sealer, numbers) = self.reading(|view| self.diff_at(view, name, a, b))?;
        for number in numbers {
            self.note_read(name, &sealer, memory_type(name), number)?;
        }
        Ok(changes)
    }

    fn diff_at(&self, view: &View, name: &str, a: &Which, b: &Which) -> Result<Differing> {
        let agent = self.agent(view, name)?.ok_or_else(|| unknown_name(name))?;
        let (before, after) = (self.find(&agent, name, a)?, self.find(&agent, name, b)?);
        let nodes = self.nodes(&agent.sealer);
        let (left, right) = match (&before.state, &after.state) {
            (Some(left), Some(right)) => unshared(&nodes, left, right)?,
            (Some(left), None) => (crate::tree::entries(&nodes, left)?, Vec::new()),
            (None, Some(right)) => (Vec::new(), crate::tree::entries(&nodes, right)?),
            (None, None) => (Vec::new(), Vec::new()),
        };
        let changes = differing(&nodes, left, right)?;
        Ok((changes, Arc::clone(&agent.sealer), [before.number, after.number]))
    }
}

/// What differs, and what was read for it.
type Differing = (Vec<Change>, Arc<Sealer>, [u64; 2]);

/// What differs between entries of both sides, each ascending by path.
fn differing(nodes: &dyn Nodes, left: Vec<Leaf>, right: Vec<Leaf>) -> Result<Vec<Change>> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let whole = |value: Option<Leaf>| value.map(|leaf| leaf.value.whole(nodes)).transpose();
    let mut changes = Vec::new();
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(before), Some(after)) => before.key.cmp(&after.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(changes),
        };
        let before = left.next_if(|_| order.is_le());
        let after = right.next_if(|_| order.is_ge());
        if let (Some(before), Some(after)) = (&before, &after)
            && before.value.same(&after.value)
        {
            continue;
        }
        let path = before.as_ref().or(after.as_ref()).map(|leaf| leaf.key.clone());
        let path = path.unwrap_or_default();
        changes.push(Change { path, before: whole(before)?, after: whole(after)? });
    }
}
