//! A flat state: dot paths and their encoded values, in the order of the walk; and beside it the
//! blueprint and what is known of its classes.

pub mod blueprint;
mod flat;
pub mod schema;

pub use flat::{Arena, Flat, Outside, Payload};

/// Longest dot path in bytes. Paths are keys of a tree whose nodes must stay small.
pub const MAX_PATH_BYTES: usize = 4096;
