//! What each declared name of a module class is, for the walks.

use super::errors::Attempt;
use super::plan::Plan;
use super::side::module_side;
use crate::error::Error;
use crate::state::schema;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// What a declared name is; the numbers are those of `dachi_fast.module._fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Raw value declared with Param.
    Param,
    /// Raw value declared with Attr.
    Attr,
    /// The attribute holds an item: Param, Attr.
    Item,
    /// Structure: never a state key of its own.
    Child,
    /// Spec only; modules found in it are children.
    Plain,
    /// As Child; bare elements of its containers become AdaptModules at each walk.
    Wrap,
    /// One value per class, never state.
    Shared,
}

impl Role {
    /// Whether a field of this role stands in specs.
    pub fn is_spec(self) -> bool {
        matches!(self, Role::Param | Role::Child | Role::Plain)
    }

    /// The role that `dachi_fast.module._fields` calls by a number.
    pub fn from_number(number: u8) -> Option<Role> {
        Some(match number {
            0 => Role::Param,
            1 => Role::Attr,
            2 | 3 => Role::Item,
            5 => Role::Child,
            6 => Role::Plain,
            4 | 7 => Role::Shared,
            8 => Role::Wrap,
            _ => return None,
        })
    }
}

/// One declared name.
#[derive(Debug)]
pub struct Field {
    /// The interned name.
    pub name: Py<PyString>,
    /// The same as text.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// What saves keep of a class.
#[derive(Debug)]
pub struct Class {
    /// Its full kind.
    pub kind: String,
    /// Its encoded row in the table of classes: see `state::schema`.
    pub row: Vec<u8>,
    /// Whether only Python code knows what its blueprint holds (captured arguments, InitVars, a
    /// hook).
    pub asks: bool,
}

/// The declared names of a class and what each is, in declaration order.
#[pyclass(frozen, module = "dachi_fast._core.state")]
pub struct Layout {
    fields: Vec<Field>,
    names: Py<PyTuple>,
    roles: Py<PyTuple>,
    class: PyOnceLock<Class>,
    plan: PyOnceLock<Plan>,
}

#[pymethods]
impl Layout {
    #[new]
    fn new(names: Bound<'_, PyTuple>, roles: Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut fields = Vec::with_capacity(names.len());
        for (name, role) in names.iter().zip(roles.iter()) {
            let text: String = name.extract()?;
            let role = role.extract::<u8>().ok().and_then(Role::from_number);
            let role = role.ok_or_else(|| Error::new("store", "an unknown role in a layout"))?;
            fields.push(Field { name: PyString::intern(name.py(), &text).unbind(), text, role });
        }
        let (names, roles) = (names.unbind(), roles.unbind());
        Ok(Layout { fields, names, roles, class: PyOnceLock::new(), plan: PyOnceLock::new() })
    }

    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.names.bind(py).clone()
    }

    #[getter]
    fn roles<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.roles.bind(py).clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Layout({}, {})", self.names.bind(py).repr()?, self.roles.bind(py).repr()?))
    }
}

impl Layout {
    /// The names.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How instances of the class this is the layout of are built.
    pub fn plan(&self, class: &Bound<'_, PyType>) -> PyResult<&Plan> {
        self.plan.get_or_try_init(class.py(), || Plan::new(class))
    }

    /// The same, if it was asked for before.
    #[inline]
    pub fn known_plan(&self, py: Python<'_>) -> Option<&Plan> {
        self.plan.get(py)
    }

    /// What saves keep of the class this is the layout of.
    pub fn class(&self, class: &Bound<'_, PyType>) -> PyResult<&Class> {
        self.class.get_or_try_init(class.py(), || {
            let asked = module_side(class.py())?.saved_class.bind(class.py()).call1((class,))?;
            let (kind, row, asks) = asked.extract()?;
            Ok(Class { kind, row, asks })
        })
    }
}

/// Finds the layouts of classes; neighbours in a tree are mostly of one class.
#[derive(Default)]
pub struct Layouts<'py> {
    last: Option<(*mut pyo3::ffi::PyTypeObject, Bound<'py, Layout>)>,
}

impl<'py> Layouts<'py> {
    /// The layout of a module's class.
    #[inline]
    pub fn of(&mut self, module: &Bound<'py, PyAny>) -> Attempt<Bound<'py, Layout>> {
        let class = module.get_type_ptr();
        if let Some((known, layout)) = &self.last
            && *known == class
        {
            return Ok(layout.clone());
        }
        let found = layout_of(module)?;
        self.last = Some((class, found.clone()));
        Ok(found)
    }
}

fn layout_of<'py>(module: &Bound<'py, PyAny>) -> Attempt<Bound<'py, Layout>> {
    layout_of_class(&module.get_type())
}

/// The layout of a module class.
pub fn layout_of_class<'py>(class: &Bound<'py, PyType>) -> Attempt<Bound<'py, Layout>> {
    let py = class.py();
    let known = class.getattr(pyo3::intern!(py, "__layout__"))?;
    if let Ok(layout) = known.cast_into::<Layout>() {
        return Ok(layout);
    }
    let made = module_side(py)?.layout_of.bind(py).call1((class,))?;
    Ok(made.cast_into::<Layout>().map_err(PyErr::from)?)
}

/// The classes of the modules that a walk met.
#[derive(Default)]
pub struct Classes<'py> {
    last: usize,
    met: HashMap<usize, Met<'py>, BuildHasherDefault<Address>>,
}

struct Met<'py> {
    class: Bound<'py, PyType>,
    layout: Bound<'py, Layout>,
}

impl<'py> Classes<'py> {
    /// Notes the class of a module; neighbours are mostly of one.
    #[inline]
    pub fn add(&mut self, module: &Bound<'py, PyAny>, layout: &Bound<'py, Layout>) {
        let address = layout.as_ptr() as usize;
        if self.last != address {
            self.last = address;
            let met = || Met { class: module.get_type(), layout: layout.clone() };
            self.met.entry(address).or_insert_with(met);
        }
    }

    /// What saves keep of them.
    pub fn table(&self) -> Attempt<Vec<u8>> {
        let mut rows = BTreeMap::new();
        for met in self.met.values() {
            let class = met.layout.get().class(&met.class)?;
            rows.insert(class.kind.as_str(), class.row.as_slice());
        }
        Ok(schema::encode(&rows))
    }
}

/// Addresses are distinct already; they need no keyed hash.
#[derive(Default)]
pub struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
