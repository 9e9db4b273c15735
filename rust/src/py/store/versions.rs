//! Versions: listed, compared, rolled back to.

use super::Store;
use super::keys::tell;
use crate::py::decode::{Keys, ValueDecoder};
use crate::py::leaves::Leaves;
use crate::py::raw;
use crate::py::types::opaque_types;
use crate::store::{Version, Which};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// (number, created_ns, base, restores, justification, entries, size_bytes, root, written_bytes,
/// source, tags)
pub type VersionRow =
    (u64, u64, u64, u64, String, u64, u64, String, u64, Option<(String, u64)>, Vec<String>);

/// A version's number or tag.
#[derive(FromPyObject)]
pub enum Pick {
    /// An int.
    Number(u64),
    /// A str.
    Tag(String),
}

/// Which version Python means; None is the latest.
pub fn which(version: Option<Pick>) -> Which {
    match version {
        None => Which::Latest,
        Some(Pick::Number(number)) => Which::Number(number),
        Some(Pick::Tag(tag)) => Which::Tag(tag),
    }
}

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
        version.written_bytes,
        version.source.clone(),
        version.tags.clone(),
    )
}

#[pymethods]
impl Store {
    #[pyo3(signature = (name, version=None))]
    fn version(&self, py: Python<'_>, name: &str, version: Option<Pick>) -> PyResult<VersionRow> {
        let (core, which) = (self.core()?, which(version));
        Ok(row(&py.detach(|| core.version(name, &which))?))
    }

    #[pyo3(signature = (name, version=None))]
    fn fingerprint(&self, py: Python<'_>, name: &str, version: Option<Pick>) -> PyResult<String> {
        let (core, which) = (self.core()?, which(version));
        Ok(py.detach(|| core.version(name, &which))?.fingerprint_hex())
    }

    fn fork(
        &self,
        py: Python<'_>,
        name: &str,
        to: &str,
        version: Option<Pick>,
        justification: &str,
    ) -> PyResult<VersionRow> {
        let (core, which) = (self.core()?, which(version));
        Ok(row(&py.detach(|| core.fork(name, to, &which, justification))?))
    }

    fn copy(
        &self,
        py: Python<'_>,
        name: &str,
        to: &str,
        version: Option<Pick>,
        justification: &str,
    ) -> PyResult<VersionRow> {
        let (core, which) = (self.core()?, which(version));
        Ok(row(&py.detach(|| core.copy(name, to, &which, justification))?))
    }

    fn tag(
        &self,
        py: Python<'_>,
        name: &str,
        version: Option<Pick>,
        tag: &str,
    ) -> PyResult<VersionRow> {
        let (core, which) = (self.core()?, which(version));
        Ok(row(&py.detach(|| core.tag(name, &which, tag))?))
    }

    fn untag(&self, py: Python<'_>, name: &str, tag: &str) -> PyResult<VersionRow> {
        let core = self.core()?;
        Ok(row(&py.detach(|| core.untag(name, tag))?))
    }

    fn names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let core = self.core()?;
        Ok(py.detach(|| core.names())?)
    }

    /// Newest first.
    fn history(&self, py: Python<'_>, name: &str, limit: usize) -> PyResult<Vec<VersionRow>> {
        let core = self.core()?;
        Ok(py.detach(|| core.history(name, limit))?.iter().map(row).collect())
    }

    fn rollback(
        &self,
        py: Python<'_>,
        name: &str,
        to: Pick,
        justification: &str,
    ) -> PyResult<VersionRow> {
        let (core, to) = (self.core()?, which(Some(to)));
        let version = py.detach(|| core.rollback(name, &to, justification))?;
        tell(py, &core, 2)?;
        Ok(row(&version))
    }

    #[pyo3(signature = (name, version=None, under=None))]
    fn state<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        version: Option<Pick>,
        under: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (core, which) = (self.core()?, which(version));
        let loaded = py.detach(|| match under {
            None => core.load(name, &which),
            Some(path) => core.load_under(name, &which, path),
        })?;
        let _paused = raw::CollectorPaused::new(py);
        Ok(Leaves::new(&core, &loaded).state(&opaque_types(py)?, &mut Keys::default())?)
    }

    #[pyo3(signature = (name, version=None))]
    fn blueprint<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        version: Option<Pick>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (core, which) = (self.core()?, which(version));
        let encoded = py.detach(|| core.blueprint(name, &which))?;
        Ok(ValueDecoder::new(&encoded, &opaque_types(py)?, &mut Keys::default()).whole()?)
    }

    fn diff<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        a: Pick,
        b: Pick,
    ) -> PyResult<Bound<'py, PyList>> {
        let (core, a, b) = (self.core()?, which(Some(a)), which(Some(b)));
        let changes = py.detach(|| core.diff(name, &a, &b))?;
        let types = opaque_types(py)?;
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
