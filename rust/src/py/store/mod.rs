//! `dachi_fast._core.store`: an open store.

mod evidence;
mod keys;
mod ledger;
mod loaded;
mod saves;
mod upkeep;
mod versions;

use crate::engine::lmdb::{self, Sync};
use crate::error::Error;
use crate::store::{self, AuditReads, Clock, Limits, Options, Store as Core};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

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

/// An open store; methods may be called from any thread.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Store {
    open: RwLock<Option<Arc<Core>>>,
}

impl Store {
    fn core(&self) -> PyResult<Arc<Core>> {
        let open = self.open.read().map_err(|_| Error::new("store", "the store's handle broke"))?;
        let closed = || Error::new("closed", "this store was closed; open it again");
        Ok(open.as_ref().map(Arc::clone).ok_or_else(closed)?)
    }
}

#[pymethods]
impl Store {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "Python gives most of them by keyword")]
    #[pyo3(signature = (folder, store_id, root_key, wrapped_root, provider, witness_folder, *, limits=(None, 0, None, None), audit_reads="batched", clock=None, bench_only_no_sync=false))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        store_id: [u8; 16],
        root_key: &[u8],
        wrapped_root: &[u8],
        provider: (Py<PyAny>, Vec<u8>),
        witness_folder: Option<PathBuf>,
        limits: (Option<u64>, u64, Option<u64>, Option<u64>),
        audit_reads: &str,
        clock: Option<Py<PyAny>>,
        bench_only_no_sync: bool,
    ) -> PyResult<Self> {
        let options = Options {
            folder,
            id: store_id,
            root: crate::py::keys::key(root_key)?,
            wrapped_root: wrapped_root.to_vec(),
            provider: keys::provided(provider.0, provider.1),
            witness_folder,
            limits: {
                let (versions, days, size_bytes, age_ns) = limits;
                Limits { versions, days, size_bytes, age_ns }
            },
            sync: if bench_only_no_sync { Sync::BenchOnlyNever } else { Sync::Always },
            clock: clock.map_or_else(Clock::default, keys::called),
            audit_reads: match audit_reads {
                "strict" => AuditReads::Strict,
                "off" => AuditReads::Off,
                _ => AuditReads::Batched,
            },
        };
        let core = py.detach(|| Core::open(options))?;
        keys::tell(py, &core)?;
        Ok(Store { open: RwLock::new(Some(Arc::new(core))) })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core().is_err()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut open =
            self.open.write().map_err(|_| Error::new("store", "the store's handle broke"))?;
        let core = open.take();
        drop(open);
        py.detach(|| drop(core));
        Ok(())
    }
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_class::<loaded::Loaded>()?;
    module.add_function(wrap_pyfunction!(probe, module)?)
}
