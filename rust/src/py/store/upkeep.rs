//! What keeps a store small.

use super::Store;
use super::progress::reported;
use crate::store::{Ages, Policy, Retained};
use pyo3::prelude::*;

/// (name, versions, size_bytes, freed_bytes, expired)
type PrunedRow = (String, Vec<u64>, u64, u64, u64);

/// (hot_ns, warm_ns, purge_ns)
type AgesRow = (u64, u64, Option<u64>);
/// (name, memory_type, hot, warm, cold, purged, kept)
type RetainedRow = (String, String, u64, u64, u64, u64, u64);

fn ages((hot_ns, warm_ns, purge_ns): AgesRow) -> Ages {
    Ages { hot_ns, warm_ns, purge_ns }
}

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

    #[pyo3(signature = (name, types, others, justification, dry_run, progress=None))]
    #[allow(clippy::too_many_arguments, reason = "one call of Python's")]
    fn retain(
        &self,
        py: Python<'_>,
        name: Option<&str>,
        types: Vec<(String, AgesRow)>,
        others: Option<AgesRow>,
        justification: &str,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Vec<RetainedRow>, u64, u64, bool)> {
        let core = self.core()?;
        let types = types.into_iter().map(|(kind, row)| (kind, ages(row))).collect();
        let policy = Policy { types, others: others.map(ages) };
        let (rows, resealed) = reported(py, progress, |told| {
            let told = &mut |done, all| told((done, all));
            core.retain(name, &policy, justification, dry_run, told)
        })?;
        let row = |r: Retained| (r.name, r.memory_type, r.hot, r.warm, r.cold, r.purged, r.kept);
        let rows = rows.into_iter().map(row).collect();
        Ok((rows, resealed.nodes, resealed.size_bytes, resealed.replaced))
    }

    /// What time it is by the store's clock.
    fn now_ns(&self, py: Python<'_>) -> PyResult<u64> {
        let core = self.core()?;
        Ok(py.detach(|| core.now_ns())?)
    }
}
