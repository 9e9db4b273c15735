//! A tree of modules out of a stored blueprint and the leaves saved with it: the way back of
//! `blueprint` and `walk`.
//!
//! A class whose constructor does no more than set its fields is not called: its instances get their
//! fields straight from here, in the constructor's order, so that they are laid out like fresh ones.
//! Every other class is built by its constructor, in Python, and then given its state.

use super::decode::{Keys, ValueDecoder};
use super::errors::{Attempt, Fail};
use super::layout::{Layout, Role, layout_of_class};
use super::leaves::Leaves;
use super::plan::{Plan, PlanField};
use super::raw;
use super::side::{ModuleSide, module_side};
use super::types::Types;
use crate::codec::{Decoder, MAX_DEPTH, Token};
use crate::error::Error;
use crate::state::blueprint::{Head, Opening, opening};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};
use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

/// What was built.
pub struct Built<'py> {
    /// The root.
    pub module: Bound<'py, PyAny>,
    /// Whether every leaf has its place in the tree and every field its leaf. Otherwise the whole
    /// state is still to be loaded, or refused, by the ordinary load.
    pub whole: bool,
}

/// Builds the tree that `blueprint` describes, with the values of `leaves`.
pub fn build<'py>(
    types: &Types<'py>,
    keys: &mut Keys,
    blueprint: &[u8],
    leaves: &Leaves<'_>,
) -> Attempt<Built<'py>> {
    let py = types.empty.py();
    let side = module_side(py)?;
    let mut input = Decoder::new(blueprint);
    let mut build = Build {
        py,
        side,
        types,
        keys,
        blueprint,
        leaves,
        kinds: HashMap::new(),
        last: None,
        made: HashMap::new(),
        ids: HashMap::new(),
        places: Vec::new(),
        path: String::new(),
        depth: 0,
        placed: 0,
        whole: true,
    };
    let Opening::Module(head) = opening(&mut input)? else {
        return Err(Error::new("malformed", "a stored blueprint describes no module").into());
    };
    let module = build.module(&mut input, &head)?;
    input.done()?;
    Ok(Built { module, whole: build.whole && build.placed == leaves.len() })
}

struct Class<'py> {
    class: Bound<'py, PyType>,
    layout: Bound<'py, Layout>,
}

/// Name -> value of the fields that stand in the blueprint.
type Fields<'a, 'py> = Vec<(&'a str, Bound<'py, PyAny>)>;

struct Build<'a, 'py> {
    py: Python<'py>,
    side: &'py ModuleSide,
    types: &'a Types<'py>,
    keys: &'a mut Keys,
    blueprint: &'a [u8],
    leaves: &'a Leaves<'a>,
    kinds: HashMap<&'a str, Rc<Class<'py>>>,
    /// Neighbours are mostly of one kind.
    last: Option<(&'a str, Rc<Class<'py>>)>,
    /// Where a module begins in the blueprint -> the module.
    made: HashMap<usize, Bound<'py, PyAny>>,
    /// The encoded id of a module -> where it begins.
    ids: HashMap<&'a [u8], usize>,
    /// Memory for the places of one module's fields.
    places: Vec<Place>,
    /// Where in the state, with a dot at its end inside a module.
    path: String,
    depth: usize,
    /// How many leaves have found their place.
    placed: usize,
    whole: bool,
}

impl<'a, 'py> Build<'a, 'py> {
    /// A module with all below it; one that is there already (met under a second name) is given the
    /// leaves under this name.
    fn module(&mut self, input: &mut Decoder<'a>, head: &Head<'a>) -> Attempt<Bound<'py, PyAny>> {
        self.deeper()?;
        let outside = self.path.len();
        self.dot();
        let class = self.class(head.kind)?;
        let plan = class.layout.get().plan(&class.class)?;
        let mut fields = Fields::new();
        for _ in 0..head.fields {
            let Token::Text(name) = input.token()? else {
                return Err(Error::new("malformed", "a field of a blueprint has no name").into());
            };
            let inside = self.path.len();
            self.path.push_str(plan.state_name(name));
            let value = self.value(input)?;
            self.path.truncate(inside);
            fields.push((name, value));
        }
        let module = match self.made.get(&head.start).cloned() {
            Some(module) => {
                self.refill(&class, plan, &module)?;
                module
            }
            None => {
                let module = match self.filled(&class, plan, &fields, head.id)? {
                    Some(module) => module,
                    None => self.constructed(&class, &fields, head.id)?,
                };
                self.made.insert(head.start, module.clone());
                self.ids.insert(head.id, head.start);
                module
            }
        };
        self.path.truncate(outside);
        self.depth -= 1;
        Ok(module)
    }

    fn deeper(&mut self) -> Attempt<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new("malformed", "a blueprint nests too deeply").into());
        }
        Ok(())
    }

    /// Parts what follows from what stands in the path.
    fn dot(&mut self) {
        if !self.path.is_empty() && !self.path.ends_with('.') {
            self.path.push('.');
        }
    }

    /// A failure with where it happened.
    #[cold]
    fn here(&self, fail: impl Into<Fail>) -> Fail {
        match self.path.trim_end_matches('.') {
            "" => fail.into(),
            path => fail.into().inside(path),
        }
    }

    fn class(&mut self, kind: &'a str) -> Attempt<Rc<Class<'py>>> {
        if let Some((last, class)) = &self.last
            && *last == kind
        {
            return Ok(Rc::clone(class));
        }
        let class = match self.kinds.get(kind) {
            Some(class) => Rc::clone(class),
            None => {
                let class = self.side.find_kind.bind(self.py).call1((kind,));
                let class = class.map_err(|error| self.here(error))?;
                let class = class.cast_into::<PyType>().map_err(PyErr::from)?;
                let layout = layout_of_class(&class)?;
                let class = Rc::new(Class { class, layout });
                self.kinds.insert(kind, Rc::clone(&class));
                class
            }
        };
        self.last = Some((kind, Rc::clone(&class)));
        Ok(class)
    }

    // --- values of a blueprint ------------------------------------------------------------------

    fn value(&mut self, input: &mut Decoder<'a>) -> Attempt<Bound<'py, PyAny>> {
        match opening(input)? {
            Opening::Module(head) => return self.module(input, &head),
            Opening::Same(id) => return self.again(id),
            Opening::Data | Opening::Other => {}
        }
        let mut ahead = input.clone();
        match ahead.token()? {
            Token::List(len) => {
                *input = ahead;
                self.deeper()?;
                let mut at = 0..;
                let list = raw::list(self.py, len, || self.element(input, at.next()))?;
                self.depth -= 1;
                Ok(list)
            }
            Token::Tuple(len) => {
                *input = ahead;
                let end = input.extension_end();
                self.deeper()?;
                let mut at = 0..;
                let tuple = raw::tuple(self.py, len, || self.element(input, at.next()))?;
                input.close_extension(end)?;
                self.depth -= 1;
                Ok(tuple.into_any())
            }
            Token::Map(len) => {
                *input = ahead;
                self.dict(input, len)
            }
            _ => self.plain(input),
        }
    }

    fn element(
        &mut self,
        input: &mut Decoder<'a>,
        at: Option<usize>,
    ) -> Attempt<Bound<'py, PyAny>> {
        let outside = self.path.len();
        self.dot();
        let at = at.unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{at}");
        let value = self.value(input)?;
        self.path.truncate(outside);
        Ok(value)
    }

    fn dict(&mut self, input: &mut Decoder<'a>, len: usize) -> Attempt<Bound<'py, PyAny>> {
        self.deeper()?;
        let dict = PyDict::new(self.py);
        for _ in 0..len {
            let key = self.plain(input)?;
            let name = key.str()?;
            let name = name.to_string_lossy();
            let outside = self.path.len();
            self.dot();
            self.path.push_str(&name);
            let value = self.value(input)?;
            self.path.truncate(outside);
            dict.set_item(key, value)?;
        }
        self.depth -= 1;
        Ok(dict.into_any())
    }

    /// A value that holds no modules of the tree.
    fn plain(&mut self, input: &mut Decoder<'a>) -> Attempt<Bound<'py, PyAny>> {
        let mut values = ValueDecoder::over(input.clone(), self.types, self.keys);
        let value = match values.value() {
            Ok(value) => value,
            Err(fail) => return Err(self.here(fail)),
        };
        let position = values.position();
        input.seek(position)?;
        Ok(value)
    }

    /// The module of an id that was met before, with the leaves under this name.
    fn again(&mut self, id: &'a [u8]) -> Attempt<Bound<'py, PyAny>> {
        let start = self.ids.get(id).copied();
        let start = start.ok_or_else(|| Error::new("malformed", "a blueprint names no module"))?;
        let mut input = Decoder::new(self.blueprint);
        input.seek(start)?;
        let Opening::Module(head) = opening(&mut input)? else {
            return Err(Error::new("malformed", "a blueprint names no module").into());
        };
        self.module(&mut input, &head)
    }

    // --- modules out of their fields ------------------------------------------------------------

    /// A module whose class does no more than set fields; None for one of another class, or where
    /// a field has no value, or a value no field.
    fn filled(
        &mut self,
        class: &Class<'py>,
        plan: &Plan,
        fields: &Fields<'a, 'py>,
        id: &[u8],
    ) -> Attempt<Option<Bound<'py, PyAny>>> {
        if !plan.is_plain {
            return Ok(None);
        }
        let mut places = std::mem::take(&mut self.places);
        if !self.find(plan, fields, &mut places) {
            return Ok(None);
        }
        let module = self.side.blank.bind(self.py).call1((&class.class,))?;
        for (field, place) in plan.fields.iter().zip(&places) {
            let value = match place {
                Place::Leaf(at) => self.leaf(field, *at)?,
                Place::Blueprint(at) => {
                    let Some((_, value)) = fields.get(*at) else { continue };
                    let value = field.structure(self.side, value);
                    value.map_err(|error| self.here(error))?
                }
                Place::Nowhere => continue,
            };
            module.setattr(field.name.bind(self.py), value)?;
        }
        self.places = places;
        let id = ValueDecoder::new(id, self.types, self.keys).whole()?;
        module.setattr(intern!(self.py, "_module_id"), id)?;
        Ok(Some(module))
    }

    /// Says for each field of a class where its value lies; false if one has none, or if a value of
    /// the blueprint has no field. Leaves that are found count as placed if all are.
    fn find(&mut self, plan: &Plan, fields: &Fields<'a, 'py>, places: &mut Vec<Place>) -> bool {
        places.clear();
        places.resize(plan.fields.len(), Place::Nowhere);
        let mut used = 0;
        for (number, (name, _)) in fields.iter().enumerate() {
            let field = plan.fields.iter().position(|field| field.text == *name);
            if let Some(place) = field.and_then(|field| places.get_mut(field)) {
                *place = Place::Blueprint(number);
                used += 1;
            }
        }
        let mut leaves = 0;
        self.leaves.find(&self.path, plan.state_fields(), |field, at| {
            if let Some(place @ Place::Nowhere) = places.get_mut(field) {
                *place = Place::Leaf(at);
                leaves += 1;
            }
        });
        let complete = plan.fields.iter().zip(places).all(|(field, place)| match place {
            Place::Nowhere => field.may_be_unset,
            Place::Blueprint(_) => field.role != Role::Attr,
            Place::Leaf(_) => true,
        });
        if complete && used == fields.len() {
            self.placed += leaves;
            return true;
        }
        false
    }

    #[inline]
    fn leaf(&mut self, field: &PlanField, at: usize) -> Attempt<Bound<'py, PyAny>> {
        let value = self.leaves.value(at, self.types, self.keys);
        let value = value.map_err(|fail| fail.inside(self.leaves.path(at).unwrap_or_default()))?;
        if field.shape.fits(&value) {
            return Ok(value);
        }
        let fitted = self.side.fitted.bind(self.py);
        Ok(fitted.call1((value, &field.load_field, self.leaves.path(at)?, false))?)
    }

    /// A module that its class's constructor makes.
    fn constructed(
        &mut self,
        class: &Class<'py>,
        fields: &Fields<'a, 'py>,
        id: &[u8],
    ) -> Attempt<Bound<'py, PyAny>> {
        let values = PyDict::new(self.py);
        for (name, value) in fields {
            values.set_item(name, value)?;
        }
        let own = self.own()?;
        let id = ValueDecoder::new(id, self.types, self.keys).whole()?;
        let rebuilt = self.side.rebuilt.bind(self.py);
        let made = rebuilt.call1((&class.class, id, values, own));
        let (module, whole): (_, bool) = made.map_err(|error| self.here(error))?.extract()?;
        self.whole &= whole;
        Ok(module)
    }

    /// Puts the leaves under this name into a module that is there already.
    fn refill(
        &mut self,
        class: &Class<'py>,
        plan: &Plan,
        module: &Bound<'py, PyAny>,
    ) -> Attempt<()> {
        debug_assert!(module.is_instance(&class.class)?);
        if !plan.is_plain {
            let whole = self.side.load_own.bind(self.py).call1((module, self.own()?));
            self.whole &= whole.map_err(|error| self.here(error))?.extract::<bool>()?;
            return Ok(());
        }
        let mut places = Vec::new();
        self.leaves.find(&self.path, plan.state_fields(), |field, at| places.push((field, at)));
        for (field, at) in places {
            if let Some(field) = plan.fields.get(field) {
                let value = self.leaf(field, at)?;
                module.setattr(field.name.bind(self.py), value)?;
                self.placed += 1;
            }
        }
        Ok(())
    }

    /// Name -> value of the leaves of the module at hand, which count as placed.
    fn own(&mut self) -> Attempt<Bound<'py, PyDict>> {
        let own = PyDict::new(self.py);
        for at in self.leaves.own(&self.path) {
            let path = self.leaves.path(at)?;
            let value = self.leaves.value(at, self.types, self.keys);
            let value = value.map_err(|fail| fail.inside(path))?;
            let name = path.get(self.path.len()..).unwrap_or_default();
            own.set_item(PyString::new(self.py, name), value)?;
            self.placed += 1;
        }
        Ok(own)
    }
}

/// Where the value of a field lies.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the state, as that leaf.
    Leaf(usize),
    /// In the blueprint, as that field of it.
    Blueprint(usize),
    Nowhere,
}
