//! A softmax policy and the gradient of what it is rewarded with (Williams, Simple statistical
//! gradient-following algorithms for connectionist reinforcement learning, Machine Learning 8, 1992,
//! section 6: REINFORCE with a baseline).

use super::sum::dot;
use std::cell::Cell;

/// How probable each action is: softmax over the products of its weights and the context.
pub fn probabilities(weights: &[&[Cell<f64>]], x: &[f64]) -> Vec<f64> {
    let logits: Vec<f64> = weights.iter().map(|row| dot(row, x)).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - highest)).collect();
    let sum: f64 = raised.iter().sum();
    raised.iter().map(|value| value / sum).collect()
}

/// Takes one step along the gradient of the logarithm of the chosen action's probability:
/// `(1[chosen] - probability) x` for each action's weights. False, and nothing is changed, if a weight
/// would no longer be finite.
pub fn ascend(
    weights: &[&[Cell<f64>]],
    x: &[f64],
    probabilities: &[f64],
    chosen: usize,
    step: f64,
) -> bool {
    let pushes = || {
        probabilities.iter().enumerate().map(|(at, probability)| {
            let push = if at == chosen { 1.0 - probability } else { -probability };
            step * push
        })
    };
    let fits = weights.iter().zip(pushes()).all(|(row, push)| {
        row.iter().zip(x).all(|(cell, value)| (cell.get() + push * value).is_finite())
    });
    if fits {
        for (row, push) in weights.iter().zip(pushes()) {
            for (cell, value) in row.iter().zip(x) {
                cell.set(cell.get() + push * value);
            }
        }
    }
    fits
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn rows(values: &[[f64; 2]]) -> Vec<Vec<Cell<f64>>> {
        values.iter().map(|row| row.iter().copied().map(Cell::new).collect()).collect()
    }

    #[test]
    fn probabilities_of_far_apart_actions_do_not_overflow() {
        let held = rows(&[[800.0, 0.0], [-800.0, 0.0], [800.0, 0.0]]);
        let weights: Vec<_> = held.iter().map(Vec::as_slice).collect();
        assert_eq!(probabilities(&weights, &[1.0, 0.0]), [0.5, 0.0, 0.5]);
    }

    #[test]
    fn the_step_is_along_the_gradient_that_small_differences_show() {
        let start = [[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2]];
        let x = [0.7, -1.1];
        let log_probability = |values: &[[f64; 2]]| {
            let held = rows(values);
            let weights: Vec<_> = held.iter().map(Vec::as_slice).collect();
            libm::log(probabilities(&weights, &x)[1])
        };
        let held = rows(&start);
        let weights: Vec<_> = held.iter().map(Vec::as_slice).collect();
        assert!(ascend(&weights, &x, &probabilities(&weights, &x), 1, 1.0));
        for (row, (moved, from)) in held.iter().zip(&start).enumerate() {
            for column in 0..2 {
                let mut near = start;
                near[row][column] += 1e-6;
                let slope = (log_probability(&near) - log_probability(&start)) / 1e-6;
                assert!((moved[column].get() - from[column] - slope).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_step_that_overflows_changes_nothing() {
        let held = rows(&[[1e308, 0.0], [0.0, 0.0]]);
        let weights: Vec<_> = held.iter().map(Vec::as_slice).collect();
        assert!(!ascend(&weights, &[1.0, 1e308], &[0.0, 1.0], 0, 10.0));
        assert_eq!(held[0][1].get(), 0.0);
    }
}
