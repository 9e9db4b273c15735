//! Floats of 16 bits (IEEE 754 binary16), as vectors are kept at rest.
//!
//! A component of a vector of length 1 keeps eleven bits, so a cosine moves by some 0.0003: less than
//! what two embedders of the same model differ by, at half the bytes. In plain code, because the
//! compiler makes wide instructions of it.

/// What the exponents of both differ by, as a factor: 2^112.
const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
/// Below this 16 bits have no leading one any more: 2^-14.
const LEAST_NORMAL: f32 = f32::from_bits((127 - 14) << 23);
/// Where all exponent bits are set there is an infinity, or no number.
const NOT_FINITE: u16 = 0x7c00;

/// Adds values as 16 bits, little endian; the nearest, of two as near the even one. They are at most
/// 65,504 in magnitude.
pub fn put(values: &[f32], out: &mut Vec<u8>) {
    out.extend(values.iter().flat_map(|value| {
        let magnitude = value.abs();
        let sign = (value.to_bits() >> 16) as u16 & 0x8000;
        let bits = if magnitude < LEAST_NORMAL {
            // Floats of 32 bits near a half are as far apart as the smallest ones of 16.
            (magnitude + 0.5).to_bits() - 0.5f32.to_bits()
        } else {
            let bits = magnitude.to_bits() - (112 << 23);
            (bits + 0xfff + (bits >> 13 & 1)) >> 13
        };
        (bits as u16 | sign).to_le_bytes()
    }));
}

/// Adds what [`put`] wrote; false if a value is not finite.
pub fn take(bytes: &[u8], out: &mut Vec<f32>) -> bool {
    let (halves, odd) = bytes.as_chunks::<2>();
    let mut wrong = u16::from(!odd.is_empty());
    out.extend(halves.iter().map(|half| {
        let half = u16::from_le_bytes(*half);
        wrong |= u16::from(half & NOT_FINITE == NOT_FINITE);
        let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * REBIAS;
        f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
    }));
    wrong == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(half: u16) -> Option<f32> {
        let mut out = Vec::new();
        take(&half.to_le_bytes(), &mut out).then(|| out.first().copied()).flatten()
    }

    fn written(value: f32) -> Option<u16> {
        let mut out = Vec::new();
        put(&[value], &mut out);
        out.first_chunk().map(|half| u16::from_le_bytes(*half))
    }

    #[test]
    fn every_finite_half_comes_back_and_means_what_the_standard_says() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
            let Some(value) = taken(half) else {
                assert_eq!(exponent, 31);
                continue;
            };
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-24),
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            assert_eq!(f64::from(value.abs()), magnitude);
            assert_eq!(value.is_sign_negative(), half & 0x8000 != 0);
            assert_eq!(written(value), Some(half));
        }
    }

    #[test]
    fn what_lies_between_two_goes_to_the_nearest_or_the_even_one() {
        for half in 0..0x7bff_u16 {
            let (Some(low), Some(high)) = (taken(half), taken(half + 1)) else { continue };
            let middle = low + (high - low) / 2.0; // exact: 32 bits have room for it
            let even = half + (half & 1);
            assert_eq!(written(middle), Some(even));
            assert_eq!(written(middle.next_down()), Some(half));
            assert_eq!(written(middle.next_up()), Some(half + 1));
        }
    }

    #[test]
    fn a_value_cut_in_halves_is_refused() {
        assert!(!take(&[0, 60, 0], &mut Vec::new()));
    }
}
