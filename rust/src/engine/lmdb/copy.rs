//! Copies of the data file without its free pages.

use super::{Lmdb, Mapped, failed};
use crate::error::{Error, Result};
use heed::CompactionOption;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Called with the bytes that were written and those that there are; an error ends the copying.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// Bytes between two reports of progress.
const REPORT_BYTES: usize = 1 << 20;

fn io(cause: std::io::Error) -> Error {
    failed(heed::Error::Io(cause))
}

impl Lmdb {
    /// Writes a copy to `path`; returned means on disk. Others read and write meanwhile: what they
    /// write is not in it.
    pub fn copy_to(&self, path: &Path, progress: Progress<'_>) -> Result<()> {
        self.with(|mapped| mapped.copy_to(path, progress))
    }
}

impl Mapped {
    /// LMDB writes into a pipe, so that somebody sees how far it is, and can end it.
    fn copy_to(&self, path: &Path, progress: Progress<'_>) -> Result<()> {
        let room = self.room()?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path).map_err(io)?;
        let (reader, writer) = std::io::pipe().map_err(io)?;
        let mut writer = File::from(OwnedFd::from(writer));
        std::thread::scope(|scope| {
            let copying = std::thread::Builder::new().spawn_scoped(scope, move || {
                self.env.copy_to_file(&mut writer, CompactionOption::Enabled).map_err(failed)
            });
            let copying = copying.map_err(io)?;
            // An error closes the pipe, and what LMDB then says is not the cause.
            drain(reader, &mut file, room.used_pages * room.page_bytes, progress)?;
            copying.join().map_err(|_| Error::new("store", "the copying died"))?
        })?;
        file.sync_all().map_err(io)
    }
}

fn drain(mut from: PipeReader, to: &mut File, all: u64, progress: Progress<'_>) -> Result<()> {
    let mut buffer = vec![0; REPORT_BYTES];
    let mut done = 0;
    progress(done, all)?;
    loop {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match from.read(rest).map_err(io)? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return progress(all.max(done), all.max(done));
        }
        to.write_all(buffer.get(..filled).unwrap_or_default()).map_err(io)?;
        done += filled as u64;
        progress(done, all.max(done))?;
    }
}
