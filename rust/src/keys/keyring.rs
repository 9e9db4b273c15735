//! `keys.sealed`: every key of a store, sealed under the root key.
//!
//! Layout: `dachi_fast keys\n` (16 bytes), format u32, store id (16), generation u64, wrapped root
//! (varint length, bytes; opaque, the provider's), then to the end an envelope of kind
//! `KEY_FILE` with a key commitment. Its body: store key (32), varint count of epochs, each u32 and
//! key; varint count of namespaces, each id (16), u32 generation and key; one byte: 1 once the
//! store's first commit is on disk. Namespaces that no record of the store names are spares.
//!
//! It is replaced whole: written beside, synced, renamed, folder synced. A key is in this file on
//! disk before the first commit that uses it.

use super::Key;
use crate::error::{Error, Result};
use crate::seal::{Committed, Context, NodeId, Place, Scratch, Sealer, StoreId, kind, random};
use crate::wire::{Put, Take};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's name in the store's folder.
pub const FILE_NAME: &str = "keys.sealed";
/// Namespace keys made ahead, so that a new agent does not rewrite the file.
pub const SPARES: usize = 256;
/// Written by newer versions otherwise.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 16] = b"dachi_fast keys\n";
const SALT: &[u8; 32] = b"dachi_fast keys under their root";

/// A namespace's key: destroying it forgets the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Random, and all that the store calls it by.
    pub id: [u8; 16],
    /// Rises when single entries are purged.
    pub generation: u32,
    /// The key.
    pub key: Key,
}

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
    epochs: Vec<(u32, Key)>,
    namespaces: Vec<Namespace>,
    root: Key,
    wrapped_root: Vec<u8>,
}

fn io(path: &Path, what: &str, cause: &std::io::Error) -> Error {
    let slug = match cause.kind() {
        std::io::ErrorKind::StorageFull => "full",
        std::io::ErrorKind::PermissionDenied => "key-access",
        _ => "io",
    };
    Error::new(slug, format!("cannot {what} {}: {cause}", path.display()))
}

impl Locked {
    /// Reads the file in `folder`; None if there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        match std::fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(io(&path, "read", &cause)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
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
        let mut epochs = Vec::new();
        for _ in 0..take.count()? {
            epochs.push((take.u32()?, Key::new(take.array()?)));
        }
        let mut namespaces = Vec::new();
        for _ in 0..take.count()? {
            let (id, generation) = (take.array()?, take.u32()?);
            namespaces.push(Namespace { id, generation, key: Key::new(take.array()?) });
        }
        let created = take.u8()? == 1;
        take.done()?;
        Ok(Keyring {
            store: self.store,
            generation: self.generation,
            hash: self.hash,
            store_key,
            created,
            epochs,
            namespaces,
            root,
            wrapped_root: self.wrapped_root,
        })
    }
}

fn sealer(store: StoreId, root: &Key) -> Sealer {
    Sealer::new(Context { store, namespace: [0; 16], epoch: 0 }, SALT, root.bytes())
}

fn place(generation: u64) -> Place {
    let mut id = [0u8; 16];
    id.iter_mut().zip(generation.to_be_bytes()).for_each(|(to, from)| *to = from);
    Place { kind: kind::KEY_FILE, id: NodeId(id) }
}

impl Keyring {
    /// Keys for a new store, not yet on disk.
    pub fn create(store: StoreId, root: Key, wrapped_root: Vec<u8>) -> Result<Self> {
        Ok(Keyring {
            store,
            generation: 0,
            hash: [0; 32],
            store_key: Key::random()?,
            created: false,
            epochs: vec![(1, Key::random()?)],
            namespaces: Vec::new(),
            root,
            wrapped_root,
        })
    }

    /// The keys of a newer file of the same root.
    pub fn reopened(&self, newer: Locked) -> Result<Self> {
        if newer.wrapped_root != self.wrapped_root {
            let what = "the store's keys were put under another root meanwhile; open it again";
            return Err(Error::new("keyring", what));
        }
        newer.unlock(self.root.clone())
    }

    /// Makes `count` spare namespaces; [`Keyring::write`] must follow.
    pub fn add_spares(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.namespaces.push(Namespace { id: random()?, generation: 1, key: Key::random()? });
        }
        Ok(())
    }

    /// All namespaces, spares included.
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// The epoch that new nodes are sealed under.
    pub fn epoch(&self) -> u32 {
        self.epochs.last().map_or(0, |(epoch, _)| *epoch)
    }

    fn epoch_key(&self, epoch: u32) -> Result<&Key> {
        let found = self.epochs.iter().find(|(number, _)| *number == epoch);
        found.map(|(_, key)| key).ok_or_else(|| {
            Error::new("keyring", "a node is sealed under an epoch whose key is gone")
                .with("epoch", u64::from(epoch))
        })
    }

    /// Seals the store's own nodes.
    pub fn store_sealer(&self) -> Result<Sealer> {
        let context = Context { store: self.store, namespace: [0; 16], epoch: self.epoch() };
        Ok(Sealer::new(context, self.epoch_key(context.epoch)?.bytes(), self.store_key.bytes()))
    }

    /// Seals a namespace's nodes; `missing` when its key was destroyed.
    pub fn sealer(&self, namespace: &[u8; 16]) -> Result<Sealer> {
        let found = self.namespaces.iter().find(|known| known.id == *namespace);
        let found = found.ok_or_else(|| {
            Error::new("keyring", "the key of this namespace is gone: it was forgotten")
        })?;
        let context = Context { store: self.store, namespace: *namespace, epoch: self.epoch() };
        Ok(Sealer::new(context, self.epoch_key(context.epoch)?.bytes(), found.key.bytes()))
    }

    /// Writes the next generation of the file and syncs it; returned means on disk.
    pub fn write(&mut self, folder: &Path) -> Result<()> {
        let generation = self.generation + 1;
        let bytes = self.serialized(generation)?;
        let (path, beside) = (folder.join(FILE_NAME), folder.join("keys.sealed.new"));
        replace(&path, &beside, &bytes).map_err(|cause| io(&path, "write", &cause))?;
        self.generation = generation;
        self.hash = *blake3::hash(&bytes).as_bytes();
        Ok(())
    }

    fn serialized(&self, generation: u64) -> Result<Vec<u8>> {
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(64 + self.namespaces.len() * 52));
        body.extend_from_slice(self.store_key.bytes());
        body.put_varint(self.epochs.len() as u64);
        for (epoch, key) in &self.epochs {
            body.put_u32(*epoch);
            body.extend_from_slice(key.bytes());
        }
        body.put_varint(self.namespaces.len() as u64);
        for namespace in &self.namespaces {
            body.extend_from_slice(&namespace.id);
            body.put_u32(namespace.generation);
            body.extend_from_slice(namespace.key.bytes());
        }
        body.put_u8(u8::from(self.created));
        let mut out = MAGIC.to_vec();
        out.put_u32(FORMAT);
        out.extend_from_slice(&self.store);
        out.put_u64(generation);
        out.put_bytes(&self.wrapped_root);
        let mut scratch = Scratch::default();
        let sealer = sealer(self.store, &self.root);
        sealer.seal(&mut scratch, place(generation), Committed::Yes, &body, &mut out)?;
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

    #[test]
    fn a_key_file_opens_with_its_root_only() {
        let folder = std::env::temp_dir().join(format!("dachi-keyring-{}", std::process::id()));
        assert!(std::fs::create_dir_all(&folder).is_ok());
        let root = Key::new([5; 32]);
        let mut made = Keyring::create([1; 16], root.clone(), vec![9; 3]);
        let keyring = made.as_mut();
        assert!(keyring.is_ok_and(|k| k.add_spares(3).is_ok() && k.write(&folder).is_ok()));
        let locked = Locked::read(&folder).ok().flatten();
        let reopened = locked.clone().and_then(|locked| locked.unlock(root).ok());
        assert_eq!(reopened.as_ref().map(|k| k.namespaces().len()), Some(3));
        assert_eq!(reopened.map(|k| k.hash), made.ok().map(|k| k.hash));
        let refused = locked.map(|locked| locked.unlock(Key::new([6; 32])).map_err(|e| e.slug()));
        assert!(matches!(refused, Some(Err("wrong-key"))));
        assert!(std::fs::remove_dir_all(&folder).is_ok());
    }
}
