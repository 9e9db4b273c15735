//! `dachi_fast._core.learn`: the arithmetic of learners, on numpy arrays in place.
//!
//! Nothing here is detached: the arrays belong to a live module, which Python code in other threads
//! would see half-way.

use super::errors::Attempt;
use super::raw::cells;
use crate::error::Error;
use crate::learn::{self, Arm, Draws};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use std::cell::Cell;

/// An array of float64 in C order that lives as long as this.
struct Floats(PyBuffer<f64>);

impl Floats {
    fn of(array: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Floats(PyBuffer::get(array)?))
    }

    fn cells<'a>(&'a self, py: Python<'a>) -> Attempt<&'a [Cell<f64>]> {
        cells(py, &self.0).ok_or_else(|| misshapen().into())
    }

    /// One action's part of an array of `size` numbers an action.
    fn row<'a>(&'a self, py: Python<'a>, row: usize, size: usize) -> Attempt<&'a [Cell<f64>]> {
        part(self.cells(py)?, row, size)
    }
}

fn vector(array: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    PyBuffer::<f64>::get(array)?.to_vec(array.py())
}

fn part(cells: &[Cell<f64>], row: usize, size: usize) -> Attempt<&[Cell<f64>]> {
    let from = row.checked_mul(size);
    let found = from.and_then(|from| cells.get(from..from.checked_add(size)?));
    found.ok_or_else(|| misshapen().into())
}

#[cold]
fn misshapen() -> Error {
    let what =
        "a learner's arrays are not float64 of one shape: its state was changed from outside";
    Error::new("learner-state", what)
}

#[cold]
fn too_large() -> Error {
    Error::new("context", "the context's numbers are too large to be learned from; scale them down")
}

#[pyfunction]
fn score(
    py: Python<'_>,
    weights: &Bound<'_, PyAny>,
    inverse: &Bound<'_, PyAny>,
    rows: Vec<usize>,
    context: &Bound<'_, PyAny>,
) -> PyResult<(Vec<f64>, Vec<f64>)> {
    let context = vector(context)?;
    let (weights, inverse) = (Floats::of(weights)?, Floats::of(inverse)?);
    let (all_weights, all_inverse) = (weights.cells(py)?, inverse.cells(py)?);
    let d = context.len();
    let (mut means, mut squares) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        let (weights, inverse) =
            (part(all_weights, row, d)?, part(all_inverse, row, d.saturating_mul(d))?);
        let (mean, square) = learn::score(weights, inverse, &context);
        means.push(mean);
        squares.push(square);
    }
    Ok((means, squares))
}

/// Gram, moment, inverse and weights of all actions.
type Arrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

struct Model([Floats; 4]);

impl Model {
    fn of(arrays: Arrays<'_>) -> PyResult<Self> {
        let (gram, moment, inverse, weights) = arrays;
        Ok(Model([
            Floats::of(&gram)?,
            Floats::of(&moment)?,
            Floats::of(&inverse)?,
            Floats::of(&weights)?,
        ]))
    }

    fn arm<'a>(&'a self, py: Python<'a>, row: usize, d: usize) -> Attempt<Arm<'a>> {
        let [gram, moment, inverse, weights] = &self.0;
        Ok(Arm {
            gram: gram.row(py, row, d.saturating_mul(d))?,
            moment: moment.row(py, row, d)?,
            inverse: inverse.row(py, row, d.saturating_mul(d))?,
            weights: weights.row(py, row, d)?,
        })
    }
}

#[pyfunction]
fn observe(
    py: Python<'_>,
    arrays: Arrays<'_>,
    row: usize,
    context: &Bound<'_, PyAny>,
    reward: f64,
    fade: f64,
) -> PyResult<()> {
    let (model, context) = (Model::of(arrays)?, vector(context)?);
    if model.arm(py, row, context.len())?.observe(&context, reward, fade) {
        return Ok(());
    }
    Err(too_large().into())
}

#[pyfunction]
fn solve(
    py: Python<'_>,
    arrays: Arrays<'_>,
    row: usize,
    dimension: usize,
    ridge: f64,
) -> PyResult<()> {
    Model::of(arrays)?.arm(py, row, dimension)?.solve(ridge);
    Ok(())
}

#[pyfunction]
fn faded(discount: f64, elapsed: Vec<u64>) -> Vec<f64> {
    elapsed.into_iter().map(|steps| learn::faded(discount, steps)).collect()
}

#[pyfunction]
fn probabilities(
    py: Python<'_>,
    weights: &Bound<'_, PyAny>,
    rows: Vec<usize>,
    context: &Bound<'_, PyAny>,
) -> PyResult<Vec<f64>> {
    let (weights, context) = (Floats::of(weights)?, vector(context)?);
    let rows = parts(weights.cells(py)?, &rows, context.len())?;
    Ok(learn::probabilities(&rows, &context))
}

#[pyfunction]
fn ascend(
    py: Python<'_>,
    weights: &Bound<'_, PyAny>,
    rows: Vec<usize>,
    context: &Bound<'_, PyAny>,
    probabilities: Vec<f64>,
    chosen: usize,
    step: f64,
) -> PyResult<()> {
    let (weights, context) = (Floats::of(weights)?, vector(context)?);
    let rows = parts(weights.cells(py)?, &rows, context.len())?;
    if learn::ascend(&rows, &context, &probabilities, chosen, step) {
        return Ok(());
    }
    Err(too_large().into())
}

fn parts<'a>(cells: &'a [Cell<f64>], rows: &[usize], d: usize) -> Attempt<Vec<&'a [Cell<f64>]>> {
    rows.iter().map(|&row| part(cells, row, d)).collect()
}

#[pyfunction]
fn uniform(seed: u64, drawn: u64) -> (f64, u64) {
    let mut draws = Draws::new(seed, drawn);
    (draws.uniform(), draws.drawn())
}

#[pyfunction]
fn normals(count: usize, seed: u64, drawn: u64) -> (Vec<f64>, u64) {
    let mut draws = Draws::new(seed, drawn);
    ((0..count).map(|_| draws.normal()).collect(), draws.drawn())
}

#[pyfunction]
fn wins(means: Vec<f64>, spreads: Vec<f64>, rounds: u32, seed: u64, drawn: u64) -> (Vec<u32>, u64) {
    let mut draws = Draws::new(seed, drawn);
    (learn::wins(&means, &spreads, rounds, &mut draws), draws.drawn())
}

#[pyfunction]
fn hashed(names: Vec<String>, values: Vec<f64>, dimension: usize) -> Vec<f64> {
    learn::signed(names.iter().map(String::as_str).zip(values), dimension)
}

#[pyfunction]
fn hashed_text(text: &str, dimension: usize) -> Vec<f64> {
    learn::of_text(text, dimension)
}

#[pyfunction]
fn tag(context: &Bound<'_, PyAny>, row: u64, number: u64) -> PyResult<u64> {
    Ok(learn::tag(&vector(context)?, row, number))
}

/// Fills the submodule.
pub fn module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(score, module)?)?;
    module.add_function(wrap_pyfunction!(observe, module)?)?;
    module.add_function(wrap_pyfunction!(solve, module)?)?;
    module.add_function(wrap_pyfunction!(faded, module)?)?;
    module.add_function(wrap_pyfunction!(probabilities, module)?)?;
    module.add_function(wrap_pyfunction!(ascend, module)?)?;
    module.add_function(wrap_pyfunction!(uniform, module)?)?;
    module.add_function(wrap_pyfunction!(normals, module)?)?;
    module.add_function(wrap_pyfunction!(wins, module)?)?;
    module.add_function(wrap_pyfunction!(hashed, module)?)?;
    module.add_function(wrap_pyfunction!(hashed_text, module)?)?;
    module.add_function(wrap_pyfunction!(tag, module)?)
}
