//! What a store can prove: every record.

use super::Store;
use super::progress::reported;
use pyo3::prelude::*;

#[pymethods]
impl Store {
    #[pyo3(signature = (progress=None))]
    fn verify(
        &self,
        py: Python<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64, u64, u64, u64, u64)> {
        let core = self.core()?;
        let r = reported(py, progress, |told| core.verify(&mut |nodes| told((nodes,))))?;
        Ok((r.names, r.versions, r.documents, r.entries, r.nodes, r.size_bytes, r.unused_nodes))
    }
}
