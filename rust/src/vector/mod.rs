//! Vectors by label, and searching them by nearness.
//!
//! Nothing here knows a store: what is searched is in memory and made anew from vectors that somebody
//! else keeps.

pub mod best;
pub mod blocks;
pub mod cells;
pub mod coarse;
pub mod graph;
pub mod half;
pub mod index;
pub mod int8;
pub mod kept;
pub mod kernel;
pub mod metric;
pub mod ranks;
pub mod scan;
pub mod signs;
pub mod slots;
pub mod table;
pub mod walk;
pub mod web;

pub use index::{Found, Index, Plan, Stats, Subset};
pub use metric::{MOST_COMPONENTS, Metric};
pub use slots::Slots;
