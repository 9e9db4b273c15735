//! NEON: every 64-bit ARM machine.
#![allow(unsafe_code)]

use super::{folded, loops};
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
fn products(query: &[Bytes], rows: &[Bytes]) -> [i32; GROUP] {
    let mut out = [0; GROUP];
    let rows = rows.chunks_exact(query.len().max(1));
    out.iter_mut().zip(rows).for_each(|(to, row)| *to = product(query, row));
    out
}

/// A table of sixteen sums is a register, which is looked up.
#[target_feature(enable = "neon")]
#[inline]
fn signed(query: &[Sums], block: &[Bits]) -> [u16; BLOCK] {
    let zero = vdupq_n_u16(0);
    let (mut first, mut second) = ([zero; 2], [zero; 2]);
    for (Sums([low, high]), Bits(line)) in query.iter().zip(block) {
        let lanes = low.as_chunks::<16>().0.iter().zip(high.as_chunks::<16>().0);
        for (at, (line, (low, high))) in line.as_chunks::<16>().0.iter().zip(lanes).enumerate() {
            // SAFETY: each is sixteen bytes.
            let [low, high, line] =
                [low, high, line].map(|lane| unsafe { vld1q_u8(lane.as_ptr()) });
            let lower = vqtbl1q_u8(low, vandq_u8(line, vdupq_n_u8(15)));
            let sums = vaddq_u8(lower, vqtbl1q_u8(high, vshrq_n_u8::<4>(line)));
            // Even places are of the first sixteen rows, odd ones of the second.
            let pairs = vreinterpretq_u16_u8(sums);
            let even = first.iter_mut().skip(at % 2).take(1);
            even.for_each(|to| *to = vaddq_u16(*to, vandq_u16(pairs, vdupq_n_u16(255))));
            let odd = second.iter_mut().skip(at % 2).take(1);
            odd.for_each(|to| *to = vaddq_u16(*to, vshrq_n_u16::<8>(pairs)));
        }
    }
    let mut out = [0; BLOCK];
    for (sums, to) in first.into_iter().chain(second).zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: `to` is eight numbers.
        unsafe { vst1q_u16(to.as_mut_ptr(), sums) };
    }
    out
}

fn prefetch<Line>(_line: &Line) {}
