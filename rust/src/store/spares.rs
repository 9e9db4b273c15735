//! Namespaces that have keys on disk already, for new names.

use super::Store;
use super::records::MAIN;
use super::view::{Agent, View};
use crate::error::Result;
use crate::keys::{self, SPARES};
use crate::seal::{Sealer, random};
use crate::tree::Map;
use std::collections::HashSet;
use std::sync::Arc;

impl Store {
    /// A namespace for a new name.
    pub(super) fn new_agent(&self, view: &View) -> Result<Agent> {
        let sealer = loop {
            match self.take_spare(view)? {
                Some(sealer) => break sealer,
                None => self.write(|change| change.store.make_spares())?,
            }
        };
        Ok(Agent {
            sealer: Arc::new(sealer),
            branch: MAIN,
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
        while let Some(id) = self.some_spare(view)? {
            match self.namespace_sealer(&id) {
                // Somebody else took it and forgot it since this process looked for spares.
                Err(error) if error.slug() == "keyring" => {}
                sealer => return sealer.map(Some),
            }
        }
        Ok(None)
    }

    fn some_spare(&self, view: &View) -> Result<Option<[u8; 16]>> {
        if self.spares()?.is_empty() {
            let mut taken: HashSet<_> = self.namespaces(view)?.into_iter().collect();
            taken.extend(&view.head.doomed);
            let keyring = self.keyring()?;
            // Locked after the keys, as everywhere.
            *self.spares()? =
                keyring.namespaces().keys().filter(|id| !taken.contains(*id)).copied().collect();
        }
        let mut spares = self.spares()?;
        // At random: other processes take spares, too.
        let at = u64::from_le_bytes(random()?) as usize % spares.len().max(1);
        Ok((at < spares.len()).then(|| spares.swap_remove(at)))
    }

    /// Adds spare namespaces to `keys.sealed`. Runs inside a commit, so that nobody else writes it.
    fn make_spares(&self) -> Result<()> {
        let mut keyring = self.newest_keys()?;
        // More with more agents: the file is written, and those in use are looked up, as a whole.
        let spares = SPARES.max(keyring.namespaces().len() / 8);
        keyring.rewrite(&self.folder, keys::Change { spares, ..keys::Change::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lmdb::Sync;
    use crate::keys::{Key, Provider};
    use crate::store::{Access, AuditReads, Clock, Limits, Options, Unseen};
    use std::path::Path;

    struct Plain;

    impl Provider for Plain {
        fn wrap(&self, root: &Key) -> Result<Vec<u8>> {
            Ok(root.bytes().to_vec())
        }

        fn unwrap(&self, wrapped: &[u8]) -> Result<Key> {
            Ok(Key::new(wrapped.try_into().unwrap_or_default()))
        }

        fn retire(&self, _: &[u8]) -> Result<bool> {
            Ok(false)
        }
    }

    fn opened(folder: &Path) -> Result<Store> {
        let root = Key::random()?;
        Store::open(Options {
            folder: folder.to_owned(),
            id: [7; 16],
            wrapped_root: root.bytes().to_vec(),
            root,
            provider: Arc::new(Plain),
            witness: None,
            unseen: Unseen::Warned,
            adopt: None,
            access: Access::Write,
            sync: Sync::Always,
            clock: Clock::default(),
            limits: Limits::default(),
            vectors_bytes: 0,
            audit_reads: AuditReads::Off,
        })
    }

    #[test]
    fn a_spare_whose_key_was_destroyed_meanwhile_is_passed_over() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("dachi-spares-{}", std::process::id()));
        let store = opened(&folder)?;
        let view = store.view()?;
        let known: Vec<_> = store.keyring()?.namespaces().keys().copied().collect();
        for left in [0, 1] {
            // One with a key, or none, among many that have lost theirs.
            *store.spares()? = (0..50).map(|n| [n; 16]).chain(known.first().copied()).collect();
            store.spares()?.truncate(50 + left);
            let agent = store.new_agent(&view)?;
            assert!(known.contains(&agent.sealer.context().namespace));
        }
        drop(store);
        assert!(std::fs::remove_dir_all(&folder).is_ok());
        Ok(())
    }
}
