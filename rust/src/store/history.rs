//! Versions side by side, and the ledger.

use super::head::Head;
use super::records::{BRANCHES, RESERVED, Version, versions_prefix};
use super::view::View;
use super::{Store, Which, unknown_name};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger::{self, Detail, Entry, GENESIS};
use crate::seal::{Committed, Place, Sealer, kind, sha256, with_scratch};
use crate::tree::{Entry as Leaf, Map, Nodes, Order, Range, Value, unshared};
use std::collections::BTreeMap;

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

/// One ledger entry, proved, with its detail where its namespace still has its key.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// As hashed.
    pub entry: Entry,
    /// Its hash.
    pub hash: [u8; 32],
    /// None when the namespace was forgotten.
    pub detail: Option<(Detail, [u8; 16])>,
}

impl Store {
    /// The latest `limit` versions of a name, newest first.
    pub fn history(&self, name: &str, limit: usize) -> Result<Vec<Version>> {
        let agent = self.agent(&*self.view()?, name)?.ok_or_else(|| unknown_name(name))?;
        let nodes = self.nodes(&agent.sealer);
        let range = Range::prefix(&versions_prefix(agent.branch));
        let found = agent.map.range(&nodes, &range, Order::Descending, limit)?;
        found.into_iter().map(|entry| Version::decode(&entry.value.whole(&nodes)?)).collect()
    }

    /// The names that something was saved under, ascending.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.names_in(&*self.view()?)?;
        names.retain(|name| !name.starts_with(RESERVED));
        Ok(names)
    }

    /// The same with those of our own.
    pub(super) fn names_in(&self, view: &View) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for id in self.namespaces(view)? {
            let sealer = self.namespace_sealer(&id)?;
            let map = self.namespace_map(&view.head, &sealer)?;
            names.extend(self.branches_of(&sealer, &map)?);
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
        let agent = self.agent(&*self.view()?, name)?.ok_or_else(|| unknown_name(name))?;
        let (before, after) = (self.find(&agent, name, a)?, self.find(&agent, name, b)?);
        let nodes = self.nodes(&agent.sealer);
        let (left, right) = match (&before.state, &after.state) {
            (Some(left), Some(right)) => unshared(&nodes, left, right)?,
            (Some(left), None) => (crate::tree::entries(&nodes, left)?, Vec::new()),
            (None, Some(right)) => (Vec::new(), crate::tree::entries(&nodes, right)?),
            (None, None) => (Vec::new(), Vec::new()),
        };
        differing(&nodes, left, right)
    }

    /// The newest `limit` entries of the ledger, newest first, each proved by the hash chain.
    pub fn ledger(&self, limit: u64) -> Result<Vec<LedgerEntry>> {
        let view = self.view()?;
        let head = &view.head;
        let size = head.frontier.size();
        let mut chain = head.chain;
        let mut found = Vec::new();
        for seq in (size.saturating_sub(limit)..size).rev() {
            let (entry, namespace, sealed) = self.read_entry(seq)?;
            let hash = proved(&entry, seq, &chain)?;
            let sealer =
                if namespace == [0; 16] { None } else { Some(self.namespace_sealer(&namespace)) };
            let detail = match sealer {
                None => Some(Detail::open(&self.sealer, &entry, &sealed)?),
                Some(Ok(sealer)) => Some(Detail::open(&sealer, &entry, &sealed)?),
                Some(Err(error)) if error.slug() == "keyring" => None,
                Some(Err(error)) => return Err(error),
            };
            chain = entry.prev;
            found.push(LedgerEntry { entry, hash, detail });
        }
        Ok(found)
    }

    fn read_entry(&self, seq: u64) -> Result<(Entry, [u8; 16], Vec<u8>)> {
        let place = Place { kind: kind::LEDGER, id: ledger::node_id(seq) };
        let mut record = Vec::new();
        let found = self.engine.node(place.id, &mut |sealed| {
            record = with_scratch(|s| self.sealer.open(s, place, Committed::No, sealed))?;
            Ok(())
        })?;
        if !found {
            return Err(
                Error::new("missing", "a ledger entry is not in the store").with("seq", seq)
            );
        }
        ledger::decode(&record)
    }

    /// The hash of entry `seq`, proved from the head backwards.
    pub(super) fn chain_at(&self, head: &Head, seq: u64) -> Result<[u8; 32]> {
        let mut chain = head.chain;
        for at in (seq + 1..head.frontier.size()).rev() {
            let (entry, _, _) = self.read_entry(at)?;
            proved(&entry, at, &chain)?;
            chain = entry.prev;
        }
        Ok(chain)
    }

    /// Proves the whole ledger; gives how many entries it has.
    pub(super) fn verify_ledger(&self, head: &Head) -> Result<u64> {
        let mut frontier = ledger::Frontier::default();
        let mut chain = GENESIS;
        for seq in 0..head.frontier.size() {
            let (entry, _, _) = self.read_entry(seq)?;
            if entry.prev != chain || entry.seq != seq {
                return Err(Error::new("tampered", "the ledger's chain is broken").with("seq", seq));
            }
            let json = entry.json();
            chain = sha256(&[json.as_bytes()]);
            frontier.push(ledger::leaf_hash(json.as_bytes()));
        }
        if chain != head.chain || frontier != head.frontier {
            return Err(Error::new("tampered", "the ledger is not the one that the head names"));
        }
        Ok(head.frontier.size())
    }
}

fn proved(entry: &Entry, seq: u64, chain: &[u8; 32]) -> Result<[u8; 32]> {
    let hash = sha256(&[entry.json().as_bytes()]);
    if hash == *chain && entry.seq == seq {
        return Ok(hash);
    }
    Err(Error::new("tampered", "a ledger entry is not the one that was written").with("seq", seq))
}

fn differing(nodes: &dyn Nodes, left: Vec<Leaf>, right: Vec<Leaf>) -> Result<Vec<Change>> {
    let mut pairs: BTreeMap<Vec<u8>, (Option<Value>, Option<Value>)> = BTreeMap::new();
    for entry in left {
        pairs.entry(entry.key).or_default().0 = Some(entry.value);
    }
    for entry in right {
        pairs.entry(entry.key).or_default().1 = Some(entry.value);
    }
    let whole = |value: Option<Value>| value.map(|value| value.whole(nodes)).transpose();
    let mut changes = Vec::new();
    for (path, (before, after)) in pairs {
        if let (Some(before), Some(after)) = (&before, &after)
            && before.same(after)
        {
            continue;
        }
        changes.push(Change { path, before: whole(before)?, after: whole(after)? });
    }
    Ok(changes)
}
