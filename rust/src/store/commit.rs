//! One commit: what one or many operations change, as nodes, ledger entries and a head.

use super::Store;
use super::head::Head;
use super::records;
use super::save::AGAIN;
use super::view::{Agent, View};
use crate::engine::{Batch, Write};
use crate::error::{Error, Result};
use crate::ledger::{self, Detail, Entry, Frontier, Hash, leaf_hash};
use crate::seal::{NodeId, Sealer, epoch_of, kind, sha256};
use crate::tree::{Edit, Edits, Ids, Map, Writer, Written};
use crate::wire::Put;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

/// A commit in the making, over the newest one; nobody else commits meanwhile.
pub struct Commit<'s> {
    store: &'s Store,
    view: Arc<View>,
    created_ns: u64,
    clock_behind_us: u64,
    done: Staged,
}

/// New values of a namespace's map, some sealed already, and None for what is removed.
pub type Writes = BTreeMap<Vec<u8>, Option<Edit>>;

/// A namespace whose map changes: once, when all operations are known.
struct Edited {
    sealer: Arc<Sealer>,
    /// As it lies on disk.
    map: Map,
    writes: Writes,
}

/// A change of what the head says of keys.
type HeadEdit = Box<dyn FnOnce(&mut Head)>;

/// What operations have changed so far.
struct Staged {
    /// Names and root records.
    top: Edits,
    /// Maps of namespaces.
    edited: BTreeMap<[u8; 16], Edited>,
    /// Namespaces of which more than documents changed.
    versioned: Vec<[u8; 16]>,
    /// A later one of a name counts.
    agents: Vec<(String, Agent)>,
    batches: Vec<Arc<Batch>>,
    /// Nodes that nothing needs from now on.
    lost: Vec<NodeId>,
    /// Nodes that nobody can be reading.
    dead: Vec<NodeId>,
    /// Namespaces that are no more.
    gone: Vec<[u8; 16]>,
    /// What the head says of keys.
    head: Vec<HeadEdit>,
    /// Leaves of the ledger's tree.
    leaves: Vec<Hash>,
    chain: [u8; 32],
    frontier: Frontier,
    last_id: u64,
}

/// What one operation changes: all of it or, if the operation fails, nothing.
pub struct Change<'c> {
    /// The store.
    pub store: &'c Store,
    /// The commit that this one follows.
    pub view: &'c Arc<View>,
    /// When: the clock's time, but never before the last commit's.
    pub created_ns: u64,
    clock_behind_us: u64,
    done: &'c Staged,
    staged: Staged,
}

impl Staged {
    fn over(head: &Head) -> Self {
        Staged::after(head.chain, head.frontier.clone(), head.last_id)
    }

    fn after(chain: [u8; 32], frontier: Frontier, last_id: u64) -> Self {
        Staged {
            top: Edits::new(),
            edited: BTreeMap::new(),
            versioned: Vec::new(),
            agents: Vec::new(),
            batches: Vec::new(),
            lost: Vec::new(),
            dead: Vec::new(),
            gone: Vec::new(),
            head: Vec::new(),
            leaves: Vec::new(),
            chain,
            frontier,
            last_id,
        }
    }

    fn write(&mut self, id: [u8; 16], edited: Edited) {
        match self.edited.entry(id) {
            Slot::Vacant(free) => drop(free.insert(edited)),
            // Over the same map: nobody else commits meanwhile.
            Slot::Occupied(mut taken) => taken.get_mut().writes.extend(edited.writes),
        }
    }

    /// Makes the maps of the edited namespaces.
    fn apply(&mut self, store: &Store, created_ns: u64) -> Result<()> {
        for (id, Edited { sealer, map, writes }) in std::mem::take(&mut self.edited) {
            let mut ids = Ids::after(self.last_id, created_ns);
            let mut writer = Writer::apart(&sealer, &mut ids);
            let map = map.apply(&store.nodes(&sealer), &mut writer, writes)?;
            let Written { batches, lost, .. } = writer.finish()?;
            self.last_id = ids.last();
            self.lost.extend(lost);
            self.batches.extend(batches.into_iter().map(Arc::new));
            let root = records::seal_root(&sealer, &map)?;
            for (_, agent) in &mut self.agents {
                if agent.sealer.context().namespace == id {
                    (agent.map, agent.root) = (map.clone(), root.clone());
                }
            }
            self.top.insert(records::root_key(&id), Some(root));
        }
        Ok(())
    }
}

impl<'s> Commit<'s> {
    /// Nothing yet, over `view`.
    pub fn over(store: &'s Store, view: Arc<View>) -> Result<Self> {
        let (now_ns, last_ns) = (store.clock.now_ns()?, view.head.created_ns);
        let (created_ns, behind_ns) = (now_ns.max(last_ns), last_ns.saturating_sub(now_ns));
        let done = Staged::over(&view.head);
        Ok(Commit { store, view, created_ns, clock_behind_us: behind_ns / 1000, done })
    }

    /// Lets one operation add to the commit.
    pub fn take(&mut self, job: &mut dyn FnMut(&mut Change<'_>) -> Result<()>) -> Result<()> {
        let done = &self.done;
        let staged = Staged::after(done.chain, done.frontier.clone(), done.last_id);
        let (store, view) = (self.store, &self.view);
        let (created_ns, clock_behind_us) = (self.created_ns, self.clock_behind_us);
        let mut change = Change { store, view, created_ns, clock_behind_us, done, staged };
        job(&mut change)?;
        let staged = change.staged;
        self.done.top.extend(staged.top);
        staged.edited.into_iter().for_each(|(id, edited)| self.done.write(id, edited));
        self.done.versioned.extend(staged.versioned);
        self.done.agents.extend(staged.agents);
        self.done.batches.extend(staged.batches);
        self.done.lost.extend(staged.lost);
        self.done.dead.extend(staged.dead);
        self.done.gone.extend(staged.gone);
        self.done.head.extend(staged.head);
        self.done.leaves.extend(staged.leaves);
        self.done.chain = staged.chain;
        self.done.frontier = staged.frontier;
        self.done.last_id = staged.last_id;
        Ok(())
    }

    /// What the engine is to write, the view once it is written, and the agents in it; None if
    /// nothing changed.
    pub fn finish(self) -> Result<Option<(Write, Committed)>> {
        let Commit { store, view, created_ns, mut done, .. } = self;
        if done.leaves.is_empty() && done.dead.is_empty() && done.batches.is_empty() {
            return Ok(None);
        }
        done.apply(store, created_ns)?;
        let mut ids = Ids::after(done.last_id, created_ns);
        let mut writer = Writer::apart(&store.sealer, &mut ids);
        let top = view.head.top.apply(&store.top_nodes(), &mut writer, done.top)?;
        let Written { batches: top_nodes, mut lost, .. } = writer.finish()?;
        lost.extend(done.lost);
        let mut head = Head {
            commit: view.head.commit + 1,
            created_ns,
            last_id: ids.last(),
            chain: done.chain,
            frontier: done.frontier,
            top,
            ..view.head.clone()
        };
        {
            let keyring = store.keyring()?;
            head.key_generation = keyring.generation;
            head.key_hash = keyring.hash;
        }
        let mut dead = done.dead;
        dead.extend(store.take_up(&view.head, &mut head)?);
        let mut batches = done.batches;
        batches.push(Arc::new(store.note_lost(&head, &lost)?));
        batches.extend(top_nodes.into_iter().map(Arc::new));
        let tiles = store.sealed_tiles(view.head.frontier.size(), &done.leaves)?;
        batches.push(Arc::new(tiles));
        head.sealed += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        done.head.into_iter().for_each(|edit| edit(&mut head));
        let sealed = head.seal(&store.sealer)?;
        let write = Write { batches, dead, head: sealed.clone() };
        // What was read of a namespace that is no more is as outdated as after another's commit.
        let foreign = if done.gone.is_empty() { view.foreign } else { head.commit };
        let view = Arc::new(View { head, sealed, foreign });
        Ok(Some((write, Committed { view, agents: done.agents })))
    }
}

/// What a commit leaves in memory once it is durable.
pub struct Committed {
    /// The commit.
    pub view: Arc<View>,
    /// The agents that it changed, by name.
    pub agents: Vec<(String, Agent)>,
}

/// Tells an operation that it must wait for the next commit; never seen outside.
pub const LATER: &str = "later";

fn unless<T>(changed: bool, found: T) -> Result<T> {
    match changed {
        true => Err(Error::new(LATER, "changed by another operation of this commit")),
        false => Ok(found),
    }
}

impl Change<'_> {
    /// The namespace that a name leads to; None if nothing was saved under it. An operation earlier
    /// in this commit may have changed it: its nodes cannot be read yet.
    pub fn agent(&self, name: &str) -> Result<Option<Arc<Agent>>> {
        let found = self.store.agent(self.view, name)?;
        let id = found.as_ref().map(|agent| agent.sealer.context().namespace);
        let changed = self.earlier(name).is_some()
            || id.is_some_and(|id| self.done.edited.contains_key(&id) || self.is_gone(&id));
        unless(changed, found)
    }

    /// The same where documents may have changed: only versions count.
    pub fn branch(&self, name: &str) -> Result<Option<Arc<Agent>>> {
        let found = self.store.agent(self.view, name)?;
        let changed = match &found {
            Some(agent) => {
                let id = agent.sealer.context().namespace;
                self.done.versioned.contains(&id) || self.is_gone(&id)
            }
            None => self.earlier(name).is_some(),
        };
        unless(changed, found)
    }

    /// The same where versions may have changed: only documents count, and those that earlier
    /// operations wrote are told by `has_written`.
    pub fn documents(&self, name: &str) -> Result<Option<Arc<Agent>>> {
        let found = self.store.agent(self.view, name)?;
        let changed = match &found {
            Some(agent) => self.is_gone(&agent.sealer.context().namespace),
            None => self.earlier(name).is_some(),
        };
        unless(changed, found)
    }

    /// Whether an earlier operation of this commit writes what `touches` says yes to.
    pub fn has_written(&self, agent: &Agent, touches: impl Fn(&[u8]) -> bool) -> bool {
        let edited = self.done.edited.get(&agent.sealer.context().namespace);
        edited.is_some_and(|edited| edited.writes.keys().any(|key| touches(key)))
    }

    /// What an earlier operation of this commit leaves of a name.
    fn earlier(&self, name: &str) -> Option<&Agent> {
        self.done.agents.iter().rfind(|(changed, _)| changed == name).map(|(_, agent)| agent)
    }

    fn is_gone(&self, id: &[u8; 16]) -> bool {
        self.done.gone.contains(id)
    }

    /// For an operation that must know all nodes on disk: it takes a commit of its own.
    pub fn check_first(&self) -> Result<()> {
        match self.done.leaves.is_empty() {
            true => Ok(()),
            false => Err(Error::new(LATER, "other operations came first")),
        }
    }

    /// Whether a namespace may be given to a new name: it has a key, which is not to be destroyed, and
    /// no name leads to it.
    pub fn is_free(&self, namespace: &[u8; 16]) -> Result<bool> {
        let key = records::root_key(namespace);
        let nodes = self.store.top_nodes();
        let is_used = self.done.edited.contains_key(namespace)
            || self.view.head.top.get(&nodes, &key)?.is_some();
        let is_doomed = self.view.head.doomed.contains(namespace);
        Ok(!is_used && !is_doomed && self.store.keyring()?.namespaces().contains_key(namespace))
    }

    /// Adds nodes that were sealed before; [`AGAIN`] if a key was replaced since, so that none comes
    /// to lie there which a purge does not find.
    pub fn add_batches(
        &mut self,
        sealers: &[&Sealer],
        batches: &[Arc<Batch>],
        last_id: u64,
    ) -> Result<()> {
        let since = sealers.iter().map(|sealer| sealer.since()).max().unwrap_or(0);
        for (_, sealed) in batches.iter().flat_map(|batch| batch.nodes()) {
            if epoch_of(sealed)? < since {
                return Err(Error::new(AGAIN, "the namespace's key was replaced"));
            }
        }
        self.staged.batches.extend(batches.iter().map(Arc::clone));
        self.staged.last_id = self.staged.last_id.max(last_id);
        Ok(())
    }

    /// Deletes nodes that nobody can be reading.
    pub fn delete(&mut self, dead: Vec<NodeId>) {
        self.staged.dead.extend(dead);
    }

    /// The agent with `edits` of its namespace's map. A branch without versions gets its name, too.
    pub fn edit(&mut self, name: &str, agent: &Agent, edits: Edits) -> Agent {
        self.staged.versioned.push(agent.sealer.context().namespace);
        let bytes = |(key, value): (_, Option<Vec<u8>>)| (key, value.map(Edit::Bytes));
        self.write(name, agent, edits.into_iter().map(bytes).collect());
        Agent { as_of: self.view.head.commit + 1, ..agent.clone() }
    }

    /// Changes documents in the namespace of a name; other operations may have changed others.
    pub fn edit_documents(&mut self, name: &str, agent: &Agent, writes: Writes) {
        let newest = self.earlier(name).unwrap_or(agent);
        let newest = Agent { as_of: self.view.head.commit + 1, ..newest.clone() };
        self.write(name, agent, writes);
        self.put_agent(name, newest);
    }

    fn write(&mut self, name: &str, agent: &Agent, mut writes: Writes) {
        let namespace = agent.sealer.context().namespace;
        if agent.latest.is_none() {
            let key = records::branch_key(agent.branch);
            writes.insert(key, Some(Edit::Bytes(name.as_bytes().to_vec())));
            let mut leads_to = namespace.to_vec();
            leads_to.put_u64(agent.branch);
            let key = records::name_key(&self.store.store_key, name);
            self.staged.top.insert(key, Some(leads_to));
        }
        let (sealer, map) = (Arc::clone(&agent.sealer), agent.map.clone());
        self.staged.write(namespace, Edited { sealer, map, writes });
    }

    /// Takes a namespace out, with the names that lead to it.
    pub fn remove(&mut self, namespace: [u8; 16], names: &[String]) {
        self.staged.top.insert(records::root_key(&namespace), None);
        for name in names {
            self.staged.top.insert(records::name_key(&self.store.store_key, name), None);
        }
        self.staged.gone.push(namespace);
    }

    /// Changes the top map; `gone` are the namespaces that it then leads to no more.
    pub fn edit_top(&mut self, edits: Edits, gone: impl Iterator<Item = [u8; 16]>) {
        self.staged.top.extend(edits);
        self.staged.gone.extend(gone);
    }

    /// Changes what the head says beside names and entries.
    pub fn edit_head(&mut self, edit: impl FnOnce(&mut Head) + 'static) {
        self.staged.head.push(Box::new(edit));
    }

    /// What a name leads to from this commit on.
    pub fn put_agent(&mut self, name: &str, agent: Agent) {
        self.staged.agents.push((name.to_owned(), agent));
    }

    /// Adds a ledger entry; `sealer` seals its detail.
    pub fn log(&mut self, operation: &str, detail: &Detail, sealer: &Sealer) -> Result<()> {
        let seq = self.staged.frontier.size();
        let detail = Detail { clock_behind_us: self.clock_behind_us, ..detail.clone() };
        let (commitment, sealed) = ledger::seal_detail(sealer, seq, &detail)?;
        let entry = Entry {
            seq,
            operation: operation.to_owned(),
            created_ns: self.created_ns,
            prev: self.staged.chain,
            commitment,
        };
        let json = entry.json();
        self.staged.chain = sha256(&[json.as_bytes()]);
        let leaf = leaf_hash(json.as_bytes());
        self.staged.frontier.push(leaf);
        self.staged.leaves.push(leaf);
        let record = ledger::encode(&entry, &sealer.context().namespace, &sealed);
        let mut batch = Batch::default();
        self.store.add_ledger_node(&mut batch, kind::LEDGER, ledger::node_id(seq), &record)?;
        self.staged.batches.push(Arc::new(batch));
        Ok(())
    }
}
