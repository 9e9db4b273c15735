//! The walk over a tree of modules: what of it is state, under which path.
//!
//! The rules are those of MODULES.md section 4; `tests/oracles` has them in Python.

use super::errors::Attempt;
use super::layout::{Classes, Layouts, Role};
use super::raw::{self, is_atom};
use super::side::{ModuleSide, module_side};
use super::sink::{Sink, Wanted};
use crate::error::Error;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyTuple, PyType};
use std::collections::HashSet;
use std::fmt::Write;

/// Levels of modules inside modules, and of containers inside one Param.
const MAX_DEPTH: usize = 100;

/// A walk in progress.
pub struct Walk<'a, 'py, S> {
    py: Python<'py>,
    side: &'py ModuleSide,
    classes: [Bound<'py, PyType>; 2],
    sink: &'a mut S,
    wanted: Wanted,
    layouts: Layouts<'py>,
    path: String,
    above: Vec<*mut pyo3::ffi::PyObject>,
    found: Found<'py>,
}

/// The children of one module, their keys behind one another in one buffer.
#[derive(Default)]
struct Children<'py> {
    keys: String,
    found: Vec<(usize, Bound<'py, PyAny>)>,
    /// Keys of dicts and undeclared names can meet others; indexes and declared names cannot.
    may_repeat: bool,
}

impl<'py> Children<'py> {
    fn add(&mut self, key: &str, child: &Bound<'py, PyAny>) {
        self.keys.push_str(key);
        self.found.push((self.keys.len(), child.clone()));
    }

    /// Keys and modules in order.
    fn iter(&self) -> impl Iterator<Item = (&str, &Bound<'py, PyAny>)> {
        let mut start = 0;
        self.found.iter().map(move |(end, child)| {
            let key = self.keys.get(start..*end).unwrap_or_default();
            start = *end;
            (key, child)
        })
    }

    fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        self.iter().map(|(key, _)| key).find(|key| !seen.insert(*key))
    }
}

/// What a walk found beside the leaves.
pub struct Found<'py> {
    /// Whether a field that is declared as a plain Param held a module.
    pub modules_in_params: bool,
    /// How many modules there are; one that is held twice counts twice.
    pub modules: usize,
    /// Their classes.
    pub classes: Classes<'py>,
}

/// Gives all leaves of `module` to `sink`.
pub fn walk<'py, S: Sink<'py>>(
    module: &Bound<'py, PyAny>,
    wanted: Wanted,
    sink: &mut S,
) -> Attempt<Found<'py>> {
    let mut walk = Walk::new(module.py(), wanted, sink)?;
    walk.module(module)?;
    Ok(walk.found)
}

/// Modules with their keys.
pub type Keyed<'py> = Vec<(String, Bound<'py, PyAny>)>;

/// Gives the leaves of `module` itself to `sink`; gives its children with their keys.
pub fn own<'py, S: Sink<'py>>(
    module: &Bound<'py, PyAny>,
    wanted: Wanted,
    sink: &mut S,
) -> Attempt<Keyed<'py>> {
    let children = Walk::new(module.py(), wanted, sink)?.own(module)?;
    Ok(children.iter().map(|(key, child)| (key.to_owned(), child.clone())).collect())
}

/// Whether a value is a module.
pub fn is_module(side: &ModuleSide, value: &Bound<'_, PyAny>) -> Attempt<bool> {
    Ok(!is_atom(value) && raw::is_a(value, side.module.bind(value.py())))
}

impl<'a, 'py, S: Sink<'py>> Walk<'a, 'py, S> {
    fn new(py: Python<'py>, wanted: Wanted, sink: &'a mut S) -> Attempt<Self> {
        let side = module_side(py)?;
        Ok(Walk {
            py,
            side,
            classes: [side.module.bind(py).clone(), side.item.bind(py).clone()],
            sink,
            wanted,
            layouts: Layouts::default(),
            path: String::new(),
            above: Vec::new(),
            found: Found { modules_in_params: false, modules: 0, classes: Classes::default() },
        })
    }

    fn module(&mut self, module: &Bound<'py, PyAny>) -> Attempt<()> {
        self.enter(module)?;
        let mut children = self.own(module)?;
        if self.wanted.recurse {
            if let Some((key, child)) = self.sink.instead(&self.path, module)? {
                children = Children::default();
                children.add(key, &child);
            }
            self.descend(&children)?;
        }
        self.above.pop();
        Ok(())
    }

    /// Gives the sink the leaves of one module, without those of its children.
    fn own(&mut self, module: &Bound<'py, PyAny>) -> Attempt<Children<'py>> {
        let layout = self.layouts.of(module)?;
        self.sink.enter(module, &layout)?;
        self.found.classes.add(module, &layout);
        let layout = layout.get();
        let mut children = Children::default();
        let mut declared = Declared::default();
        for field in layout.fields() {
            if field.role == Role::Shared {
                continue;
            }
            let name = field.name.bind(self.py);
            if field.role == Role::Wrap {
                self.side.wrap_elements.bind(self.py).call1((module, name))?;
            }
            let Some(value) = module.getattr_opt(name)? else {
                if self.wants(field.role) {
                    self.sink.unset(&self.path, &field.text)?;
                }
                continue;
            };
            declared.note(&value);
            if is_atom(&value) {
                self.raw(&field.text, field.role, &value)?;
                continue;
            }
            if raw::is_a(&value, &self.classes[1]) {
                declared.wanted += 1;
                if field.role != Role::Item {
                    return Err(raw_field(&self.joined(&field.text)).into());
                }
                self.item(&field.text, &value, &mut children)?;
                continue;
            }
            if field.role == Role::Attr {
                declared.wanted += usize::from(is_module(self.side, &value)?);
                if self.wanted.runtime {
                    self.leaf(&field.text, &value)?;
                }
                continue;
            }
            let before = children.found.len();
            let mut key = field.text.clone();
            let direct = self.modules_in(&value, &mut key, 0, &mut children)?;
            declared.wanted += usize::from(direct);
            if children.found.len() == before {
                self.raw(&field.text, field.role, &value)?;
            } else if field.role == Role::Param {
                self.found.modules_in_params = true;
            }
        }
        self.undeclared(module, layout.fields(), &declared, &mut children)?;
        Ok(children)
    }

    fn enter(&mut self, module: &Bound<'py, PyAny>) -> Attempt<()> {
        if self.above.contains(&module.as_ptr()) {
            let path = self.path.trim_end_matches('.').to_owned();
            return Err(Error::new("cycle", "a module contains itself").inside(path).into());
        }
        if self.above.len() >= MAX_DEPTH {
            return Err(self.too_deep(&self.path).into());
        }
        self.above.push(module.as_ptr());
        self.found.modules += 1;
        Ok(())
    }

    #[cold]
    fn too_deep(&self, path: &str) -> Error {
        let what = format!("modules are nested deeper than {MAX_DEPTH} levels");
        Error::new("too-deep", what).inside(path.trim_end_matches('.'))
    }

    /// A raw value that holds no module.
    #[inline]
    fn raw(&mut self, name: &str, role: Role, value: &Bound<'py, PyAny>) -> Attempt<()> {
        if self.wants(role) { self.leaf(name, value) } else { Ok(()) }
    }

    #[inline]
    fn wants(&self, role: Role) -> bool {
        match role {
            Role::Param => self.wanted.train,
            Role::Attr => self.wanted.runtime,
            _ => false,
        }
    }

    #[inline]
    fn leaf(&mut self, name: &str, value: &Bound<'py, PyAny>) -> Attempt<()> {
        let given = self.sink.leaf(&self.path, name, value);
        given.map_err(|fail| fail.inside(self.joined(name)))
    }

    fn joined(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn item(
        &mut self,
        name: &str,
        item: &Bound<'py, PyAny>,
        children: &mut Children<'py>,
    ) -> Attempt<()> {
        let is_param = raw::is_a(item, self.side.param.bind(self.py));
        if !is_param && !raw::is_a(item, self.side.attr.bind(self.py)) {
            return Ok(());
        }
        if self.sink.takes(&self.path, name, item)? {
            return Ok(());
        }
        let (mut holder, mut value) = (item.clone(), item.clone());
        while raw::is_a(&value, &self.classes[1]) {
            holder = value.clone();
            let Some(inner) = value.getattr_opt(intern!(self.py, "data"))? else {
                let unset = Error::new("unset", "an item without a value");
                return Err(unset.inside(self.joined(name)).into());
            };
            value = inner;
        }
        let before = children.found.len();
        if is_param {
            self.modules_in(&value, &mut name.to_owned(), 0, children)?;
        }
        let wanted = if is_param { self.wanted.train } else { self.wanted.runtime };
        if wanted && children.found.len() == before {
            let given = self.sink.held(&self.path, name, &holder, &value);
            given.map_err(|fail| fail.inside(self.joined(name)))?;
        }
        Ok(())
    }

    /// Adds the modules in a value: itself (then true), or inside list, tuple and dict. `key` is
    /// the value's, and is the same afterwards.
    fn modules_in(
        &self,
        value: &Bound<'py, PyAny>,
        key: &mut String,
        depth: usize,
        children: &mut Children<'py>,
    ) -> Attempt<bool> {
        if is_atom(value) {
            return Ok(false);
        }
        if let Ok(list) = value.cast::<PyList>() {
            self.elements(list.iter(), key, depth, children)?;
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.elements(tuple.iter(), key, depth, children)?;
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.in_dict(dict, key, depth, children)?;
        } else if raw::is_a(value, &self.classes[0]) {
            children.add(key, value);
            return Ok(true);
        }
        Ok(false)
    }

    fn elements(
        &self,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
        key: &mut String,
        depth: usize,
        children: &mut Children<'py>,
    ) -> Attempt<()> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep(&self.joined(key)).into());
        }
        let len = key.len();
        for (at, element) in elements.enumerate() {
            if !is_atom(&element) {
                // Writing to a String cannot fail.
                let _ = write!(key, ".{at}");
                self.modules_in(&element, key, depth + 1, children)?;
                key.truncate(len);
            }
        }
        Ok(())
    }

    fn in_dict(
        &self,
        dict: &Bound<'py, PyDict>,
        key: &mut String,
        depth: usize,
        children: &mut Children<'py>,
    ) -> Attempt<()> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep(&self.joined(key)).into());
        }
        let len = key.len();
        for pair in raw::pairs(dict) {
            let Some((name, element)) = pair else {
                return Err(Error::new("store", "a dict changed while it was being saved").into());
            };
            if is_atom(&element) {
                continue;
            }
            key.push('.');
            key.push_str(&name.str()?.to_string_lossy());
            let before = children.found.len();
            self.modules_in(&element, key, depth + 1, children)?;
            key.truncate(len);
            if children.found.len() > before {
                children.may_repeat = true;
                self.check_key(key, &name)?;
            }
        }
        Ok(())
    }

    fn check_key(&self, key: &str, name: &Bound<'py, PyAny>) -> Attempt<()> {
        if let Ok(text) = name.cast::<PyString>() {
            let Ok(text) = text.to_str() else {
                let what = "a dict of modules has a key with lone surrogates";
                return Err(Error::new("module-key", what).inside(self.joined(key)).into());
            };
            return if text.contains('.') {
                Err(dotted(&self.joined(&format!("{key}.{text}"))).into())
            } else {
                Ok(())
            };
        }
        if name.is_instance_of::<PyInt>() {
            return Ok(());
        }
        let what = "a dict of modules has a key that is neither text nor int";
        Err(Error::new("module-key", what).inside(self.joined(key)).into())
    }

    /// Items and modules under names that the class did not declare.
    fn undeclared(
        &mut self,
        module: &Bound<'py, PyAny>,
        fields: &[super::layout::Field],
        declared: &Declared,
        children: &mut Children<'py>,
    ) -> Attempt<()> {
        let found = raw::referents(module, &self.classes);
        let in_dict = found.all == 1 && found.dicts == 1 && declared.last_dict != found.last_dict;
        if found.wanted <= declared.wanted && !in_dict {
            return Ok(());
        }
        // Now, and only now: a `__dict__` that is touched slows every later access.
        let dict = module.getattr(intern!(self.py, "__dict__"))?;
        // A copy: other threads may add to it meanwhile, if only the module's id.
        for pair in raw::pairs(&dict.cast::<PyDict>().map_err(PyErr::from)?.copy()?) {
            let Some((name, value)) = pair else {
                return Err(Error::new("store", "a module changed while it was walked").into());
            };
            if is_atom(&value) {
                continue;
            }
            let text: String = name.extract()?;
            let is_item = raw::is_a(&value, &self.classes[1]);
            if !is_item && !raw::is_a(&value, &self.classes[0])
                || fields.iter().any(|field| field.text == text)
                || text.starts_with("_item_")
                || text.starts_with("_adapt_")
            {
                continue;
            }
            if text.contains('.') {
                return Err(dotted(&self.joined(&text)).into());
            }
            children.may_repeat = true;
            if is_item {
                self.item(&text, &value, children)?;
            } else {
                children.add(&text, &value);
            }
        }
        Ok(())
    }

    fn descend(&mut self, children: &Children<'py>) -> Attempt<()> {
        if children.may_repeat
            && let Some(key) = children.repeated()
        {
            return Err(duplicate(&self.joined(key)).into());
        }
        let len = self.path.len();
        for (key, child) in children.iter() {
            self.path.push_str(key);
            self.path.push('.');
            self.module(child)?;
            self.path.truncate(len);
        }
        Ok(())
    }
}

/// What the declared names of an instance hold, to be compared with what it refers to.
#[derive(Default)]
struct Declared {
    wanted: usize,
    last_dict: usize,
}

impl Declared {
    fn note(&mut self, value: &Bound<'_, PyAny>) {
        if value.is_exact_instance_of::<PyDict>() {
            self.last_dict = value.as_ptr() as usize;
        }
    }
}

#[cold]
fn raw_field(path: &str) -> Error {
    let what = "a field declared as a raw value holds an item: assign the value itself, or \
                annotate the field as Param[...] or Attr[...]";
    Error::new("item-in-raw-field", what).inside(path)
}

#[cold]
fn dotted(path: &str) -> Error {
    Error::new("dotted-key", "the key of a module or item must not have a dot").inside(path)
}

#[cold]
fn duplicate(path: &str) -> Error {
    Error::new("duplicate-path", "two modules have the same key").inside(path)
}
