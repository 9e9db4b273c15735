//! A loaded version, which becomes modules.

use crate::py::build::build;
use crate::py::decode::Keys;
use crate::py::errors::Attempt;
use crate::py::leaves::Leaves;
use crate::py::raw;
use crate::py::state;
use crate::py::types::types;
use crate::state::blueprint;
use crate::store::{Loaded as Version, Store};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// A version, read and proved.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Loaded {
    store: Arc<Store>,
    version: Version,
}

impl Loaded {
    /// `version` as `store` gave it.
    pub fn new(store: Arc<Store>, version: Version) -> Self {
        Loaded { store, version }
    }

    fn leaves(&self) -> Leaves<'_> {
        Leaves::new(&self.store, &self.version)
    }
}

#[pymethods]
impl Loaded {
    /// The full kind of the root.
    #[getter]
    fn kind(&self) -> PyResult<&str> {
        Ok(blueprint::kind(&self.version.blueprint)?)
    }

    fn build<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, bool)> {
        let _paused = raw::CollectorPaused::new(py);
        let types = types(py)?;
        let mut keys = Keys::default();
        let built = build(&types, &mut keys, &self.version.blueprint, &self.leaves())?;
        Ok((built.module, built.whole))
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _paused = raw::CollectorPaused::new(py);
        Ok(self.leaves().state(&types(py)?, &mut Keys::default())?)
    }

    fn fits(&self, module: &Bound<'_, PyAny>) -> PyResult<bool> {
        let compared = || -> Attempt<bool> {
            let own = state::blueprint_of(module)?;
            Ok(blueprint::outline(&own)? == blueprint::outline(&self.version.blueprint)?)
        };
        Ok(compared()?)
    }
}
