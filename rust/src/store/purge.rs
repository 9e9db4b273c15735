//! Purging: single versions and documents are destroyed with the key that they were sealed under.
//!
//! Free pages of the data file, and copies of it, keep what was deleted. So a purge begins a new
//! epoch of keys with a new key of the namespace (`keys.sealed`), and takes out what is to go, with
//! all that was pruned before, in one commit. Then what lives in the namespace is sealed anew, in
//! batches, each node under its id; and its details in the ledger, too. Last the old key is taken out
//! of `keys.sealed`, under a fresh root. What is sealed under the old key by then is noise.
//!
//! `keys.sealed` tells how far it is: a namespace with several keys is being purged, by whoever; a
//! process that dies leaves it so, and the next purge goes on, skipping what is sealed anew already.
//! From the first commit on nothing else is written under the old key ([`Change::add_batches`]).

use super::commit::Change;
use super::documents::{DocumentId, taken_out};
use super::prune::each_ref;
use super::records::{DROPPED, VERSIONS, Version, memory_type, version_key};
use super::reseal::{Progress, Resealed};
use super::rotate::new_epoch;
use super::save::check_justification;
use super::vectors::{Spaces, spaces};
use super::view::Agent;
use super::{Store, unknown_name, unknown_version};
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::seal::NodeId;
use crate::tree::Edits;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Documents that one commit takes out.
const MOST_DOCUMENTS: usize = 10_000;

/// What is to be purged of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removal {
    /// The name.
    pub name: String,
    /// Numbers of versions; those that were pruned before go in any case.
    pub versions: Vec<u64>,
    /// Documents.
    pub documents: Vec<Unwanted>,
}

/// A document that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwanted {
    /// Its memory type.
    pub kind: String,
    /// Its id.
    pub id: DocumentId,
    /// When it was written last: it stays if it was written since. None: in any case.
    pub updated_ns: Option<u64>,
}

/// What was purged of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// The name.
    pub name: String,
    /// Numbers of the versions that were there, ascending.
    pub versions: Vec<u64>,
    /// How many of the documents were there, by memory type.
    pub documents: BTreeMap<String, u64>,
}

impl Store {
    /// Destroys versions and documents of some names, and what was deleted or pruned before in their
    /// namespaces.
    pub fn purge(
        &self,
        removals: &[Removal],
        justification: &str,
        progress: Progress<'_>,
    ) -> Result<(Vec<Purged>, Resealed)> {
        check_justification(justification)?;
        self.flush()?;
        self.writable_view()?;
        let (mut purged, mut rest) = (Vec::new(), removals.to_vec());
        // A new key only with the last of them: what is written before lies under the old one, and
        // what is written from then on holds nothing that is to go.
        while let Some(some) = split_off(&mut rest) {
            add_up(&mut purged, self.take(some, justification, false)?);
        }
        add_up(&mut purged, self.take(rest, justification, true)?);
        Ok((purged, self.finish_purges(progress)?))
    }

    /// Takes removals out in one commit, if so with new keys for their namespaces.
    fn take(&self, removals: Vec<Removal>, why: &str, renew: bool) -> Result<Vec<Purged>> {
        self.with_room(|| {
            let (removals, why) = (removals.clone(), why.to_owned());
            self.write(move |change| take_out(change, &removals, &why, renew))
        })
    }

    /// What of a removal is there.
    fn found(&self, agent: &Agent, removal: &Removal) -> Result<Found> {
        let nodes = self.nodes(&agent.sealer);
        let mut found = Found::default();
        found.purged.name.clone_from(&removal.name);
        for number in &removal.versions {
            let key = version_key(agent.branch, *number);
            check_number(agent, &removal.name, *number)?;
            if let Some(record) = agent.map.get(&nodes, &key)? {
                let version = Version::decode(&record)?;
                check_untagged(&removal.name, &version)?;
                found.purged.versions.push(*number);
                found.edits.insert(key, None);
            }
        }
        found.purged.versions.sort_unstable();
        let spaces = match removal.documents.is_empty() {
            true => Spaces::new(),
            false => spaces(&nodes, &agent.map)?,
        };
        for Unwanted { kind, id, updated_ns } in &removal.documents {
            let Some((document, writes)) = taken_out(&nodes, &agent.map, &spaces, kind, id)? else {
                continue;
            };
            if updated_ns.is_none_or(|updated_ns| updated_ns == document.updated_ns) {
                found.edits.extend(writes.into_iter().map(|key| (key, None)));
                *found.purged.documents.entry(kind.clone()).or_default() += 1;
            }
        }
        Ok(found)
    }

    /// What only versions refer to that `edits` takes out or that were dropped before; the latter are
    /// added to the edits.
    fn only_there(&self, agent: &Agent, edits: &mut Edits) -> Result<Vec<NodeId>> {
        let nodes = self.nodes(&agent.sealer);
        let dropped = agent.map.prefixed(&nodes, DROPPED)?;
        let versions = agent.map.prefixed(&nodes, VERSIONS)?;
        let (gone, kept): (Vec<_>, Vec<_>) =
            versions.into_iter().partition(|entry| edits.contains_key(&entry.key));
        let (mut held, mut dead) = (HashSet::new(), Vec::new());
        if gone.is_empty() && dropped.is_empty() {
            return Ok(dead);
        }
        for entry in kept {
            let version = Version::decode(&entry.value.whole(&nodes)?)?;
            each_ref(&nodes, &version, &mut |id| held.insert(id))?;
        }
        edits.extend(dropped.iter().map(|entry| (entry.key.clone(), None)));
        for entry in gone.into_iter().chain(dropped) {
            let version = Version::decode(&entry.value.whole(&nodes)?)?;
            each_ref(&nodes, &version, &mut |id| {
                let only_here = held.insert(id);
                dead.extend(only_here.then_some(id));
                only_here
            })?;
        }
        Ok(dead)
    }
}

/// What of a removal is there, and what takes it out.
#[derive(Default)]
struct Found {
    purged: Purged,
    edits: Edits,
}

/// Takes as many documents as one commit takes off the removals; None if there are no more.
fn split_off(removals: &mut [Removal]) -> Option<Vec<Removal>> {
    let count: usize = removals.iter().map(|removal| removal.documents.len()).sum();
    if count <= MOST_DOCUMENTS {
        return None;
    }
    let (mut some, mut room) = (Vec::new(), MOST_DOCUMENTS);
    for removal in removals {
        let name = removal.name.clone();
        let documents: Vec<_> =
            removal.documents.drain(..removal.documents.len().min(room)).collect();
        room -= documents.len();
        some.push(Removal { name, versions: Vec::new(), documents });
    }
    some.retain(|removal| !removal.documents.is_empty());
    Some(some)
}

/// Takes out what is there of some removals; gives it by name.
fn take_out(
    change: &mut Change<'_>,
    removals: &[Removal],
    why: &str,
    renew: bool,
) -> Result<Vec<Purged>> {
    let agents = removals.iter().map(|removal| {
        let agent = change.agent(&removal.name)?.ok_or_else(|| unknown_name(&removal.name))?;
        let found = change.store.found(&agent, removal)?;
        Ok((agent, found))
    });
    let agents: Vec<(Arc<Agent>, Found)> = agents.collect::<Result<_>>()?;
    // By namespace: names may share one.
    let mut spaces = BTreeMap::<[u8; 16], (Arc<Agent>, Edits)>::new();
    for (agent, found) in &agents {
        let space = spaces.entry(agent.sealer.context().namespace);
        let (_, edits) = space.or_insert_with(|| (Arc::clone(agent), Edits::new()));
        edits.extend(found.edits.clone());
    }
    if renew {
        new_epoch(change, spaces.keys().copied().collect())?;
    }
    for (agent, edits) in spaces.values_mut() {
        let dead = change.store.only_there(agent, edits)?;
        change.delete(dead);
    }
    let mut purged = Vec::new();
    for (agent, found) in agents {
        let namespace = agent.sealer.context().namespace;
        // Also without edits: the root record is sealed under the new key.
        let edits = spaces.get_mut(&namespace).map(|(_, edits)| std::mem::take(edits));
        let edited = change.edit(&found.purged.name, &agent, edits.unwrap_or_default());
        note(change, &agent, &found.purged, why)?;
        change.put_agent(&found.purged.name, edited);
        purged.push(found.purged);
    }
    Ok(purged)
}

/// Adds an entry for the versions, and one for the documents of each type.
fn note(change: &mut Change<'_>, agent: &Agent, purged: &Purged, why: &str) -> Result<()> {
    let versions = (memory_type(&purged.name).to_owned(), purged.versions.len() as u64);
    let documents = purged.documents.iter().map(|(kind, count)| (kind.clone(), *count));
    let all: Vec<_> = std::iter::once(versions).chain(documents).collect();
    // Of nothing the first: that what was deleted before is destroyed.
    let nothing = all.iter().all(|(_, count)| *count == 0);
    for (memory_type, count) in all.into_iter().filter(|(_, count)| *count > 0 || nothing) {
        let (agent_id, justification) = (purged.name.clone(), why.to_owned());
        let detail = Detail { agent_id, memory_type, justification, count, ..Detail::default() };
        change.log("purge", &detail, &agent.sealer)?;
    }
    Ok(())
}

fn check_number(agent: &Agent, name: &str, number: u64) -> Result<()> {
    let latest = agent.latest.as_ref().map_or(0, |latest| latest.number);
    if number == 0 || number > latest {
        return Err(unknown_version(name, number, latest));
    }
    match number == latest {
        true => Err(kept(name, number, "the newest: save another one first, or forget the name")),
        false => Ok(()),
    }
}

fn check_untagged(name: &str, version: &Version) -> Result<()> {
    match version.tags.first() {
        Some(tag) => {
            Err(kept(name, version.number, &format!("tagged: untag({name:?}, {tag:?}) first")))
        }
        None => Ok(()),
    }
}

fn kept(name: &str, number: u64, why: &str) -> Error {
    Error::new(
        "version-kept",
        format!("version {number} of {name:?} is not purged, because it is {why}"),
    )
    .with("name", name)
    .with("version", number)
}

fn add_up(all: &mut Vec<Purged>, more: Vec<Purged>) {
    for purged in more {
        match all.iter_mut().find(|one| one.name == purged.name) {
            None => all.push(purged),
            Some(one) => {
                one.versions.extend(purged.versions);
                for (kind, count) in purged.documents {
                    *one.documents.entry(kind).or_default() += count;
                }
            }
        }
    }
}
