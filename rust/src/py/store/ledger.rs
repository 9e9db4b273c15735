//! The ledger: listed, proved, signed, exported.

use super::Store;
use super::later::wait;
use crate::ledger::{Hash, hex, tagged, timestamp};
use crate::store::LedgerEntry;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// (agent_id, memory_type, justification, root, version, count, clock_behind_us, salt)
type DetailRow = (String, String, String, String, u64, u64, u64, String);
/// (seq, operation, timestamp, prev, commitment, hash, detail)
type Row = (u64, String, String, String, String, String, Option<DetailRow>);
/// (entry, path, size, root)
type ProofRow<'py> = (String, Vec<Bound<'py, PyBytes>>, u64, Bound<'py, PyBytes>);

fn row(found: LedgerEntry) -> Row {
    let entry = found.entry;
    let detail = found.detail.map(|(d, salt)| {
        let (version, count, behind_us) = (d.version, d.count, d.clock_behind_us);
        (d.agent_id, d.memory_type, d.justification, d.root, version, count, behind_us, hex(&salt))
    });
    (
        entry.seq,
        entry.operation,
        timestamp(entry.created_ns),
        tagged(&entry.prev),
        tagged(&entry.commitment),
        tagged(&found.hash),
        detail,
    )
}

/// One line of an export.
fn line(found: &LedgerEntry, disclose: bool) -> String {
    let (entry, hash) = (found.entry.json(), tagged(&found.hash));
    match &found.detail {
        _ if !disclose => format!("{{\"entry\":{entry},\"hash\":\"{hash}\"}}\n"),
        None => format!("{{\"detail\":\"erased\",\"entry\":{entry},\"hash\":\"{hash}\"}}\n"),
        Some((detail, salt)) => {
            let (detail, salt) = (detail.json(), hex(salt));
            let head = format!("{{\"detail\":{detail},\"entry\":{entry}");
            format!("{head},\"hash\":\"{hash}\",\"salt\":\"{salt}\"}}\n")
        }
    }
}

fn bytes<'py>(py: Python<'py>, hashes: &[Hash]) -> Vec<Bound<'py, PyBytes>> {
    hashes.iter().map(|hash| PyBytes::new(py, hash)).collect()
}

#[pymethods]
impl Store {
    fn ledger(&self, py: Python<'_>, limit: u64) -> PyResult<Vec<Row>> {
        let core = self.core()?;
        Ok(py.detach(|| core.ledger(limit))?.into_iter().map(row).collect())
    }

    fn ledger_lines<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        chain: Hash,
        limit: u64,
        disclose: bool,
    ) -> PyResult<(String, Bound<'py, PyBytes>)> {
        let core = self.core()?;
        let (lines, last) = py.detach(|| {
            let found = core.ledger_after(start, chain, limit)?;
            let lines = found.iter().map(|entry| line(entry, disclose)).collect::<String>();
            crate::error::Result::Ok((lines, found.last().map_or(chain, |entry| entry.hash)))
        })?;
        Ok((lines, PyBytes::new(py, &last)))
    }

    #[pyo3(signature = (size=None))]
    fn tree_head<'py>(
        &self,
        py: Python<'py>,
        size: Option<u64>,
    ) -> PyResult<(u64, Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let core = self.core()?;
        let (size, root, chain) = py.detach(|| core.tree_head(size))?;
        Ok((size, PyBytes::new(py, &root), PyBytes::new(py, &chain)))
    }

    fn prove<'py>(&self, py: Python<'py>, seq: u64) -> PyResult<ProofRow<'py>> {
        let core = self.core()?;
        let (json, path, size, root) = py.detach(|| core.prove(seq))?;
        Ok((json, bytes(py, &path), size, PyBytes::new(py, &root)))
    }

    fn prove_consistency<'py>(
        &self,
        py: Python<'py>,
        old: u64,
        new: u64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let core = self.core()?;
        Ok(bytes(py, &py.detach(|| core.prove_consistency(old, new))?))
    }

    fn note(
        &self,
        py: Python<'_>,
        operation: &str,
        memory_type: &str,
        justification: &str,
    ) -> PyResult<()> {
        let core = self.core()?;
        Ok(py.detach(|| core.note(operation, memory_type, justification))?)
    }

    #[getter]
    fn store_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.core()?.id()))
    }

    fn public_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let core = self.core()?;
        Ok(PyBytes::new(py, &core.signer()?.public_key()))
    }

    fn sign<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let core = self.core()?;
        Ok(PyBytes::new(py, &core.signer()?.sign(message)))
    }

    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        wait(py, |most| core.idle(most))?;
        Ok(py.detach(|| core.finish())?)
    }
}
