//! What values surely fit an annotation, told without running Python code.

use super::raw::{borrowed_pairs, is_a};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

/// What `dachi_fast.module._conform.shape` says of an annotation, compiled.
#[derive(Debug)]
pub enum Shape {
    /// Everything fits.
    Any,
    /// Instances of a class.
    Is(Py<PyType>),
    /// Exactly lists, of elements that fit.
    List(Box<Shape>),
    /// Exactly dicts, of keys and values that fit.
    Dict(Box<(Shape, Shape)>),
    /// What fits one of them.
    One(Vec<Shape>),
    /// Instances of these classes, which pydantic converts to the first.
    Tower(Vec<Shape>),
    /// What fits that, though pydantic may ask for more.
    Loose(Box<Shape>),
    /// Only Python can tell.
    Ask,
}

impl Shape {
    /// Reads a description: a class, or a tuple of a word and the shapes inside.
    pub fn read(description: &Bound<'_, PyAny>) -> PyResult<Shape> {
        if let Ok(class) = description.cast::<PyType>() {
            return Ok(Shape::Is(class.clone().unbind()));
        }
        let parts = description.cast::<PyTuple>()?;
        let word = parts.get_item(0)?;
        let inner = |at: usize| Shape::read(&parts.get_item(at)?);
        let all = || (1..parts.len()).map(inner).collect::<PyResult<Vec<Shape>>>();
        Ok(match word.cast::<PyString>()?.to_str()? {
            "any" => Shape::Any,
            "list" => Shape::List(Box::new(inner(1)?)),
            "dict" => Shape::Dict(Box::new((inner(1)?, inner(2)?))),
            "one" => Shape::One(all()?),
            "tower" => Shape::Tower(all()?),
            "loose" => Shape::Loose(Box::new(inner(1)?)),
            _ => Shape::Ask,
        })
    }

    /// Whether a value surely fits; false means that Python must be asked.
    #[inline]
    pub fn fits(&self, value: &Bound<'_, PyAny>) -> bool {
        match self {
            Shape::Any => true,
            Shape::Is(class) => is_a(value, class.bind(value.py())),
            Shape::One(shapes) | Shape::Tower(shapes) => {
                shapes.iter().any(|shape| shape.fits(value))
            }
            Shape::Loose(shape) => shape.fits(value),
            Shape::List(element) => value
                .cast_exact::<PyList>()
                .is_ok_and(|list| element.is_any() || list.iter().all(|each| element.fits(&each))),
            Shape::Dict(pair) => value.cast_exact::<PyDict>().is_ok_and(|dict| {
                let (key, element) = &**pair;
                key.is_any() && element.is_any()
                    || borrowed_pairs(dict).all(|(k, v)| key.fits(&k) && element.fits(&v))
            }),
            Shape::Ask => false,
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Shape::Any)
    }
}
