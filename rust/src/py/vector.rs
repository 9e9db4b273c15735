//! `dachi_fast._core.vector`: searching vectors by nearness.

use super::errors::Attempt;
use crate::vector::{self, Metric, Plan};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict};

/// Labels and scores, native bytes, one query after the other.
type Found<'py> = (Bound<'py, PyByteArray>, Bound<'py, PyByteArray>);

#[pyclass(frozen, module = "dachi_fast._core.vector")]
struct Index(vector::Index);

#[pymethods]
impl Index {
    #[new]
    fn new(dimension: usize, metric: &str, plan: &str) -> PyResult<Self> {
        let made = vector::Index::new(dimension, Metric::named(metric)?, Plan::named(plan)?);
        Ok(Index(made?))
    }

    #[getter]
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    #[getter]
    fn metric(&self) -> &'static str {
        self.0.metric().name()
    }

    fn insert(&self, py: Python<'_>, ids: PyBuffer<u64>, vectors: PyBuffer<f32>) -> PyResult<()> {
        let (ids, vectors) = (ids.to_vec(py)?, vectors.to_vec(py)?);
        Ok(py.detach(|| self.0.insert(&ids, &vectors))?)
    }

    fn delete(&self, py: Python<'_>, ids: PyBuffer<u64>) -> PyResult<usize> {
        let ids = ids.to_vec(py)?;
        Ok(py.detach(|| self.0.delete(&ids)))
    }

    #[pyo3(signature = (queries, k, recall, subset=None))]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: PyBuffer<f32>,
        k: usize,
        recall: f32,
        subset: Option<&Subset>,
    ) -> PyResult<Found<'py>> {
        let queries = queries.to_vec(py)?;
        let subset = subset.map(|subset| &subset.0);
        let found = py.detach(|| self.0.search(&queries, k, recall, subset))?;
        let found = || found.iter().flatten();
        let ids: Vec<u8> = found().flat_map(|(id, _)| id.to_ne_bytes()).collect();
        let scores: Vec<u8> = found().flat_map(|(_, score)| score.to_ne_bytes()).collect();
        Ok((PyByteArray::new(py, &ids), PyByteArray::new(py, &scores)))
    }

    fn stats<'py>(&self, py: Python<'py>, recall: f32) -> Attempt<Bound<'py, PyDict>> {
        let stats = self.0.stats(recall);
        let dict = PyDict::new(py);
        dict.set_item("vectors", stats.vectors)?;
        dict.set_item("size_bytes", stats.size_bytes)?;
        dict.set_item("method", stats.method)?;
        Ok(dict)
    }

    fn __len__(&self) -> usize {
        self.0.count()
    }

    fn __contains__(&self, id: u64) -> bool {
        self.0.has(id)
    }
}

#[pyclass(frozen, module = "dachi_fast._core.vector")]
struct Subset(vector::Subset);

#[pymethods]
impl Subset {
    #[new]
    fn new(py: Python<'_>, ids: PyBuffer<u64>) -> PyResult<Self> {
        Ok(Subset(vector::Subset::new(ids.to_vec(py)?)))
    }
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Index>()?;
    module.add_class::<Subset>()
}
