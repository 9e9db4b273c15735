//! What takes the space.

use super::Store;
use crate::store::Usage;
use pyo3::prelude::*;

/// (name, versions, latest, created_ns, state_bytes, size_bytes, own_bytes, dropped, documents,
/// largest)
type UsageRow = (String, u64, u64, u64, u64, u64, u64, u64, u64, Vec<(String, u64)>);
/// ((file_bytes, page_bytes, used_pages, keys_bytes), (names, directory, ledger, garbage, waiting),
/// ledger_entries, (rotated_ns, rotation_due_ns, sealed, sealed_left), names)
type StatsRow =
    ((u64, u64, u64, u64), (u64, u64, u64, u64, u64), u64, (u64, u64, u64, u64), Vec<UsageRow>);

fn usage_row(usage: Usage) -> UsageRow {
    let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
    let largest = usage.largest.into_iter().map(|(path, size_bytes)| (text(path), size_bytes));
    let (latest, largest) = (usage.latest, largest.collect());
    (
        usage.name,
        usage.versions,
        latest.number,
        latest.created_ns,
        latest.size_bytes(),
        usage.size_bytes,
        usage.own_bytes,
        usage.dropped,
        usage.documents,
        largest,
    )
}

#[pymethods]
impl Store {
    fn stats(&self, py: Python<'_>) -> PyResult<StatsRow> {
        let core = self.core()?;
        let s = py.detach(|| core.stats())?;
        let (room, shares) = (s.room, s.shares);
        Ok((
            (room.file_bytes, room.page_bytes, room.used_pages, s.keys_bytes),
            (shares.names, shares.directory, shares.ledger, shares.garbage, shares.waiting),
            s.ledger_entries,
            (s.rotated_ns, s.rotation_due_ns, s.sealed, s.sealed_left),
            s.names.into_iter().map(usage_row).collect(),
        ))
    }

    fn stats_of(&self, py: Python<'_>, name: &str) -> PyResult<UsageRow> {
        let core = self.core()?;
        Ok(usage_row(py.detach(|| core.stats_of(name))?))
    }
}
