//! Opening and creating.

use super::backlog::Backlog;
use super::ballast;
use super::compact::COPY_FILE;
use super::head::Head;
use super::queue::Queue;
use super::reads::Unwritten;
use super::reseal::Turns;
use super::rotate::draw_due_ns;
use super::sets::Sets;
use super::view::View;
use super::watch::{Unseen, Watch};
use super::{AuditReads, Clock, Limits, Store};
use crate::engine::Engine;
use crate::engine::lmdb::{Checked, DATA_FILE, Lmdb, Sync, Use, check};
use crate::error::{Error, Result};
use crate::keys::{Change, FILE_NAME, Key, Keyring, Locked, Provider, SPARES};
use crate::ledger::{Detail, Frontier, GENESIS};
use crate::seal::{StoreId, random};
use crate::tree::Map;
use crate::witness::Witness;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

const LOCK_FILE: &str = "store.lock";

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing; it is made if it is not there.
    Write,
    /// Reading: no file is written but LMDB's table of readers, where there is one.
    Read,
}

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
    /// Remembers the newest commit outside the store; None for no witness.
    pub witness: Option<Box<dyn Witness>>,
    /// What happens when the witness knows nothing of a store with commits.
    pub unseen: Unseen,
    /// Why the store, a copy or a backup, is to be the one in use; None if it is that already.
    pub adopt: Option<String>,
    /// What it is opened for.
    pub access: Access,
    /// Whether commits reach the disk.
    pub sync: Sync,
    /// Tells the time of commits.
    pub clock: Clock,
    /// Which versions are kept.
    pub limits: Limits,
    /// How much memory vectors may take that were searched.
    pub vectors_bytes: usize,
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
fn locked(folder: &Path, access: Access) -> Result<(File, Hold)> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.read(true);
    if access == Access::Write {
        options.write(true).create(true).truncate(false).mode(0o600);
    }
    let file = options.open(&path).map_err(|cause| io(&path, "open", &cause))?;
    match file.try_lock() {
        Ok(()) => Ok((file, Hold::Alone)),
        Err(TryLockError::WouldBlock) => {
            file.lock_shared().map_err(|cause| io(&path, "lock", &cause))?;
            Ok((file, Hold::Shared))
        }
        Err(TryLockError::Error(cause)) => Err(io(&path, "lock", &cause)),
    }
}

/// Holds the data file itself, where no reader can register: then nobody may write. Whoever holds
/// `store.lock` keeps such readers out, and they keep out who would be the first to hold it.
fn held_unregistered(folder: &Path) -> Result<File> {
    let path = folder.join(DATA_FILE);
    let file = File::open(&path).map_err(|cause| io(&path, "open", &cause))?;
    file.lock_shared().map_err(|cause| io(&path, "lock", &cause))?;
    let lock = folder.join(LOCK_FILE);
    match File::open(&lock) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(file),
        Err(cause) => Err(io(&lock, "open", &cause)),
        Ok(lock) if lock.try_lock().is_ok() => Ok(file),
        Ok(_) => {
            let what = "somebody has the store open, and cannot be told of readers in a folder \
                        that cannot be written; read it where it can be, or read a copy";
            Err(Error::new("locked", what))
        }
    }
}

/// An error while somebody reads without being registered.
fn check_no_unregistered(folder: &Path) -> Result<()> {
    let Ok(file) = File::open(folder.join(DATA_FILE)) else { return Ok(()) };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let what = "somebody reads the store where it cannot be written, and would not be \
                        safe from changes; close it there first";
            Err(Error::new("locked", what))
        }
        _ => Ok(()),
    }
}

/// What keeps a store open: how, and for which use.
fn held(options: &Options) -> Result<(File, Hold, Use)> {
    let folder = &options.folder;
    if options.access == Access::Read {
        if probe(folder)?.is_none() {
            let what = format!("there is no store in {}, and none was made", folder.display());
            return Err(Error::new("not-a-store", what));
        }
        if !Lmdb::has_readers_table(folder) || !folder.join(LOCK_FILE).exists() {
            return Ok((held_unregistered(folder)?, Hold::Shared, Use::ReadUnregistered));
        }
    } else {
        make_folder(folder)?;
    }
    let (lock, hold) = locked(folder, options.access)?;
    if hold == Hold::Alone {
        check_no_unregistered(folder)?;
        if options.access == Access::Write {
            // Left by a compaction that did not finish.
            let _ = std::fs::remove_file(folder.join(COPY_FILE));
        }
    }
    let used = match options.access {
        Access::Write => Use::Write(options.sync),
        Access::Read => Use::Read,
    };
    Ok((lock, hold, used))
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
    pub fn open(mut options: Options) -> Result<Self> {
        let (lock, hold, used) = held(&options)?;
        // Again under the lock: somebody may have made the store since the caller looked.
        let found = probe(&options.folder)?;
        check_found(&options, hold, found.as_ref())?;
        let keyring = keys(&options, found)?;
        // Others who have it open checked it, and may be writing.
        let checked = match hold == Hold::Alone || used == Use::ReadUnregistered {
            true => checked(&options.folder, &keyring)?,
            false => Checked::default(),
        };
        let watch = Watch::new(options.witness.take(), options.unseen, &keyring);
        let engine = Lmdb::open(&options.folder, used)?;
        let adopt = options.adopt.take();
        let (mut store, interrupted) = Store::over(engine, keyring, watch, options, lock)?;
        match adopt {
            Some(justification) => store.adopt(&justification)?,
            None => store.prove_newest(&checked)?,
        }
        if !store.is_read_only() {
            store.begin(interrupted)?;
            ballast::set_aside(&store.folder);
        }
        if hold == Hold::Alone {
            if !store.is_read_only() {
                store.mark_created()?;
            }
            let shared = store._lock.lock_shared();
            shared.map_err(|cause| io(&store.folder.join(LOCK_FILE), "lock", &cause))?;
        }
        Ok(store)
    }

    /// The store as it lies on disk, and whether a change of its keys was interrupted.
    fn over(
        engine: Lmdb,
        mut keyring: Keyring,
        watch: Watch,
        options: Options,
        lock: File,
    ) -> Result<(Self, bool)> {
        let sealer = keyring.store_sealer();
        let sealed = engine.head()?.unwrap_or_default();
        if keyring.created && sealed.is_empty() {
            return Err(gone(&options.folder));
        }
        let head = if sealed.is_empty() {
            first_head(&keyring, watch.begun()?, options.clock.now_ns()?)?
        } else {
            // Read again: the head may be of a commit after the keys were.
            keyring.reload(&options.folder, |wrapped| options.provider.unwrap(wrapped))?;
            Head::open(&sealed, &sealer)?
        };
        let interrupted = check_keys(&head, &keyring)? && !sealed.is_empty();
        let view = View { foreign: head.commit, head, sealed };
        let store = Store {
            folder: options.folder,
            process: std::process::id(),
            engine,
            store_key: keyring.store_key.clone(),
            sealer,
            keyring: Mutex::new(keyring),
            provider: Mutex::new(options.provider),
            clock: options.clock,
            warnings: Mutex::default(),
            watch,
            access: options.access,
            view: RwLock::new(Arc::new(view)),
            agents: Mutex::default(),
            hot: Mutex::default(),
            sets: Mutex::new(Sets::new(options.vectors_bytes)),
            spares: Mutex::default(),
            queue: Queue::default(),
            limits: options.limits,
            // A reader has no ledger to write to.
            audit_reads: match options.access {
                Access::Write => options.audit_reads,
                Access::Read => AuditReads::Off,
            },
            unwritten: Mutex::new(Unwritten::default()),
            backlog: Arc::new(Backlog::default()),
            resealing: Turns::default(),
            failed: AtomicBool::new(false),
            _lock: lock,
        };
        Ok((store, interrupted))
    }

    /// Proves the store against its witness.
    fn prove_newest(&self, checked: &Checked) -> Result<()> {
        self.view()?;
        if checked.doubtful {
            self.check_newest()?;
        }
        Ok(())
    }

    /// Makes the first commit of a new store, and what an open owes an old one.
    fn begin(&self, interrupted: bool) -> Result<()> {
        let head = &self.known_view()?.head;
        if head.commit == 0 {
            // So that a creation which is killed here is not taken for a store whose witness is
            // missing.
            self.advance_witness(head);
            return self.log_own("create");
        }
        if self.watch.missed() {
            self.log_own("witness-missing")?;
        }
        if !self.finish_forgetting()? && interrupted {
            self.settle_provider()?;
        }
        if self.is_purging()? {
            self.warn_of_keys(
                "a purge was cut short, or goes on elsewhere: what it took out can be read by who \
                 has the file and its keys until purge(), prune() or retain() has ended it"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// A commit of nothing but a ledger entry of the store's own.
    fn log_own(&self, operation: &'static str) -> Result<()> {
        self.write(move |change| change.log(operation, &Detail::default(), &change.store.sealer))
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

/// What lies in the folder must be what the caller found there.
fn check_found(options: &Options, hold: Hold, found: Option<&Locked>) -> Result<()> {
    let locked = |what| Err(Error::new("locked", what));
    let Some(found) = found else {
        return match (hold, &options.adopt) {
            (Hold::Shared, _) => locked("somebody else is making the store; open it again"),
            (Hold::Alone, None) => Ok(()),
            (Hold::Alone, Some(_)) => {
                let what = format!("there is no store in {} to adopt", options.folder.display());
                Err(Error::new("not-a-store", what))
            }
        };
    };
    if found.store != options.id {
        return locked("somebody else made the store meanwhile; open it again");
    }
    if found.wrapped_root != options.wrapped_root {
        return locked("somebody else replaced the root key meanwhile; open it again");
    }
    if options.adopt.is_some() && hold == Hold::Shared {
        return locked("somebody has the store open; close it there before it is adopted");
    }
    Ok(())
}

/// Checks the data file, which nobody writes.
fn checked(folder: &Path, keyring: &Keyring) -> Result<Checked> {
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

/// The head before the first commit; of the lineage that the witness was told of, if the store's
/// creation was begun before.
fn first_head(keyring: &Keyring, begun: Option<[u8; 16]>, now_ns: u64) -> Result<Head> {
    Ok(Head {
        commit: 0,
        lineage: begun.map_or_else(random, Ok)?,
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
