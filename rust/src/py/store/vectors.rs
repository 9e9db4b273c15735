//! Vectors of documents in transactions.

use super::transaction::Transaction;
use crate::ledger::hex;
use crate::store::{DocumentId, Near, VectorSpace};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

/// (name, model, dimension)
type SpaceRow = (String, String, usize);

/// The id of 32 hex digits; None for what is none.
fn id_of(text: &str) -> Option<DocumentId> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let mut id = DocumentId::default();
    if !odd.is_empty() || pairs.len() != id.len() {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (to, [high, low]) in id.iter_mut().zip(pairs) {
        *to = digit(*high)? << 4 | digit(*low)?;
    }
    Some(id)
}

#[pymethods]
impl Transaction {
    fn spaces(&self, py: Python<'_>, name: usize) -> PyResult<Vec<SpaceRow>> {
        let spaces = self.run(py, |inner, core| inner.vector_spaces(core, name))?;
        let row = |(name, space): (String, VectorSpace)| (name, space.model, space.dimension);
        Ok(spaces.into_iter().map(row).collect())
    }

    fn declare_space(
        &self,
        py: Python<'_>,
        name: usize,
        space: &str,
        model: &str,
        dimension: usize,
    ) -> PyResult<()> {
        let declared = VectorSpace::new(model, dimension)?;
        self.run(py, |inner, core| inner.declare_space(core, name, space, declared))
    }

    fn drop_space(&self, py: Python<'_>, name: usize, space: &str) -> PyResult<()> {
        self.run(py, |inner, core| inner.drop_space(core, name, space))
    }

    fn reclass(
        &self,
        py: Python<'_>,
        name: usize,
        document_id: DocumentId,
        visibility: u8,
    ) -> PyResult<()> {
        self.run(py, |inner, core| inner.reclass(core, name, &document_id, visibility))
    }

    fn embed(
        &self,
        py: Python<'_>,
        name: usize,
        space: &str,
        document_id: DocumentId,
        visibility: u8,
        vector: PyBuffer<f32>,
    ) -> PyResult<()> {
        let vector = vector.to_vec(py)?;
        self.run(py, |inner, core| {
            inner.embed(core, (name, space), document_id, visibility, &vector)
        })
    }

    #[allow(clippy::too_many_arguments, reason = "what a search is, for the one that calls it")]
    fn similar(
        &self,
        py: Python<'_>,
        name: usize,
        space: &str,
        query: PyBuffer<f32>,
        k: usize,
        recall: f32,
        visible: Vec<u8>,
        within: Option<Vec<PyBackedStr>>,
    ) -> PyResult<Vec<(String, f32)>> {
        let query = query.to_vec(py)?;
        let within = within.map(|ids| ids.iter().filter_map(|id| id_of(id)).collect());
        let near = Near { query, k, recall, visible, within };
        let found = self.run(py, |inner, core| inner.similar(core, (name, space), &near))?;
        Ok(found.into_iter().map(|(id, cosine)| (hex(&id), cosine)).collect())
    }
}
