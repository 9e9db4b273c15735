//! A witness in a file of two slots.
//!
//! Each slot lies in a 4 KiB block of its own, so that a torn write spoils one at most: magic (16),
//! commit u64, lineage (16), entries u64, chain (32), HMAC-SHA-256 over all that (32). The valid
//! slot with the higher commit counts. It is written after the store's own sync and not synced
//! itself: a witness that lags is safe, because a store ahead of it is accepted when it continues
//! the witnessed head.

use super::Seen;
use crate::error::{Error, Result};
use crate::seal::{hmac, same_secret};
use crate::wire::{Put, Take};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"dachi_fast seen\n";
const SLOT_BYTES: u64 = 4096;
const RECORD_BYTES: usize = 16 + 8 + 16 + 8 + 32 + 32;

/// A witness file; `key` authenticates what it says.
pub struct FileWitness {
    path: PathBuf,
    key: [u8; 32],
}

impl std::fmt::Debug for FileWitness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileWitness({})", self.path.display())
    }
}

impl FileWitness {
    /// A witness at `path`, which need not exist yet.
    pub fn new(path: &Path, key: [u8; 32]) -> Self {
        FileWitness { path: path.to_owned(), key }
    }

    fn failed(&self, cause: &std::io::Error) -> Error {
        Error::new("io", format!("the witness {} cannot be used: {cause}", self.path.display()))
    }

    /// The newest head; None if there is no witness yet.
    pub fn newest(&self) -> Result<Option<Seen>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(self.failed(&cause)),
        };
        let records = [Self::record(&file, 0), Self::record(&file, 1)];
        match records.iter().filter_map(|record| self.seen(record)).max_by_key(|s| s.commit) {
            Some(seen) => Ok(Some(seen)),
            // Whoever made the file died, or lost power, before the record was there.
            None if records.iter().flatten().all(|byte| *byte == 0) => Ok(None),
            None => Err(Error::new(
                "tampered",
                "the witness holds no valid record; if it was lost \
                on purpose, remove the file",
            )
            .with("path", self.path.display().to_string())),
        }
    }

    /// What lies in a slot; zeros where nothing was written.
    fn record(file: &File, slot: u64) -> [u8; RECORD_BYTES] {
        let mut record = [0u8; RECORD_BYTES];
        let mut filled = 0;
        while let Some(rest) = record.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, slot * SLOT_BYTES + filled as u64) {
                Ok(0) | Err(_) => break,
                Ok(read) => filled += read,
            }
        }
        record
    }

    fn seen(&self, record: &[u8; RECORD_BYTES]) -> Option<Seen> {
        let (body, mac) = record.split_at_checked(RECORD_BYTES - 32)?;
        if !same_secret(mac, &hmac(&self.key, &[body])) {
            return None;
        }
        let mut take = Take::new(body);
        if take.array::<16>().ok()? != *MAGIC {
            return None;
        }
        Some(Seen {
            commit: take.u64().ok()?,
            lineage: take.array().ok()?,
            entries: take.u64().ok()?,
            chain: take.array().ok()?,
        })
    }

    /// Remembers `seen` if it is newer than what stands there. Other processes do the same: a lock
    /// on the file keeps an older one from coming last.
    pub fn advance(&self, seen: &Seen) -> Result<()> {
        self.write_if_newer(seen).map_err(|cause| self.failed(&cause))
    }

    fn write_if_newer(&self, seen: &Seen) -> std::io::Result<()> {
        let file = self.opened()?;
        file.lock()?;
        let newest = (0..2).filter_map(|slot| self.seen(&Self::record(&file, slot)));
        if newest.map(|known| known.commit).max().is_some_and(|commit| commit >= seen.commit) {
            return Ok(());
        }
        let mut record = MAGIC.to_vec();
        record.put_u64(seen.commit);
        record.extend_from_slice(&seen.lineage);
        record.put_u64(seen.entries);
        record.extend_from_slice(&seen.chain);
        let mac = hmac(&self.key, &[&record]);
        record.extend_from_slice(&mac);
        file.write_all_at(&record, seen.commit % 2 * SLOT_BYTES)
    }

    fn opened(&self) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        match options.open(&self.path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                if let Some(folder) = self.path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                options.open(&self.path)
            }
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(commit: u64) -> Seen {
        Seen { commit, lineage: [1; 16], entries: commit, chain: [commit as u8; 32] }
    }

    #[test]
    fn it_goes_forward_only_and_survives_a_torn_slot() {
        let path = std::env::temp_dir().join(format!("dachi-witness-{}", std::process::id()));
        let witness = FileWitness::new(&path, [3; 32]);
        assert_eq!(witness.newest().ok(), Some(None));
        // Made, but never written: its maker was killed, or its blocks were never filled.
        for unwritten in [vec![], vec![0; RECORD_BYTES], vec![0; SLOT_BYTES as usize * 2]] {
            assert!(std::fs::write(&path, unwritten).is_ok());
            assert_eq!(witness.newest().ok(), Some(None));
        }
        for commit in [1, 2, 3, 2] {
            assert!(witness.advance(&seen(commit)).is_ok());
        }
        assert_eq!(witness.newest().ok().flatten(), Some(seen(3)));
        assert_eq!(
            FileWitness::new(&path, [4; 32]).newest().err().map(|e| e.slug()),
            Some("tampered")
        );
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        if let Some(byte) = bytes.get_mut(SLOT_BYTES as usize + 20) {
            *byte ^= 1;
        }
        assert!(std::fs::write(&path, bytes).is_ok());
        assert_eq!(witness.newest().ok().flatten(), Some(seen(2)));
        assert!(std::fs::remove_file(&path).is_ok());
    }
}
