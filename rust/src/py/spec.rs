//! Modules out of specs of the most common form, in one crossing.
//!
//! Specs are untrusted. What is taken here is what pydantic would take without converting anything:
//! plain dicts of classes whose constructors only set fields, with values of exactly the annotated
//! types. Everything else, errors above all, is left to pydantic by giving None.

use super::errors::Attempt;
use super::layout::{Layout, layout_of_class};
use super::plan::PlanField;
use super::raw::{self, Atom, CollectorPaused, atom};
use super::shape::Shape;
use super::side::{ModuleSide, module_side};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyType};
use std::collections::HashMap;
use std::rc::Rc;

/// Levels of modules; deeper specs are refused, which is pydantic's path to say.
const MAX_DEPTH: usize = 100;

/// Builds a module of class `class` or a subclass; None where pydantic must look at the spec.
#[pyfunction]
pub fn build_spec<'py>(
    class: &Bound<'py, PyType>,
    spec: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    let _paused = CollectorPaused::new(py);
    let side = module_side(py)?;
    let kinds = HashMap::new();
    let ids = PySet::empty(py)?;
    Ok(Specs { py, side, kinds, last: None, ids, depth: 0, begun: 0 }.module(spec, class)?)
}

type Class<'py> = (Bound<'py, PyType>, Bound<'py, Layout>);

struct Specs<'py> {
    py: Python<'py>,
    side: &'py ModuleSide,
    kinds: HashMap<String, Option<Rc<Class<'py>>>>,
    /// Neighbours are mostly of one kind.
    last: Option<(String, Rc<Class<'py>>)>,
    ids: Bound<'py, PySet>,
    depth: usize,
    /// Modules, whether or not something became of them.
    begun: usize,
}

/// None where pydantic must look.
type Taken<'py> = Attempt<Option<Bound<'py, PyAny>>>;

impl<'py> Specs<'py> {
    /// A module of class `wanted` or a subclass.
    fn module(&mut self, spec: &Bound<'py, PyDict>, wanted: &Bound<'py, PyType>) -> Taken<'py> {
        let Some(kind) = spec.get_item(intern!(self.py, "kind"))? else { return Ok(None) };
        let Some(kind) = text(&kind) else { return Ok(None) };
        let Some(found) = self.class(kind)? else { return Ok(None) };
        if self.depth >= MAX_DEPTH || !raw::is_subtype(&found.0, wanted) {
            return Ok(None);
        }
        self.begun += 1;
        self.depth += 1;
        let module = self.of_class(spec, &found);
        self.depth -= 1;
        module
    }

    fn of_class(&mut self, spec: &Bound<'py, PyDict>, found: &Class<'py>) -> Taken<'py> {
        let py = self.py;
        let id = spec.get_item(intern!(py, "id"))?;
        if let Some(id) = &id {
            // One that is there already names a module to be used again, or a conflict.
            let before = self.ids.len();
            if text(id).is_some() {
                self.ids.add(id)?;
            }
            if self.ids.len() == before {
                return Ok(None);
            }
        }
        let (class, layout) = found;
        let plan = layout.get().plan(class)?;
        if !plan.is_plain {
            return Ok(None);
        }
        let module = self.side.blank.bind(py).call1((class,))?;
        let mut used = 1 + usize::from(id.is_some());
        for field in &plan.fields {
            let given = match field.role.is_spec() {
                true => spec.get_item(field.name.bind(py))?,
                false => None,
            };
            used += usize::from(given.is_some());
            let value = match given {
                Some(given) => self.value(&field.shape, &given)?,
                None => initial(py, field)?,
            };
            match value {
                Some(value) => module.setattr(field.name.bind(py), value)?,
                None if field.may_be_unset => {}
                None => return Ok(None),
            }
        }
        if let Some(id) = id {
            module.setattr(intern!(py, "_module_id"), id)?;
        }
        // A key that no field has is pydantic's to refuse.
        Ok((used == spec.len()).then_some(module))
    }

    fn class(&mut self, kind: &str) -> Attempt<Option<Rc<Class<'py>>>> {
        if let Some((last, class)) = &self.last
            && last == kind
        {
            return Ok(Some(Rc::clone(class)));
        }
        let class = match self.kinds.get(kind) {
            Some(known) => known.clone(),
            None => {
                let found = self.side.named.bind(self.py).call1((kind,))?.cast_into::<PyList>();
                let found = found.map_err(PyErr::from)?;
                let class = match found.len() {
                    1 => {
                        let class = found.get_item(0)?.cast_into::<PyType>();
                        let class = class.map_err(PyErr::from)?;
                        let layout = layout_of_class(&class)?;
                        Some(Rc::new((class, layout)))
                    }
                    _ => None,
                };
                self.kinds.insert(kind.to_owned(), class.clone());
                class
            }
        };
        self.last = class.clone().map(|class| (kind.to_owned(), class));
        Ok(class)
    }

    /// A value as the constructor gets it, containers made anew.
    fn value(&mut self, shape: &Shape, value: &Bound<'py, PyAny>) -> Taken<'py> {
        Ok(match shape {
            Shape::Any => atom(value).filter(is_sound).map(|_| value.clone()),
            Shape::Is(class) => return self.instance(class.bind(self.py), value),
            Shape::Tower(shapes) => match shapes.first() {
                Some(first) => return self.value(first, value),
                None => None,
            },
            Shape::One(shapes) => {
                let begun = self.begun;
                for shape in shapes {
                    // A module that failed in one member must not be begun again in the next: each
                    // level would double the work of the one below.
                    match self.value(shape, value)? {
                        Some(taken) => return Ok(Some(taken)),
                        None if self.begun == begun => {}
                        None => break,
                    }
                }
                None
            }
            Shape::List(element) => {
                let Ok(list) = value.cast_exact::<PyList>() else { return Ok(None) };
                let made = PyList::empty(self.py);
                for each in list.iter() {
                    let Some(taken) = self.value(element, &each)? else { return Ok(None) };
                    made.append(taken)?;
                }
                Some(made.into_any())
            }
            Shape::Dict(pair) => {
                let Ok(dict) = value.cast_exact::<PyDict>() else { return Ok(None) };
                if dict.contains(intern!(self.py, "$data"))? {
                    return Ok(None);
                }
                let made = PyDict::new(self.py);
                for each in raw::pairs(dict) {
                    let Some((key, element)) = each else { return Ok(None) };
                    let (Some(key), Some(element)) =
                        (self.value(&pair.0, &key)?, self.value(&pair.1, &element)?)
                    else {
                        return Ok(None);
                    };
                    made.set_item(key, element)?;
                }
                Some(made.into_any())
            }
            Shape::Loose(_) | Shape::Ask => None,
        })
    }

    /// A value of exactly a class that pydantic takes as it is, or a module of a class.
    fn instance(&mut self, class: &Bound<'py, PyType>, value: &Bound<'py, PyAny>) -> Taken<'py> {
        if let Some(found) = atom(value) {
            let is_exact = value.get_type_ptr() == class.as_type_ptr();
            return Ok((is_exact && is_sound(&found)).then(|| value.clone()));
        }
        match value.cast_exact::<PyDict>() {
            Ok(spec) if raw::is_subtype(class, self.side.module.bind(self.py)) => {
                self.module(spec, class)
            }
            _ => Ok(None),
        }
    }
}

/// pydantic refuses texts that are no Unicode.
fn is_sound(atom: &Atom<'_, '_>) -> bool {
    match atom {
        Atom::Text(text) => raw::utf8(text).is_some(),
        _ => true,
    }
}

fn text<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    match atom(value) {
        Some(Atom::Text(text)) => raw::utf8(text),
        _ => None,
    }
}

/// What the constructor sets when it is given nothing.
fn initial<'py>(py: Python<'py>, field: &PlanField) -> PyResult<Option<Bound<'py, PyAny>>> {
    match (&field.factory, &field.default) {
        (Some(factory), _) => Ok(Some(factory.bind(py).call0()?)),
        (None, Some(default)) => Ok(Some(default.bind(py).clone())),
        (None, None) => Ok(None),
    }
}
