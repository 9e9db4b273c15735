//! What an attacker with raw files and today's keys can do about what was forgotten: nothing.

use _core::engine::Engine;
use _core::engine::lmdb::{Lmdb, Sync, Use};
use _core::error::{Error, Result};
use _core::keys::{self, Key, Keyring, Locked, Provider};
use _core::seal::{Committed, NodeId, Place, Scratch, Sealer};
use _core::state::Flat;
use _core::store::{
    Access, AuditReads, Clock, Forks, Limits, Options, Origin, Save, Store, Unseen,
};
use _core::witness::FileWitness;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A provider that replaces its key, in memory.
#[derive(Default)]
struct InMemory(Mutex<Vec<Key>>);

impl InMemory {
    fn keys(&self) -> std::sync::MutexGuard<'_, Vec<Key>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The key that `wrapped` is sealed under, and what it holds.
    fn opened(&self, wrapped: &[u8]) -> Result<(Key, Key)> {
        let open = |kek: &Key| Some((kek.clone(), keys::unwrap(kek, wrapped, b"test").ok()?));
        let opened = self.keys().iter().find_map(open);
        opened.ok_or_else(|| Error::new("wrong-key", "no key of this provider"))
    }
}

impl Provider for InMemory {
    fn wrap(&self, root: &Key) -> Result<Vec<u8>> {
        let kek = Key::random()?;
        let wrapped = keys::wrap(&kek, root, b"test")?;
        self.keys().push(kek);
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Key> {
        self.opened(wrapped).map(|(_, root)| root)
    }

    fn retire(&self, wrapped: &[u8]) -> Result<bool> {
        let (keep, _) = self.opened(wrapped)?;
        *self.keys() = vec![keep];
        Ok(true)
    }
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("dachi-keys-{name}-{}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        assert!(std::fs::remove_dir_all(&self.0).is_ok());
    }
}

fn store(folder: &Path, provider: &Arc<InMemory>) -> Result<Store> {
    let root = Key::random()?;
    let wrapped_root = provider.wrap(&root)?;
    Store::open(Options {
        folder: folder.join("store"),
        id: [7; 16],
        root,
        wrapped_root,
        provider: Arc::<InMemory>::clone(provider),
        witness: Some(Box::new(FileWitness::new(&folder.join("witness")))),
        unseen: Unseen::Warned,
        adopt: None,
        access: Access::Write,
        sync: Sync::Always,
        clock: Clock::default(),
        limits: Limits::default(),
        vectors_bytes: 0,
        audit_reads: AuditReads::Batched,
    })
}

fn save(store: &Store, name: &str) -> Result<()> {
    let mut flat = Flat { blueprint: vec![1; 700], ..Flat::default() };
    for number in 0..200 {
        flat.paths.push(format!("{number:03}").as_bytes());
        flat.values.push(format!("{name} has learned {number}").repeat(40).as_bytes());
    }
    let save = Save { name, justification: "", base: None, origin: Origin::Walk };
    store.save(&save, &flat).map(drop)
}

/// The keys as an attacker who has the provider gets them.
fn unlocked(folder: &Path, provider: &InMemory) -> Result<Keyring> {
    let locked = Locked::read(&folder.join("store"))?;
    let locked = locked.ok_or_else(|| Error::new("missing", "no keys.sealed"))?;
    let root = provider.unwrap(&locked.wrapped_root)?;
    locked.unlock(root)
}

/// How many nodes of a data file open with one of a store's keys, and how many there are.
fn readable(data: &Path, keyring: &Keyring) -> Result<(usize, usize)> {
    let mut sealers: Vec<Sealer> = vec![keyring.store_sealer()];
    for namespace in keyring.namespaces().keys() {
        sealers.push(keyring.sealer(namespace)?);
    }
    let (mut opened, mut all) = (0, 0);
    let mut scratch = Scratch::default();
    Lmdb::open(data, Use::Write(Sync::Always))?.scan(&mut |id: NodeId, sealed: &[u8]| {
        let place = Place { kind: sealed.get(1).copied().unwrap_or_default(), id };
        let mut opens =
            |sealer: &Sealer| sealer.open(&mut scratch, place, Committed::No, sealed).is_ok();
        opened += usize::from(sealers.iter().any(&mut opens));
        all += 1;
        Ok(())
    })?;
    Ok((opened, all))
}

fn holds(folder: &Path, secret: &[u8]) -> Result<bool> {
    let io = |cause: std::io::Error| Error::new("io", cause.to_string());
    for entry in std::fs::read_dir(folder).map_err(io)?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            holds(&path, secret)?
        } else {
            let bytes = std::fs::read(&path).map_err(io)?;
            bytes.windows(secret.len()).any(|window| window == secret)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn old_pages_and_todays_keys_give_nothing_of_what_was_forgotten() -> Result<()> {
    let (folder, provider) = (Folder::new("pages"), Arc::new(InMemory::default()));
    let open = store(&folder.0, &provider)?;
    save(&open, "kept")?;
    let kept = readable_copy(&folder.0, "without", &unlocked(&folder.0, &provider)?)?;
    assert_eq!(kept.0, kept.1);
    save(&open, "secret")?;
    let before = unlocked(&folder.0, &provider)?;
    let all = readable_copy(&folder.0, "with", &before)?;
    assert_eq!(all.0, all.1, "with the keys of that time all is readable");
    open.forget("secret", Forks::Refuse, "")?;
    let after = unlocked(&folder.0, &provider)?;
    let (opened, nodes) = readable(&folder.0.join("with"), &after)?;
    // Of what the second save wrote only the store's own nodes open: names and the ledger.
    assert_eq!(nodes, all.1);
    assert!(nodes - opened > 200, "{opened} of {nodes}");
    assert!(opened < kept.1 + 10, "{opened} of {nodes}");
    Ok(())
}

/// Copies the data file as it is now, and reads the copy.
fn readable_copy(folder: &Path, name: &str, keyring: &Keyring) -> Result<(usize, usize)> {
    let copied = std::fs::create_dir_all(folder.join(name)).and_then(|()| {
        std::fs::copy(folder.join("store/data.mdb"), folder.join(name).join("data.mdb"))
    });
    copied.map_err(|cause| Error::new("io", cause.to_string()))?;
    readable(&folder.join(name), keyring)
}

#[test]
fn no_file_holds_a_key_and_the_forgotten_one_is_nowhere() -> Result<()> {
    let (folder, provider) = (Folder::new("bytes"), Arc::new(InMemory::default()));
    let open = store(&folder.0, &provider)?;
    save(&open, "kept")?;
    save(&open, "secret")?;
    open.rotate("")?;
    let before = unlocked(&folder.0, &provider)?;
    let old_keks = provider.keys().clone();
    let old_wrapped = before.wrapped_root().to_vec();
    open.forget("secret", Forks::Refuse, "")?;
    let after = unlocked(&folder.0, &provider)?;
    let gone: Vec<_> =
        before.namespaces().keys().filter(|id| !after.namespaces().contains_key(*id)).collect();
    assert_eq!((gone.len(), before.namespaces().len() - after.namespaces().len()), (1, 1));
    for namespace in before.namespaces().values().flatten() {
        assert!(!holds(&folder.0, &*namespace.key)?);
    }
    let others =
        [after.store_key.clone()].into_iter().chain(old_keks).chain(provider.keys().clone());
    for key in others {
        assert!(!holds(&folder.0, key.bytes())?);
    }
    assert!(!holds(&folder.0, &old_wrapped)?, "the old wrapped root is still in a file");
    assert_eq!(provider.unwrap(&old_wrapped).map_err(|e| e.slug()).err(), Some("wrong-key"));
    // The search does find what stands in clear.
    assert!(holds(&folder.0, after.wrapped_root())?);
    Ok(())
}
