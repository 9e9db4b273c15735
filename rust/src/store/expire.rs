//! Documents that are too old to be there, taken out.

use super::Store;
use super::commit::{Change, Writes};
use super::documents::{expired, id_of, taken_out};
use super::vectors::{Spaces, spaces};
use super::view::Agent;
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::tree::Order;
use std::collections::BTreeMap;

/// What is removed, and how many documents of each type.
struct Expired {
    writes: Writes,
    counts: BTreeMap<String, u64>,
}

impl Store {
    fn expired(&self, agent: &Agent, now_ns: u64) -> Result<Expired> {
        let nodes = self.nodes(&agent.sealer);
        let (mut writes, mut counts) = (Writes::new(), BTreeMap::new());
        let found = agent.map.range(&nodes, &expired(now_ns), Order::Ascending, usize::MAX)?;
        let spaces = if found.is_empty() { Spaces::new() } else { spaces(&nodes, &agent.map)? };
        for entry in found {
            let id = id_of(&entry.key)?;
            let malformed = |_| Error::new("malformed", "a memory type is not UTF-8");
            let kind = String::from_utf8(entry.value.whole(&nodes)?).map_err(malformed)?;
            let found = taken_out(&nodes, &agent.map, &spaces, &kind, &id)?;
            let keys = found.map(|(_, keys)| keys).unwrap_or_default();
            writes.extend(keys.into_iter().chain([entry.key]).map(|key| (key, None)));
            *counts.entry(kind).or_default() += 1;
        }
        Ok(Expired { writes, counts })
    }

    /// How many documents have expired in the namespace of an agent.
    pub(super) fn count_expired(&self, agent: &Agent, now_ns: u64) -> Result<u64> {
        Ok(self.expired(agent, now_ns)?.counts.values().sum())
    }
}

/// Removes the documents that have expired in the namespace of a name; gives how many.
pub(super) fn expire(change: &mut Change<'_>, name: &str, agent: &Agent) -> Result<u64> {
    let Expired { writes, counts } = change.store.expired(agent, change.created_ns)?;
    for (memory_type, count) in &counts {
        let (agent_id, memory_type, count) = (name.to_owned(), memory_type.clone(), *count);
        let detail = Detail { agent_id, memory_type, count, ..Detail::default() };
        change.log("expire", &detail, &agent.sealer)?;
    }
    if !writes.is_empty() {
        change.edit_documents(name, agent, writes);
    }
    Ok(counts.values().sum())
}
