//! New root keys, and the provider that wraps them.
//!
//! The provider first, then `keys.sealed`, then the provider's old key goes, then the commit. What
//! dies in between leaves the provider with a key too many, never one too few.

use super::Store;
use super::rotate::log;
use super::save::check_justification;
use crate::error::{Error, Result};
use crate::keys::{self, Key, Keyring, Provider};
use std::sync::{Arc, MutexGuard};

impl Store {
    /// Moves the store to another provider: a fresh root key, wrapped by it.
    pub fn rewrap(&self, provider: Arc<dyn Provider>, justification: &str) -> Result<()> {
        check_justification(justification)?;
        self.writable_view()?;
        let justification = justification.to_owned();
        let retired = self.write(move |change| {
            let root = fresh_root(&*provider)?;
            let store = change.store;
            let mut keyring = store.newest_keys()?;
            let rewrite = keys::Change { root: Some(root), ..keys::Change::default() };
            keyring.rewrite(&store.folder, rewrite)?;
            *store.provider.lock().map_err(|_| gone())? = Arc::clone(&provider);
            // The store has moved, whether or not the provider gives up its old key.
            let retired = provider.retire(keyring.wrapped_root());
            drop(keyring);
            log(change, "rewrap", &justification)?;
            Ok(retired)
        })?;
        retired.map(drop)
    }

    /// The provider keeps nothing that an interrupted rewrap left behind.
    pub(super) fn settle_provider(&self) -> Result<()> {
        // In a commit, so that no other process replaces the root key meanwhile.
        self.write(|change| {
            let keyring = change.store.newest_keys()?;
            if let Err(failed) = change.store.provider()?.retire(keyring.wrapped_root()) {
                change
                    .store
                    .warn_of_keys(format!("the provider could not give up an old key: {failed}"));
            }
            Ok(())
        })
    }

    /// The keys, with what other processes wrote since. They may be rewritten inside a commit only,
    /// where nobody else does.
    pub(super) fn newest_keys(&self) -> Result<MutexGuard<'_, Keyring>> {
        let mut keyring = self.keyring()?;
        let provider = self.provider()?;
        if keyring.reload(&self.folder, |wrapped| provider.unwrap(wrapped))? {
            self.drop_forgotten(&keyring)?;
        }
        Ok(keyring)
    }

    pub(super) fn provider(&self) -> Result<Arc<dyn Provider>> {
        Ok(Arc::clone(&*self.provider.lock().map_err(|_| gone())?))
    }
}

fn gone() -> Error {
    Error::new("store", "the keys are gone")
}

/// A root key that the provider has wrapped, and opens: one that only seals would lose the store.
pub(super) fn fresh_root(provider: &dyn Provider) -> Result<(Key, Vec<u8>)> {
    let root = Key::random()?;
    let wrapped = provider.wrap(&root)?;
    if provider.unwrap(&wrapped)? == root {
        return Ok((root, wrapped));
    }
    Err(Error::new("keyring", "the key provider does not give back what it sealed"))
}

/// A root key that was wrapped in an earlier commit, if the provider still opens it: another process
/// may have made the provider give up the key that it is wrapped under.
pub(super) fn still_wrapped(
    provider: &dyn Provider,
    prepared: Option<(Key, Vec<u8>)>,
) -> Result<(Key, Vec<u8>)> {
    match prepared {
        Some((root, wrapped)) if provider.unwrap(&wrapped).is_ok_and(|opened| opened == root) => {
            Ok((root, wrapped))
        }
        _ => fresh_root(provider),
    }
}
