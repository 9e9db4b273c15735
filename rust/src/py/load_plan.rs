//! What a load will write, and the writing.

use super::raw;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// One attribute to be written.
pub struct Write {
    /// Whose.
    pub module: Py<PyAny>,
    /// Its name.
    pub name: Py<PyString>,
    /// What to write.
    pub new: Py<PyAny>,
    /// None where the module lacks the attribute.
    pub old: Option<Py<PyAny>>,
}

/// What a load will write, and what it found wrong.
#[pyclass(frozen, module = "dachi_fast._core.state")]
pub struct LoadPlan {
    /// The attributes.
    pub writes: Vec<Write>,
    /// The keys of the state that have a place.
    pub found: Vec<Py<PyAny>>,
    /// Expected keys that the state does not have.
    #[pyo3(get)]
    pub missing: Py<PyList>,
    /// (item, new value)
    #[pyo3(get)]
    pub items: Py<PyList>,
    /// (AdaptModule, its new module)
    #[pyo3(get)]
    pub swaps: Py<PyList>,
    /// (module, name, new value) of the attributes that may have callbacks.
    #[pyo3(get)]
    pub told: Py<PyList>,
}

impl LoadPlan {
    /// An empty one, for a state of so many leaves.
    pub fn new(py: Python<'_>, leaves: usize) -> Self {
        let list = || PyList::empty(py).unbind();
        LoadPlan {
            writes: Vec::with_capacity(leaves),
            found: Vec::with_capacity(leaves),
            missing: list(),
            items: list(),
            swaps: list(),
            told: list(),
        }
    }
}

#[pymethods]
impl LoadPlan {
    /// How many keys of the state have a place.
    fn __len__(&self) -> usize {
        self.found.len()
    }

    /// The keys of the state that have a place.
    #[getter]
    fn found<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.found)
    }

    /// Writes the attributes as `object.__setattr__` does: past callbacks and fixes.
    fn write(&self, py: Python<'_>) -> PyResult<()> {
        for write in &self.writes {
            raw::set_plainly(write.module.bind(py), write.name.bind(py), Some(write.new.bind(py)))?;
        }
        Ok(())
    }

    /// Writes back what was there before.
    fn undo(&self, py: Python<'_>) -> PyResult<()> {
        for write in self.writes.iter().rev() {
            let (module, name) = (write.module.bind(py), write.name.bind(py));
            match &write.old {
                Some(old) => raw::set_plainly(module, name, Some(old.bind(py)))?,
                None if module.hasattr(name)? => raw::set_plainly(module, name, None)?,
                None => {}
            }
        }
        Ok(())
    }
}
