//! Texts to vectors of unit length, the same bits on every machine and with any number of threads.

mod batch;
mod hashing;
mod letters;
mod model;
mod words;

pub use batch::{Embed, embed_all};
pub use hashing::Hashing;
pub use model::Model;

use crate::error::{Error, Result};

/// Scales a sum to unit length into `out`; a text whose sum is zero has no direction.
fn unit(sum: &[f64], out: &mut [f32]) -> Result<()> {
    let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm == 0.0 {
        return Err(Error::new(
            "empty-text",
            "a text has no word that this embedder knows; give at least one",
        ));
    }
    out.iter_mut().zip(sum).for_each(|(to, value)| *to = (value / norm) as f32);
    Ok(())
}

#[cfg(test)]
mod tests;
