//! Saving an agent.

use super::Store;
use super::commit::Change;
use super::mark::Stamp;
use super::prune::Pruning;
use super::records::{SHARED, Version, check_name, memory_type, version_key};
use super::snapshot::EXPIRED;
use super::view::{Agent, View};
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::state::Flat;
use crate::state::schema::outgrown;
use crate::tree::{
    Cut, Ids, Known, MAX_INLINE_BYTES, Node, Shape, Value, Writer, Written, known_of, write_blob,
    write_state,
};
use std::sync::Arc;

/// Longest inline blueprint or table of classes: most versions of an agent share theirs, and each
/// save writes the records of the versions before again that lie in the same leaf.
const INLINE_BYTES: usize = 64;
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
    pub base: Option<Stamp>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a saved state comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Live modules.
    #[default]
    Walk,
    /// The Shared values of a class, under a name of our own.
    Shared,
    /// The version before, as modules of today's classes hold it.
    Migration,
    /// A version of another name.
    Copy {
        /// Its name.
        name: String,
        /// Its number.
        number: u64,
    },
}

impl Save<'_> {
    pub(super) fn check(&self, flat: &Flat) -> Result<()> {
        match (&self.origin, self.name.strip_prefix(SHARED)) {
            (Origin::Shared, Some(kind)) => check_name(kind)?,
            _ => check_name(self.name)?,
        }
        check_justification(self.justification)?;
        flat.check()
    }
}

/// A state sealed under its namespace's key, ready for the next commit.
pub(super) struct Draft {
    name: String,
    justification: String,
    base: Option<Stamp>,
    origin: Origin,
    /// The branch as it was when the state was compared with its latest version.
    agent: Arc<Agent>,
    state: Option<Node>,
    blueprint: Value,
    schema: Value,
    /// The bytes of that.
    classes: Vec<u8>,
    batches: Vec<Arc<Batch>>,
    known: Arc<Known>,
    shape: Arc<Shape>,
    written_bytes: u64,
    last_id: u64,
}

/// Tells a save to begin again: its namespace went to somebody else meanwhile.
pub(super) const AGAIN: &str = "again";
/// How often a save begins again.
pub(super) const ATTEMPTS: usize = 8;

impl Store {
    /// Saves a state as the next version of a name; returned means on disk.
    ///
    /// The state is compared, compressed and sealed outside of any lock; the commit, which other
    /// saves share, only adds the version to its namespace.
    pub fn save(&self, save: &Save<'_>, flat: &Flat) -> Result<Version> {
        let nothing = || Error::new("store", "a save gave nothing");
        self.save_together(&[(save, flat)])?.pop().ok_or_else(nothing)
    }

    /// Saves states under different names as `save` does, in one commit: all of them or none.
    pub fn save_together(&self, saves: &[(&Save<'_>, &Flat)]) -> Result<Vec<Version>> {
        saves.iter().try_for_each(|(save, flat)| save.check(flat))?;
        for _ in 1..ATTEMPTS {
            let drafts = saves.iter().map(|(save, flat)| self.draft(save, flat));
            let drafts = match drafts.collect::<Result<Vec<_>>>() {
                Err(error) if error.slug() == AGAIN => continue,
                drafts => drafts?,
            };
            let commit = move |change: &mut Change<'_>| {
                drafts.iter().map(|draft| draft.commit(change)).collect::<Result<Vec<_>>>()
            };
            match self.write(commit) {
                Err(error) if error.slug() == AGAIN => {}
                done => return done,
            }
        }
        let names: Vec<_> = saves.iter().map(|(save, _)| save.name).collect();
        Err(Error::new("conflict", "the name was taken or forgotten while it was being saved")
            .with("name", names.join(", ")))
    }

    /// A state sealed over what this process knows of its name; [`AGAIN`] when that was outdated.
    pub(super) fn draft(&self, save: &Save<'_>, flat: &Flat) -> Result<Draft> {
        let view = self.writable_view()?;
        self.draft_at(&view, save, flat).map_err(|error| match self.outlived(&view, error) {
            // The newest commit was looked at: from now on this process knows it.
            outlived if outlived.slug() == EXPIRED => Error::new(AGAIN, "others went on long ago"),
            error => error,
        })
    }

    fn draft_at(&self, view: &View, save: &Save<'_>, flat: &Flat) -> Result<Draft> {
        let agent = match self.agent(view, save.name)? {
            Some(agent) => agent,
            None => Arc::new(self.new_agent(view)?),
        };
        self.draft_over(view, save, flat, agent)
    }

    /// A state sealed over a branch as it was in `view`.
    pub(super) fn draft_over(
        &self,
        view: &View,
        save: &Save<'_>,
        flat: &Flat,
        agent: Arc<Agent>,
    ) -> Result<Draft> {
        check_base(save.name, save.base, agent.latest.as_ref())?;
        let known = self.know(&agent, flat)?;
        let shape = shape_of(&agent, flat)?;
        let mut ids = Ids::after(view.head.last_id, self.clock.now_ns()?);
        let mut writer = Writer::new(&known, &agent.sealer, &mut ids);
        let state = write_state(&mut writer, &shape, flat)?;
        let blueprint = aside(&mut writer, &flat.blueprint)?;
        let schema = aside(&mut writer, &flat.schema)?;
        let Written { batches, known, .. } = writer.finish()?;
        let written_bytes = batches.iter().map(|batch| batch.size_bytes() as u64).sum();
        Ok(Draft {
            name: save.name.to_owned(),
            justification: save.justification.to_owned(),
            base: save.base,
            origin: save.origin.clone(),
            agent,
            state,
            blueprint,
            schema,
            classes: flat.schema.clone(),
            batches: batches.into_iter().map(Arc::new).collect(),
            known: Arc::new(known),
            shape,
            written_bytes,
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
        for blob in latest.beside() {
            blob.refs(&nodes, &mut |hash, _, id| known.insert(hash, id).is_none())?;
        }
        Ok(Arc::new(known))
    }
}

impl Draft {
    /// The latest version, if the draft is equal to it.
    pub(super) fn repeats(&self) -> Option<&Version> {
        let content = |state: &Option<Node>| {
            state.as_ref().map(|root| (root.hash, root.keys.map(|(hash, _)| hash), root.entries))
        };
        self.agent.latest.as_ref().filter(|latest| {
            content(&latest.state) == content(&self.state)
                && latest.blueprint.same(&self.blueprint)
                && latest.schema.same(&self.schema)
        })
    }

    /// The operation that adds the version.
    pub(super) fn job(self) -> impl FnMut(&mut Change<'_>) -> Result<Version> + Send + 'static {
        move |change: &mut Change<'_>| self.commit(change)
    }

    pub(super) fn commit(&self, change: &mut Change<'_>) -> Result<Version> {
        let mine = self.agent.sealer.context().namespace;
        let agent = match change.branch(&self.name)? {
            Some(agent) if agent.sealer.context().namespace == mine => agent,
            None if self.agent.root.is_empty() && change.is_free(&mine)? => Arc::clone(&self.agent),
            _ => return Err(Error::new(AGAIN, "the namespace went to somebody else")),
        };
        check_base(&self.name, self.base, agent.latest.as_ref())?;
        self.check_known(change, &agent)?;
        self.check_schema(change, &agent)?;
        let version = Version {
            source: match &self.origin {
                Origin::Walk | Origin::Shared | Origin::Migration => None,
                Origin::Copy { name, number } => Some((name.clone(), *number)),
            },
            written_bytes: self.written_bytes,
            justification: self.justification.clone(),
            state: self.state.clone(),
            blueprint: self.blueprint.clone(),
            schema: self.schema.clone(),
            ..Version::default()
        };
        change.add_batches(&[&agent.sealer], &self.batches, self.last_id)?;
        let agent = Agent {
            known: Some(Arc::clone(&self.known)),
            shape: Some(Arc::clone(&self.shape)),
            ..Agent::clone(&agent)
        };
        let operation = match self.origin {
            Origin::Walk | Origin::Shared => "store",
            Origin::Migration => "migrate",
            Origin::Copy { .. } => "copy",
        };
        add_version(change, &self.name, &agent, version, operation)
    }

    /// The nodes that the state shares with the version it was compared with must still be kept:
    /// others may have saved and pruned since.
    fn check_known(&self, change: &Change<'_>, newest: &Agent) -> Result<()> {
        let Some(compared) = &self.agent.latest else { return Ok(()) };
        let key = version_key(newest.branch, compared.number);
        let nodes = change.store.nodes(&newest.sealer);
        let kept =
            newest.map.get(&nodes, &key)?.map(|bytes| Version::decode(&bytes)).transpose()?;
        match kept.is_some_and(|kept| kept.state == compared.state) {
            true => Ok(()),
            false => Err(Error::new(AGAIN, "the version compared with was pruned")),
        }
    }

    /// Old code must not go on from what newer code has saved, however it came to be asked to.
    fn check_schema(&self, change: &Change<'_>, newest: &Agent) -> Result<()> {
        let latest = newest.latest.as_ref().filter(|latest| !latest.schema.same(&self.schema));
        let Some(latest) = latest else { return Ok(()) };
        let theirs = latest.schema.clone().whole(&change.store.nodes(&newest.sealer))?;
        let Some((kind, mine, theirs)) = outgrown(&self.classes, &theirs)? else { return Ok(()) };
        let what = format!(
            "{:?} was last saved with schema version {theirs} of {kind}, and this process has version \
             {mine}: update the code, or save under another name",
            self.name
        );
        Err(Error::new("schema-too-new", what)
            .with("name", self.name.as_str())
            .with("kind", kind)
            .with("saved", theirs)
            .with("known", mine))
    }
}

/// Makes `version` the next one of an agent; when it is its turn, prunes others.
pub(super) fn add_version(
    change: &mut Change<'_>,
    name: &str,
    agent: &Agent,
    version: Version,
    operation: &str,
) -> Result<Version> {
    let latest = agent.latest.as_ref();
    let base = latest.map_or(0, |latest| latest.number);
    let total_bytes = latest.map_or(0, |latest| latest.total_bytes) + version.written_bytes;
    let (number, created_ns) = (base + 1, change.created_ns);
    let version = Version { number, base, created_ns, total_bytes, tags: Vec::new(), ..version };
    let pruning = match number.is_multiple_of(change.store.limits.period()) {
        true => change.store.prune_along(agent, created_ns)?,
        false => Pruning::default(),
    };
    let mut edits = pruning.edits;
    edits.insert(version_key(agent.branch, number), Some(version.encode()));
    let edited = change.edit(name, agent, edits);
    change.delete(pruning.dead);
    log_version(change, operation, name, &edited, &version, &version.justification)?;
    if let (Some(what), Some(latest)) = (pruning.what, latest) {
        log_version(change, "prune", name, &edited, latest, &what)?;
    }
    change.put_agent(name, Agent { latest: Some(version.clone()), ..edited });
    Ok(version)
}

/// Adds an entry about a version to the ledger.
pub(super) fn log_version(
    change: &mut Change<'_>,
    operation: &str,
    name: &str,
    agent: &Agent,
    version: &Version,
    justification: &str,
) -> Result<()> {
    let detail = Detail {
        agent_id: name.to_owned(),
        memory_type: memory_type(name).to_owned(),
        justification: justification.to_owned(),
        root: version.root_hex(),
        ..Detail::default()
    };
    change.log(operation, &detail, &agent.sealer)
}

/// A value that lies in a version's record only if it is short.
fn aside(writer: &mut Writer<'_>, bytes: &[u8]) -> Result<Value> {
    if bytes.len() <= INLINE_BYTES {
        return Ok(Value::inline(bytes.to_vec()));
    }
    Ok(Value { inline: Vec::new(), blob: Some(write_blob(writer, bytes, Cut::Content)?) })
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

fn check_base(name: &str, base: Option<Stamp>, latest: Option<&Version>) -> Result<()> {
    let Some(stamp) = base.filter(|stamp| !stamp.is_of(latest)) else { return Ok(()) };
    let (base, latest) = (stamp.number, latest.map_or(0, |latest| latest.number));
    let what = if base == 0 {
        format!(
            "{name:?} was saved before and this object did not come from there: load it first, \
             save with base=\"latest\" to go on from here, or choose another name"
        )
    } else if base == latest {
        format!(
            "{name:?} was forgotten and saved anew since this object came from its version {base}: \
             load the latest, or save with base=\"latest\" to bring back what was forgotten"
        )
    } else {
        format!(
            "{name:?} is at version {latest}, but this object came from version {base}: load the \
             latest and apply the change again, or save with base=\"latest\" to overrule it"
        )
    };
    Err(Error::new("conflict", what).with("name", name).with("base", base).with("latest", latest))
}
