//! Whose turn it is to write, in every process: a lock that the kernel takes back from the dead.
//!
//! LMDB has a mutex for that in shared memory, and it is robust: the next process learns that its
//! owner died. But a process that was woken to take it and is killed before it does takes the wake-up
//! along when a third one was faster: whoever still waits then sleeps until somebody else comes, which
//! may be never (seen under a storm of SIGKILL with three processes; the kernel passes the wake-up on
//! only if the mutex is free at that moment). Behind this lock nobody ever waits for LMDB's mutex.

use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

/// Orders the writers of one data file.
pub struct Turns {
    /// The data file, opened for the lock alone; LMDB takes none on it.
    file: Mutex<File>,
}

/// One writer's turn, until dropped.
pub struct Turn<'a>(MutexGuard<'a, File>);

fn failed(cause: &std::io::Error) -> Error {
    Error::new("io", format!("cannot lock the store's data file: {cause}"))
}

impl Turns {
    /// Over an existing data file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| failed(&cause))?;
        Ok(Turns { file: Mutex::new(file) })
    }

    /// Waits for all who write now.
    pub fn take(&self) -> Result<Turn<'_>> {
        let broken = |_| Error::new("store", "an earlier operation died; reopen the store");
        let file = self.file.lock().map_err(broken)?;
        file.lock().map_err(|cause| failed(&cause))?;
        Ok(Turn(file))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A file that cannot be unlocked is one that is being closed.
        let _ = self.0.unlock();
    }
}
