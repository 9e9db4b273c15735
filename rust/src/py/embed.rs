//! `dachi_fast._core.embed`: texts to vectors.

use crate::embed::{Embed, Hashing, Model, embed_all};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList, PyString};

/// A static embedding model.
#[pyclass(frozen, module = "dachi_fast._core.embed")]
struct StaticModel(Model);

#[pymethods]
impl StaticModel {
    #[new]
    fn new(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        Ok(StaticModel(py.detach(|| Model::new(data.to_vec()))?))
    }

    #[getter]
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn tokens(&self, text: &Bound<'_, PyString>) -> Vec<u32> {
        self.0.tokens(&text.to_string_lossy())
    }

    fn embed<'py>(&self, texts: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyByteArray>> {
        embedded(&self.0, texts)
    }
}

#[pyfunction]
fn hashed<'py>(texts: &Bound<'py, PyList>, dimension: usize) -> PyResult<Bound<'py, PyByteArray>> {
    embedded(&Hashing::new(dimension), texts)
}

/// The vectors as native f32, one after the other.
fn embedded<'py>(
    engine: &impl Embed,
    texts: &Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyByteArray>> {
    let py = texts.py();
    let texts: Vec<_> = texts.iter().enumerate().map(text).collect::<PyResult<_>>()?;
    // A lone surrogate becomes U+FFFD, which no vocabulary has.
    let texts: Vec<_> = texts.iter().map(|text| text.to_string_lossy()).collect();
    let numbers = texts.len() * engine.dimension();
    let vectors = py.detach(|| {
        let mut vectors = vec![0f32; numbers];
        embed_all(engine, &texts, &mut vectors).map(|()| vectors)
    })?;
    PyByteArray::new_with(py, numbers * size_of::<f32>(), |bytes| {
        for (to, number) in bytes.chunks_exact_mut(size_of::<f32>()).zip(vectors) {
            to.copy_from_slice(&number.to_ne_bytes());
        }
        Ok(())
    })
}

fn text<'py>((index, text): (usize, Bound<'py, PyAny>)) -> PyResult<Bound<'py, PyString>> {
    text.cast_into::<PyString>().map_err(|other| {
        let kind = other.into_inner().get_type();
        PyTypeError::new_err(format!("text {index} is a {kind}; only a str can be embedded"))
    })
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StaticModel>()?;
    module.add_function(wrap_pyfunction!(hashed, module)?)
}
