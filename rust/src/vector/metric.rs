//! What "near" means, and which vectors it is defined for.

use super::kernel::{Floats, Kernel};
use crate::error::{Error, Result};

/// Components that a vector may have.
pub const MOST_COMPONENTS: usize = 4096;
/// The largest magnitude of a component: squared distances of 4,096 of them stay finite.
const LARGEST: f32 = 1e16;

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// By angle: the inner product of both, normalised.
    Cosine,
    /// By inner product.
    Dot,
    /// By distance.
    Euclidean,
}

impl Metric {
    /// The metric of a name.
    pub fn named(name: &str) -> Result<Metric> {
        match name {
            "cosine" => Ok(Metric::Cosine),
            "dot" => Ok(Metric::Dot),
            "euclidean" => Ok(Metric::Euclidean),
            _ => Err(Error::new(
                "vector-setting",
                format!("there is no metric {name:?}; use \"cosine\", \"dot\" or \"euclidean\""),
            )),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::Dot => "dot",
            Metric::Euclidean => "euclidean",
        }
    }

    /// Adds a vector to `lines` as it is compared: checked, padded, of length 1 under cosine.
    pub fn prepare(self, vector: &[f32], lines: &mut Vec<Floats>) -> Result<()> {
        let wrong = |value: &f32| value.is_nan() || value.abs() > LARGEST;
        if let Some(at) = vector.iter().position(wrong) {
            return Err(Error::new(
                "vector-value",
                format!("component {at} is NaN, infinite or larger than 1e16 in magnitude"),
            )
            .with("component", at as u64));
        }
        let mut factor = 1.0;
        if self == Metric::Cosine {
            // In 64 bits the square of no component vanishes or overflows.
            let square: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
            if square == 0.0 {
                return Err(Error::new(
                    "vector-zero",
                    "a vector of zeros has no direction, so cosine is not defined for it",
                ));
            }
            factor = square.sqrt().recip();
        }
        lines.extend(vector.chunks(16).map(|chunk| {
            let mut line = Floats::ZERO;
            let scaled = |value: f32| (f64::from(value) * factor) as f32;
            line.0.iter_mut().zip(chunk).for_each(|(to, &from)| *to = scaled(from));
            line
        }));
        Ok(())
    }

    /// Adds to `keys` one for each of `slots`, the nearest with the greatest.
    pub fn keys(self, query: &[Floats], rows: &[Floats], slots: &[u32], keys: &mut Vec<f32>) {
        let kernel = Kernel::best();
        match self {
            Metric::Cosine | Metric::Dot => kernel.dots(query, rows, slots, keys),
            Metric::Euclidean => {
                let start = keys.len();
                kernel.distances(query, rows, slots, keys);
                keys.iter_mut().skip(start).for_each(|key| *key = -*key);
            }
        }
    }

    /// What users see of a key: the cosine, the inner product, or the distance.
    pub fn score(self, key: f32) -> f32 {
        match self {
            Metric::Cosine => key.clamp(-1.0, 1.0),
            Metric::Dot => key,
            Metric::Euclidean => (-key).sqrt(),
        }
    }
}
