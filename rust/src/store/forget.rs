//! Forgetting: a namespace's key is destroyed, and with it all that it ever held.
//!
//! The order: the provider seals a fresh root key; the tombstone and the head's list of the doomed
//! are committed; `keys.sealed` is replaced by one without the doomed keys, under the fresh root;
//! the provider destroys what opened the old file; the list is cleared. A process that dies before
//! the tombstone has done nothing; after it, the next open finishes.

use super::commit::Change;
use super::prune::each_ref;
use super::records::{DROPPED, VERSIONS, Version};
use super::rewrap::{fresh_root, still_wrapped};
use super::rotate::log;
use super::save::check_justification;
use super::{Store, unknown_name};
use crate::error::{Error, Result};
use crate::keys::{self, Key, Keyring};
use crate::seal::{NodeId, Sealer};
use crate::tree::{Map, refs};
use std::collections::HashSet;

/// Nodes that one transaction deletes: some megabytes of its memory.
const NODES_A_BATCH: usize = 20_000;

/// What becomes of other names in the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forks {
    /// Nothing is forgotten while there are others.
    Refuse,
    /// They are forgotten with it.
    Forget,
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The names.
    pub names: Vec<String>,
    /// Whether the provider replaced its key too, so that no old `keys.sealed` opens.
    pub replaced: bool,
}

impl Store {
    /// Forgets a name with all its versions, and what shares its key.
    pub fn forget(&self, name: &str, forks: Forks, justification: &str) -> Result<Forgotten> {
        check_justification(justification)?;
        // What was queued before belongs to what is forgotten.
        self.flush()?;
        let view = self.writable_view()?;
        self.agent(&view, name)?.ok_or_else(|| unknown_name(name))?;
        let (names, nodes, root) = self.with_room(|| {
            let (name, justification) = (name.to_owned(), justification.to_owned());
            self.write(move |change| {
                let (names, nodes) = bury(change, &name, forks, &justification)?;
                // Before anything is committed: a provider that is down leaves all as it is.
                Ok((names, nodes, fresh_root(&*change.store.provider()?)?))
            })
        })?;
        let mut root = Some(root);
        let replaced = self.with_room(|| self.destroy_doomed(root.take()))?;
        for dead in nodes.chunks(NODES_A_BATCH) {
            match self.with_room(|| self.delete(dead.to_vec())) {
                // It is forgotten all the same: these are noise, and `compact` finds them.
                Err(error) if error.slug() == "full" => break,
                deleted => deleted?,
            }
        }
        Ok(Forgotten { names, replaced })
    }

    fn delete(&self, dead: Vec<NodeId>) -> Result<()> {
        self.write(move |change| {
            change.delete(dead.clone());
            Ok(())
        })
    }

    /// Finishes what a process that died had begun to forget. Keys are destroyed in any case; if the
    /// provider is down, what opened the old file stays until a later open, which is a warning. So is
    /// a disk without any room, which must not keep readers out. False if there was nothing to
    /// finish.
    pub(super) fn finish_forgetting(&self) -> Result<bool> {
        if self.known_view()?.head.doomed.is_empty() {
            return Ok(false);
        }
        if let Err(failed) = self.with_room(|| self.drop_doomed_keys()) {
            return self.put_off(failed, &["full"]);
        }
        match self.with_room(|| self.destroy_doomed(None)) {
            Err(failed) => self.put_off(failed, &["full", "key-service"]),
            Ok(_) => Ok(true),
        }
    }

    /// Leaves it to the next open, with a warning, where the failure is one of these.
    fn put_off(&self, failed: Error, slugs: &[&str]) -> Result<bool> {
        if !slugs.contains(&failed.slug()) {
            return Err(failed);
        }
        let what = "the key of what was forgotten is given up at the next open";
        self.warn_of_keys(format!("{what}: {failed}"));
        Ok(true)
    }

    fn drop_doomed_keys(&self) -> Result<()> {
        self.write(|change| {
            let forgotten = change.view.head.doomed.clone();
            let rewrite = keys::Change { forgotten, ..keys::Change::default() };
            change.store.newest_keys()?.rewrite(&change.store.folder, rewrite)
        })
    }

    /// Destroys the keys of what is doomed, with what opened them; false if the provider keeps its
    /// key.
    fn destroy_doomed(&self, mut prepared: Option<(Key, Vec<u8>)>) -> Result<bool> {
        self.write(move |change| {
            let store = change.store;
            let (provider, doomed) = (store.provider()?, change.view.head.doomed.clone());
            if doomed.is_empty() {
                // Another process, or a thread, was faster.
                return provider.retire(store.newest_keys()?.wrapped_root());
            }
            let root = Some(still_wrapped(&*provider, prepared.take())?);
            let mut keyring = store.newest_keys()?;
            let forgotten = doomed.clone();
            let rewrite = keys::Change { forgotten, root, ..keys::Change::default() };
            keyring.rewrite(&store.folder, rewrite)?;
            store.drop_forgotten(&keyring)?;
            let replaced = provider.retire(keyring.wrapped_root())?;
            drop(keyring);
            // Not those that another operation of this commit has doomed.
            change.edit_head(move |head| head.doomed.retain(|id| !doomed.contains(id)));
            log(change, "destroy", "")?;
            Ok(replaced)
        })
    }

    /// Lets go of what was read of namespaces whose keys are gone; and of all vectors and
    /// documents, as single ones may be what a key was destroyed for.
    pub(super) fn drop_forgotten(&self, keyring: &Keyring) -> Result<()> {
        self.spares()?.clear();
        self.agents()?.retain(|namespace| keyring.namespaces().contains_key(namespace));
        self.sets()?.clear();
        self.hot()?.clear();
        Ok(())
    }

    /// The nodes of a namespace. Without their key they are noise, but they take space.
    pub(super) fn nodes_in(&self, sealer: &Sealer, map: &Map) -> Result<Vec<NodeId>> {
        let nodes = self.nodes(sealer);
        let mut seen = HashSet::new();
        if let Some(root) = &map.root {
            refs(&nodes, root, &mut |_, _, id| seen.insert(id))?;
        }
        for prefix in [VERSIONS, DROPPED] {
            for entry in map.prefixed(&nodes, prefix)? {
                let version = Version::decode(&entry.value.whole(&nodes)?)?;
                each_ref(&nodes, &version, &mut |id| seen.insert(id))?;
            }
        }
        Ok(seen.into_iter().collect())
    }
}

/// Takes a namespace out of the top map and dooms its key; gives its names and nodes.
fn bury(
    change: &mut Change<'_>,
    name: &str,
    forks: Forks,
    justification: &str,
) -> Result<(Vec<String>, Vec<NodeId>)> {
    let agent = change.agent(name)?.ok_or_else(|| unknown_name(name))?;
    let names = change.store.branches_of(&agent.sealer, &agent.map)?;
    if forks == Forks::Refuse {
        check_alone(name, &names)?;
    }
    let nodes = change.store.nodes_in(&agent.sealer, &agent.map)?;
    let namespace = agent.sealer.context().namespace;
    change.remove(namespace, &names);
    change.edit_head(move |head| head.doomed.push(namespace));
    log(change, "forget", justification)?;
    Ok((names, nodes))
}

fn check_alone(name: &str, names: &[String]) -> Result<()> {
    let others: Vec<&str> =
        names.iter().map(String::as_str).filter(|other| *other != name).collect();
    if others.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{name:?} shares its key with {others:?}, which would be forgotten with it: copy what is to \
         stay under another name, then forget with forks=\"forget\""
    );
    Err(Error::new("has-forks", what).with("name", name).with("others", others.join(", ")))
}
