//! Plain reads of a data file that nobody has mapped, and which of its pages were met.

use super::page::{HEADER_BYTES, damaged};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const META_PAGES: u64 = 2;

/// The bytes of a data file.
#[derive(Debug)]
pub struct Data {
    file: File,
    size_bytes: u64,
}

fn failed(path: &Path, cause: &std::io::Error) -> Error {
    Error::new("io", format!("cannot read {}: {cause}", path.display()))
        .with("path", path.display().to_string())
}

impl Data {
    /// Opens it; None if there is none.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let found = match std::fs::metadata(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|cause| failed(path, &cause))?,
        };
        if !found.is_file() {
            let what = format!("{} is not a file; a store keeps its data there", path.display());
            return Err(Error::new("not-a-store", what).with("path", path.display().to_string()));
        }
        let file = File::open(path).map_err(|cause| failed(path, &cause))?;
        Ok(Some(Data { file, size_bytes: found.len() }))
    }

    /// How long it is.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Fills `out` from `at`; false if the file ends before.
    pub fn read(&self, at: u64, out: &mut [u8]) -> Result<bool> {
        match self.file.read_exact_at(out, at) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(cause) => Err(Error::new("io", format!("cannot read the data file: {cause}"))),
        }
    }
}

/// The pages of one snapshot.
#[derive(Debug)]
pub struct Pages<'a> {
    data: &'a Data,
    page_bytes: usize,
    /// The snapshot's last page, in use or free.
    last: u64,
    /// As many lie in the file from end to end.
    whole: u64,
    /// A bit for each page: met in a tree or among the free ones, by whichever thread.
    met: Vec<AtomicU64>,
}

impl<'a> Pages<'a> {
    /// For a snapshot of pages up to `last`.
    pub fn new(data: &'a Data, page_bytes: usize, last: u64) -> Self {
        let words = usize::try_from(last / 64 + 1).unwrap_or_default();
        let whole = data.size_bytes / page_bytes as u64;
        let met = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Pages { data, page_bytes, last, whole, met }
    }

    /// Bytes of each.
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Reads `count` pages that follow each other.
    pub fn read(&self, first: u64, count: usize, out: &mut Vec<u8>) -> Result<()> {
        out.resize(self.page_bytes * count, 0);
        self.read_at(first, 0, out)
    }

    /// Reads a page's header.
    pub fn header(&self, number: u64) -> Result<[u8; HEADER_BYTES]> {
        let mut header = [0; HEADER_BYTES];
        self.read_at(number, 0, &mut header).map(|()| header)
    }

    /// Reads from `offset` in the run that begins with page `number`.
    pub fn read_at(&self, number: u64, offset: u64, out: &mut [u8]) -> Result<()> {
        let start = number.checked_mul(self.page_bytes as u64);
        match start.and_then(|start| start.checked_add(offset)) {
            Some(at) if self.data.read(at, out)? => Ok(()),
            _ => Err(cut_short(number)),
        }
    }

    /// Meets `count` pages that are read, so they must lie in the file.
    pub fn meet(&self, first: u64, count: u64) -> Result<()> {
        let end =
            first.checked_add(count).ok_or_else(|| damaged(first, "is too large a number"))?;
        if end > self.whole && end <= self.last + 1 {
            return Err(cut_short(first));
        }
        (first..end).try_for_each(|number| self.meet_free(number))
    }

    /// Meets a page that nobody reads: free ones at the end may never have been written.
    pub fn meet_free(&self, number: u64) -> Result<()> {
        if number < META_PAGES || number > self.last {
            return Err(damaged(number, "is referred to and lies outside the snapshot"));
        }
        let bit = 1 << (number % 64);
        match self.word(number) {
            Some(word) if word.fetch_or(bit, Ordering::Relaxed) & bit == 0 => Ok(()),
            _ => Err(damaged(number, "is used twice, or used and free")),
        }
    }

    fn word(&self, number: u64) -> Option<&AtomicU64> {
        usize::try_from(number / 64).ok().and_then(|at| self.met.get(at))
    }

    /// Beyond the end of the file there may only be free pages.
    pub fn check_end(&self) -> Result<()> {
        for number in self.whole.max(META_PAGES)..=self.last {
            let bit = 1 << (number % 64);
            if self.word(number).is_none_or(|word| word.load(Ordering::Relaxed) & bit == 0) {
                return Err(cut_short(number));
            }
        }
        Ok(())
    }
}

#[cold]
fn cut_short(page: u64) -> Error {
    damaged(page, "lies beyond the end of the file, which was cut short")
}
