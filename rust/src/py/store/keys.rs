//! Keys of an open store: rotated, rewrapped, destroyed; and the providers that Python has.

use super::Store;
use super::progress::reported;
use crate::error::{Error, Result};
use crate::keys::{Key, Provider};
use crate::py::errors::called_back;
use crate::store::{Clock, Forks, Purged, Removal, Store as Core, Unwanted};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// (memory_type, id, updated_ns)
type UnwantedRow = (String, [u8; 16], Option<u64>);
/// (name, versions, documents)
pub type RemovalRow = (String, Vec<u64>, Vec<UnwantedRow>);
/// (name, versions, how many documents by memory type)
type PurgedRow = (String, Vec<u64>, BTreeMap<String, u64>);

fn removal((name, versions, documents): RemovalRow) -> Removal {
    let unwanted = |(kind, id, updated_ns)| Unwanted { kind, id, updated_ns };
    Removal { name, versions, documents: documents.into_iter().map(unwanted).collect() }
}

/// A provider of Python's for one store.
struct Provided {
    provider: Py<PyAny>,
    /// What it binds the root key to.
    purpose: Vec<u8>,
}

/// A provider of Python's, with the purpose that the store's root key has.
pub fn provided(provider: Py<PyAny>, purpose: Vec<u8>) -> Arc<dyn Provider> {
    Arc::new(Provided { provider, purpose })
}

impl Provided {
    fn asked<T>(&self, ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T> {
        Python::attach(|py| ask(self.provider.bind(py)).map_err(|raised| called_back(py, raised)))
    }

    fn replaceable(provider: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(provider.hasattr("rotate")? && provider.hasattr("retire")?)
    }
}

impl Provider for Provided {
    fn wrap(&self, root: &Key) -> Result<Vec<u8>> {
        self.asked(|provider| {
            let method = if Self::replaceable(provider)? { "rotate" } else { "wrap" };
            let key = PyBytes::new(provider.py(), root.bytes());
            provider.call_method1(method, (key, self.purpose.as_slice()))?.extract()
        })
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Key> {
        self.asked(|provider| {
            let wrapped = PyBytes::new(provider.py(), wrapped);
            let root = provider.call_method1("unwrap", (wrapped, self.purpose.as_slice()))?;
            crate::py::keys::key(root.extract()?)
        })
    }

    fn retire(&self, wrapped: &[u8]) -> Result<bool> {
        self.asked(|provider| {
            if !Self::replaceable(provider)? {
                return Ok(false);
            }
            let wrapped = PyBytes::new(provider.py(), wrapped);
            provider.call_method1("retire", (wrapped, self.purpose.as_slice()))?;
            Ok(true)
        })
    }
}

/// A clock that asks Python.
pub fn called(clock: Py<PyAny>) -> Clock {
    Clock::new(move || {
        Python::attach(|py| clock.call0(py)?.extract::<u64>(py))
            .map_err(|cause| Error::new("store", format!("the clock failed: {cause}")))
    })
}

/// Warns whoever called, so many frames up, of what the core noted while it worked.
pub fn tell(py: Python<'_>, core: &Core, level: usize) -> PyResult<()> {
    for what in core.take_warnings() {
        let (warning, category) = (PyErr::from(what), py.None());
        py.import("warnings")?.call_method1("warn", (warning.value(py), category, level))?;
    }
    Ok(())
}

#[pymethods]
impl Store {
    fn rotate(&self, py: Python<'_>, justification: &str) -> PyResult<()> {
        let core = self.core()?;
        Ok(py.detach(|| core.rotate(justification))?)
    }

    fn rewrap(
        &self,
        py: Python<'_>,
        provider: Py<PyAny>,
        purpose: Vec<u8>,
        justification: &str,
    ) -> PyResult<()> {
        let core = self.core()?;
        let provider = provided(provider, purpose);
        Ok(py.detach(|| core.rewrap(provider, justification))?)
    }

    fn forget(
        &self,
        py: Python<'_>,
        name: &str,
        with_forks: bool,
        justification: &str,
    ) -> PyResult<(Vec<String>, bool)> {
        let core = self.core()?;
        let forks = if with_forks { Forks::Forget } else { Forks::Refuse };
        let forgotten = py.detach(|| core.forget(name, forks, justification))?;
        Ok((forgotten.names, forgotten.replaced))
    }

    #[pyo3(signature = (removals, justification, progress=None))]
    fn purge(
        &self,
        py: Python<'_>,
        removals: Vec<RemovalRow>,
        justification: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Vec<PurgedRow>, u64, u64, bool)> {
        let core = self.core()?;
        let removals: Vec<_> = removals.into_iter().map(removal).collect();
        let (purged, resealed) = reported(py, progress, |told| {
            core.purge(&removals, justification, &mut |done, all| told((done, all)))
        })?;
        let row = |purged: Purged| (purged.name, purged.versions, purged.documents);
        let rows = purged.into_iter().map(row).collect();
        Ok((rows, resealed.nodes, resealed.size_bytes, resealed.replaced))
    }
}
