//! NEON: every 64-bit ARM machine.
#![allow(unsafe_code)]

use super::{folded, loops, weighed};
use std::arch::aarch64::*;

loops! { #[target_feature(enable = "neon")] }

/// The quarters of a line.
#[target_feature(enable = "neon")]
#[inline]
fn floats(line: &Floats) -> [float32x4_t; 4] {
    let start = line.0.as_ptr();
    // SAFETY: a line is sixteen floats.
    [0, 4, 8, 12].map(|at| unsafe { vld1q_f32(start.add(at)) })
}

#[target_feature(enable = "neon")]
#[inline]
fn sum(quarters: [float32x4_t; 4]) -> f32 {
    let mut out = Floats::ZERO;
    for (lanes, quarter) in out.0.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
        // SAFETY: `lanes` is four floats.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), quarter) };
    }
    folded(out.0)
}

#[target_feature(enable = "neon")]
#[inline]
fn dot(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = [vdupq_n_f32(0.0); 4];
    for (q, r) in query.iter().zip(row) {
        for ((sum, q), r) in sums.iter_mut().zip(floats(q)).zip(floats(r)) {
            *sum = vaddq_f32(*sum, vmulq_f32(q, r));
        }
    }
    sum(sums)
}

#[target_feature(enable = "neon")]
#[inline]
fn distance(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = [vdupq_n_f32(0.0); 4];
    for (q, r) in query.iter().zip(row) {
        for ((sum, q), r) in sums.iter_mut().zip(floats(q)).zip(floats(r)) {
            let apart = vsubq_f32(q, r);
            *sum = vaddq_f32(*sum, vmulq_f32(apart, apart));
        }
    }
    sum(sums)
}

/// The rows' bias is taken off first, because products are of equal signedness, and put back.
#[target_feature(enable = "neon")]
#[inline]
fn product(query: &[Bytes], row: &[Bytes]) -> i32 {
    let (mut sums, mut biases) = (vdupq_n_s32(0), vdupq_n_s32(0));
    for (Bytes(q), Bytes(r)) in query.iter().zip(row) {
        for (q, r) in q.as_chunks::<16>().0.iter().zip(r.as_chunks::<16>().0) {
            // SAFETY: both are sixteen bytes.
            let (q, r) = unsafe { (vld1q_s8(q.as_ptr().cast()), vld1q_u8(r.as_ptr())) };
            let r = vreinterpretq_s8_u8(veorq_u8(r, vdupq_n_u8(128)));
            sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(q), vget_low_s8(r)));
            sums = vpadalq_s16(sums, vmull_high_s8(q, r));
            biases = vpadalq_s16(biases, vpaddlq_s8(q));
        }
    }
    vaddvq_s32(vaddq_s32(sums, vshlq_n_s32::<7>(biases)))
}

#[target_feature(enable = "neon")]
#[inline]
fn set(query: &[Planes], block: &[Words]) -> [i32; 8] {
    let mut counts = [[0u64; 8]; 4];
    for (counts, plane) in counts.iter_mut().zip(0..) {
        let mut pairs = [vdupq_n_u64(0); 4];
        for (planes, Words(words)) in query.iter().zip(block) {
            let q = vdupq_n_u64(planes.get(plane).copied().unwrap_or(0));
            for (pair, words) in pairs.iter_mut().zip(words.as_chunks::<2>().0) {
                // SAFETY: `words` is two words.
                let both = vandq_u64(unsafe { vld1q_u64(words.as_ptr()) }, q);
                let ones = vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u64(both)));
                *pair = vaddq_u64(*pair, vpaddlq_u32(vpaddlq_u16(ones)));
            }
        }
        for (to, pair) in counts.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
            // SAFETY: `to` is two words.
            unsafe { vst1q_u64(to.as_mut_ptr(), pair) };
        }
    }
    let [ones, twos, fours, eights] = counts;
    let mut out = [0; 8];
    let rows = ones.into_iter().zip(twos).zip(fours.into_iter().zip(eights));
    for (to, ((one, two), (four, eight))) in out.iter_mut().zip(rows) {
        // A count is at most 4,096.
        *to = weighed([one, two, four, eight].map(|count| count as i32));
    }
    out
}

fn prefetch<Line>(_line: &Line) {}
