//! Saving an agent.

use super::commit::Change;
use super::records::{MAIN, Version, branch_key, check_name, version_key};
use super::view::{Agent, View};
use super::{Store, unknown_name, unknown_version};
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::keys::{self, SPARES};
use crate::ledger::Detail;
use crate::seal::{Sealer, random};
use crate::state::Flat;
use crate::tree::{
    Edits, Ids, Known, MAX_INLINE_BYTES, Map, Node, Shape, Value, Writer, Written, known_of,
    write_blob, write_state,
};
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

/// A state sealed under its namespace's key, ready for the next commit.
struct Draft {
    name: String,
    justification: String,
    base: Option<u64>,
    /// The branch as it was when the state was compared with its latest version.
    agent: Arc<Agent>,
    state: Option<Node>,
    blueprint: Value,
    batches: Vec<Arc<Batch>>,
    known: Arc<Known>,
    shape: Arc<Shape>,
    last_id: u64,
}

/// Tells a save to begin again: its namespace went to somebody else meanwhile.
const AGAIN: &str = "again";
/// How often a save begins again.
const ATTEMPTS: usize = 8;

impl Store {
    /// Saves a state as the next version of a name; returned means on disk.
    ///
    /// The state is compared, compressed and sealed outside of any lock; the commit, which other
    /// saves share, only adds the version to its namespace.
    pub fn save(&self, save: &Save<'_>, flat: &Flat) -> Result<Version> {
        check_name(save.name)?;
        check_justification(save.justification)?;
        flat.check()?;
        for _ in 1..ATTEMPTS {
            let draft = self.draft(save, flat)?;
            match self.write(move |change| draft.commit(change)) {
                Err(error) if error.slug() == AGAIN => {}
                done => return done,
            }
        }
        Err(Error::new("conflict", "the name was taken or forgotten while it was being saved")
            .with("name", save.name))
    }

    fn draft(&self, save: &Save<'_>, flat: &Flat) -> Result<Draft> {
        let view = self.writable_view()?;
        let agent = match self.agent(&view, save.name)? {
            Some(agent) => agent,
            None => Arc::new(self.new_agent(&view)?),
        };
        check_base(save.name, save.base, agent.latest.as_ref())?;
        let known = self.know(&agent, flat)?;
        let shape = shape_of(&agent, flat)?;
        let mut ids = Ids::after(view.head.last_id, self.clock.now_ns()?);
        let mut writer = Writer::new(&known, &agent.sealer, &mut ids);
        let state = write_state(&mut writer, &shape, flat)?;
        let blueprint = if flat.blueprint.len() > INLINE_BLUEPRINT_BYTES {
            let blob = write_blob(&mut writer, &flat.blueprint)?;
            Value { inline: Vec::new(), blob: Some(blob) }
        } else {
            Value::inline(flat.blueprint.clone())
        };
        let Written { batches, known, .. } = writer.finish()?;
        Ok(Draft {
            name: save.name.to_owned(),
            justification: save.justification.to_owned(),
            base: save.base,
            agent,
            state,
            blueprint,
            batches: batches.into_iter().map(Arc::new).collect(),
            known: Arc::new(known),
            shape,
            last_id: ids.last(),
        })
    }

    /// What of the latest version a save of `flat` may refer to.
    fn know(&self, agent: &Agent, flat: &Flat) -> Result<Arc<Known>> {
        if let Some(known) = &agent.known {
            return Ok(Arc::clone(known));
        }
        let nodes = self.nodes(&agent.sealer);
        let Some(latest) = &agent.latest else { return Ok(Arc::default()) };
        let mut known = match &latest.state {
            Some(root) => known_of(&nodes, root, flat.large(MAX_INLINE_BYTES))?,
            None => Known::default(),
        };
        if let Some(blob) = latest.blueprint.blob {
            blob.refs(&nodes, &mut |hash, _, id| known.insert(hash, id).is_none())?;
        }
        Ok(Arc::new(known))
    }

    /// Makes an old version the latest again, as a new one; the nodes are shared.
    pub fn rollback(&self, name: &str, to: u64, justification: &str) -> Result<Version> {
        check_justification(justification)?;
        self.writable_view()?;
        let (name, justification) = (name.to_owned(), justification.to_owned());
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            let nodes = change.store.nodes(&agent.sealer);
            let old = super::read_version(&agent.map, &nodes, to)?;
            let old = old.ok_or_else(|| unknown_version(&name, to))?;
            let version = Version { restores: to, justification: justification.clone(), ..old };
            // The nodes of the old state are not known; the next save reads them.
            let agent = Agent { known: None, shape: None, ..Agent::clone(&agent) };
            add_version(change, &name, &agent, version, "rollback")
        })
    }

    /// A namespace for a new name: one of the spare ones, which have keys on disk already.
    fn new_agent(&self, view: &View) -> Result<Agent> {
        let sealer = match self.take_spare(view)? {
            Some(sealer) => sealer,
            None => {
                self.write(|change| change.store.make_spares())?;
                let spare = self.take_spare(view)?;
                spare.ok_or_else(|| Error::new("store", "no spare namespace"))?
            }
        };
        Ok(Agent {
            sealer: Arc::new(sealer),
            map: Map::default(),
            root: Vec::new(),
            latest: None,
            known: None,
            shape: None,
            as_of: view.head.commit,
        })
    }

    /// Takes a spare namespace; None if there are no more.
    fn take_spare(&self, view: &View) -> Result<Option<Sealer>> {
        if self.spares()?.is_empty() {
            let used = self.namespaces(view)?;
            let keyring = self.keyring()?;
            let free = keyring.namespaces().iter().map(|namespace| namespace.id);
            // Locked after the keys, as everywhere.
            *self.spares()? = free.filter(|id| !used.contains(id)).collect();
        }
        let mut spares = self.spares()?;
        // At random: other processes take spares, too.
        let at = u64::from_le_bytes(random()?) as usize % spares.len().max(1);
        if at >= spares.len() {
            return Ok(None);
        }
        let id = spares.swap_remove(at);
        drop(spares);
        self.namespace_sealer(&id).map(Some)
    }

    /// Adds spare namespaces to `keys.sealed`. Runs inside a commit, so that nobody else writes it.
    fn make_spares(&self) -> Result<()> {
        let change = keys::Change { spares: SPARES, ..keys::Change::default() };
        self.newest_keys()?.rewrite(&self.folder, change)
    }
}

impl Draft {
    fn commit(&self, change: &mut Change<'_>) -> Result<Version> {
        let mine = self.agent.sealer.context().namespace;
        let agent = match change.agent(&self.name)? {
            Some(agent) if agent.sealer.context().namespace == mine => agent,
            None if self.agent.root.is_empty() && !change.is_used(&mine)? => {
                Arc::clone(&self.agent)
            }
            _ => return Err(Error::new(AGAIN, "the namespace went to somebody else")),
        };
        check_base(&self.name, self.base, agent.latest.as_ref())?;
        let version = Version {
            number: 0,
            created_ns: 0,
            base: 0,
            restores: 0,
            justification: self.justification.clone(),
            state: self.state.clone(),
            blueprint: self.blueprint.clone(),
        };
        change.add_batches(&self.batches, self.last_id);
        let agent = Agent {
            known: Some(Arc::clone(&self.known)),
            shape: Some(Arc::clone(&self.shape)),
            ..Agent::clone(&agent)
        };
        add_version(change, &self.name, &agent, version, "store")
    }
}

/// Makes `version` the next one of an agent.
fn add_version(
    change: &mut Change<'_>,
    name: &str,
    agent: &Agent,
    version: Version,
    operation: &str,
) -> Result<Version> {
    let base = agent.latest.as_ref().map_or(0, |latest| latest.number);
    let version = Version { number: base + 1, base, created_ns: change.created_ns, ..version };
    let mut number = Vec::new();
    number.put_u64(version.number);
    let mut edits = Edits::new();
    edits.insert(version_key(MAIN, version.number), Some(version.encode()));
    edits.insert(branch_key(MAIN), Some(number));
    let agent = change.edit(name, agent, edits)?;
    let detail = Detail {
        agent_id: name.to_owned(),
        memory_type: "state".to_owned(),
        justification: version.justification.clone(),
        root: version.root_hex(),
    };
    change.log(operation, &detail, &agent.sealer)?;
    change.put_agent(name, Agent { latest: Some(version.clone()), ..agent });
    Ok(version)
}

fn shape_of(agent: &Agent, flat: &Flat) -> Result<Arc<Shape>> {
    match &agent.shape {
        Some(shape) if shape.fits(&flat.paths) => Ok(Arc::clone(shape)),
        _ => Ok(Arc::new(Shape::new(flat.paths.clone())?)),
    }
}

pub(super) fn check_justification(justification: &str) -> Result<()> {
    if justification.len() <= MAX_JUSTIFICATION_BYTES {
        return Ok(());
    }
    Err(Error::new("too-large", "a justification is longer than 16 KiB"))
}

fn check_base(name: &str, base: Option<u64>, latest: Option<&Version>) -> Result<()> {
    let Some(base) = base else { return Ok(()) };
    let latest = latest.map_or(0, |latest| latest.number);
    if base == latest {
        return Ok(());
    }
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
