//! What a store can prove: every record.

use super::Store;
use crate::error::Error;
use pyo3::prelude::*;

#[pymethods]
impl Store {
    #[pyo3(signature = (progress=None))]
    fn verify(
        &self,
        py: Python<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64, u64, u64, u64)> {
        let core = self.core()?;
        let mut raised = None;
        let report = py.detach(|| {
            core.verify(&mut |nodes| {
                Python::attach(|py| {
                    py.check_signals()?;
                    progress.as_ref().map_or(Ok(()), |call| call.call1(py, (nodes,)).map(drop))
                })
                .map_err(|error| {
                    raised = Some(error);
                    Error::new("store", "interrupted")
                })
            })
        });
        if let Some(error) = raised {
            return Err(error);
        }
        let r = report?;
        Ok((r.names, r.versions, r.entries, r.nodes, r.size_bytes, r.unused_nodes))
    }
}
