//! Saving and loading.

use super::Store;
use super::versions::{VersionRow, row};
use crate::codec::{Decoder, Token};
use crate::error::Error;
use crate::py::array::Unfilled;
use crate::py::decode::{Keys, ValueDecoder};
use crate::py::errors::Attempt;
use crate::py::raw;
use crate::py::state::{Capture, keep_warm};
use crate::py::types::{Types, types};
use crate::store::{Loaded, Save, Store as Core};
use crate::tree::{Blob, Nodes};
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pymethods]
impl Store {
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
