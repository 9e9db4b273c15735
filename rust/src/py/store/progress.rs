//! Long work, which tells how far it is and ends at Ctrl-C.

use crate::error::{Error, Result};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// Runs `work` with a function that calls `progress`, where there is one, and raises what that
/// raises.
pub fn reported<A, T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut dyn FnMut(A) -> Result<()>) -> Result<T> + Send,
) -> PyResult<T>
where
    A: for<'py> PyCallArgs<'py>,
{
    let mut raised = None;
    let done = py.detach(|| {
        work(&mut |told| {
            Python::attach(|py| {
                py.check_signals()?;
                progress.as_ref().map_or(Ok(()), |call| call.call1(py, told).map(drop))
            })
            .map_err(|error| {
                raised = Some(error);
                Error::new("store", "interrupted")
            })
        })
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}
