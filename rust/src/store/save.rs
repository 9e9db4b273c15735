//! Saving an agent.

use super::commit::Changes;
use super::records::{
    self, MAIN, Version, branch_key, check_name, name_key, own_name_key, root_key, version_key,
};
use super::{Agent, Current, Store, unknown_name, unknown_version};
use crate::error::{Error, Result};
use crate::keys::SPARES;
use crate::ledger::Detail;
use crate::seal::Sealer;
use crate::state::Flat;
use crate::tree::{Edits, Ids, Known, Map, Shape, Value, Writer, Written, write_blob, write_state};
use crate::wire::Put;
use std::sync::Arc;

/// Longest inline blueprint; as for values in leaves.
const INLINE_BLUEPRINT_BYTES: usize = 512;
/// Longest justification.
const MAX_JUSTIFICATION_BYTES: usize = 16 << 10;

/// What a save is told beside the state.
#[derive(Debug)]
pub struct Save<'a> {
    /// The name.
    pub name: &'a str,
    /// Why.
    pub justification: &'a str,
    /// The version that the state came from: it must still be the latest. 0: the name must be new.
    /// None: whatever is there.
    pub base: Option<u64>,
}

/// A version ready to be committed.
struct Draft {
    version: Version,
    map: Map,
    batches: Vec<crate::engine::Batch>,
    known: Known,
    last_id: u64,
    is_new: bool,
}

impl Store {
    /// Saves a state as the next version of a name; returned means on disk.
    pub fn save(&self, save: &Save<'_>, flat: &Flat) -> Result<Version> {
        check_name(save.name)?;
        check_justification(save.justification)?;
        flat.check()?;
        let mut guard = self.current()?;
        let current = &mut *guard;
        if self.agent(current, save.name)?.is_none() {
            let agent = self.new_agent(current)?;
            current.agents.insert(save.name.to_owned(), agent);
        }
        let created_ns = Self::commit_time(current);
        let last_id = current.head.last_id;
        let agent = current.agents.get_mut(save.name).ok_or_else(|| unknown_name(save.name))?;
        check_base(save, agent.latest.as_ref())?;
        let known = self.know(agent, flat)?;
        let shape = shape_of(agent, flat)?;
        let drafted = self.draft(save, agent, &shape, flat, &known, (created_ns, last_id));
        // Whatever happens next, what was known stays known.
        agent.known = Some(known);
        agent.shape = Some(shape);
        let draft = drafted?;
        self.commit_draft(current, save.name, save.justification, "store", created_ns, draft)
    }

    fn draft(
        &self,
        save: &Save<'_>,
        agent: &Agent,
        shape: &Shape,
        flat: &Flat,
        known: &Known,
        (created_ns, last_id): (u64, u64),
    ) -> Result<Draft> {
        let base = agent.latest.as_ref().map_or(0, |latest| latest.number);
        let mut ids = Ids::after(last_id, created_ns);
        let mut writer = Writer::new(known, &agent.sealer, &mut ids);
        let state = write_state(&mut writer, shape, flat)?;
        let blueprint = if flat.blueprint.len() > INLINE_BLUEPRINT_BYTES {
            let blob = write_blob(&mut writer, &flat.blueprint)?;
            Value { inline: Vec::new(), blob: Some(blob) }
        } else {
            Value::inline(flat.blueprint.clone())
        };
        let version = Version {
            number: base + 1,
            created_ns,
            base,
            restores: 0,
            justification: save.justification.to_owned(),
            state,
            blueprint,
        };
        let written = writer.finish()?;
        self.finish_draft(save.name, agent, version, written, ids)
    }

    fn finish_draft(
        &self,
        name: &str,
        agent: &Agent,
        version: Version,
        state: Written,
        mut ids: Ids,
    ) -> Result<Draft> {
        let mut number = Vec::new();
        number.put_u64(version.number);
        let mut edits = Edits::new();
        edits.insert(version_key(MAIN, version.number), Some(version.encode()));
        edits.insert(branch_key(MAIN), Some(number));
        let is_new = agent.map.root.is_none();
        if is_new {
            edits.insert(own_name_key(), Some(name.as_bytes().to_vec()));
        }
        let mut writer = Writer::apart(&agent.sealer, &mut ids);
        let map = agent.map.apply(&self.nodes(&agent.sealer), &mut writer, edits)?;
        let mut batches = writer.finish()?.batches;
        batches.extend(state.batches);
        Ok(Draft { version, map, batches, known: state.known, last_id: ids.last(), is_new })
    }

    fn commit_draft(
        &self,
        current: &mut Current,
        name: &str,
        justification: &str,
        operation: &str,
        created_ns: u64,
        draft: Draft,
    ) -> Result<Version> {
        let agent = current.agents.get(name).ok_or_else(|| unknown_name(name))?;
        let sealer = Arc::clone(&agent.sealer);
        let namespace = sealer.context().namespace;
        let mut top = Edits::new();
        top.insert(root_key(&namespace), Some(records::seal_root(&sealer, &draft.map)?));
        if draft.is_new {
            top.insert(name_key(&self.store_key, name), Some(namespace.to_vec()));
        }
        let detail = Detail {
            agent_id: name.to_owned(),
            memory_type: "state".to_owned(),
            justification: justification.to_owned(),
            root: draft.version.root_hex(),
        };
        let last_id = draft.last_id;
        let batches = draft.batches;
        let changes =
            Changes { batches, top, operation, detail, sealer: &sealer, created_ns, last_id };
        self.commit(current, changes)?;
        if let Some(agent) = current.agents.get_mut(name) {
            agent.map = draft.map;
            agent.latest = Some(draft.version.clone());
            agent.known = Some(draft.known);
        }
        Ok(draft.version)
    }

    /// Makes an old version the latest again, as a new one; the nodes are shared.
    pub fn rollback(&self, name: &str, to: u64, justification: &str) -> Result<Version> {
        check_justification(justification)?;
        let mut guard = self.current()?;
        let current = &mut *guard;
        let created_ns = Self::commit_time(current);
        let last_id = current.head.last_id;
        let agent = self.agent(current, name)?.ok_or_else(|| unknown_name(name))?;
        let nodes = self.nodes(&agent.sealer);
        let old = super::read_version(&agent.map, &nodes, to)?;
        let old = old.ok_or_else(|| unknown_version(name, to))?;
        let base = agent.latest.as_ref().map_or(0, |latest| latest.number);
        let version = Version {
            number: base + 1,
            created_ns,
            base,
            restores: to,
            justification: justification.to_owned(),
            ..old
        };
        let ids = Ids::after(last_id, created_ns);
        let draft = self.finish_draft(name, agent, version, Written::default(), ids)?;
        let version =
            self.commit_draft(current, name, justification, "rollback", created_ns, draft)?;
        if let Some(agent) = current.agents.get_mut(name) {
            // The nodes of the old state are not known; the next save reads them.
            agent.known = None;
            agent.shape = None;
        }
        Ok(version)
    }

    /// A namespace for a new name: one of the spare ones, which have keys on disk already.
    fn new_agent(&self, current: &Current) -> Result<Agent> {
        let used: Vec<[u8; 16]> =
            current.agents.values().map(|agent| agent.sealer.context().namespace).collect();
        let sealer = match self.spare(current, &used)? {
            Some(sealer) => sealer,
            None => {
                let mut keyring =
                    self.keyring.lock().map_err(|_| Error::new("store", "the keys are gone"))?;
                keyring.add_spares(SPARES)?;
                keyring.write(&self.folder)?;
                drop(keyring);
                let spare = self.spare(current, &used)?;
                spare.ok_or_else(|| Error::new("store", "no spare namespace"))?
            }
        };
        let sealer = Arc::new(sealer);
        Ok(Agent { sealer, map: Map::default(), latest: None, known: None, shape: None })
    }

    fn spare(&self, current: &Current, used: &[[u8; 16]]) -> Result<Option<Sealer>> {
        let keyring = self.keyring.lock().map_err(|_| Error::new("store", "the keys are gone"))?;
        // The newest keys are the likeliest to be free.
        for namespace in keyring.namespaces().iter().rev() {
            let taken = used.contains(&namespace.id)
                || current.head.top.get(&self.top_nodes(), &root_key(&namespace.id))?.is_some();
            if !taken {
                return keyring.sealer(&namespace.id).map(Some);
            }
        }
        Ok(None)
    }
}

fn shape_of(agent: &Agent, flat: &Flat) -> Result<Arc<Shape>> {
    match &agent.shape {
        Some(shape) if shape.fits(&flat.paths) => Ok(Arc::clone(shape)),
        _ => Ok(Arc::new(Shape::new(flat.paths.clone())?)),
    }
}

fn check_justification(justification: &str) -> Result<()> {
    if justification.len() <= MAX_JUSTIFICATION_BYTES {
        return Ok(());
    }
    Err(Error::new("too-large", "a justification is longer than 16 KiB"))
}

fn check_base(save: &Save<'_>, latest: Option<&Version>) -> Result<()> {
    let Some(base) = save.base else { return Ok(()) };
    let latest = latest.map_or(0, |latest| latest.number);
    if base == latest {
        return Ok(());
    }
    let name = save.name;
    let what = if base == 0 {
        format!(
            "{name:?} was saved before and this object did not come from there: load it first, \
             save with base=\"latest\" to go on from here, or choose another name"
        )
    } else {
        format!(
            "{name:?} is at version {latest}, but this object came from version {base}: load the \
             latest and apply the change again, or save with base=\"latest\" to overrule it"
        )
    };
    Err(Error::new("conflict", what).with("name", name).with("base", base).with("latest", latest))
}
