//! `dachi_fast._core.state`: a tree of modules as a dict, or captured for a save.

use super::array::{self, Items};
use super::blueprint;
use super::build::build;
use super::decode::Keys;
use super::encode::ValueEncoder;
use super::errors::Attempt;
use super::layout::Layout;
use super::leaves::Leaves;
use super::raw;
use super::sink::{ALL, Sink, Wanted};
use super::types::{Types, types};
use super::walk;
use crate::codec::Encoder;
use crate::error::{Error, Result};
use crate::state::blueprint::outline;
use crate::state::{Arena, Flat, Outside};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::sync::Mutex;

/// Arrays of at least this many bytes are not copied into the arena; smaller ones would make too
/// many blobs.
const OUTSIDE_BYTES: usize = 4096;
/// Largest buffers kept warm between captures.
const KEPT_BYTES: usize = 64 << 20;

struct DictSink<'py> {
    dict: Bound<'py, PyDict>,
}

impl<'py> Sink<'py> for DictSink<'py> {
    fn leaf(&mut self, prefix: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        let path = raw::string(value.py(), &[prefix, name].concat())?;
        Ok(self.dict.set_item(path, value)?)
    }
}

/// For walks that only look at the structure: how many leaves.
struct CountSink(usize);

impl<'py> Sink<'py> for CountSink {
    fn leaf(&mut self, _: &str, _: &str, _: &Bound<'py, PyAny>) -> Attempt<()> {
        self.0 += 1;
        Ok(())
    }
}

#[pyfunction]
#[pyo3(signature = (module, recurse=true, train=true, runtime=true))]
fn flatten<'py>(
    module: &Bound<'py, PyAny>,
    recurse: bool,
    train: bool,
    runtime: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let mut sink = DictSink { dict: PyDict::new(module.py()) };
    walk::walk(module, Wanted { recurse, train, runtime }, &mut sink)?;
    Ok(sink.dict)
}

struct CaptureSink<'a, 'py> {
    types: &'a Types<'py>,
    values: Encoder,
    ends: Vec<usize>,
    paths: Arena,
    outside: Vec<Outside>,
    arrays: Arrays,
}

/// What happens to large arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrays {
    /// They are read where they lie, before the save returns.
    Borrowed,
    /// They are copied now, because the caller goes on before the save is done.
    Copied,
}

impl<'py> Sink<'py> for CaptureSink<'_, 'py> {
    fn leaf(&mut self, prefix: &str, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if prefix.len() + name.len() > crate::state::MAX_PATH_BYTES {
            return Err(Error::new("too-large", "a path is longer than 4096 bytes").into());
        }
        self.paths.push_joined(prefix.as_bytes(), name.as_bytes());
        if !self.types.is_array(value) || !self.outside(value)? {
            ValueEncoder::new(&mut self.values, self.types).value(value)?;
        }
        self.ends.push(self.values.len());
        Ok(())
    }
}

impl<'py> CaptureSink<'_, 'py> {
    /// Writes the head of a large array and keeps its items aside; false for a small one.
    fn outside(&mut self, value: &Bound<'py, PyAny>) -> Attempt<bool> {
        let size_bytes: usize = value.getattr(pyo3::intern!(value.py(), "nbytes"))?.extract()?;
        if size_bytes < OUTSIDE_BYTES {
            return Ok(false);
        }
        let parts = array::parts(self.types, value)?;
        array::fits(parts.items.len())?;
        let mark = self.values.array(&parts.dtype, parts.fortran, &parts.shape);
        self.values.close(mark, parts.items.len());
        let payload: Box<dyn crate::state::Payload> = match (parts.items, self.arrays) {
            (Items::Own(buffer), Arrays::Borrowed) => Box::new(raw::ArrayMemory::new(buffer)),
            (Items::Own(buffer), Arrays::Copied) => Box::new(buffer.to_vec(value.py())?),
            (Items::Copy(bytes), _) => Box::new(bytes.as_bytes().to_vec()),
        };
        self.outside.push(Outside { entry: self.ends.len(), payload });
        Ok(true)
    }
}

/// Buffers of earlier captures: memory that the process has touched already.
static WARM: Mutex<Option<Flat>> = Mutex::new(None);

/// Gives a capture's buffers back.
pub fn keep_warm(flat: Flat) {
    let flat = Flat { outside: Vec::new(), ..flat };
    if flat.values.bytes().len() <= KEPT_BYTES
        && let Ok(mut warm) = WARM.lock()
    {
        *warm = Some(flat);
    }
}

/// A state taken at one moment, encoded and ready to be saved.
#[pyclass(module = "dachi_fast._core.state")]
pub struct Capture {
    /// None once it was saved.
    pub flat: Option<Flat>,
}

impl Capture {
    /// What was taken, for the one save of it.
    pub fn take(&mut self) -> Result<Flat> {
        self.flat.take().ok_or_else(|| Error::new("finished", "this capture was saved already"))
    }
}

#[pymethods]
impl Capture {
    /// How many values.
    #[getter]
    fn entries(&self) -> usize {
        self.flat.as_ref().map_or(0, |flat| flat.paths.len())
    }

    /// How many bytes of encoded values.
    #[getter]
    fn size_bytes(&self) -> usize {
        self.flat.as_ref().map_or(0, Flat::size_bytes)
    }

    fn __repr__(&self) -> String {
        format!("Capture(entries={}, size_bytes={})", self.entries(), self.size_bytes())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(flat) = self.flat.take() {
            keep_warm(flat);
        }
    }
}

#[pyfunction]
#[pyo3(signature = (module, *, copy_arrays=false))]
fn capture(module: &Bound<'_, PyAny>, copy_arrays: bool) -> PyResult<Capture> {
    let types = types(module.py())?;
    let warm = WARM.lock().ok().and_then(|mut warm| warm.take()).unwrap_or_default();
    let (value_bytes, value_ends) = warm.values.into_buffers();
    let (path_bytes, path_ends) = warm.paths.into_buffers();
    let cleared = Arena::with_buffers(value_bytes, value_ends).into_buffers();
    let mut sink = CaptureSink {
        types: &types,
        values: Encoder::new(cleared.0),
        ends: cleared.1,
        paths: Arena::with_buffers(path_bytes, path_ends),
        outside: Vec::new(),
        arrays: if copy_arrays { Arrays::Copied } else { Arrays::Borrowed },
    };
    let found = walk::walk(module, ALL, &mut sink)?;
    let mut blueprint = warm.blueprint;
    blueprint.clear();
    let mut out = Encoder::new(blueprint);
    let schema = blueprint::encode(&mut out, &types, module, found)?;
    let values = Arena::from_parts(sink.values.into_bytes(), sink.ends);
    let blueprint = out.into_bytes();
    let flat = Flat { paths: sink.paths, values, outside: sink.outside, blueprint, schema };
    Ok(Capture { flat: Some(flat) })
}

/// What a save keeps of a module beside its values.
pub struct Structure {
    /// The encoded blueprint.
    pub blueprint: Vec<u8>,
    /// The encoded table of its classes.
    pub schema: Vec<u8>,
    /// How many values the state has.
    pub leaves: usize,
}

impl Structure {
    /// Of `module`.
    pub fn of(module: &Bound<'_, PyAny>) -> Attempt<Self> {
        let types = types(module.py())?;
        let mut leaves = CountSink(0);
        let found = walk::walk(module, ALL, &mut leaves)?;
        let mut out = Encoder::default();
        let schema = blueprint::encode(&mut out, &types, module, found)?;
        Ok(Structure { blueprint: out.into_bytes(), schema, leaves: leaves.0 })
    }
}

#[pyfunction]
fn schema<'py>(module: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(module.py(), &Structure::of(module)?.schema))
}

/// Modules out of a blueprint and a state that lie in memory, as `store.Loaded.build` makes them.
#[pyfunction]
fn rebuild<'py>(
    blueprint: &Bound<'py, PyDict>,
    state: &Bound<'py, PyDict>,
) -> PyResult<(Bound<'py, PyAny>, bool)> {
    let py = state.py();
    let types = types(py)?;
    let _paused = raw::CollectorPaused::new(py);
    let mut paths = Arena::default();
    let (mut values, mut ends) = (Encoder::default(), Vec::with_capacity(state.len()));
    for (path, value) in state.iter() {
        let path: String = path.extract()?;
        let encoded = ValueEncoder::new(&mut values, &types).value(&value);
        encoded.map_err(|fail| fail.inside(path.as_str()))?;
        ends.push(values.len());
        paths.push(path.as_bytes());
    }
    let values = Arena::from_parts(values.into_bytes(), ends);
    let (mut sorted, mut ordered) = (Arena::default(), Arena::default());
    for at in paths.ascending() {
        sorted.push(paths.get(at as usize));
        ordered.push(values.get(at as usize));
    }
    let mut out = Encoder::default();
    ValueEncoder::new(&mut out, &types).value(blueprint)?;
    let leaves = Leaves::of(&sorted, &ordered);
    let built = build(&types, &mut Keys::default(), out.bytes(), &leaves)?;
    Ok((built.module, built.whole))
}

/// Whether two trees have the same kinds in the same places.
#[pyfunction]
fn same_structure(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    let outlined = |module| -> Attempt<_> { Ok(outline(&Structure::of(module)?.blueprint)?) };
    Ok(outlined(a)? == outlined(b)?)
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Layout>()?;
    module.add_class::<Capture>()?;
    module.add_class::<super::load_plan::LoadPlan>()?;
    module.add_function(wrap_pyfunction!(flatten, module)?)?;
    module.add_function(wrap_pyfunction!(capture, module)?)?;
    module.add_function(wrap_pyfunction!(super::held::held, module)?)?;
    module.add_function(wrap_pyfunction!(super::describe::describe, module)?)?;
    module.add_function(wrap_pyfunction!(schema, module)?)?;
    module.add_function(wrap_pyfunction!(rebuild, module)?)?;
    module.add_function(wrap_pyfunction!(same_structure, module)?)?;
    module.add_function(wrap_pyfunction!(super::load::plan_load, module)?)?;
    module.add_function(wrap_pyfunction!(super::limits::exceeded, module)?)?;
    module.add_function(wrap_pyfunction!(super::spec::build_spec, module)?)
}
