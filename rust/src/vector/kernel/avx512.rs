//! AVX-512 with VNNI and VPOPCNTDQ: Ice Lake, Zen 4 and later.
#![allow(unsafe_code)]

use super::{folded, loops};
use std::arch::x86_64::*;

loops! { #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vpopcntdq")] }

#[target_feature(enable = "avx512f")]
#[inline]
fn floats(line: &Floats) -> __m512 {
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { _mm512_load_ps(line.0.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn bytes(line: &Bytes) -> __m512i {
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn sum(lanes: __m512) -> f32 {
    let mut out = Floats::ZERO;
    // SAFETY: `out` is 64 bytes, aligned to 64.
    unsafe { _mm512_store_ps(out.0.as_mut_ptr(), lanes) };
    folded(out.0)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn dot(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = _mm512_setzero_ps();
    for (q, r) in query.iter().zip(row) {
        sums = _mm512_add_ps(sums, _mm512_mul_ps(floats(q), floats(r)));
    }
    sum(sums)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn distance(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = _mm512_setzero_ps();
    for (q, r) in query.iter().zip(row) {
        let apart = _mm512_sub_ps(floats(q), floats(r));
        sums = _mm512_add_ps(sums, _mm512_mul_ps(apart, apart));
    }
    sum(sums)
}

#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn product(query: &[Bytes], row: &[Bytes]) -> i32 {
    let mut sums = _mm512_setzero_si512();
    for (q, r) in query.iter().zip(row) {
        sums = _mm512_dpbusd_epi32(sums, bytes(r), bytes(q));
    }
    _mm512_reduce_add_epi32(sums)
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
#[inline]
fn set(query: &[Planes], block: &[Words]) -> [i32; 8] {
    let mut counts = [_mm512_setzero_si512(); 4];
    for (planes, words) in query.iter().zip(block) {
        // SAFETY: a line is 64 bytes, aligned to 64.
        let words = unsafe { _mm512_load_si512(words.0.as_ptr().cast()) };
        for (count, plane) in counts.iter_mut().zip(planes) {
            let both = _mm512_and_si512(words, _mm512_set1_epi64(plane.cast_signed()));
            *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(both));
        }
    }
    let [ones, twos, fours, eights] = counts;
    let low = _mm512_add_epi64(ones, _mm512_slli_epi64::<1>(twos));
    let high = _mm512_sub_epi64(_mm512_slli_epi64::<2>(fours), _mm512_slli_epi64::<3>(eights));
    let sums = _mm512_cvtepi64_epi32(_mm512_add_epi64(low, high));
    let mut out = [0; 8];
    // SAFETY: `out` is 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) };
    out
}

#[inline]
fn prefetch<Line>(line: &Line) {
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
}
