//! Blueprints as users see them, of trees of the most common form, in one crossing.
//!
//! What is written here needs no pydantic: classes whose blueprint is their fields, holding plain
//! values, containers of them and modules. Everything else, errors above all, is left to Python by
//! giving None.

use super::errors::Attempt;
use super::layout::Address;
use super::raw::{self, is_atom};
use super::side::{ModuleSide, module_side};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet, PyString, PyTuple, PyType};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// Levels of modules and containers; what is deeper is left to Python.
const MAX_DEPTH: usize = 100;

/// Gives the blueprint of `module`; None where Python must write it.
#[pyfunction]
#[pyo3(signature = (module, *, full_kinds=false, to_dict=false))]
pub fn describe<'py>(
    module: &Bound<'py, PyAny>,
    full_kinds: bool,
    to_dict: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = module.py();
    let _paused = raw::CollectorPaused::new(py);
    let side = module_side(py)?;
    let ids = PyDict::new(py);
    let (classes, last, done, above) = Default::default();
    let mut tree =
        Tree { py, side, full_kinds, to_dict, classes, last, ids, done, above, depth: 0 };
    Ok(tree.module(module)?)
}

/// What blueprints of a class's instances have.
struct Class<'py> {
    kind: Bound<'py, PyString>,
    /// Name of each field, and what the pydantic class calls it.
    fields: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
    /// The pydantic class.
    schema: Bound<'py, PyType>,
    /// What pydantic takes for the fields that were set: all.
    set: Bound<'py, PySet>,
}

struct Tree<'py> {
    py: Python<'py>,
    side: &'py ModuleSide,
    full_kinds: bool,
    to_dict: bool,
    classes: HashMap<usize, Option<Rc<Class<'py>>>, BuildHasherDefault<Address>>,
    /// Neighbours are mostly of one class.
    last: Option<(usize, Rc<Class<'py>>)>,
    /// Ids and whose they are.
    ids: Bound<'py, PyDict>,
    /// Blueprints of modules that may be met again.
    done: HashMap<usize, Bound<'py, PyAny>, BuildHasherDefault<Address>>,
    above: HashSet<usize, BuildHasherDefault<Address>>,
    depth: usize,
}

/// None where Python must write it.
type Written<'py> = Attempt<Option<Bound<'py, PyAny>>>;

impl<'py> Tree<'py> {
    fn module(&mut self, module: &Bound<'py, PyAny>) -> Written<'py> {
        let address = module.as_ptr() as usize;
        if let Some(done) = self.done.get(&address) {
            return Ok(Some(done.clone()));
        }
        if self.depth >= MAX_DEPTH || !self.above.insert(address) {
            return Ok(None);
        }
        self.depth += 1;
        let Some(made) = self.written(module)? else { return Ok(None) };
        self.depth -= 1;
        self.above.remove(&address);
        if !self.to_dict {
            self.done.insert(address, made.clone());
        }
        Ok(Some(made))
    }

    fn written(&mut self, module: &Bound<'py, PyAny>) -> Written<'py> {
        let py = self.py;
        let Some(id) = self.id(module)? else { return Ok(None) };
        let Some(class) = self.class(module)? else { return Ok(None) };
        let made = PyDict::new(py);
        made.set_item(intern!(py, "kind"), &class.kind)?;
        made.set_item(intern!(py, "id"), id)?;
        for (name, inner) in &class.fields {
            // The pydantic class has a default for a field that is missing.
            let Some(value) = module.getattr_opt(name)? else { return Ok(None) };
            let Some(value) = self.value(&value)? else { return Ok(None) };
            made.set_item(if self.to_dict { name } else { inner }, value)?;
        }
        if self.to_dict {
            return Ok(Some(made.into_any()));
        }
        self.object(&class, &made).map(Some)
    }

    /// The pydantic object of what was read from a module, which needs no validation.
    fn object(
        &self,
        class: &Class<'py>,
        values: &Bound<'py, PyDict>,
    ) -> Attempt<Bound<'py, PyAny>> {
        let py = self.py;
        let made = self.side.blank.bind(py).call1((&class.schema,))?;
        let set = class.set.call_method0(intern!(py, "copy"))?;
        for (name, value) in [
            (intern!(py, "__dict__"), values.as_any()),
            (intern!(py, "__pydantic_fields_set__"), &set),
            (intern!(py, "__pydantic_extra__"), py.None().bind(py)),
            (intern!(py, "__pydantic_private__"), py.None().bind(py)),
        ] {
            raw::set_plainly(&made, name, Some(value))?;
        }
        Ok(made)
    }

    /// A module's id; None where another module of the tree has it, too.
    fn id(&self, module: &Bound<'py, PyAny>) -> Written<'py> {
        let py = self.py;
        let id = match module.getattr_opt(intern!(py, "_module_id"))? {
            Some(id) => id,
            None => module.getattr(intern!(py, "id"))?,
        };
        match self.ids.get_item(&id)? {
            Some(other) => Ok(other.is(module).then_some(id)),
            None => {
                self.ids.set_item(&id, module)?;
                Ok(Some(id))
            }
        }
    }

    fn class(&mut self, module: &Bound<'py, PyAny>) -> Attempt<Option<Rc<Class<'py>>>> {
        let address = module.get_type_ptr() as usize;
        if let Some((last, class)) = &self.last
            && *last == address
        {
            return Ok(Some(Rc::clone(class)));
        }
        let class = match self.classes.get(&address) {
            Some(known) => known.clone(),
            None => {
                let class = self.asked(module)?.map(Rc::new);
                self.classes.insert(address, class.clone());
                class
            }
        };
        self.last = class.clone().map(|class| (address, class));
        Ok(class)
    }

    fn asked(&self, module: &Bound<'py, PyAny>) -> Attempt<Option<Class<'py>>> {
        let py = self.py;
        // Not among what all walks need: it brings pydantic, which a save does without.
        let python = py.import(intern!(py, "dachi_fast.spec._describe"))?;
        let of = (module.get_type(), self.full_kinds, self.to_dict);
        let asked = python.call_method1(intern!(py, "described_class"), of)?;
        if asked.is_none() {
            return Ok(None);
        }
        let (kind, schema, fields) = asked.extract()?;
        let fields: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)> = fields;
        let set = PySet::new(py, [intern!(py, "kind"), intern!(py, "id")])?;
        fields.iter().try_for_each(|(_, inner)| set.add(inner))?;
        Ok(Some(Class { kind, fields, schema, set }))
    }

    /// A value as blueprints have it: modules as blueprints, containers made anew.
    fn value(&mut self, value: &Bound<'py, PyAny>) -> Written<'py> {
        let py = self.py;
        if is_atom(value) || value.is_exact_instance_of::<PyBytes>() {
            return Ok(Some(value.clone()));
        }
        if raw::is_a(value, self.side.item.bind(py)) {
            let Some(held) = value.getattr_opt(intern!(py, "data"))? else { return Ok(None) };
            // Items inside items are rare.
            let nested = raw::is_a(&held, self.side.item.bind(py));
            return if nested { Ok(None) } else { self.value(&held) };
        }
        if raw::is_a(value, self.side.module.bind(py)) {
            return self.module(value);
        }
        if self.depth >= MAX_DEPTH {
            return Ok(None);
        }
        self.depth += 1;
        let made = if let Ok(list) = value.cast_exact::<PyList>() {
            self.elements(list.iter())?.map(Bound::into_any)
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            let made = self.elements(tuple.iter())?;
            made.map(|made| made.to_tuple().into_any())
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.pairs(dict)?
        } else if self.to_dict {
            None
        } else {
            Some(self.side.copied.bind(py).call1((value,))?)
        };
        self.depth -= 1;
        Ok(made)
    }

    fn elements(
        &mut self,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> Attempt<Option<Bound<'py, PyList>>> {
        let made = PyList::empty(self.py);
        for element in elements {
            let Some(element) = self.value(&element)? else { return Ok(None) };
            made.append(element)?;
        }
        Ok(Some(made))
    }

    fn pairs(&mut self, dict: &Bound<'py, PyDict>) -> Written<'py> {
        let py = self.py;
        // It could be taken for a module.
        if dict.contains(intern!(py, "kind"))? || dict.contains(intern!(py, "$data"))? {
            return Ok(None);
        }
        let made = PyDict::new(py);
        for pair in raw::pairs(dict) {
            let Some((key, value)) = pair else { return Ok(None) };
            let Some(value) = self.value(&value)? else { return Ok(None) };
            if !is_atom(&key) {
                return Ok(None);
            }
            made.set_item(key, value)?;
        }
        Ok(Some(made.into_any()))
    }
}
