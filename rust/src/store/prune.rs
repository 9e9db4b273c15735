//! Which versions are kept, and what becomes of the others.
//!
//! A version that no limit keeps is dropped in two steps. With some save its record moves aside, so
//! that nobody finds it any more. Once [`GRACE_NS`] have passed, and enough of them are there to be
//! worth the reading, the nodes that only such versions refer to are deleted: all other versions of
//! the namespace, of whichever branch, are walked to know theirs, each shared node once.

use super::commit::Change;
use super::expire::expire;
use super::garbage::GRACE_NS;
use super::records::{
    DROPPED, VERSIONS, Version, dropped_key, dropped_ns, version_key, versions_prefix,
};
use super::save::log_version;
use super::view::Agent;
use super::{Store, unknown_name};
use crate::engine::Engine;
use crate::error::Result;
use crate::seal::NodeId;
use crate::tree::{Edits, Entry, Nodes, Order, Range, refs};
use std::collections::HashSet;

/// Versions that a save looks at, from the oldest, when it is its turn to prune.
const PAGE: usize = 1024;
/// Dropped versions that are worth a walk over the kept ones.
const WORTH_A_WALK: usize = 64;
const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// Which versions of a name are kept. The newest and tagged ones always are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many of the newest; None for all.
    pub versions: Option<u64>,
    /// Of those beyond, the newest of each day (UTC) for so many days.
    pub days: u64,
    /// How many bytes the saves of the kept ones may have written.
    pub size_bytes: Option<u64>,
    /// How old.
    pub age_ns: Option<u64>,
}

/// What pruning did to one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The name.
    pub name: String,
    /// The dropped versions, ascending.
    pub versions: Vec<u64>,
    /// Bytes that only they refer to.
    pub size_bytes: u64,
    /// Bytes deleted now, of versions dropped earlier.
    pub freed_bytes: u64,
    /// Documents that had expired.
    pub expired: u64,
}

impl Limits {
    /// Every how many versions a save prunes.
    pub(super) fn period(&self) -> u64 {
        self.versions.map_or(16, |versions| (versions / 8).clamp(1, 16))
    }

    fn keep_all(&self) -> bool {
        self.versions.is_none() && self.size_bytes.is_none() && self.age_ns.is_none()
    }

    /// Whether a version is kept that has `newer` younger ones, of which the next is `next`.
    fn keep(
        &self,
        version: &Version,
        next: &Version,
        newer: u64,
        latest: &Version,
        now: u64,
    ) -> bool {
        let age_ns = now.saturating_sub(version.created_ns);
        let until = version.total_bytes.saturating_sub(version.written_bytes);
        if self.age_ns.is_some_and(|limit| age_ns > limit)
            || self.size_bytes.is_some_and(|limit| latest.total_bytes.saturating_sub(until) > limit)
        {
            return false;
        }
        let Some(versions) = self.versions else { return true };
        let last_of_its_day =
            newer == versions || version.created_ns / DAY_NS != next.created_ns / DAY_NS;
        newer < versions || (last_of_its_day && age_ns < self.days.saturating_mul(DAY_NS))
    }
}

impl Store {
    /// What is due along with a save: versions to drop, and nodes of versions dropped before.
    pub(super) fn prune_along(&self, agent: &Agent, now_ns: u64) -> Result<Pruning> {
        let mut pruning = Pruning::default();
        if self.limits.keep_all() || agent.latest.is_none() {
            return Ok(pruning);
        }
        let surplus = self.surplus(agent, now_ns, 1, PAGE)?;
        self.sweep(agent, WORTH_A_WALK, now_ns, &mut pruning)?;
        pruning.drop_versions(agent, &surplus, now_ns);
        Ok(pruning)
    }

    /// The versions that no limit keeps among the oldest `page`, ascending, when `coming` more are
    /// about to be added.
    fn surplus(&self, agent: &Agent, now: u64, coming: u64, page: usize) -> Result<Vec<Version>> {
        if self.limits.keep_all() {
            return Ok(Vec::new());
        }
        let nodes = self.nodes(&agent.sealer);
        let range = Range::prefix(&versions_prefix(agent.branch));
        let Some(latest) = &agent.latest else { return Ok(Vec::new()) };
        let mut newer = agent.map.count(&nodes, &range)? + coming;
        let found = agent.map.range(&nodes, &range, Order::Ascending, page.saturating_add(1))?;
        let all: Result<Vec<_>> = found.into_iter().map(|entry| decoded(&nodes, entry)).collect();
        let mut surplus = Vec::new();
        for pair in all?.windows(2) {
            let [version, next] = pair else { continue };
            newer -= 1;
            let keep = self.limits.keep(version, next, newer, latest, now);
            if !keep && version.tags.is_empty() {
                surplus.push(version.clone());
            }
        }
        Ok(surplus)
    }

    /// What may be deleted now, if at least `least` dropped versions are old enough; forgets these.
    pub(super) fn sweep(
        &self,
        agent: &Agent,
        least: usize,
        now_ns: u64,
        pruning: &mut Pruning,
    ) -> Result<()> {
        let nodes = self.nodes(&agent.sealer);
        let dropped = agent.map.prefixed(&nodes, DROPPED)?;
        let mut old = 0;
        for entry in &dropped {
            if dropped_ns(&entry.key)?.saturating_add(GRACE_NS) > now_ns {
                break;
            }
            old += 1;
        }
        if old < least.max(1) {
            return Ok(());
        }
        let (old, young) = dropped.split_at_checked(old).unwrap_or((&dropped, &[]));
        let mut held = HashSet::new();
        for entry in agent.map.prefixed(&nodes, VERSIONS)?.iter().chain(young) {
            each_ref(&nodes, &decoded(&nodes, entry.clone())?, &mut |id| held.insert(id))?;
        }
        for entry in old {
            pruning.edits.insert(entry.key.clone(), None);
            each_ref(&nodes, &decoded(&nodes, entry.clone())?, &mut |id| {
                let only_here = held.insert(id);
                pruning.dead.extend(only_here.then_some(id));
                only_here
            })?;
        }
        Ok(())
    }

    /// Drops what the limits do not keep, of one name or of all, and deletes what was dropped long
    /// enough ago. A dry run only says what that would be.
    pub fn prune(&self, name: Option<&str>, dry_run: bool) -> Result<Vec<Pruned>> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => {
                self.flush()?;
                self.all_names()?
            }
        };
        let pruned = |name: &String| self.with_room(|| self.prune_one(name.clone(), dry_run));
        let pruned = names.iter().map(pruned).collect();
        if !dry_run {
            self.finish_purges(&mut |_, _| Ok(()))?;
        }
        pruned
    }

    fn prune_one(&self, name: String, dry_run: bool) -> Result<Pruned> {
        self.settled(&name)?;
        if dry_run {
            return self.reading(|view| {
                let agent = self.agent(view, &name)?.ok_or_else(|| unknown_name(&name))?;
                let now_ns = self.clock.now_ns()?.max(view.head.created_ns);
                Ok(self.due(&name, &agent, now_ns)?.0)
            });
        }
        // A view of what is on disk: otherwise nobody would know that it was rolled back.
        self.view()?;
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            let (pruned, pruning) = change.store.due(&name, &agent, change.created_ns)?;
            if !pruning.edits.is_empty() {
                prune_now(change, &name, &agent, pruning)?;
            }
            expire(change, &name, &agent)?;
            Ok(pruned)
        })
    }

    /// What pruning a name does now.
    fn due(&self, name: &str, agent: &Agent, now_ns: u64) -> Result<(Pruned, Pruning)> {
        let surplus = self.surplus(agent, now_ns, 0, usize::MAX)?;
        let mut pruning = Pruning::default();
        self.sweep(agent, 1, now_ns, &mut pruning)?;
        let pruned = Pruned {
            name: name.to_owned(),
            versions: surplus.iter().map(|version| version.number).collect(),
            size_bytes: self.size_of(&self.only_of(agent, &surplus)?)?,
            freed_bytes: self.size_of(&pruning.dead)?,
            expired: self.count_expired(agent, now_ns)?,
        };
        pruning.drop_versions(agent, &surplus, now_ns);
        Ok((pruned, pruning))
    }

    /// The nodes that no other version of the namespace refers to.
    fn only_of(&self, agent: &Agent, some: &[Version]) -> Result<Vec<NodeId>> {
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let nodes = self.nodes(&agent.sealer);
        let ours: HashSet<_> =
            some.iter().map(|version| version_key(agent.branch, version.number)).collect();
        let mut held = HashSet::new();
        for entry in agent.map.prefixed(&nodes, VERSIONS)? {
            if !ours.contains(&entry.key) {
                each_ref(&nodes, &decoded(&nodes, entry)?, &mut |id| held.insert(id))?;
            }
        }
        let mut only = Vec::new();
        for version in some {
            each_ref(&nodes, version, &mut |id| {
                let only_here = held.insert(id);
                only.extend(only_here.then_some(id));
                only_here
            })?;
        }
        Ok(only)
    }

    /// How many bytes these nodes take.
    pub(super) fn size_of(&self, ids: &[NodeId]) -> Result<u64> {
        let mut size_bytes = 0;
        for id in ids {
            self.engine.node(*id, &mut |sealed| {
                size_bytes += sealed.len() as u64;
                Ok(())
            })?;
        }
        Ok(size_bytes)
    }
}

fn decoded(nodes: &dyn Nodes, entry: Entry) -> Result<Version> {
    Version::decode(&entry.value.whole(nodes)?)
}

/// Calls `each` with every node of a version's state, blueprint and classes; what it answers false for is not
/// opened.
pub(super) fn each_ref(
    nodes: &dyn Nodes,
    version: &Version,
    each: &mut dyn FnMut(NodeId) -> bool,
) -> Result<()> {
    if let Some(root) = &version.state {
        refs(nodes, root, &mut |_, _, id| each(id))?;
    }
    version.beside().try_for_each(|blob| blob.refs(nodes, &mut |_, _, id| each(id)))
}

/// What pruning changes.
#[derive(Default)]
pub(super) struct Pruning {
    /// Of the namespace's map.
    pub edits: Edits,
    /// Nodes that nobody can be reading.
    pub dead: Vec<NodeId>,
    /// Which versions are dropped, for the ledger.
    pub what: Option<String>,
}

impl Pruning {
    fn drop_versions(&mut self, agent: &Agent, surplus: &[Version], now_ns: u64) {
        let (Some(first), Some(last)) = (surplus.first(), surplus.last()) else { return };
        for version in surplus {
            self.edits.insert(version_key(agent.branch, version.number), None);
            let aside = dropped_key(now_ns, agent.branch, version.number);
            self.edits.insert(aside, Some(version.encode()));
        }
        let (count, first, last) = (surplus.len(), first.number, last.number);
        self.what = Some(format!("{count} versions from {first} to {last}"));
    }
}

/// Commits a pruning by itself.
pub(super) fn prune_now(
    change: &mut Change<'_>,
    name: &str,
    agent: &Agent,
    pruning: Pruning,
) -> Result<()> {
    let edited = change.edit(name, agent, pruning.edits);
    change.delete(pruning.dead);
    let latest = agent.latest.clone().unwrap_or_default();
    let what = pruning.what.unwrap_or_else(|| "what was dropped earlier".to_owned());
    log_version(change, "prune", name, &edited, &latest, &what)?;
    change.put_agent(name, edited);
    Ok(())
}
