//! Sums of products in one fixed order.

use std::cell::Cell;

/// As many running sums as fill the vector registers of the oldest machine that we build for.
const LANES: usize = 8;

/// A number, or a cell with one.
pub trait Number {
    /// The number.
    fn number(&self) -> f64;
}

impl Number for f64 {
    #[inline]
    fn number(&self) -> f64 {
        *self
    }
}

impl Number for Cell<f64> {
    #[inline]
    fn number(&self) -> f64 {
        self.get()
    }
}

/// The sum of `a[i] * b[i]`, which are equally many: eight sums of every eighth product, then these in pairs.
#[inline]
pub fn dot(a: &[impl Number], b: &[impl Number]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let mut lanes = [0.0; LANES];
    let (blocks_a, blocks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = blocks_a.remainder().iter().zip(blocks_b.remainder());
    for (block_a, block_b) in blocks_a.zip(blocks_b) {
        for ((lane, x), y) in lanes.iter_mut().zip(block_a).zip(block_b) {
            *lane += x.number() * y.number();
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(rest) {
        *lane += x.number() * y.number();
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_any_length_has_every_product_once() {
        for length in 0..40_u32 {
            let a: Vec<f64> = (0..length).map(f64::from).collect();
            let expected: f64 = (0..length).map(|x| f64::from(x * x)).sum();
            assert_eq!(dot(&a, &a), expected);
        }
    }

    #[test]
    fn cells_are_summed_like_numbers() {
        let mut a: Vec<f64> = (0..21).map(|x| 1.0 / f64::from(x + 1)).collect();
        let plain = dot(&a, &a);
        let cells = Cell::from_mut(a.as_mut_slice()).as_slice_of_cells();
        assert_eq!(dot(cells, cells).to_bits(), plain.to_bits());
    }

    #[test]
    fn the_order_of_the_sum_is_the_one_that_stores_were_learned_with() {
        let a: Vec<f64> = (0..37).map(|x| (f64::from(x) * 0.37).fract() + 1e-9).collect();
        assert_eq!(dot(&a, &a).to_bits(), 4_623_137_208_630_651_254);
    }
}
