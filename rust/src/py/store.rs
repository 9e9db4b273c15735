//! `dachi_fast._core.store`: an open store.

use super::array::Unfilled;
use super::decode::{Keys, ValueDecoder};
use super::errors::Attempt;
use super::raw;
use super::state::{Capture, keep_warm};
use super::types::{Types, types};
use crate::codec::{Decoder, Token};
use crate::engine::lmdb::Sync;
use crate::error::Error;
use crate::store::{self, Loaded, Options, Save, Store as Core, Version};
use crate::tree::{Blob, Nodes};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

/// (number, created_ns, base, restores, justification, entries, size_bytes, root)
type VersionRow = (u64, u64, u64, u64, String, u64, u64, String);

fn row(version: &Version) -> VersionRow {
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

fn sealed_hash(hash: &[u8; 32]) -> String {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[pyfunction]
fn probe<'py>(
    py: Python<'py>,
    folder: PathBuf,
) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    let found = py.detach(|| store::probe(&folder))?;
    Ok(found
        .map(|locked| (PyBytes::new(py, &locked.store), PyBytes::new(py, &locked.wrapped_root))))
}

/// An open store; methods may be called from any thread.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Store {
    open: RwLock<Option<Arc<Core>>>,
}

impl Store {
    fn core(&self) -> PyResult<Arc<Core>> {
        let open = self.open.read().map_err(|_| Error::new("store", "the store's handle broke"))?;
        let closed = || Error::new("closed", "this store was closed; open it again");
        Ok(open.as_ref().map(Arc::clone).ok_or_else(closed)?)
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (folder, store_id, root_key, wrapped_root, witness_folder, *, bench_only_no_sync=false))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        store_id: [u8; 16],
        root_key: &[u8],
        wrapped_root: &[u8],
        witness_folder: Option<PathBuf>,
        bench_only_no_sync: bool,
    ) -> PyResult<Self> {
        let options = Options {
            folder,
            id: store_id,
            root: super::keys::key(root_key)?,
            wrapped_root: wrapped_root.to_vec(),
            witness_folder,
            sync: if bench_only_no_sync { Sync::BenchOnlyNever } else { Sync::Always },
        };
        let core = py.detach(|| Core::open(options))?;
        Ok(Store { open: RwLock::new(Some(Arc::new(core))) })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core().is_err()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut open =
            self.open.write().map_err(|_| Error::new("store", "the store's handle broke"))?;
        let core = open.take();
        drop(open);
        py.detach(|| drop(core));
        Ok(())
    }

    #[pyo3(signature = (name, capture, justification, base))]
    fn save(
        &self,
        py: Python<'_>,
        name: &str,
        capture: &Bound<'_, Capture>,
        justification: &str,
        base: Option<u64>,
    ) -> PyResult<VersionRow> {
        let core = self.core()?;
        let flat = capture.borrow_mut().flat.take();
        let flat = flat.ok_or_else(|| Error::new("finished", "this capture was saved already"))?;
        let save = Save { name, justification, base };
        let (saved, flat) = py.detach(|| (core.save(&save, &flat), flat));
        match saved {
            Ok(version) => {
                keep_warm(flat);
                Ok(row(&version))
            }
            Err(error) => {
                // So that the caller can choose another name or base without a second walk.
                capture.borrow_mut().flat = Some(flat);
                Err(error.into())
            }
        }
    }

    #[pyo3(signature = (name, number=None))]
    fn load<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        number: Option<u64>,
    ) -> PyResult<(VersionRow, Bound<'py, PyAny>, Bound<'py, PyDict>)> {
        let core = self.core()?;
        let loaded = py.detach(|| core.load(name, number))?;
        let types = types(py)?;
        let mut keys = Keys::default();
        let blueprint = ValueDecoder::new(&loaded.blueprint, &types, &mut keys).whole()?;
        let state = decoded(py, &core, &loaded, &types, &mut keys)?;
        Ok((row(&loaded.version), blueprint, state))
    }

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
        Ok(row(&py.detach(|| core.rollback(name, to, justification))?))
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
        Ok((r.namespaces, r.versions, r.entries, r.nodes, r.size_bytes, r.unused_nodes))
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

/// The state of a loaded version: dot path -> value.
fn decoded<'py>(
    py: Python<'py>,
    core: &Core,
    loaded: &Loaded,
    types: &Types<'py>,
    keys: &mut Keys,
) -> Attempt<Bound<'py, PyDict>> {
    let nodes = core.nodes_of(loaded);
    let state = PyDict::new(py);
    let mut blobs = loaded.blobs.iter().peekable();
    for entry in 0..loaded.paths.len() {
        let path = std::str::from_utf8(loaded.paths.get(entry));
        let path = path.map_err(|_| Error::new("malformed", "a path is not UTF-8"))?;
        let inline = loaded.values.get(entry);
        let value = match blobs.next_if(|(at, _)| *at == entry) {
            None => ValueDecoder::new(inline, types, keys).whole(),
            Some((_, blob)) => large(py, &nodes, inline, blob, types, keys),
        };
        let value = value.map_err(|fail| fail.inside(path))?;
        state.set_item(raw::string(py, path)?, value)?;
    }
    Ok(state)
}

/// A value of which at least a part is a blob.
fn large<'py>(
    py: Python<'py>,
    nodes: &dyn Nodes,
    inline: &[u8],
    blob: &Blob,
    types: &Types<'py>,
    keys: &mut Keys,
) -> Attempt<Bound<'py, PyAny>> {
    if inline.is_empty() {
        let bytes = py.detach(|| {
            let mut bytes = Vec::new();
            blob.append_to(nodes, &mut bytes).map(|()| bytes)
        })?;
        return ValueDecoder::new(&bytes, types, keys).whole();
    }
    let mut head = Decoder::new(inline);
    let Token::Array(head) = head.token()? else {
        return Err(Error::new("malformed", "a large value is no array").into());
    };
    if head.size_bytes as u64 != blob.size_bytes || !head.items.is_empty() {
        return Err(Error::new("malformed", "an array and its items differ in length").into());
    }
    let unfilled = Unfilled::new(types, &head)?;
    let memory = unfilled.memory()?;
    raw::fill(py, &memory, |out| blob.read_into(nodes, out))?;
    drop(memory);
    unfilled.filled()
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(probe, module)?)
}
