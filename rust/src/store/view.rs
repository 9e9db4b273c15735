//! What this process knows of the store: the newest commit it has seen, and what it has read there.

use super::Store;
use super::agents::Agents;
use super::head::Head;
use super::nodes::Opened;
use super::records::{self, Version};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::Keyring;
use crate::ledger::GENESIS;
use crate::seal::Sealer;
use crate::tree::{Known, Map, Order, Range, Shape};
use crate::wire::Take;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

/// What an agent takes in memory beside what it knows of the latest version.
const AGENT_BYTES: usize = 2_048;
/// An entry of `Known`: a hash, an id, and the room that a hash map leaves.
const KNOWN_BYTES: usize = 64;

/// One commit, as it lies on disk. It never changes; a newer one takes its place.
pub struct View {
    /// The head.
    pub head: Head,
    /// The same as it lies on disk; empty before the first commit.
    pub sealed: Vec<u8>,
    /// The newest commit that another process made: what was read before it may be outdated.
    pub foreign: u64,
}

/// One branch of a namespace as of a commit, with what makes the next save of it cheap.
#[derive(Clone)]
pub struct Agent {
    /// Seals the namespace's nodes.
    pub sealer: Arc<Sealer>,
    /// Which branch it is.
    pub branch: u64,
    /// The namespace's map, with all its branches.
    pub map: Map,
    /// Its sealed root, as it lies in the top map.
    pub root: Vec<u8>,
    /// The newest version; None before the first.
    pub latest: Option<Version>,
    /// Nodes that the latest version refers to; None until a save has needed them.
    pub known: Option<Arc<Known>>,
    /// The paths of the latest version; None until a save has needed them.
    pub shape: Option<Arc<Shape>>,
    /// The commit that this was read from or written by.
    pub as_of: u64,
}

impl Agent {
    /// How much memory it takes, roughly.
    pub fn size_bytes(&self) -> usize {
        let known = self.known.as_ref().map_or(0, |known| known.len() * KNOWN_BYTES);
        AGENT_BYTES + known + self.shape.as_ref().map_or(0, |shape| shape.size_bytes())
    }
}

fn poisoned<T>(_: T) -> Error {
    Error::new("store", "an earlier operation died; reopen the store")
}

impl Store {
    /// The newest commit on disk, which must continue what this process has seen and what the
    /// witness has.
    pub(super) fn view(&self) -> Result<Arc<View>> {
        self.usable()?;
        // The witness first: what it has seen is on disk already.
        let seen = self.watch.newest()?;
        let known = self.known_view()?;
        let view = self.continued(&known, self.engine.head()?.as_deref())?;
        self.check_witness(&view.head, seen)?;
        Ok(view)
    }

    /// The newest commit that this process knows: enough to prepare a write, which is done over
    /// whatever is the newest by then.
    pub(super) fn writable_view(&self) -> Result<Arc<View>> {
        self.check_writable()?;
        self.usable()?;
        self.known_view()
    }

    pub(super) fn known_view(&self) -> Result<Arc<View>> {
        Ok(Arc::clone(&*self.view.read().map_err(poisoned)?))
    }

    /// Makes a view the newest one, unless a newer one is known.
    pub(super) fn publish(&self, view: &Arc<View>) -> Result<()> {
        let mut newest = self.view.write().map_err(poisoned)?;
        if view.head.commit >= newest.head.commit {
            *newest = Arc::clone(view);
        }
        Ok(())
    }

    /// An error where the store was opened to be read.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.is_read_only() {
            let what = "the store was opened with read_only=True; open it without to change it";
            return Err(Error::new("read-only", what));
        }
        Ok(())
    }

    /// An error in a fork, after a failed sync, or when the file is not the store's any more.
    pub(super) fn usable(&self) -> Result<()> {
        if self.process != std::process::id() {
            let what = "this handle belongs to the process before a fork; close it here, in the \
                        child, and open the store anew";
            return Err(Error::new("forked", what));
        }
        if self.failed.load(Ordering::Relaxed) {
            let what = "a write to disk failed earlier; reopen the store to see what was saved";
            return Err(Error::new("io", what));
        }
        self.engine.check_in_place()
    }

    /// The view of the head on disk, which must be `known` or continue it: another process may have
    /// committed.
    pub(super) fn continued(&self, known: &Arc<View>, on_disk: Option<&[u8]>) -> Result<Arc<View>> {
        let on_disk = on_disk.unwrap_or_default();
        if on_disk == known.sealed {
            return Ok(Arc::clone(known));
        }
        let head = match Head::open(on_disk, &self.sealer) {
            // Perhaps of an epoch that another process has begun.
            Err(error) if error.slug() == "wrong-context" => {
                drop(self.newest_keys()?);
                Head::open(on_disk, &self.sealer)?
            }
            opened => opened?,
        };
        self.follow_keys(&head)?;
        let before = &known.head;
        if head.lineage != before.lineage
            || head.commit <= before.commit
            || head.frontier.size() < before.frontier.size()
        {
            let what = "the store was replaced by an older or another one while it was open";
            return Err(Error::new("rolled-back", what)
                .with("commit", head.commit)
                .with("known_commit", before.commit));
        }
        if self.chain_of(&head, before.frontier.size())? != before.chain {
            let what = "the store was replaced by a branch of itself while it was open";
            return Err(Error::new("rolled-back", what).with("commit", head.commit));
        }
        let foreign = head.commit;
        let view = Arc::new(View { head, sealed: on_disk.to_vec(), foreign });
        self.publish(&view)?;
        Ok(view)
    }

    /// Reads `keys.sealed` again if another process has written it.
    fn follow_keys(&self, head: &Head) -> Result<()> {
        if self.keyring()?.generation >= head.key_generation {
            return Ok(());
        }
        let keyring = self.newest_keys()?;
        super::open::check_keys(head, &keyring).map(drop)
    }

    /// The chain's hash when the ledger had `entries` entries, proved from `head`.
    pub(super) fn chain_of(&self, head: &Head, entries: u64) -> Result<[u8; 32]> {
        match entries.checked_sub(1) {
            None => Ok(GENESIS),
            Some(last) => self.chain_at(head, last),
        }
    }

    /// The namespace that a name leads to; None if nothing was saved under it.
    pub(super) fn agent(&self, view: &View, name: &str) -> Result<Option<Arc<Agent>>> {
        let held = self.agents()?.get(name);
        if let Some(agent) = &held
            && (view.foreign..=view.head.commit).contains(&agent.as_of)
        {
            return Ok(held);
        }
        let key = records::name_key(&self.store_key, name);
        let Some(leads_to) = view.head.top.get(&self.top_nodes(), &key)? else {
            return Ok(None);
        };
        let mut leads_to = Take::new(&leads_to);
        let (namespace, branch) = (leads_to.array()?, leads_to.u64()?);
        leads_to.done()?;
        let root = self.root_record(&view.head, &namespace)?;
        let agent = match held.filter(|held| held.root == root) {
            Some(held) => Agent { as_of: view.head.commit, ..Agent::clone(&held) },
            None => self.read_agent(view, &namespace, branch, root)?,
        };
        let agent = Arc::new(agent);
        self.agents()?.keep(name, &agent);
        Ok(Some(agent))
    }

    /// What is remembered of agents.
    pub(super) fn agents(&self) -> Result<MutexGuard<'_, Agents>> {
        self.agents.lock().map_err(poisoned)
    }

    fn read_agent(
        &self,
        view: &View,
        namespace: &[u8; 16],
        branch: u64,
        root: Vec<u8>,
    ) -> Result<Agent> {
        let sealer = self.namespace_sealer(namespace)?;
        let map = records::open_root(&sealer, &root)?;
        let nodes = self.nodes(&sealer);
        let range = Range::prefix(&records::versions_prefix(branch));
        let latest = map.range(&nodes, &range, Order::Descending, 1)?.pop();
        let latest =
            latest.map(|entry| Version::decode(&entry.value.whole(&nodes)?)).transpose()?;
        let (sealer, as_of) = (Arc::new(sealer), view.head.commit);
        Ok(Agent { sealer, branch, map, root, latest, known: None, shape: None, as_of })
    }

    pub(super) fn keyring(&self) -> Result<MutexGuard<'_, Keyring>> {
        self.keyring.lock().map_err(poisoned)
    }

    pub(super) fn namespace_sealer(&self, namespace: &[u8; 16]) -> Result<Sealer> {
        self.keyring()?.sealer(namespace)
    }

    /// The ids of all namespaces in use.
    pub(super) fn namespaces(&self, view: &View) -> Result<Vec<[u8; 16]>> {
        let records = view.head.top.prefixed(&self.top_nodes(), b"r")?;
        let id = |key: &[u8]| key.get(1..).and_then(|id| id.try_into().ok());
        let malformed = || Error::new("malformed", "a root record without an id");
        records.iter().map(|record| id(&record.key).ok_or_else(malformed)).collect()
    }

    fn root_record(&self, head: &Head, namespace: &[u8; 16]) -> Result<Vec<u8>> {
        let sealed = head.top.get(&self.top_nodes(), &records::root_key(namespace))?;
        sealed.ok_or_else(|| {
            Error::new("missing", "the root record of a namespace is not in the store")
        })
    }

    pub(super) fn namespace_map(&self, head: &Head, sealer: &Sealer) -> Result<Map> {
        records::open_root(sealer, &self.root_record(head, &sealer.context().namespace)?)
    }

    /// Namespaces with keys on disk that no name leads to, once they were looked for.
    pub(super) fn spares(&self) -> Result<MutexGuard<'_, Vec<[u8; 16]>>> {
        self.spares.lock().map_err(poisoned)
    }

    pub(super) fn top_nodes(&self) -> Opened<'_> {
        Opened { store: self, sealer: &self.sealer }
    }

    pub(super) fn nodes<'a>(&'a self, sealer: &'a Sealer) -> Opened<'a> {
        Opened { store: self, sealer }
    }
}
