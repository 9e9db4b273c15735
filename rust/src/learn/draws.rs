//! Random numbers whose whole state is a seed and how many were drawn.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014,
//! figure 15): the n-th number is a hash of `seed + n * gamma`, so any state can be told by two
//! integers, and going on from one costs nothing.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// Of a float64's 53 bits.
const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Draws {
    start: u64,
    drawn: u64,
}

impl Draws {
    /// The stream of a seed, behind the first `drawn` numbers.
    pub fn new(seed: u64, drawn: u64) -> Self {
        // Streams of seeds side by side must not be each other's, a step behind.
        Draws { start: mixed(seed.wrapping_add(GAMMA)), drawn }
    }

    /// How many numbers were drawn.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    fn next(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        mixed(self.start.wrapping_add(self.drawn.wrapping_mul(GAMMA)))
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * UNIT
    }

    /// A number of the standard normal distribution: Marsaglia's polar method (Marsaglia, Bray: A
    /// convenient method for generating normal variables, SIAM Review 6, 1964). Of the pair that it
    /// makes the second is thrown away, or it would be state.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * libm::log(s) / s).sqrt();
            }
        }
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How often each of several normal variables is the largest, in `rounds` draws of all of them.
pub fn wins(means: &[f64], spreads: &[f64], rounds: u32, draws: &mut Draws) -> Vec<u32> {
    let mut won = vec![0; means.len()];
    for _ in 0..rounds {
        let (mut best, mut highest) = (0, f64::NEG_INFINITY);
        for (at, (mean, spread)) in means.iter().zip(spreads).enumerate() {
            let drawn = mean + spread * draws.normal();
            if drawn > highest {
                (best, highest) = (at, drawn);
            }
        }
        if let Some(count) = won.get_mut(best) {
            *count += 1;
        }
    }
    won
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_it_was() {
        let mut whole = Draws::new(7, 0);
        let first: Vec<f64> = (0..10).map(|_| whole.normal()).collect();
        let mut parted = Draws::new(7, 0);
        let again: Vec<f64> = (0..10)
            .map(|_| {
                parted = Draws::new(7, parted.drawn());
                parted.normal()
            })
            .collect();
        assert_eq!(first, again);
    }

    #[test]
    fn the_numbers_are_those_that_the_algorithm_is_published_with() {
        // The first three of seed 1234567, as in the reference implementation's test.
        let mut draws = Draws { start: 1_234_567, drawn: 0 };
        let drawn = [draws.next(), draws.next(), draws.next()];
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn normal_numbers_have_the_moments_of_their_distribution() {
        let mut draws = Draws::new(1, 0);
        let drawn: Vec<f64> = (0..100_000).map(|_| draws.normal()).collect();
        let moment = |power| drawn.iter().map(|x| f64::powi(*x, power)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!(moment(3).abs() < 0.05, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
    }

    #[test]
    fn equal_variables_win_equally_often_and_a_better_one_more() {
        let won = wins(&[0.0, 0.0], &[1.0, 1.0], 10_000, &mut Draws::new(3, 0));
        assert!(won.iter().all(|&count| count > 4_800), "{won:?}");
        let won = wins(&[1.0, 0.0], &[1.0, 1.0], 10_000, &mut Draws::new(3, 0));
        // P(N(1, 1) > N(0, 1)) = 0.760
        assert!((7_400..7_800).contains(&won[0]), "{won:?}");
    }
}
