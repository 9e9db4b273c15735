//! The arithmetic of learning from choices and their rewards: pure functions of plain numbers.
//!
//! Equal bits everywhere: sums have one fixed order (`dot`), nothing is fused or reordered, logarithms
//! and exponentials are not the platform's, and there is one path for all machines, written so that
//! the compiler can use what vector registers every machine of its kind has.
//!
//! Arrays are row-major float64. What is changed in place is a slice of cells, because it is the
//! memory of an array that Python sees, too.

mod draws;
mod features;
mod linear;
mod policy;
mod sum;

pub use draws::{Draws, wins};
pub use features::{of_text, signed, tag};
pub use linear::{Arm, faded, score};
pub use policy::{ascend, probabilities};
