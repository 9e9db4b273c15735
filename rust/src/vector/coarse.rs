//! A query in four bits a component, as sums over each four of them.

use super::kernel::{Floats, Sums, Weigh};

/// The greatest value: eight sums of four fit into a byte.
const LARGEST: f32 = 7.0;

/// Sums for signs.
#[derive(Debug, Default)]
pub struct Coarse {
    /// A line for sixteen components.
    pub sums: Vec<Sums>,
    offset: i32,
    scale: f32,
}

/// Which of sixteen ways four signs may be have which of them set.
const SET: [[u8; 16]; 4] = {
    let mut set = [[0; 16]; 4];
    let mut at = 0;
    while at < 64 {
        #[allow(clippy::indexing_slicing)] // at compile time
        if ((at % 16) >> (at / 16)) & 1 == 1 {
            set[at / 16][at % 16] = 255;
        }
        at += 1;
    }
    set
};

impl Coarse {
    /// Quantises a query, which is centred.
    pub fn set(&mut self, centred: &[Floats]) {
        let mut most = [0.0f32; 16];
        for Floats(line) in centred {
            most.iter_mut().zip(line).for_each(|(most, value)| *most = most.max(value.abs()));
        }
        let largest = most.into_iter().fold(0.0, f32::max);
        let factor = Some(LARGEST / largest).filter(|factor| factor.is_finite()).unwrap_or(0.0);
        self.scale = largest / LARGEST;
        // Twice what is set, less all, is what signs give; sums begin at the least of all.
        self.offset = 0;
        self.sums.clear();
        for Floats(line) in centred {
            // Adding 1.5 * 2^23 rounds to a whole number, ties to even, in the low bits.
            let values = line.map(|value| (value * factor + 12_582_912.0).to_bits() as u8);
            let mut made = Sums::ZERO;
            for (at, four) in values.as_chunks::<4>().0.iter().enumerate() {
                let lanes = made.0.iter_mut().skip(at % 2).take(1);
                let lanes = lanes.flat_map(|line| line.as_chunks_mut::<16>().0);
                let sums = summed(*four);
                lanes.skip(at / 2 * 2).take(2).for_each(|lane| *lane = sums);
            }
            self.offset = values.iter().fold(self.offset, |sum, &value| {
                sum.wrapping_sub(i32::from(value.cast_signed()).wrapping_abs())
            });
            self.sums.push(made);
        }
    }

    /// How their sums become keys, which matter above `floor`.
    pub fn weigh(&self, floor: f32) -> Weigh {
        Weigh { offset: self.offset, scale: self.scale, floor }
    }
}

/// The sums of four values, for all ways of setting some, less the least of these sums.
fn summed(values: [u8; 4]) -> [u8; 16] {
    let mut sums = [0u8; 16];
    for (value, set) in values.into_iter().zip(&SET) {
        // A negative value counts where it is not set.
        let (value, other) = (value.cast_signed().unsigned_abs(), value >> 7);
        let other = 0u8.wrapping_sub(other);
        sums.iter_mut().zip(set).for_each(|(sum, set)| {
            *sum = sum.wrapping_add((set ^ other) & value);
        });
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_four_are_above_their_least() {
        let values = [3i8, -7, 0, -2];
        let sums = summed(values.map(i8::cast_unsigned));
        for (way, sum) in (0..16).zip(sums) {
            let set = values.iter().enumerate().filter(|(at, _)| way >> at & 1 == 1);
            let truth: i32 = set.map(|(_, &value)| i32::from(value)).sum();
            assert_eq!(i32::from(sum), truth + 9);
        }
    }
}
