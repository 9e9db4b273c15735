//! Versions: listed, compared, rolled back to.

use super::Store;
use super::keys::tell;
use crate::py::decode::{Keys, ValueDecoder};
use crate::py::types::types;
use crate::store::Version;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// (number, created_ns, base, restores, justification, entries, size_bytes, root)
pub type VersionRow = (u64, u64, u64, u64, String, u64, u64, String);

/// A version as Python gets it.
pub fn row(version: &Version) -> VersionRow {
    (
        version.number,
        version.created_ns,
        version.base,
        version.restores,
        version.justification.clone(),
        version.entries(),
        version.size_bytes(),
        version.root_hex(),
    )
}

#[pymethods]
impl Store {
    #[pyo3(signature = (name, number=None))]
    fn version(&self, py: Python<'_>, name: &str, number: Option<u64>) -> PyResult<VersionRow> {
        let core = self.core()?;
        Ok(row(&py.detach(|| core.version(name, number))?))
    }

    fn names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let core = self.core()?;
        Ok(py.detach(|| core.names())?)
    }

    fn history(&self, py: Python<'_>, name: &str) -> PyResult<Vec<VersionRow>> {
        let core = self.core()?;
        Ok(py.detach(|| core.history(name))?.iter().map(row).collect())
    }

    fn rollback(
        &self,
        py: Python<'_>,
        name: &str,
        to: u64,
        justification: &str,
    ) -> PyResult<VersionRow> {
        let core = self.core()?;
        let version = py.detach(|| core.rollback(name, to, justification))?;
        tell(py, &core)?;
        Ok(row(&version))
    }

    fn diff<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        a: u64,
        b: u64,
    ) -> PyResult<Bound<'py, PyList>> {
        let core = self.core()?;
        let changes = py.detach(|| core.diff(name, a, b))?;
        let types = types(py)?;
        let mut keys = Keys::default();
        let mut value = |bytes: Option<Vec<u8>>| -> PyResult<Option<(Bound<'py, PyAny>,)>> {
            let Some(bytes) = bytes else { return Ok(None) };
            Ok(Some((ValueDecoder::new(&bytes, &types, &mut keys).whole()?,)))
        };
        let rows = PyList::empty(py);
        for change in changes {
            let path = String::from_utf8_lossy(&change.path).into_owned();
            rows.append((path, value(change.before)?, value(change.after)?))?;
        }
        Ok(rows)
    }
}
