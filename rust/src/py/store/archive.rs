//! Backups: what to put, and what to do with what was got.

use super::Store;
use super::progress::reported;
use crate::error::Error;
use crate::py::keys::key;
use crate::seal::NodeId;
use crate::store::archive::{self, Found};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

/// Name and length.
type Listed = Vec<([u8; 16], u64)>;
/// (created_ns, commit, committed_ns, entries, chain, nodes, size_bytes, packs)
type FoundRow<'py> = (u64, u64, u64, u64, Bound<'py, PyBytes>, u64, u64, Vec<Name<'py>>);
type Name<'py> = (Bound<'py, PyBytes>, u64);
/// (id, manifest, commit, created_ns, nodes, size_bytes, put_nodes, dropped, dead)
type FinishedRow<'py> = (
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    u64,
    u64,
    u64,
    u64,
    u64,
    Vec<Bound<'py, PyBytes>>,
    Vec<Bound<'py, PyBytes>>,
);

fn listed(names: Listed) -> Vec<(NodeId, u64)> {
    names.into_iter().map(|(id, size_bytes)| (NodeId(id), size_bytes)).collect()
}

fn names<'py>(py: Python<'py>, packs: Vec<(NodeId, u64)>) -> Vec<Name<'py>> {
    packs.into_iter().map(|(id, size_bytes)| (PyBytes::new(py, &id.0), size_bytes)).collect()
}

fn ids<'py>(py: Python<'py>, ids: &[NodeId]) -> Vec<Bound<'py, PyBytes>> {
    ids.iter().map(|id| PyBytes::new(py, &id.0)).collect()
}

fn held<T>(held: &Mutex<T>) -> Result<MutexGuard<'_, T>, Error> {
    held.lock().map_err(|_| Error::new("store", "an earlier step of the backup died"))
}

/// A backup in the making.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Backup(Mutex<archive::Backup>);

#[pymethods]
impl Backup {
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &held(&self.0)?.keys()?))
    }

    fn check_keys(&self, theirs: &[u8]) -> PyResult<()> {
        Ok(held(&self.0)?.check_keys(theirs)?)
    }

    fn follow(
        &self,
        py: Python<'_>,
        manifests: Vec<([u8; 16], Vec<u8>)>,
        may_branch: bool,
    ) -> PyResult<()> {
        let manifests = manifests.into_iter().map(|(id, bytes)| (NodeId(id), bytes)).collect();
        Ok(py.detach(|| held(&self.0)?.follow(manifests, may_branch))?)
    }

    fn readable<'py>(&self, py: Python<'py>, packs: Listed) -> PyResult<Vec<Name<'py>>> {
        let readable = held(&self.0)?.readable(&listed(packs));
        Ok(names(py, readable))
    }

    fn learn(
        &self,
        py: Python<'_>,
        pack_id: [u8; 16],
        size_bytes: u64,
        table: &[u8],
    ) -> PyResult<bool> {
        Ok(py.detach(|| held(&self.0).map(|mut b| b.learn(NodeId(pack_id), size_bytes, table)))?)
    }

    #[pyo3(signature = (progress=None))]
    fn plan(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64)> {
        reported(py, progress, |told| held(&self.0)?.plan(&mut |nodes| told((nodes,))))
    }

    fn pack<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let pack = py.detach(|| held(&self.0)?.pack())?;
        Ok(pack.map(|(id, bytes)| (PyBytes::new(py, &id.0), PyBytes::new(py, &bytes))))
    }

    fn finish<'py>(
        &self,
        py: Python<'py>,
        packs: Listed,
        keep: usize,
    ) -> PyResult<FinishedRow<'py>> {
        let packs = listed(packs);
        let f = py.detach(|| held(&self.0)?.finish(&packs, keep))?;
        let (id, manifest) = (PyBytes::new(py, &f.id.0), PyBytes::new(py, &f.manifest));
        let (dropped, dead) = (ids(py, &f.dropped), ids(py, &f.dead));
        let (commit, nodes, put_nodes) = (f.commit, f.nodes, f.put_nodes);
        Ok((id, manifest, commit, f.created_ns, nodes, f.size_bytes, put_nodes, dropped, dead))
    }
}

/// Backups of an archive, opened with its keys.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Restoration(Mutex<archive::Restoration>);

#[pymethods]
impl Restoration {
    #[new]
    fn new(keys: Vec<u8>, root_key: &[u8]) -> PyResult<Self> {
        Ok(Restoration(Mutex::new(archive::Restoration::new(keys, key(root_key)?)?)))
    }

    fn read<'py>(
        &self,
        py: Python<'py>,
        manifest_id: [u8; 16],
        manifest: &[u8],
    ) -> PyResult<FoundRow<'py>> {
        let f: Found = py.detach(|| held(&self.0)?.read(NodeId(manifest_id), manifest))?;
        let (chain, packs) = (PyBytes::new(py, &f.chain), names(py, f.packs));
        let (created_ns, committed_ns) = (f.created_ns, f.committed_ns);
        Ok((created_ns, f.commit, committed_ns, f.entries, chain, f.nodes, f.size_bytes, packs))
    }

    fn begin(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        manifest_id: [u8; 16],
        manifest: &[u8],
    ) -> PyResult<usize> {
        Ok(py.detach(|| held(&self.0)?.begin(&folder, NodeId(manifest_id), manifest))?)
    }

    fn add(&self, py: Python<'_>, pack: &[u8]) -> PyResult<()> {
        Ok(py.detach(|| held(&self.0)?.add(pack))?)
    }

    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| held(&self.0)?.finish())?)
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| held(&self.0).map(|mut restoration| restoration.stop()))?)
    }
}

#[pymethods]
impl Store {
    fn backup(&self, py: Python<'_>) -> PyResult<Backup> {
        let core = self.core()?;
        Ok(Backup(Mutex::new(py.detach(|| archive::Backup::begin(core))?)))
    }

    fn restored(&self, py: Python<'_>, manifest: &str, justification: &str) -> PyResult<u64> {
        let core = self.core()?;
        Ok(py.detach(|| core.restored(manifest, justification))?)
    }
}

/// The store's id and the wrapped root key of an archive's keys.
#[pyfunction]
pub fn keys_of<'py>(
    py: Python<'py>,
    keys: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (store, wrapped) = archive::keys_of(keys)?;
    Ok((PyBytes::new(py, &store), PyBytes::new(py, &wrapped)))
}
