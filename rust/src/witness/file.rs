//! A witness in a file of two slots, named by the store's id.
//!
//! Each slot lies in a 4 KiB block of its own, so that a torn write spoils one at most. The valid
//! slot with the higher commit counts. It is written after the store's own sync and not synced
//! itself: a witness that lags is safe, because a store ahead of it is accepted when it continues
//! the witnessed head. The exception is a new lineage, which continues nothing: it takes both slots
//! and a sync.

use super::record::RECORD_BYTES;
use super::{Records, Seen, Witness};
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

const SLOT_BYTES: usize = 4096;
/// Both slots, up to the end of the second record.
const FILE_BYTES: usize = SLOT_BYTES + RECORD_BYTES;

/// Witness files in a folder.
pub struct FileWitness {
    folder: PathBuf,
    held: Mutex<Option<Held>>,
}

/// The file as it was opened last.
struct Held {
    file: File,
    /// Device and inode: a file that was removed and made again is another one.
    place: (u64, u64),
    writable: bool,
}

/// What lies in the slots.
struct Slots([u8; FILE_BYTES]);

impl Slots {
    fn read(file: &File) -> io::Result<Self> {
        let mut slots = Slots([0; FILE_BYTES]);
        let mut filled = 0;
        while let Some(rest) = slots.0.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(slots)
    }

    fn records(&self) -> [&[u8]; 2] {
        [0, SLOT_BYTES].map(|at| self.0.get(at..at + RECORD_BYTES).unwrap_or_default())
    }

    fn newest(&self, records: &Records) -> Option<Seen> {
        let seen = self.records().into_iter().filter_map(|record| records.open(record));
        seen.max_by_key(|seen| seen.commit)
    }

    /// Whether nothing was written: whoever made the file died, or lost power, before it was.
    fn are_blank(&self) -> bool {
        self.records().into_iter().flatten().all(|byte| *byte == 0)
    }
}

/// A lock on the file. It is released by name: a child that was forked meanwhile holds the same
/// open file, and with it the lock.
struct Locked<'f>(&'f File);

impl<'f> Locked<'f> {
    fn alone(file: &'f File) -> io::Result<Self> {
        file.lock().map(|()| Locked(file))
    }

    fn shared(file: &'f File) -> io::Result<Self> {
        file.lock_shared().map(|()| Locked(file))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl FileWitness {
    /// Witnesses in `folder`, which need not exist yet.
    pub fn new(folder: &Path) -> Self {
        FileWitness { folder: folder.to_owned(), held: Mutex::default() }
    }

    fn path(&self, records: &Records) -> PathBuf {
        let name: String = records.store().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name)
    }

    fn held(&self) -> Result<MutexGuard<'_, Option<Held>>> {
        self.held.lock().map_err(|_| Error::new("store", "the witness broke; reopen the store"))
    }
}

impl Witness for FileWitness {
    fn newest(&self, records: &Records) -> Result<Option<Seen>> {
        let path = self.path(records);
        let failed = |cause| failed(&path, "read", &cause);
        let mut held = self.held()?;
        let Some(file) = to_read(&path, &mut held).map_err(failed)? else { return Ok(None) };
        let mut slots = Slots::read(file).map_err(failed)?;
        let mut newest = slots.newest(records);
        if newest.is_none() && !slots.are_blank() {
            // Perhaps both were caught half written: again, while nobody writes.
            let _lock = Locked::shared(file).map_err(failed)?;
            slots = Slots::read(file).map_err(failed)?;
            newest = slots.newest(records);
        }
        if newest.is_none() && !slots.are_blank() {
            return Err(Records::forged().with("path", path.display().to_string()));
        }
        Ok(newest)
    }

    fn advance(&self, records: &Records, seen: &Seen) -> Result<()> {
        let path = self.path(records);
        let mut held = self.held()?;
        let written = to_write(&path, &mut held).and_then(|file| advanced(file, records, seen));
        written.map_err(|cause| failed(&path, "write", &cause))
    }
}

/// Writes a record if it is newer than what stands there. Other processes do the same: the lock
/// keeps an older one from coming last.
fn advanced(file: &File, records: &Records, seen: &Seen) -> io::Result<()> {
    let _lock = Locked::alone(file)?;
    let newest = Slots::read(file)?.newest(records);
    if newest.is_some_and(|known| known.commit >= seen.commit) {
        return Ok(());
    }
    let record = records.make(seen);
    let slot = (seen.commit % 2) as usize * SLOT_BYTES;
    file.write_all_at(&record, slot as u64)?;
    if newest.is_some_and(|known| known.lineage != seen.lineage) {
        file.write_all_at(&record, (SLOT_BYTES - slot) as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

fn failed(path: &Path, what: &str, cause: &io::Error) -> Error {
    Error::new("witness", format!("cannot {what} the witness {}: {cause}", path.display()))
        .with("path", path.display().to_string())
}

/// The file at `path`: the one that is open already if it is still that one; None if there is none.
fn to_read<'h>(path: &Path, held: &'h mut Option<Held>) -> io::Result<Option<&'h File>> {
    let place = match std::fs::metadata(path) {
        Ok(found) => (found.dev(), found.ino()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            *held = None;
            return Ok(None);
        }
        Err(cause) => return Err(cause),
    };
    if held.as_ref().is_none_or(|held| held.place != place) {
        *held = match open_existing(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
    }
    Ok(held.as_ref().map(|held| &held.file))
}

fn open_existing(path: &Path) -> io::Result<Held> {
    let both = OpenOptions::new().read(true).write(true).open(path);
    match both {
        Err(cause) if is_read_only(&cause) => Held::of(File::open(path)?, false),
        opened => Held::of(opened?, true),
    }
}

fn is_read_only(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// The file at `path`, made if it is not there.
fn to_write<'h>(path: &Path, held: &'h mut Option<Held>) -> io::Result<&'h File> {
    if to_read(path, held)?.is_none() || held.as_ref().is_none_or(|held| !held.writable) {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = match options.open(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                options.open(path)?
            }
            opened => opened?,
        };
        *held = Some(Held::of(file, true)?);
    }
    let file = held.as_ref().map(|held| &held.file);
    file.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
}

impl Held {
    fn of(file: File, writable: bool) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Held { file, place: (found.dev(), found.ino()), writable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(commit: u64, lineage: u8) -> Seen {
        Seen { commit, lineage: [lineage; 16], entries: commit, chain: [commit as u8; 32] }
    }

    fn records(key: u8) -> Records {
        Records::new([9; 16], [key; 32])
    }

    /// A folder of its own, and the witness file in it.
    fn folder(name: &str) -> (PathBuf, PathBuf) {
        let name = format!("dachi-witness-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        let file = folder.join("09".repeat(16));
        (folder, file)
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = std::fs::read(path).unwrap_or_default();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        assert!(std::fs::write(path, bytes).is_ok());
    }

    #[test]
    fn it_goes_forward_only_and_survives_a_torn_slot() {
        let (folder, path) = folder("forward");
        let (witness, records) = (FileWitness::new(&folder), records(3));
        assert_eq!(witness.newest(&records).ok(), Some(None));
        assert!(std::fs::create_dir_all(&folder).is_ok());
        // Made, but never written: its maker was killed, or its blocks were never filled.
        for unwritten in [vec![], vec![0; RECORD_BYTES], vec![0; SLOT_BYTES * 2]] {
            assert!(std::fs::write(&path, unwritten).is_ok());
            assert_eq!(witness.newest(&records).ok(), Some(None));
        }
        for commit in [1, 2, 3, 2] {
            assert!(witness.advance(&records, &seen(commit, 1)).is_ok());
        }
        assert_eq!(witness.newest(&records).ok().flatten(), Some(seen(3, 1)));
        let other = FileWitness::new(&folder).newest(&Records::new([9; 16], [4; 32]));
        assert_eq!(other.err().map(|e| e.slug()), Some("tampered"));
        flip(&path, SLOT_BYTES + 20);
        assert_eq!(witness.newest(&records).ok().flatten(), Some(seen(2, 1)));
        flip(&path, 20);
        assert_eq!(witness.newest(&records).err().map(|e| e.slug()), Some("tampered"));
        assert!(std::fs::remove_dir_all(&folder).is_ok());
    }

    #[test]
    fn a_new_lineage_leaves_nothing_of_the_old_one() {
        let (folder, path) = folder("lineage");
        let (witness, records) = (FileWitness::new(&folder), records(3));
        for at in [(8, 1), (9, 1), (10, 2)] {
            assert!(witness.advance(&records, &seen(at.0, at.1)).is_ok());
        }
        for at in [20, SLOT_BYTES + 20] {
            flip(&path, at);
            assert_eq!(witness.newest(&records).ok().flatten(), Some(seen(10, 2)));
            flip(&path, at);
        }
        assert!(std::fs::remove_dir_all(&folder).is_ok());
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_noticed() {
        let (folder, path) = folder("replaced");
        let (witness, records) = (FileWitness::new(&folder), records(3));
        assert!(witness.advance(&records, &seen(5, 1)).is_ok());
        assert!(std::fs::rename(&path, folder.join("aside")).is_ok());
        assert_eq!(witness.newest(&records).ok(), Some(None));
        let other = FileWitness::new(&folder);
        assert!(other.advance(&records, &seen(6, 1)).is_ok());
        assert_eq!(witness.newest(&records).ok().flatten(), Some(seen(6, 1)));
        assert!(std::fs::rename(folder.join("aside"), &path).is_ok());
        assert_eq!(witness.newest(&records).ok().flatten(), Some(seen(5, 1)));
        assert!(witness.advance(&records, &seen(7, 1)).is_ok());
        assert_eq!(other.newest(&records).ok().flatten(), Some(seen(7, 1)));
        assert!(std::fs::remove_dir_all(&folder).is_ok());
    }
}
