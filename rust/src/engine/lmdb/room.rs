//! Tells a full disk from a failing one.
//!
//! LMDB reports a write that the disk took only a part of, which is how a full disk often shows, as
//! an input/output error. Nothing of that commit is reachable, so the store may go on; after a real
//! error it must not.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

static PIECE: [u8; 1 << 16] = [0; 1 << 16];

/// Whether the disk of `folder` refuses to take `bytes` more for want of room.
pub fn is_short(folder: &Path, bytes: usize) -> bool {
    let tried = scratch(folder).and_then(|mut file| {
        (0..bytes.div_ceil(PIECE.len())).try_for_each(|_| file.write_all(&PIECE))
    });
    tried.is_err_and(|cause| {
        matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    })
}

/// A file without a name: what is written to it goes when it is closed.
fn scratch(folder: &Path) -> Result<File> {
    let path = folder.join("room.try");
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
