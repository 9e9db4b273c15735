//! Committing a transaction: rebased outside of any lock, and once more under it.

use super::{Noted, Reads, Saved, Space, Transaction};
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::ledger::{Detail, hex};
use crate::seal::Sealer;
use crate::store::Store;
use crate::store::commit::{Change, Writes};
use crate::store::records::Version;
use crate::store::save::{AGAIN, ATTEMPTS, Draft, Save};
use crate::store::view::{Agent, View};
use crate::tree::{
    Cut, Edit, Ids, MAX_INLINE_BYTES, Map, Nodes, Value, Writer, Written, changed, write_blob,
};
use std::collections::HashMap;
use std::sync::Arc;

/// What a transaction changes in one namespace, sealed where it is large, and what it depends on.
struct Part {
    name: String,
    /// What it was rebased on; None if there is nothing, and nothing is written.
    agent: Option<Arc<Agent>>,
    reads: Reads,
    writes: Writes,
    batches: Vec<Arc<Batch>>,
    last_id: u64,
}

/// Namespaces for names that lead to none yet.
type Fresh = HashMap<String, Arc<Agent>>;

impl Transaction {
    /// Commits it; returned means on disk. Gives the versions that were saved.
    pub fn commit(&self, store: &Store) -> Result<Vec<Version>> {
        if self.saves.is_empty() && self.spaces.iter().all(|space| space.writes.is_empty()) {
            return Ok(Vec::new());
        }
        for _ in 1..ATTEMPTS {
            let committed = match self.prepared(store) {
                Ok(job) => store.write(job),
                Err(error) => Err(error),
            };
            match committed.map_err(|error| store.outlived(&self.view, error)) {
                Err(error) if error.slug() == AGAIN => {}
                Err(error) => return Err(error),
                Ok(versions) => {
                    let marks = self.saves.iter().map(|saved| &saved.mark);
                    marks.zip(&versions).for_each(|(mark, version)| mark.set(version.into()));
                    return Ok(versions);
                }
            }
        }
        Err(conflict("what it is about was made or forgotten again and again"))
    }

    /// The operation that commits it, over what this process knows of the store.
    fn prepared(
        &self,
        store: &Store,
    ) -> Result<impl FnMut(&mut Change<'_>) -> Result<Vec<Version>> + Send + 'static> {
        self.saves.iter().try_for_each(|saved| store.settled(&saved.name))?;
        let view = store.writable_view()?;
        let mut fresh = Fresh::new();
        let parts = self.spaces.iter().filter(|space| space.counts());
        let parts = parts.map(|space| space.part(store, &view, self.last_id, &mut fresh));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let drafts = self.saves.iter().map(|saved| saved.draft(store, &view, &mut fresh));
        let drafts = drafts.collect::<Result<Vec<_>>>()?;
        let noted: Vec<_> = self.noted.iter().filter_map(|noted| self.placed(noted)).collect();
        Ok(move |change: &mut Change<'_>| {
            let mut sealers = HashMap::new();
            for part in &parts {
                sealers.extend(part.commit(change)?.map(|sealer| (part.name.clone(), sealer)));
            }
            for (name, noted) in &noted {
                if let Some(sealer) = sealers.get(name) {
                    noted.log(change, sealer)?;
                }
            }
            drafts.iter().map(|draft| draft.commit(change)).collect()
        })
    }

    /// An operation with the name that its space has.
    fn placed(&self, noted: &Noted) -> Option<(String, Noted)> {
        let space = self.places.get(noted.place).and_then(|at| self.spaces.get(*at))?;
        Some((space.name.clone(), noted.clone()))
    }
}

impl Noted {
    fn log(&self, change: &mut Change<'_>, sealer: &Sealer) -> Result<()> {
        let detail = Detail {
            agent_id: self.agent_id.clone(),
            memory_type: self.memory_type.clone(),
            justification: self.justification.clone(),
            root: self.id.map(|id| hex(&id)).unwrap_or_default(),
            count: self.count,
            ..Detail::default()
        };
        change.log(self.operation, &detail, sealer)
    }
}

impl Saved {
    fn draft(&self, store: &Store, view: &View, fresh: &mut Fresh) -> Result<Draft> {
        let (name, justification) = (&self.name, &self.justification);
        let (base, origin) = (self.base.stamp(), self.origin.clone());
        let save = Save { name, justification, base, origin };
        let agent = newest(store, view, name, fresh)?;
        store.draft_over(view, &save, &self.flat, agent)
    }
}

/// The agent of a name or, if there is none, one for it.
fn newest(store: &Store, view: &View, name: &str, fresh: &mut Fresh) -> Result<Arc<Agent>> {
    if let Some(agent) = store.agent(view, name)? {
        return Ok(agent);
    }
    if let Some(agent) = fresh.get(name) {
        return Ok(Arc::clone(agent));
    }
    let agent = Arc::new(store.new_agent(view)?);
    fresh.insert(name.to_owned(), Arc::clone(&agent));
    Ok(agent)
}

impl Space {
    /// Whether the transaction depends on it or changes it.
    fn counts(&self) -> bool {
        !self.reads.is_empty() || !self.writes.is_empty()
    }

    fn touches(&self, key: &[u8]) -> bool {
        self.reads.touches(key) || self.writes.contains_key(key)
    }

    fn part(&self, store: &Store, view: &View, last_id: u64, fresh: &mut Fresh) -> Result<Part> {
        let now = store.agent(view, &self.name)?;
        match (&self.agent, &now) {
            (Some(base), Some(now)) if is_same(base, now) => {}
            (None, _) => {}
            _ => return Err(conflict("what it has read was forgotten")),
        }
        if let Some(now) = &now {
            let nodes = store.nodes(&now.sealer);
            check_unchanged(&nodes, &self.map(), &now.map, |key| self.touches(key))?;
        }
        let agent = match now {
            None if self.writes.is_empty() => None,
            _ => Some(newest(store, view, &self.name, fresh)?),
        };
        let (name, reads) = (self.name.clone(), self.reads.clone());
        let (writes, batches) = Default::default();
        let mut part = Part { name, agent, reads, writes, batches, last_id };
        part.seal(store, view, self)?;
        Ok(part)
    }
}

impl Part {
    /// Takes over what is written; what is large is sealed here, outside of any lock.
    fn seal(&mut self, store: &Store, view: &View, space: &Space) -> Result<()> {
        let Some(agent) = self.agent.clone() else { return Ok(()) };
        let nodes = store.nodes(&agent.sealer);
        let last_id = self.last_id.max(view.head.last_id);
        let mut ids = Ids::after(last_id, store.clock.now_ns()?);
        for (key, bytes) in &space.writes {
            let edit = match bytes {
                Some(bytes) if bytes.len() > MAX_INLINE_BYTES => {
                    let mut writer = Writer::apart(&agent.sealer, &mut ids);
                    let blob = Some(write_blob(&mut writer, bytes, Cut::Content)?);
                    let Written { batches, .. } = writer.finish()?;
                    let value = Value { inline: Vec::new(), blob };
                    let [old] = agent
                        .map
                        .get_all(&nodes, std::slice::from_ref(key))?
                        .try_into()
                        .unwrap_or([None]);
                    if old.is_some_and(|old| old.same(&value)) {
                        continue; // and nothing refers to what was sealed
                    }
                    self.batches.extend(batches.into_iter().map(Arc::new));
                    Some(Edit::Sealed(value))
                }
                bytes => bytes.clone().map(Edit::Bytes),
            };
            self.writes.insert(key.clone(), edit);
        }
        self.last_id = ids.last();
        Ok(())
    }

    fn touches(&self, key: &[u8]) -> bool {
        self.reads.touches(key) || self.writes.contains_key(key)
    }

    /// Adds what is written to the commit; gives the sealer of the namespace, if there is one.
    fn commit(&self, change: &mut Change<'_>) -> Result<Option<Arc<Sealer>>> {
        let touches = |key: &[u8]| self.touches(key);
        let agent = match (&self.agent, change.documents(&self.name)?) {
            (None, None) => return Ok(None),
            (Some(mine), Some(newest)) if is_same(mine, &newest) => {
                let nodes = change.store.nodes(&newest.sealer);
                check_unchanged(&nodes, &mine.map, &newest.map, touches)?;
                if change.has_written(&newest, touches) {
                    return Err(overtaken());
                }
                newest
            }
            (Some(mine), None)
                if mine.root.is_empty() && change.is_free(&mine.sealer.context().namespace)? =>
            {
                Arc::clone(mine)
            }
            _ => return Err(Error::new(AGAIN, "the namespace was made or forgotten")),
        };
        if !self.writes.is_empty() {
            change.add_batches(&[&agent.sealer], &self.batches, self.last_id)?;
            change.edit_documents(&self.name, &agent, self.writes.clone());
        }
        Ok(Some(Arc::clone(&agent.sealer)))
    }
}

fn is_same(a: &Agent, b: &Agent) -> bool {
    a.sealer.context().namespace == b.sealer.context().namespace
}

/// A conflict if what `touches` says yes to differs between two maps.
fn check_unchanged(
    nodes: &dyn Nodes,
    before: &Map,
    after: &Map,
    touches: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    let root = |map: &Map| map.root.as_ref().map(|root| root.hash);
    if root(before) == root(after) {
        return Ok(());
    }
    match changed(nodes, before, after)?.iter().any(|key| touches(key)) {
        true => Err(overtaken()),
        false => Ok(()),
    }
}

fn overtaken() -> Error {
    conflict("somebody else changed what it has read or writes")
}

fn conflict(why: &str) -> Error {
    let what = format!(
        "the transaction was not committed, and nothing of it is there: {why} since it began; run it \
         again from its beginning"
    );
    Error::new("conflict", what)
}
