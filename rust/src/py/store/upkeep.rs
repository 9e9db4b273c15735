//! What keeps a store small.

use super::Store;
use super::progress::reported;
use pyo3::prelude::*;

/// (name, versions, size_bytes, freed_bytes, expired)
type PrunedRow = (String, Vec<u64>, u64, u64, u64);

#[pymethods]
impl Store {
    #[pyo3(signature = (name=None, *, dry_run=false))]
    fn prune(&self, py: Python<'_>, name: Option<&str>, dry_run: bool) -> PyResult<Vec<PrunedRow>> {
        let core = self.core()?;
        let pruned = py.detach(|| core.prune(name, dry_run))?;
        let row =
            |p: crate::store::Pruned| (p.name, p.versions, p.size_bytes, p.freed_bytes, p.expired);
        Ok(pruned.into_iter().map(row).collect())
    }
}

#[pymethods]
impl Store {
    #[pyo3(signature = (progress=None))]
    fn compact(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let core = self.core()?;
        reported(py, progress, |told| core.compact(&mut |done, all| told((done, all))))
    }
}
