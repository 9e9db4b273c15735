//! The border: the only place that knows Python.
//!
//! Every function here reads: convert, detach, call one function, convert.

mod array;
mod blueprint;
mod build;
mod codec;
mod decode;
mod describe;
mod embed;
mod encode;
mod errors;
mod held;
mod keys;
mod layout;
mod learn;
mod leaves;
mod ledger;
mod limits;
mod load;
mod load_plan;
mod plan;
mod raw;
mod shape;
mod side;
mod sink;
mod spec;
mod state;
mod store;
mod types;
mod vector;
mod walk;
mod witness;

use pyo3::prelude::*;

type Fill = fn(&Bound<'_, PyModule>) -> PyResult<()>;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let parts: [(&str, Fill); 8] = [
        ("codec", codec::module),
        ("embed", embed::module),
        ("keys", keys::module),
        ("learn", learn::module),
        ("ledger", ledger::module),
        ("state", state::module),
        ("store", store::module),
        ("vector", vector::module),
    ];
    let modules = py.import("sys")?.getattr("modules")?;
    for (name, fill) in parts {
        let full = format!("dachi_fast._core.{name}");
        let part = PyModule::new(py, &full)?;
        fill(&part)?;
        module.add(name, &part)?;
        // So that `import dachi_fast._core.codec` and stubtest find it.
        modules.set_item(full, part)?;
    }
    Ok(())
}
