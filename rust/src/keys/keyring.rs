//! `keys.sealed`: every key of a store, sealed under the root key.
//!
//! Layout: `dachi_fast keys\n` (16 bytes), format u32, store id (16), generation u64, wrapped root
//! (varint length, bytes; opaque, the provider's), then to the end an envelope of kind
//! `KEY_FILE` with a key commitment. Its body: store key (32), seed of the ledger's signing key
//! (32), varint count of epochs, each u32 and key; varint count of keys of namespaces, each id (16),
//! u32 of the first epoch that it is for, and key, ascending; one byte: 1 once the store's first
//! commit is on disk. Namespaces that no record of the store names are spares; one with several keys
//! is being purged.
//!
//! It is replaced whole: written beside, synced, renamed, folder synced. A key is in this file on
//! disk before the first commit that uses it.

use super::Key;
use crate::error::{Error, Result};
use crate::seal::{
    Committed, Context, Epoch, Epochs, Generation, Generations, NodeId, Place, Scratch, Sealer,
    StoreId, kind, random,
};
use crate::wire::{Put, Take};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name in the store's folder.
pub const FILE_NAME: &str = "keys.sealed";
/// At least so many namespace keys are made ahead, so that a new agent does not rewrite the file.
pub const SPARES: usize = 256;
/// Written by newer versions otherwise.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 16] = b"dachi_fast keys\n";
const SALT: &[u8; 32] = b"dachi_fast keys under their root";

/// What is readable of the file without the root key.
#[derive(Debug, Clone)]
pub struct Locked {
    /// The store it belongs to.
    pub store: StoreId,
    /// Rises with each rewrite.
    pub generation: u64,
    /// The root key as the provider wrapped it.
    pub wrapped_root: Vec<u8>,
    envelope: Vec<u8>,
    hash: [u8; 32],
}

/// All keys of a store.
#[derive(Debug)]
pub struct Keyring {
    /// The store.
    pub store: StoreId,
    /// Rises with each rewrite.
    pub generation: u64,
    /// BLAKE3 of the file as it lies on disk; the head holds it.
    pub hash: [u8; 32],
    /// Seals the head and the top map.
    pub store_key: Key,
    /// Whether the store's first commit is on disk: from then on its data must be there.
    pub created: bool,
    /// Seed of the Ed25519 key that signs the ledger's checkpoints.
    pub signing_seed: Key,
    epochs: Arc<Epochs>,
    /// By id, which is random and all that the store calls a namespace by.
    namespaces: Arc<Generations>,
    root: Key,
    wrapped_root: Vec<u8>,
}

/// What a rewrite of the file changes.
#[derive(Default)]
pub struct Change {
    /// Say that the store's first commit is on disk.
    pub created: bool,
    /// Whether a new epoch begins.
    pub new_epoch: bool,
    /// How many namespaces are added.
    pub spares: usize,
    /// Namespaces whose keys are destroyed.
    pub forgotten: Vec<[u8; 16]>,
    /// Namespaces that get a further key, for the newest epoch and all later ones.
    pub renewed: Vec<[u8; 16]>,
    /// Namespaces with an epoch: the keys that only earlier ones need are destroyed.
    pub outlived: Vec<([u8; 16], u32)>,
    /// A root key in the old one's place, with what the provider made of it.
    pub root: Option<(Key, Vec<u8>)>,
}

fn io(path: &Path, what: &str, cause: &std::io::Error) -> Error {
    let slug = match cause.kind() {
        std::io::ErrorKind::StorageFull => "full",
        std::io::ErrorKind::PermissionDenied => "key-access",
        _ => "io",
    };
    Error::new(slug, format!("cannot {what} {}: {cause}", path.display()))
}

/// How many bytes the file in `folder` has.
pub fn size_bytes(folder: &Path) -> Result<u64> {
    let path = folder.join(FILE_NAME);
    let found = std::fs::metadata(&path).map_err(|cause| io(&path, "read", &cause))?;
    Ok(found.len())
}

/// The bytes of the file in `folder`; None if there is none.
pub fn read(folder: &Path) -> Result<Option<Vec<u8>>> {
    let path = folder.join(FILE_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(io(&path, "read", &cause)),
    }
}

/// Puts these bytes in the place of the file in `folder`; returned means on disk.
pub fn write(folder: &Path, bytes: &[u8]) -> Result<()> {
    let (path, beside) = (folder.join(FILE_NAME), folder.join("keys.sealed.new"));
    replace(&path, &beside, bytes).map_err(|cause| io(&path, "write", &cause))
}

impl Locked {
    /// Reads the file in `folder`; None if there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read(folder)?.map(|bytes| Self::parse(&bytes)).transpose()
    }

    /// BLAKE3 of the file.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Takes the bytes of such a file apart.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut take = Take::new(bytes);
        if take.array::<16>()? != *MAGIC {
            return Err(Error::new("not-a-store", "keys.sealed does not begin as a key file"));
        }
        let format = take.u32()?;
        if format > FORMAT {
            return Err(Error::new(
                "format-too-new",
                "the store's keys were written by a newer dachi_fast; upgrade the package",
            )
            .with("format", u64::from(format)));
        }
        if format == 0 {
            return Err(Error::new("malformed", "keys.sealed has no format"));
        }
        Ok(Locked {
            store: take.array()?,
            generation: take.u64()?,
            wrapped_root: take.bytes()?.to_vec(),
            envelope: take.rest().to_vec(),
            hash: *blake3::hash(bytes).as_bytes(),
        })
    }

    /// Opens it with the root key that the provider unwrapped.
    pub fn unlock(self, root: Key) -> Result<Keyring> {
        let place = place(self.generation);
        let body = sealer(self.store, &root).open(
            &mut Scratch::default(),
            place,
            Committed::Yes,
            &self.envelope,
        )?;
        let body = zeroize::Zeroizing::new(body);
        let mut take = Take::new(&body);
        let store_key = Key::new(take.array()?);
        let signing_seed = Key::new(take.array()?);
        let mut epochs = Vec::new();
        for _ in 0..take.count()? {
            let (number, key) = (take.u32()?, zeroize::Zeroizing::new(take.array()?));
            epochs.push(Epoch { number, key });
        }
        let mut namespaces = Generations::new();
        for _ in 0..take.count()? {
            let generations = namespaces.entry(take.array()?).or_default();
            let (since, key) = (take.u32()?, zeroize::Zeroizing::new(take.array()?));
            generations.push(Generation { since, key });
        }
        let created = take.flag()?;
        take.done()?;
        let (published, namespaces) = (Epochs::new(Vec::new()), Arc::new(namespaces));
        published.publish(epochs, Arc::clone(&namespaces));
        Ok(Keyring {
            store: self.store,
            generation: self.generation,
            hash: self.hash,
            store_key,
            created,
            signing_seed,
            epochs: Arc::new(published),
            namespaces,
            root,
            wrapped_root: self.wrapped_root,
        })
    }
}

fn sealer(store: StoreId, root: &Key) -> Sealer {
    Sealer::new(Context { store, namespace: [0; 16] }, Arc::new(Epochs::fixed(SALT)), root.bytes())
}

fn place(generation: u64) -> Place {
    let mut id = [0u8; 16];
    id.iter_mut().zip(generation.to_be_bytes()).for_each(|(to, from)| *to = from);
    Place { kind: kind::KEY_FILE, id: NodeId(id) }
}

impl Keyring {
    /// Keys for a new store, not yet on disk.
    pub fn create(store: StoreId, root: Key, wrapped_root: Vec<u8>) -> Result<Self> {
        let first = Epoch { number: 1, key: random()?.into() };
        Ok(Keyring {
            store,
            generation: 0,
            hash: [0; 32],
            store_key: Key::random()?,
            created: false,
            signing_seed: Key::random()?,
            epochs: Arc::new(Epochs::new(vec![first])),
            namespaces: Arc::default(),
            root,
            wrapped_root,
        })
    }

    /// The keys of all namespaces, spares included, by id.
    pub fn namespaces(&self) -> &Generations {
        &self.namespaces
    }

    /// Namespaces that have keys which are to be destroyed, with the first epoch of the newest one.
    pub fn renewed(&self) -> Vec<([u8; 16], u32)> {
        let newest = |generations: &Vec<Generation>| match generations.as_slice() {
            [_, .., newest] => Some(newest.since),
            _ => None,
        };
        self.namespaces.iter().filter_map(|(id, all)| Some((*id, newest(all)?))).collect()
    }

    /// The root key as the provider wrapped it.
    pub fn wrapped_root(&self) -> &[u8] {
        &self.wrapped_root
    }

    /// Seals the store's own nodes.
    pub fn store_sealer(&self) -> Sealer {
        let context = Context { store: self.store, namespace: [0; 16] };
        Sealer::new(context, Arc::clone(&self.epochs), self.store_key.bytes())
    }

    /// Seals a namespace's nodes; `keyring` when its key was destroyed.
    pub fn sealer(&self, namespace: &[u8; 16]) -> Result<Sealer> {
        let found = self.namespaces.get(namespace).and_then(|generations| generations.last());
        let found = found.ok_or_else(|| {
            Error::new("keyring", "the key of this namespace is gone: it was forgotten")
        })?;
        let context = Context { store: self.store, namespace: *namespace };
        Ok(Sealer::new(context, Arc::clone(&self.epochs), &found.key))
    }

    /// Writes the next generation of the file; returned means on disk, and only then are new keys
    /// given out. The keys must be the newest ([`Keyring::reload`]) and nobody else may write.
    pub fn rewrite(&mut self, folder: &Path, change: Change) -> Result<()> {
        let generation = self.generation + 1;
        let mut epochs = self.epochs.all();
        if change.new_epoch {
            epochs.push(Epoch { number: self.epochs.newest() + 1, key: random()?.into() });
        }
        let newest = epochs.last().map_or(0, |epoch| epoch.number);
        let namespaces = self.changed(&change, newest)?;
        let (root, wrapped_root) =
            change.root.unwrap_or_else(|| (self.root.clone(), self.wrapped_root.clone()));
        let written = Keyring {
            generation,
            epochs: Arc::new(Epochs::new(epochs)),
            namespaces: Arc::new(namespaces),
            root,
            wrapped_root,
            store_key: self.store_key.clone(),
            signing_seed: self.signing_seed.clone(),
            created: self.created || change.created,
            ..*self
        };
        let bytes = written.serialized()?;
        write(folder, &bytes)?;
        self.take_over(Keyring { hash: *blake3::hash(&bytes).as_bytes(), ..written });
        Ok(())
    }

    /// The keys of namespaces behind a change; `newest` is the number of the newest epoch then.
    fn changed(&self, change: &Change, newest: u32) -> Result<Generations> {
        let mut namespaces = Generations::clone(&self.namespaces);
        namespaces.retain(|id, _| !change.forgotten.contains(id));
        for id in &change.renewed {
            let generations = namespaces.entry(*id).or_default();
            generations.push(Generation { since: newest, key: random()?.into() });
        }
        for (id, epoch) in &change.outlived {
            let generations = namespaces.entry(*id).or_default();
            let earlier =
                generations.iter().filter(|generation| generation.since <= *epoch).count();
            generations.drain(..earlier.saturating_sub(1));
        }
        for _ in 0..change.spares {
            namespaces.insert(random()?, vec![Generation { since: 1, key: random()?.into() }]);
        }
        Ok(namespaces)
    }

    /// Takes over what another process wrote since; `unwrap` is asked when the root key changed.
    /// False if nothing was written.
    pub fn reload(&mut self, folder: &Path, unwrap: impl Fn(&[u8]) -> Result<Key>) -> Result<bool> {
        let read = || {
            Locked::read(folder)?.ok_or_else(|| {
                let what = "keys.sealed is gone; restore it from a backup before anything else";
                Error::new("missing", what)
            })
        };
        let mut found = read()?;
        while found.hash != self.hash {
            let hash = found.hash;
            match self.adopt(found, &unwrap) {
                Ok(()) => return Ok(true),
                // The provider may have given up its key between the two reads: look again.
                Err(failed) => {
                    found = read()?;
                    if found.hash == hash {
                        return Err(failed);
                    }
                }
            }
        }
        Ok(false)
    }

    fn adopt(&mut self, found: Locked, unwrap: impl Fn(&[u8]) -> Result<Key>) -> Result<()> {
        if found.store != self.store {
            let what = "keys.sealed was replaced by another store's while this one was open";
            return Err(Error::new("wrong-context", what));
        }
        if found.generation <= self.generation {
            let what = "keys.sealed was replaced by an older one while the store was open";
            return Err(Error::new("rolled-back", what)
                .with("generation", found.generation)
                .with("expected", self.generation));
        }
        let same_root = found.wrapped_root == self.wrapped_root;
        let root = if same_root { self.root.clone() } else { unwrap(&found.wrapped_root)? };
        self.take_over(found.unlock(root)?);
        Ok(())
    }

    /// Becomes `other`, whose epochs all sealers then follow.
    fn take_over(&mut self, other: Keyring) {
        self.epochs.publish(other.epochs.all(), Arc::clone(&other.namespaces));
        *self = Keyring { epochs: Arc::clone(&self.epochs), ..other };
    }

    fn serialized(&self) -> Result<Vec<u8>> {
        let mut body =
            zeroize::Zeroizing::new(Vec::with_capacity(128 + self.namespaces.len() * 52));
        body.extend_from_slice(self.store_key.bytes());
        body.extend_from_slice(self.signing_seed.bytes());
        let epochs = self.epochs.all();
        body.put_varint(epochs.len() as u64);
        for epoch in &epochs {
            body.put_u32(epoch.number);
            body.extend_from_slice(&*epoch.key);
        }
        body.put_varint(self.namespaces.values().map(Vec::len).sum::<usize>() as u64);
        for (id, generations) in &*self.namespaces {
            for generation in generations {
                body.extend_from_slice(id);
                body.put_u32(generation.since);
                body.extend_from_slice(&*generation.key);
            }
        }
        body.put_u8(u8::from(self.created));
        let mut out = MAGIC.to_vec();
        out.put_u32(FORMAT);
        out.extend_from_slice(&self.store);
        out.put_u64(self.generation);
        out.put_bytes(&self.wrapped_root);
        let mut scratch = Scratch::default();
        let sealer = sealer(self.store, &self.root);
        sealer.seal(&mut scratch, place(self.generation), Committed::Yes, &body, &mut out)?;
        Ok(out)
    }
}

fn replace(path: &Path, beside: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("dachi-keyring-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            assert!(std::fs::create_dir_all(&folder).is_ok());
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            assert!(std::fs::remove_dir_all(&self.0).is_ok());
        }
    }

    const ROOT: [u8; 32] = [5; 32];

    fn made(folder: &Folder) -> Result<Keyring> {
        let mut keyring = Keyring::create([1; 16], Key::new(ROOT), vec![9; 3])?;
        keyring.rewrite(&folder.0, Change { spares: 3, ..Change::default() })?;
        Ok(keyring)
    }

    fn opened(folder: &Folder, root: [u8; 32]) -> Result<Keyring> {
        let locked = Locked::read(&folder.0)?;
        locked.ok_or_else(|| Error::new("missing", "no file"))?.unlock(Key::new(root))
    }

    fn never(_: &[u8]) -> Result<Key> {
        Err(Error::new("store", "asked the provider in vain"))
    }

    #[test]
    fn a_key_file_opens_with_its_root_only() -> Result<()> {
        let folder = Folder::new("root");
        let made = made(&folder)?;
        let reopened = opened(&folder, ROOT)?;
        assert_eq!(reopened.namespaces(), made.namespaces());
        assert_eq!((reopened.hash, reopened.namespaces().len()), (made.hash, 3));
        assert_eq!(opened(&folder, [6; 32]).map_err(|e| e.slug()).err(), Some("wrong-key"));
        Ok(())
    }

    #[test]
    fn a_rewrite_that_fails_gives_out_no_key() -> Result<()> {
        let folder = Folder::new("fails");
        let mut keyring = made(&folder)?;
        let before = (keyring.generation, keyring.hash, keyring.epochs.newest());
        let nowhere = folder.0.join("nowhere");
        let change = Change { spares: 5, new_epoch: true, ..Change::default() };
        assert_eq!(keyring.rewrite(&nowhere, change).map_err(|e| e.slug()), Err("io"));
        assert_eq!((keyring.generation, keyring.hash, keyring.epochs.newest()), before);
        assert_eq!(keyring.namespaces().len(), 3);
        Ok(())
    }

    #[test]
    fn what_was_destroyed_is_in_no_later_file() -> Result<()> {
        let folder = Folder::new("destroyed");
        let mut keyring = made(&folder)?;
        let gone = keyring.namespaces().keys().next().copied().unwrap_or_default();
        let root = Some((Key::new([7; 32]), vec![8; 3]));
        let change = Change { forgotten: vec![gone], root, ..Change::default() };
        keyring.rewrite(&folder.0, change)?;
        assert_eq!(keyring.sealer(&gone).map_err(|e| e.slug()).err(), Some("keyring"));
        assert_eq!(opened(&folder, ROOT).map_err(|e| e.slug()).err(), Some("wrong-key"));
        let reopened = opened(&folder, [7; 32])?;
        assert_eq!(reopened.namespaces(), keyring.namespaces());
        assert_eq!((reopened.wrapped_root(), reopened.namespaces().len()), (&[8u8; 3][..], 2));
        Ok(())
    }

    #[test]
    fn sealers_follow_what_another_process_wrote() -> Result<()> {
        let folder = Folder::new("reload");
        let mut ours = made(&folder)?;
        let mut theirs = opened(&folder, ROOT)?;
        let sealer = ours.store_sealer();
        assert!(!ours.reload(&folder.0, never)?);
        theirs.rewrite(&folder.0, Change { new_epoch: true, spares: 1, ..Change::default() })?;
        let place = Place { kind: kind::LEAF, id: NodeId([9; 16]) };
        let (mut scratch, mut sealed) = (Scratch::default(), Vec::new());
        theirs.store_sealer().seal(&mut scratch, place, Committed::No, b"new", &mut sealed)?;
        let open = |scratch: &mut Scratch| sealer.open(scratch, place, Committed::No, &sealed);
        assert_eq!(open(&mut scratch).map_err(|e| e.slug()).err(), Some("wrong-context"));
        assert!(ours.reload(&folder.0, never)?);
        assert_eq!(open(&mut scratch)?, b"new");
        assert_eq!(ours.namespaces(), theirs.namespaces());
        let root = Some((Key::new([7; 32]), vec![8; 3]));
        theirs.rewrite(&folder.0, Change { root, ..Change::default() })?;
        assert_eq!(ours.reload(&folder.0, never).map_err(|e| e.slug()), Err("store"));
        assert!(ours.reload(&folder.0, |wrapped| Ok(Key::new([wrapped.len() as u8 + 4; 32])))?);
        Ok(())
    }

    #[test]
    fn an_older_file_or_another_stores_is_not_taken_over() -> Result<()> {
        let (folder, other) = (Folder::new("older"), Folder::new("other"));
        let mut keyring = made(&folder)?;
        let path = folder.0.join(FILE_NAME);
        let old = std::fs::read(&path).unwrap_or_default();
        keyring.rewrite(&folder.0, Change { new_epoch: true, ..Change::default() })?;
        assert!(std::fs::write(&path, old).is_ok());
        assert_eq!(keyring.reload(&folder.0, never).map_err(|e| e.slug()), Err("rolled-back"));
        let mut foreign = Keyring::create([2; 16], Key::new(ROOT), vec![9; 3])?;
        (0..5).try_for_each(|_| foreign.rewrite(&other.0, Change::default()))?;
        assert!(std::fs::copy(other.0.join(FILE_NAME), &path).is_ok());
        assert_eq!(keyring.reload(&folder.0, never).map_err(|e| e.slug()), Err("wrong-context"));
        assert!(std::fs::remove_file(&path).is_ok());
        assert_eq!(keyring.reload(&folder.0, never).map_err(|e| e.slug()), Err("missing"));
        Ok(())
    }
}
