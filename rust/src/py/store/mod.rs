//! `dachi_fast._core.store`: an open store.

mod evidence;
mod keys;
mod later;
mod ledger;
mod loaded;
mod progress;
mod saves;
mod stats;
mod transaction;
mod upkeep;
mod vectors;
mod versions;

use crate::engine::lmdb::{self, Sync};
use crate::error::Error;
use crate::py::witness::witness;
use crate::store::{self, Access, AuditReads, Clock, Limits, Options, Store as Core, Unseen};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

#[pyfunction]
fn probe<'py>(
    py: Python<'py>,
    folder: PathBuf,
) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    let found = py.detach(|| store::probe(&folder))?;
    Ok(found
        .map(|locked| (PyBytes::new(py, &locked.store), PyBytes::new(py, &locked.wrapped_root))))
}

#[pyfunction]
fn check(py: Python<'_>, folder: PathBuf) -> PyResult<(u64, bool)> {
    let checked = py.detach(|| lmdb::check(&folder))?;
    Ok((checked.transaction, checked.doubtful))
}

/// How many of Python's functions stand between the core and who opens a store.
const OPENER: usize = 4;

/// An open store; methods may be called from any thread.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Store {
    open: Open,
}

/// The store behind a handle: None once it was closed.
type Open = Arc<RwLock<Option<Arc<Core>>>>;

fn core_of(open: &Open) -> Result<Arc<Core>, Error> {
    let open = open.read().map_err(|_| Error::new("store", "the store's handle broke"))?;
    let closed = || Error::new("closed", "this store was closed; open it again");
    open.as_ref().map(Arc::clone).ok_or_else(closed)
}

impl Store {
    fn core(&self) -> PyResult<Arc<Core>> {
        Ok(core_of(&self.open)?)
    }
}

#[pymethods]
impl Store {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "Python gives most of them by keyword")]
    #[pyo3(signature = (
        folder, store_id, root_key, wrapped_root, provider, watched_by, *, refuse_unseen=false,
        adopt=None, read_only=false, limits=(None, 0, None, None), vectors_bytes=0,
        audit_reads="batched",
        clock=None, bench_only_no_sync=false, bench_only_sync_ms=0
    ))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        store_id: [u8; 16],
        root_key: &[u8],
        wrapped_root: &[u8],
        provider: (Py<PyAny>, Vec<u8>),
        watched_by: Option<Bound<'_, PyAny>>,
        refuse_unseen: bool,
        adopt: Option<String>,
        read_only: bool,
        limits: (Option<u64>, u64, Option<u64>, Option<u64>),
        vectors_bytes: usize,
        audit_reads: &str,
        clock: Option<Py<PyAny>>,
        bench_only_no_sync: bool,
        bench_only_sync_ms: u64,
    ) -> PyResult<Self> {
        let options = Options {
            folder,
            id: store_id,
            root: crate::py::keys::key(root_key)?,
            wrapped_root: wrapped_root.to_vec(),
            provider: keys::provided(provider.0, provider.1),
            witness: watched_by.as_ref().map(witness),
            unseen: if refuse_unseen { Unseen::Refused } else { Unseen::Warned },
            adopt,
            access: if read_only { Access::Read } else { Access::Write },
            limits: {
                let (versions, days, size_bytes, age_ns) = limits;
                Limits { versions, days, size_bytes, age_ns }
            },
            vectors_bytes,
            sync: match (bench_only_no_sync, bench_only_sync_ms) {
                (true, _) => Sync::BenchOnlyNever,
                (false, 0) => Sync::Always,
                (false, sync_ms) => Sync::BenchOnlySlept(Duration::from_millis(sync_ms)),
            },
            clock: clock.map_or_else(Clock::default, keys::called),
            audit_reads: match audit_reads {
                "strict" => AuditReads::Strict,
                "off" => AuditReads::Off,
                _ => AuditReads::Batched,
            },
        };
        let core = py.detach(|| Core::open(options))?;
        keys::tell(py, &core, OPENER)?;
        Ok(Store { open: Arc::new(RwLock::new(Some(Arc::new(core)))) })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core().is_err()
    }

    #[getter]
    fn read_only(&self) -> PyResult<bool> {
        Ok(self.core()?.is_read_only())
    }

    /// Waits until no thread works for the store: a fork has none of them, but what they hold stays
    /// held in it for ever. A second is more than what is queued needs, unless the disk hangs.
    fn rest(&self, py: Python<'_>) -> PyResult<()> {
        let Ok(core) = self.core() else { return Ok(()) };
        py.detach(|| core.idle(Duration::from_secs(1)))?;
        Ok(())
    }

    #[pyo3(signature = (*, wait=true))]
    fn close(&self, py: Python<'_>, wait: bool) -> PyResult<()> {
        let mut open =
            self.open.write().map_err(|_| Error::new("store", "the store's handle broke"))?;
        let core = open.take();
        drop(open);
        let Some(core) = core else { return Ok(()) };
        // What is queued is saved first, also when Ctrl-C ends the waiting for it.
        let waited = if wait { later::wait(py, |most| core.idle(most)) } else { Ok(()) };
        let told = keys::tell(py, &core, 2);
        py.detach(|| drop(core));
        waited.and(told)
    }
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_class::<loaded::Loaded>()?;
    module.add_class::<later::Mark>()?;
    module.add_class::<transaction::Transaction>()?;
    module.add_function(wrap_pyfunction!(later::drain, module)?)?;
    module.add_function(wrap_pyfunction!(probe, module)?)
}
