//! Versions side by side, and the ledger.

use super::head::Head;
use super::records::{MAIN, Version, versions_prefix};
use super::{Store, unknown_name};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ledger::{self, Detail, Entry, GENESIS};
use crate::seal::{Committed, Place, kind, sha256, with_scratch};
use crate::tree::{Entry as Leaf, Nodes, Value, unshared};
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
    /// The versions of a name, oldest first.
    pub fn history(&self, name: &str) -> Result<Vec<Version>> {
        let agent = self.agent(&*self.view()?, name)?.ok_or_else(|| unknown_name(name))?;
        let nodes = self.nodes(&agent.sealer);
        let mut versions = Vec::new();
        for entry in agent.map.prefixed(&nodes, &versions_prefix(MAIN))? {
            versions.push(Version::decode(&entry.value.whole(&nodes)?)?);
        }
        Ok(versions)
    }

    /// The names that something was saved under, ascending.
    pub fn names(&self) -> Result<Vec<String>> {
        let view = self.view()?;
        let mut names = Vec::new();
        for id in self.namespaces(&view)? {
            let sealer = self.namespace_sealer(&id)?;
            let map = self.namespace_map(&view.head, &sealer)?;
            let name = map.get(&self.nodes(&sealer), &super::records::own_name_key())?;
            let name = name.and_then(|name| String::from_utf8(name).ok());
            names.push(name.ok_or_else(|| Error::new("malformed", "a namespace has no name"))?);
        }
        names.sort();
        Ok(names)
    }

    /// The leaves that differ between two versions, by path; what both share is not opened.
    pub fn diff(&self, name: &str, a: u64, b: u64) -> Result<Vec<Change>> {
        let (before, sealer) = self.pinned(name, Some(a))?;
        let (after, _) = self.pinned(name, Some(b))?;
        let nodes = self.nodes(&sealer);
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
