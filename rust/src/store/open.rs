//! Opening and creating.

use super::compact::COPY_FILE;
use super::head::Head;
use super::queue::Queue;
use super::reads::Unwritten;
use super::rotate::draw_due_ns;
use super::view::View;
use super::{AuditReads, Clock, Limits, Store};
use crate::engine::Engine;
use crate::engine::lmdb::{Checked, DATA_FILE, Lmdb, Sync, check};
use crate::error::{Error, Result};
use crate::keys::{Change, FILE_NAME, Key, Keyring, Locked, Provider, SPARES};
use crate::ledger::{Detail, Frontier, GENESIS};
use crate::seal::{StoreId, hmac, random};
use crate::tree::Map;
use crate::witness::FileWitness;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

const LOCK_FILE: &str = "store.lock";

/// How a store is opened.
pub struct Options {
    /// Its folder.
    pub folder: PathBuf,
    /// For a new store.
    pub id: StoreId,
    /// The root key, unwrapped by the provider.
    pub root: Key,
    /// The same as the provider wrapped it.
    pub wrapped_root: Vec<u8>,
    /// Wrapped it; asked again when the root key is replaced.
    pub provider: Arc<dyn Provider>,
    /// Folder of the witness files; None for no witness.
    pub witness_folder: Option<PathBuf>,
    /// Whether commits reach the disk.
    pub sync: Sync,
    /// Tells the time of commits.
    pub clock: Clock,
    /// Which versions are kept.
    pub limits: Limits,
    /// What becomes of reads.
    pub audit_reads: AuditReads,
}

fn io(path: &Path, what: &str, cause: &std::io::Error) -> Error {
    Error::new("io", format!("cannot {what} {}: {cause}", path.display()))
        .with("path", path.display().to_string())
}

/// What lies at a path, before any key is asked for: the store's locked keys, or None where a store
/// can be made.
pub fn probe(folder: &Path) -> Result<Option<Locked>> {
    let foreign = |what: &str| {
        Err(Error::new("not-a-store", format!("{} {what}", folder.display()))
            .with("path", folder.display().to_string()))
    };
    match std::fs::metadata(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io(folder, "open", &cause)),
        Ok(found) if !found.is_dir() => {
            return foreign("is a file; a store is a folder of its own");
        }
        Ok(_) => {}
    }
    if let Some(locked) = Locked::read(folder)? {
        return Ok(Some(locked));
    }
    if folder.join(DATA_FILE).exists() {
        return Err(Error::new(
            "missing",
            format!(
                "{} has no {FILE_NAME}: without its keys nothing in it can be read; restore that \
                 file from a backup",
                folder.display()
            ),
        ));
    }
    let entries = std::fs::read_dir(folder).map_err(|cause| io(folder, "list", &cause))?;
    let ours = |name: &std::ffi::OsStr| name == LOCK_FILE || name == "keys.sealed.new";
    if entries.flatten().any(|entry| !ours(&entry.file_name())) {
        return foreign("holds other files and no store; choose an empty or new folder");
    }
    Ok(None)
}

/// How `store.lock` is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Nobody else has the store open.
    Alone,
    /// Others may have it open, too.
    Shared,
}

/// Takes `store.lock`: alone if nobody has the store open, else shared, as soon as nobody holds it
/// alone any more.
fn locked(folder: &Path) -> Result<(File, Hold)> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|cause| io(&path, "open", &cause))?;
    match file.try_lock() {
        Ok(()) => Ok((file, Hold::Alone)),
        Err(TryLockError::WouldBlock) => {
            file.lock_shared().map_err(|cause| io(&path, "lock", &cause))?;
            Ok((file, Hold::Shared))
        }
        Err(TryLockError::Error(cause)) => Err(io(&path, "lock", &cause)),
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| io(folder, "create", &cause))
}

fn keys(options: &Options, found: Option<Locked>) -> Result<Keyring> {
    let root = options.root.clone();
    if let Some(found) = found {
        return found.unlock(root);
    }
    let mut keyring = Keyring::create(options.id, root, options.wrapped_root.clone())?;
    keyring.rewrite(&options.folder, Change { spares: SPARES, ..Change::default() })?;
    Ok(keyring)
}

impl Store {
    /// Opens the store at a path, or makes one.
    ///
    /// `locked` when somebody else made it since the caller looked: look again.
    pub fn open(options: Options) -> Result<Self> {
        let folder = options.folder.clone();
        make_folder(&folder)?;
        let (lock, hold) = locked(&folder)?;
        if hold == Hold::Alone {
            // Left by a compaction that did not finish.
            let _ = std::fs::remove_file(folder.join(COPY_FILE));
        }
        // Again under the lock: somebody may have made the store since the caller looked.
        let found = probe(&folder)?;
        if found.as_ref().is_some_and(|found| found.store != options.id)
            || (found.is_none() && hold == Hold::Shared)
        {
            let what = "somebody else made the store meanwhile; open it again";
            return Err(Error::new("locked", what));
        }
        if found.as_ref().is_some_and(|found| found.wrapped_root != options.wrapped_root) {
            let what = "somebody else replaced the root key meanwhile; open it again";
            return Err(Error::new("locked", what));
        }
        let mut keyring = keys(&options, found)?;
        let sealer = keyring.store_sealer();
        let checked = checked(&folder, hold, &keyring)?;
        let engine = Lmdb::open(&folder, options.sync)?;
        let store_key = keyring.store_key.clone();
        let witness = options.witness_folder.map(|folder| {
            let name: String = keyring.store.iter().map(|byte| format!("{byte:02x}")).collect();
            FileWitness::new(&folder.join(name), hmac(store_key.bytes(), &[b"witness"]))
        });
        let sealed = engine.head()?.unwrap_or_default();
        if keyring.created && sealed.is_empty() {
            return Err(gone(&folder));
        }
        let head = if sealed.is_empty() {
            first_head(&keyring, options.clock.now_ns()?)?
        } else {
            // Read again: the head may be of a commit after the keys were.
            keyring.reload(&folder, |wrapped| options.provider.unwrap(wrapped))?;
            Head::open(&sealed, &sealer)?
        };
        let interrupted = check_keys(&head, &keyring)?;
        let is_new = sealed.is_empty();
        let view = View { foreign: head.commit, head, sealed };
        let store = Store {
            folder,
            process: std::process::id(),
            engine,
            store_key,
            sealer,
            keyring: Mutex::new(keyring),
            provider: Mutex::new(options.provider),
            clock: options.clock,
            warnings: Mutex::default(),
            witness,
            view: RwLock::new(Arc::new(view)),
            agents: Mutex::default(),
            spares: Mutex::default(),
            proved: Mutex::default(),
            queue: Queue::default(),
            limits: options.limits,
            audit_reads: options.audit_reads,
            unwritten: Mutex::new(Unwritten::default()),
            failed: AtomicBool::new(false),
            _lock: lock,
        };
        store.view()?;
        if checked.doubtful {
            store.check_newest()?;
        }
        if is_new {
            store.write(|change| {
                let sealer = &change.store.sealer;
                change.log("create", &Detail::default(), sealer)
            })?;
        } else if !store.finish_forgetting()? && interrupted {
            store.settle_provider()?;
        }
        if hold == Hold::Alone {
            store.mark_created()?;
            let shared = store._lock.lock_shared();
            shared.map_err(|cause| io(&store.folder.join(LOCK_FILE), "lock", &cause))?;
        }
        Ok(store)
    }

    /// From now on data that is not there is gone, and not a creation that was cut short.
    fn mark_created(&self) -> Result<()> {
        let mut keyring = self.keyring()?;
        if keyring.created {
            return Ok(());
        }
        keyring.rewrite(&self.folder, Change { created: true, ..Change::default() })
    }
}

/// Checks the data file, unless others have it open: they did, and may be writing.
fn checked(folder: &Path, hold: Hold, keyring: &Keyring) -> Result<Checked> {
    if hold == Hold::Shared {
        return Ok(Checked::default());
    }
    let checked = check(folder)?;
    if keyring.created && checked.transaction == 0 {
        return Err(gone(folder));
    }
    Ok(checked)
}

fn gone(folder: &Path) -> Error {
    let what = format!(
        "{} has keys and held data, but {DATA_FILE} is gone or empty: restore it from a backup, or \
         choose another folder for a new store",
        folder.display()
    );
    Error::new("missing", what).with("path", folder.display().to_string())
}

fn first_head(keyring: &Keyring, now_ns: u64) -> Result<Head> {
    Ok(Head {
        commit: 0,
        lineage: random()?,
        created_ns: now_ns,
        last_id: 0,
        key_generation: keyring.generation,
        key_hash: keyring.hash,
        rotated_ns: now_ns,
        rotation_due_ns: draw_due_ns(now_ns)?,
        sealed: 0,
        chain: GENESIS,
        frontier: Frontier::default(),
        doomed: Vec::new(),
        swept: 0,
        top: Map::default(),
    })
}

/// A key file may be ahead of the head (a crash after it was written; true), never behind it.
pub(super) fn check_keys(head: &Head, keyring: &Keyring) -> Result<bool> {
    let same = keyring.generation == head.key_generation && keyring.hash == head.key_hash;
    if same || keyring.generation > head.key_generation {
        return Ok(!same);
    }
    Err(Error::new("rolled-back", "keys.sealed is older than the store, or not the one it names")
        .with("generation", keyring.generation)
        .with("expected", head.key_generation))
}
