//! Linear models of rewards, one an action, and how sure they are: LinUCB with disjoint models (Li,
//! Chu, Langford, Schapire, arXiv 1003.0146, algorithm 1).

use super::sum::{Number, dot};
use std::cell::Cell;

/// What one action's model has learned from `n` contexts of dimension `d`.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// The sum of `x x'`, d x d.
    pub gram: &'a [Cell<f64>],
    /// The sum of `reward x`, d.
    pub moment: &'a [Cell<f64>],
    /// The inverse of `gram + ridge I`, d x d.
    pub inverse: &'a [Cell<f64>],
    /// `inverse moment`: the weights, d.
    pub weights: &'a [Cell<f64>],
}

/// The reward that a model expects of a context, and the square of how unsure it is: `x' inverse x`.
pub fn score(weights: &[Cell<f64>], inverse: &[Cell<f64>], x: &[f64]) -> (f64, f64) {
    let image = times(inverse, x);
    // Rounding may leave a negative number where there is no doubt left.
    (dot(weights, x), dot(&image, x).max(0.0))
}

/// What was learned so many steps ago counts for this much.
pub fn faded(discount: f64, steps: u64) -> f64 {
    libm::pow(discount, steps as f64)
}

impl Arm<'_> {
    /// Learns one reward: rank-one updates of the sums and, by Sherman and Morrison's formula, of the
    /// inverse. False, and nothing is changed, if the numbers are too large to be summed.
    ///
    /// `fade` is what all that was learned before counts for, from 0 (nothing) to 1. The inverse fades
    /// with its ridge, which `solve` puts back.
    pub fn observe(&self, x: &[f64], reward: f64, fade: f64) -> bool {
        let mut image = times(self.inverse, x);
        image.iter_mut().for_each(|u| *u /= fade);
        let shrink = 1.0 / (1.0 + dot(&image, x));
        if !(shrink.is_finite() && shrink > 0.0) {
            return false;
        }
        let d = x.len();
        for (row, xi) in self.gram.chunks_exact(d).zip(x) {
            for (cell, xj) in row.iter().zip(x) {
                cell.set(fade * cell.get() + xi * xj);
            }
        }
        for (cell, xi) in self.moment.iter().zip(x) {
            cell.set(fade * cell.get() + reward * xi);
        }
        let scale = 1.0 / fade;
        for (row, ui) in self.inverse.chunks_exact(d).zip(&image) {
            // `ui * uj` first: it is the same on both sides of the diagonal.
            for (cell, uj) in row.iter().zip(&image) {
                cell.set(scale * cell.get() - (ui * uj) * shrink);
            }
        }
        self.weigh();
        true
    }

    /// Computes inverse and weights from the sums anew, which takes away what rounding did to them.
    /// O(d^3).
    pub fn solve(&self, ridge: f64) {
        let d = self.moment.len();
        let factor = self.factor(ridge);
        let root = inverted(&factor, d);
        for (i, row) in self.inverse.chunks_exact(d.max(1)).enumerate() {
            for (j, cell) in row.iter().enumerate() {
                // (L^-1)' L^-1; `root` holds L^-1 by columns, of which the first `max(i, j)` are zero.
                let from = i.max(j);
                cell.set(dot(column(&root, i, from, d), column(&root, j, from, d)));
            }
        }
        self.weigh();
    }

    /// Cholesky's factor L of `gram + ridge I`, by rows.
    fn factor(&self, ridge: f64) -> Vec<f64> {
        let d = self.moment.len();
        let mut factor: Vec<f64> = Vec::with_capacity(d * d);
        for (i, gram) in self.gram.chunks_exact(d.max(1)).enumerate() {
            let mut row = vec![0.0; d];
            for (j, above) in factor.chunks_exact(d.max(1)).enumerate() {
                let (Some((pivot, above)), Some((value, before))) = (
                    above.get(..=j).and_then(<[f64]>::split_last),
                    row.get_mut(..=j).and_then(<[f64]>::split_last_mut),
                ) else {
                    continue;
                };
                let sum = gram.get(j).map_or(0.0, Cell::get);
                *value = (sum - dot(above, before)) / pivot;
            }
            let square = gram.get(i).map_or(0.0, Cell::get) + ridge - dot(&row, &row);
            if let Some(pivot) = row.get_mut(i) {
                // A sum of squares and the ridge leaves no less than the ridge; rounding may.
                *pivot = square.max(ridge).sqrt();
            }
            factor.extend(row);
        }
        factor
    }

    fn weigh(&self) {
        let weights = times(self.inverse, self.moment);
        for (cell, weight) in self.weights.iter().zip(weights) {
            cell.set(weight);
        }
    }
}

/// A matrix of `x.len()` columns times `x`.
fn times(matrix: &[Cell<f64>], x: &[impl Number]) -> Vec<f64> {
    matrix.chunks_exact(x.len().max(1)).map(|row| dot(row, x)).collect()
}

/// The inverse of a lower triangle (by rows), by columns.
fn inverted(factor: &[f64], d: usize) -> Vec<f64> {
    let mut columns = Vec::with_capacity(d * d);
    for j in 0..d {
        let mut column = vec![0.0; d];
        for (i, row) in factor.chunks_exact(d).enumerate().skip(j) {
            let unit = if i == j { 1.0 } else { 0.0 };
            let done = match (row.get(j..i), column.get(j..i)) {
                (Some(row), Some(column)) => dot(row, column),
                _ => 0.0,
            };
            if let (Some(value), Some(pivot)) = (column.get_mut(i), row.get(i)) {
                *value = (unit - done) / pivot;
            }
        }
        columns.extend(column);
    }
    columns
}

fn column(columns: &[f64], at: usize, from: usize, d: usize) -> &[f64] {
    columns.get(at * d + from..(at + 1) * d).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::super::Draws;
    use super::*;

    const D: usize = 11;

    struct Model {
        gram: Vec<Cell<f64>>,
        moment: Vec<Cell<f64>>,
        inverse: Vec<Cell<f64>>,
        weights: Vec<Cell<f64>>,
    }

    fn zeros(len: usize) -> Vec<Cell<f64>> {
        vec![Cell::new(0.0); len]
    }

    impl Model {
        fn new(ridge: f64) -> Self {
            let made = Model {
                gram: zeros(D * D),
                moment: zeros(D),
                inverse: zeros(D * D),
                weights: zeros(D),
            };
            made.arm().solve(ridge);
            made
        }

        fn arm(&self) -> Arm<'_> {
            let Model { gram, moment, inverse, weights } = self;
            Arm { gram, moment, inverse, weights }
        }

        fn learn(&self, steps: usize, fade: f64) {
            let mut draws = Draws::new(5, 0);
            for _ in 0..steps {
                let x: Vec<f64> = (0..D).map(|_| draws.uniform() - 0.3).collect();
                assert!(self.arm().observe(&x, draws.uniform(), fade));
            }
        }

        fn inverse(&self) -> Vec<f64> {
            self.inverse.iter().map(Cell::get).collect()
        }
    }

    fn furthest(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn the_inverse_times_what_it_inverts_is_one() {
        let model = Model::new(0.7);
        model.learn(50, 1.0);
        model.arm().solve(0.7);
        for i in 0..D {
            for j in 0..D {
                let product: f64 = (0..D)
                    .map(|k| {
                        let ridge = if i == k { 0.7 } else { 0.0 };
                        (model.gram[i * D + k].get() + ridge) * model.inverse[k * D + j].get()
                    })
                    .sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-12, "{i} {j}: {product}");
            }
        }
    }

    #[test]
    fn a_thousand_rank_one_updates_are_what_solving_gives() {
        let model = Model::new(1.0);
        model.learn(1_000, 1.0);
        let updated = model.inverse();
        model.arm().solve(1.0);
        assert!(furthest(&updated, &model.inverse()) < 1e-12);
    }

    #[test]
    fn the_inverse_stays_symmetric_to_the_bit() {
        let model = Model::new(1.0);
        model.learn(200, 0.99);
        for i in 0..D {
            for j in 0..i {
                assert_eq!(model.inverse[i * D + j], model.inverse[j * D + i]);
            }
        }
    }

    #[test]
    fn what_faded_counts_for_less() {
        let model = Model::new(1.0);
        let x = vec![1.0; D];
        assert!(model.arm().observe(&x, 1.0, 1.0));
        assert!(model.arm().observe(&x, 0.0, 0.5));
        assert_eq!(model.moment[0].get(), 0.5);
        assert_eq!(model.gram[1].get(), 1.5);
        let faded = model.inverse();
        // The ridge fades with the rest until `solve` puts it back.
        model.arm().solve(0.5);
        assert!(furthest(&faded, &model.inverse()) < 1e-12);
    }

    #[test]
    fn what_cannot_be_summed_changes_nothing() {
        let model = Model::new(1.0);
        let before = model.inverse();
        assert!(!model.arm().observe(&[1e200; D], 1.0, 1.0));
        assert_eq!(model.inverse(), before);
        assert_eq!(model.gram[0].get(), 0.0);
    }
}
