//! Retention: how old what is, and what is too old, which is purged.
//!
//! The age of a version is counted from when it was saved, that of a document from when it was
//! written last; both by the store's clock, which is never behind the last commit. The newest version
//! of a name and tagged ones are kept, whatever their age.

use super::documents::each_document;
use super::purge::{Purged, Removal, Unwanted};
use super::records::{Version, memory_type, versions_prefix};
use super::reseal::{Progress, Resealed};
use super::save::check_justification;
use super::view::{Agent, View};
use super::{Store, unknown_name};
use crate::error::Result;
use std::collections::{BTreeMap, HashSet};

/// Up to which age something is in a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// In the first.
    pub hot_ns: u64,
    /// In the second; what is older, and not purged, is in the third.
    pub warm_ns: u64,
    /// When it is purged; None for never.
    pub purge_ns: Option<u64>,
}

/// The ages of memory types; `state` are the versions of agents.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// By type.
    pub types: BTreeMap<String, Ages>,
    /// Of all others; None: they are left alone.
    pub others: Option<Ages>,
}

/// What a name has of one memory type, by age.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retained {
    /// The name.
    pub name: String,
    /// The type.
    pub memory_type: String,
    /// How many are in the first tier.
    pub hot: u64,
    /// And in the second.
    pub warm: u64,
    /// And in the third.
    pub cold: u64,
    /// How many are purged, or would be.
    pub purged: u64,
    /// How many of the others would be, but are the newest version or tagged.
    pub kept: u64,
}

/// Retained by memory type.
type Rows = BTreeMap<String, Retained>;

impl Policy {
    fn of(&self, memory_type: &str) -> Option<Ages> {
        self.types.get(memory_type).copied().or(self.others)
    }
}

impl Ages {
    fn is_over(&self, age_ns: u64) -> bool {
        self.purge_ns.is_some_and(|purge_ns| age_ns > purge_ns)
    }
}

impl Retained {
    /// Counts one that stays.
    fn count(&mut self, ages: &Ages, age_ns: u64) {
        let tier = match age_ns {
            age_ns if age_ns <= ages.hot_ns => &mut self.hot,
            age_ns if age_ns <= ages.warm_ns => &mut self.warm,
            _ => &mut self.cold,
        };
        *tier += 1;
    }
}

impl Store {
    /// Purges what is too old, of one name or of all, and ends purges that were cut short. A dry run
    /// only says what that would be.
    pub fn retain(
        &self,
        name: Option<&str>,
        policy: &Policy,
        justification: &str,
        dry_run: bool,
        progress: Progress<'_>,
    ) -> Result<(Vec<Retained>, Resealed)> {
        check_justification(justification)?;
        self.flush()?;
        if !dry_run {
            self.writable_view()?;
        }
        let (mut rows, removals) = self.reading(|view| self.aged(view, name, policy))?;
        if dry_run {
            return Ok((rows, Resealed::default()));
        }
        if removals.is_empty() {
            return Ok((rows, self.finish_purges(progress)?));
        }
        let (purged, resealed) = self.purge(&removals, justification, progress)?;
        for row in rows.iter_mut().filter(|row| row.purged > 0) {
            let found = purged.iter().find(|purged| purged.name == row.name);
            row.purged = found.map_or(0, |purged| count_of(purged, &row.memory_type));
        }
        Ok((rows, resealed))
    }

    /// What time it is by the store's clock.
    pub fn now_ns(&self) -> Result<u64> {
        self.clock.now_ns()
    }

    fn aged(
        &self,
        view: &View,
        name: Option<&str>,
        policy: &Policy,
    ) -> Result<(Vec<Retained>, Vec<Removal>)> {
        let now_ns = self.clock.now_ns()?.max(view.head.created_ns);
        let names = name.map_or_else(|| self.all_names(), |name| Ok(vec![name.to_owned()]))?;
        let (mut all, mut removals, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for name in names {
            let agent = self.agent(view, &name)?.ok_or_else(|| unknown_name(&name))?;
            let mut rows = Rows::new();
            let mut removal = Removal { name, ..Removal::default() };
            self.aged_versions(&agent, policy, now_ns, &mut removal, &mut rows)?;
            // Names that share a namespace share its documents.
            if seen.insert(agent.sealer.context().namespace) {
                self.aged_documents(&agent, policy, now_ns, &mut removal, &mut rows)?;
            }
            all.extend(rows.into_values());
            if !removal.versions.is_empty() || !removal.documents.is_empty() {
                removals.push(removal);
            }
        }
        Ok((all, removals))
    }

    fn aged_versions(
        &self,
        agent: &Agent,
        policy: &Policy,
        now_ns: u64,
        removal: &mut Removal,
        rows: &mut Rows,
    ) -> Result<()> {
        let (kind, nodes) = (memory_type(&removal.name), self.nodes(&agent.sealer));
        let (Some(ages), Some(latest)) = (policy.of(kind), &agent.latest) else { return Ok(()) };
        for entry in agent.map.prefixed(&nodes, &versions_prefix(agent.branch))? {
            let version = Version::decode(&entry.value.whole(&nodes)?)?;
            let (row, age_ns) =
                (row(rows, removal, kind), now_ns.saturating_sub(version.created_ns));
            let stays = version.number == latest.number || !version.tags.is_empty();
            match (ages.is_over(age_ns), stays) {
                (true, true) => row.kept += 1,
                (true, false) => {
                    row.purged += 1;
                    removal.versions.push(version.number);
                }
                (false, _) => row.count(&ages, age_ns),
            }
        }
        Ok(())
    }

    fn aged_documents(
        &self,
        agent: &Agent,
        policy: &Policy,
        now_ns: u64,
        removal: &mut Removal,
        rows: &mut Rows,
    ) -> Result<()> {
        each_document(&self.nodes(&agent.sealer), &agent.map, &mut |kind, id, document| {
            let Some(ages) = policy.of(kind) else { return Ok(()) };
            let age_ns = now_ns.saturating_sub(document.updated_ns);
            let row = row(rows, removal, kind);
            if ages.is_over(age_ns) {
                row.purged += 1;
                let (kind, updated_ns) = (kind.to_owned(), Some(document.updated_ns));
                removal.documents.push(Unwanted { kind, id, updated_ns });
            } else {
                row.count(&ages, age_ns);
            }
            Ok(())
        })
    }
}

fn row<'r>(rows: &'r mut Rows, removal: &Removal, kind: &str) -> &'r mut Retained {
    rows.entry(kind.to_owned()).or_insert_with(|| {
        let (name, memory_type) = (removal.name.clone(), kind.to_owned());
        Retained { name, memory_type, ..Retained::default() }
    })
}

/// How many of a memory type were purged of a name.
fn count_of(purged: &Purged, kind: &str) -> u64 {
    let documents = purged.documents.get(kind).copied().unwrap_or(0);
    let versions = if memory_type(&purged.name) == kind { purged.versions.len() as u64 } else { 0 };
    documents + versions
}
