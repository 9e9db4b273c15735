//! Room that is set aside, so that a full disk can be cleared: forgetting and pruning write before
//! they free.
//!
//! The file `ballast` holds zeros and means nothing. It is given up when such an operation finds no
//! room, and taken again behind it, as far as there is any: a second one needs room, too, and whoever
//! saves must not use it up.

use super::Store;
use crate::engine::lmdb::is_short;
use crate::error::{Error, Result};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE_NAME: &str = "ballast";

static PIECE: [u8; 1 << 16] = [0; 1 << 16];
/// 1 MiB. To forget agents of 15 to 25 versions took 20 KB of it, to prune 1,076 versions 119 KB.
const PIECES: u64 = 16;

/// Sets aside what is not yet. Where there is no room, or no permission, there is less or none.
pub fn set_aside(folder: &Path) {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).mode(0o600);
    let Ok(mut file) = opened.open(folder.join(FILE_NAME)) else { return };
    // Pieces are whole but for the last one on a disk that is full.
    let Ok(end) = file.seek(SeekFrom::End(0)) else { return };
    for _ in end.div_ceil(PIECE.len() as u64)..PIECES {
        if file.write_all(&PIECE).is_err() {
            return;
        }
    }
}

/// Gives it up; false if there was nothing.
fn release(folder: &Path) -> bool {
    let path = folder.join(FILE_NAME);
    let held = std::fs::metadata(&path).is_ok_and(|found| found.len() > 0);
    std::fs::remove_file(&path).is_ok() && held
}

impl Store {
    /// Does what makes room, with what was set aside for it if the disk has none.
    pub(super) fn with_room<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if self.lacks_room(&error) && release(&self.folder) => {}
            done => return done,
        }
        let done = work();
        set_aside(&self.folder);
        done
    }

    /// Whether an operation may have failed for want of room: a key provider on the same disk has
    /// errors of its own.
    fn lacks_room(&self, error: &Error) -> bool {
        error.slug() == "full" || is_short(&self.folder, PIECE.len())
    }
}
