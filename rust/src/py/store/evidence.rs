//! What a store can prove: its ledger and every record.

use super::Store;
use crate::error::Error;
use pyo3::prelude::*;
use pyo3::types::PyList;

fn sealed_hash(hash: &[u8; 32]) -> String {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

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

    fn ledger<'py>(&self, py: Python<'py>, limit: u64) -> PyResult<Bound<'py, PyList>> {
        let core = self.core()?;
        let entries = py.detach(|| core.ledger(limit))?;
        let rows = PyList::empty(py);
        for found in entries {
            let detail = found.detail.map(|(detail, salt)| {
                let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
                (detail.agent_id, detail.memory_type, detail.justification, detail.root, salt)
            });
            rows.append((
                found.entry.seq,
                found.entry.operation.as_str(),
                crate::ledger::timestamp(found.entry.created_ns),
                sealed_hash(&found.entry.prev),
                sealed_hash(&found.entry.commitment),
                sealed_hash(&found.hash),
                detail,
            ))?;
        }
        Ok(rows)
    }
}
