//! A loaded version, which becomes modules.

use super::{Open, core_of};
use crate::py::build::build;
use crate::py::decode::{Keys, ValueDecoder};
use crate::py::errors::Attempt;
use crate::py::leaves::Leaves;
use crate::py::raw;
use crate::py::state::Structure;
use crate::py::types::types;
use crate::state::blueprint;
use crate::store::Loaded as Version;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::Arc;

/// A version, read and proved.
#[pyclass(frozen, module = "dachi_fast._core.store")]
pub struct Loaded {
    /// As the handle has it: a version in a traceback must not keep a closed store's files open.
    store: Open,
    version: Version,
}

impl Loaded {
    /// `version` as `store` gave it.
    pub fn new(store: &Open, version: Version) -> Self {
        Loaded { store: Arc::clone(store), version }
    }
}

#[pymethods]
impl Loaded {
    /// The full kind of the root.
    #[getter]
    fn kind(&self) -> PyResult<&str> {
        Ok(blueprint::kind(&self.version.blueprint)?)
    }

    /// The encoded table of its classes.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.version.schema)
    }

    fn build<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, bool)> {
        let _paused = raw::CollectorPaused::new(py);
        let store = core_of(&self.store)?;
        let leaves = Leaves::new(&store, &self.version);
        let built = build(&types(py)?, &mut Keys::default(), &self.version.blueprint, &leaves)?;
        Ok((built.module, built.whole))
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _paused = raw::CollectorPaused::new(py);
        let store = core_of(&self.store)?;
        Ok(Leaves::new(&store, &self.version).state(&types(py)?, &mut Keys::default())?)
    }

    /// The blueprint as it lies on disk.
    fn blueprint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (types, mut keys) = (types(py)?, Keys::default());
        Ok(ValueDecoder::new(&self.version.blueprint, &types, &mut keys).whole()?)
    }

    fn fits(&self, module: &Bound<'_, PyAny>) -> PyResult<bool> {
        let compared = || -> Attempt<bool> {
            let own = Structure::of(module)?;
            Ok(own.leaves == self.version.paths.len()
                && blueprint::outline(&own.blueprint)?
                    == blueprint::outline(&self.version.blueprint)?)
        };
        Ok(compared()?)
    }
}
