//! Transactions over documents.

use super::keys::tell;
use super::later::{Follow, Mark, follow};
use super::versions::{VersionRow, row};
use super::{Open, Store, core_of};
use crate::error::{Error, Result};
use crate::py::codec::{decoded, encoded};
use crate::py::state::{Capture, keep_warm};
use crate::py::types::types;
use crate::store::{
    At, Content, Document, DocumentId, Indexes, Origin, Save, Search, Store as Core,
    Transaction as Inner,
};
use crate::tree::{Order, Range};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Arc, Mutex, MutexGuard};

/// (created_ns, updated_ns, expires_ns, value)
type DocumentRow<'py> = (u64, u64, u64, Bound<'py, PyAny>);
/// (id, document)
type FoundRow<'py> = (Bound<'py, PyBytes>, DocumentRow<'py>);
/// Number and order, for each index.
type Entries = Vec<(u8, Vec<u8>)>;
/// (name, memory_type, agent_id, justification)
type Place = (usize, String, String, String);

/// A transaction, until it is committed or rolled back.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Transaction {
    store: Open,
    /// Locked only while detached, so that nobody waits for it with the GIL.
    inner: Mutex<Option<Inner>>,
    /// What its states were taken from: they get them back if it fails, for another try.
    captures: Mutex<Vec<Py<Capture>>>,
}

fn finished() -> Error {
    let what = "this transaction was committed or rolled back already; begin another one";
    Error::new("finished", what)
}

fn at(place: &Place) -> At<'_> {
    let (name, kind, agent_id, justification) = place;
    At { name: *name, kind, agent_id, justification }
}

fn document_row<'py>(py: Python<'py>, document: &Document) -> PyResult<DocumentRow<'py>> {
    let value = decoded(&document.value, &types(py)?)?;
    Ok((document.created_ns, document.updated_ns, document.expires_ns, value))
}

impl Transaction {
    fn inner(&self) -> Result<MutexGuard<'_, Option<Inner>>> {
        self.inner.lock().map_err(|_| Error::new("store", "an operation of a transaction died"))
    }

    fn captures(&self) -> Result<MutexGuard<'_, Vec<Py<Capture>>>> {
        self.captures.lock().map_err(|_| Error::new("store", "an operation of a transaction died"))
    }

    /// Runs `work` detached.
    pub(super) fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Inner, &Core) -> Result<T> + Send,
    ) -> PyResult<T> {
        let core = core_of(&self.store)?;
        Ok(py.detach(|| {
            let mut inner = self.inner()?;
            work(inner.as_mut().ok_or_else(finished)?, &core)
        })?)
    }
}

#[pymethods]
impl Store {
    fn transaction(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Transaction> {
        let core = self.core()?;
        let inner = py.detach(|| core.transaction(&names))?;
        let (inner, captures) = (Mutex::new(Some(inner)), Mutex::default());
        Ok(Transaction { store: Arc::clone(&self.open), inner, captures })
    }
}

#[pymethods]
impl Transaction {
    /// Whether it was neither committed nor rolled back.
    #[getter]
    fn open(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| Result::Ok(self.inner()?.is_some()))?)
    }

    fn indexes(&self, py: Python<'_>, name: usize, memory_type: &str) -> PyResult<Option<Indexes>> {
        self.run(py, |inner, core| inner.indexes(core, name, memory_type))
    }

    fn declare(&self, py: Python<'_>, place: Place, indexes: Indexes) -> PyResult<()> {
        self.run(py, |inner, _| inner.declare(at(&place), &indexes))
    }

    fn reindex(
        &self,
        py: Python<'_>,
        name: usize,
        memory_type: &str,
        document_id: DocumentId,
        entries: Entries,
    ) -> PyResult<()> {
        self.run(py, |inner, core| inner.reindex(core, (name, memory_type), document_id, entries))
    }

    fn insert<'py>(
        &self,
        py: Python<'py>,
        place: Place,
        value: &Bound<'py, PyAny>,
        entries: Entries,
        ttl_ns: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let value = encoded(value, <[u8]>::to_vec)?;
        let content = Content { value, entries, ttl_ns };
        let id = self.run(py, |inner, core| inner.insert(core, at(&place), content))?;
        Ok(PyBytes::new(py, &id))
    }

    fn replace(
        &self,
        py: Python<'_>,
        place: Place,
        document_id: DocumentId,
        value: &Bound<'_, PyAny>,
        entries: Entries,
        ttl_ns: Option<u64>,
    ) -> PyResult<bool> {
        let value = encoded(value, <[u8]>::to_vec)?;
        let content = Content { value, entries, ttl_ns };
        self.run(py, |inner, core| inner.replace(core, at(&place), document_id, content))
    }

    fn remove(&self, py: Python<'_>, place: Place, document_id: DocumentId) -> PyResult<bool> {
        self.run(py, |inner, core| inner.remove(core, at(&place), document_id))
    }

    /// Removes documents; in the ledger that is one operation.
    fn remove_all(
        &self,
        py: Python<'_>,
        place: Place,
        document_ids: Vec<DocumentId>,
        operation: &str,
    ) -> PyResult<usize> {
        let operation = match operation {
            "unlearn" => "unlearn",
            _ => "delete",
        };
        self.run(py, |inner, core| inner.remove_all(core, at(&place), &document_ids, operation))
    }

    fn count(&self, py: Python<'_>, name: usize, memory_type: &str) -> PyResult<u64> {
        self.run(py, |inner, core| inner.count(core, name, memory_type))
    }

    fn get<'py>(
        &self,
        py: Python<'py>,
        name: usize,
        memory_type: &str,
        document_id: DocumentId,
    ) -> PyResult<Option<DocumentRow<'py>>> {
        let found = self.run(py, |inner, core| inner.get(core, name, memory_type, &document_id))?;
        found.map(|document| document_row(py, &document)).transpose()
    }

    fn get_all<'py>(
        &self,
        py: Python<'py>,
        name: usize,
        memory_type: &str,
        document_ids: Vec<DocumentId>,
    ) -> PyResult<Vec<Option<DocumentRow<'py>>>> {
        let found =
            self.run(py, |inner, core| inner.get_all(core, name, memory_type, &document_ids))?;
        found
            .iter()
            .map(|document| document.as_ref().map(|found| document_row(py, found)).transpose())
            .collect()
    }

    #[allow(clippy::too_many_arguments, reason = "what a search is, for the one that calls it")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        name: usize,
        memory_type: &str,
        index: Option<u8>,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        descending: bool,
        limit: usize,
    ) -> PyResult<(Vec<FoundRow<'py>>, Option<Bound<'py, PyBytes>>)> {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let search = Search { index, range: Range { start, end }, order, limit };
        let (found, last) =
            self.run(py, |inner, core| inner.search(core, name, memory_type, &search))?;
        let found = found
            .iter()
            .map(|(id, document)| Ok((PyBytes::new(py, id), document_row(py, document)?)));
        Ok((found.collect::<PyResult<_>>()?, last.map(|last| PyBytes::new(py, &last))))
    }

    #[pyo3(signature = (name, memory_type, agent_id=None, justification=""))]
    fn note_read(
        &self,
        py: Python<'_>,
        name: usize,
        memory_type: &str,
        agent_id: Option<&str>,
        justification: &str,
    ) -> PyResult<()> {
        self.run(py, |inner, core| {
            inner.note_read(core, name, memory_type, agent_id, justification)
        })
    }

    fn now_ns(&self, py: Python<'_>) -> PyResult<u64> {
        self.run(py, |inner, core| inner.now_ns(core))
    }

    fn save(
        &self,
        py: Python<'_>,
        name: &str,
        capture: &Bound<'_, Capture>,
        justification: &str,
        base: Option<Follow<'_>>,
        mark: &Bound<'_, Mark>,
    ) -> PyResult<()> {
        let flat = capture.borrow_mut().take()?;
        let (base, mark) = (follow(base), Arc::clone(&mark.get().0));
        let save = Save { name, justification, base: None, origin: Origin::Walk };
        self.run(py, |inner, _| inner.save(&save, base, mark, flat))?;
        self.captures()?.push(capture.clone().unbind());
        Ok(())
    }

    fn commit(&self, py: Python<'_>) -> PyResult<Vec<VersionRow>> {
        let core = core_of(&self.store)?;
        let (versions, states) = py.detach(|| {
            let inner = self.inner()?.take().ok_or_else(finished)?;
            Result::Ok((inner.commit(&core), inner.into_states()))
        })?;
        let captures = std::mem::take(&mut *self.captures()?);
        match versions {
            Ok(versions) => {
                states.into_iter().for_each(keep_warm);
                tell(py, &core, 2)?;
                Ok(versions.iter().map(row).collect())
            }
            Err(error) => {
                for (capture, flat) in captures.iter().zip(states) {
                    capture.borrow_mut(py).flat = Some(flat);
                }
                Err(error.into())
            }
        }
    }

    /// Lets go of it; nothing of it is there. False if it was finished before.
    fn rollback(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| Result::Ok(self.inner()?.take().is_some()))?)
    }
}
