//! What keeps a store small.

use super::Store;
use crate::error::{Error, Result};
use crate::store::Compacted;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// (name, versions, size_bytes, freed_bytes)
type PrunedRow = (String, Vec<u64>, u64, u64);

#[pymethods]
impl Store {
    #[pyo3(signature = (name=None, *, dry_run=false))]
    fn prune(&self, py: Python<'_>, name: Option<&str>, dry_run: bool) -> PyResult<Vec<PrunedRow>> {
        let core = self.core()?;
        let pruned = py.detach(|| core.prune(name, dry_run))?;
        let row = |p: crate::store::Pruned| (p.name, p.versions, p.size_bytes, p.freed_bytes);
        Ok(pruned.into_iter().map(row).collect())
    }
}

/// How often a copy is written anew because others wrote meanwhile.
const ATTEMPTS: usize = 5;
/// How long the operations of other threads may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

#[pymethods]
impl Store {
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        py.detach(|| core.sweep_all())?;
        drop(core);
        for _ in 0..ATTEMPTS {
            let core = self.core()?;
            let copy = py.detach(|| core.copy_compacted())?;
            drop(core);
            if py.detach(|| self.take_over(&copy))? {
                return Ok(());
            }
        }
        Err(busy().into())
    }
}

fn busy() -> Error {
    let what = "other threads kept the store busy; compact it when less is going on";
    Error::new("locked", what)
}

impl Store {
    /// Swaps the data file once no other thread is in the middle of something.
    fn take_over(&self, copy: &Compacted) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let broke = |_| Error::new("store", "the store's handle broke");
            let mut open = self.open.write().map_err(broke)?;
            let core = open.take().ok_or_else(|| Error::new("closed", "this store was closed"))?;
            match Arc::try_unwrap(core) {
                Ok(core) => {
                    let (core, done) = core.take_over(copy)?;
                    *open = Some(Arc::new(core));
                    return done;
                }
                // Waiting with the lock would keep others from ending.
                Err(core) => *open = Some(core),
            }
            drop(open);
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(busy())
    }
}
