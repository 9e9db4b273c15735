//! AVX2: every x86-64 machine since 2013 or so.
#![allow(unsafe_code)]

use super::{folded, loops};
use std::arch::x86_64::*;

loops! { #[target_feature(enable = "avx2,popcnt")] }

/// The halves of a line.
#[target_feature(enable = "avx2")]
#[inline]
fn floats(line: &Floats) -> [__m256; 2] {
    let start = line.0.as_ptr();
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { [_mm256_load_ps(start), _mm256_load_ps(start.add(8))] }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bytes(line: &Bytes) -> [__m256i; 2] {
    let start = line.0.as_ptr().cast::<__m256i>();
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] }
}

#[target_feature(enable = "avx2")]
#[inline]
fn sum([low, high]: [__m256; 2]) -> f32 {
    let mut out = Floats::ZERO;
    let start = out.0.as_mut_ptr();
    // SAFETY: `out` is 64 bytes, aligned to 64.
    unsafe {
        _mm256_store_ps(start, low);
        _mm256_store_ps(start.add(8), high);
    }
    folded(out.0)
}

#[target_feature(enable = "avx2")]
#[inline]
fn dot(query: &[Floats], row: &[Floats]) -> f32 {
    let (mut low, mut high) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for (q, r) in query.iter().zip(row) {
        let ([q0, q1], [r0, r1]) = (floats(q), floats(r));
        low = _mm256_add_ps(low, _mm256_mul_ps(q0, r0));
        high = _mm256_add_ps(high, _mm256_mul_ps(q1, r1));
    }
    sum([low, high])
}

#[target_feature(enable = "avx2")]
#[inline]
fn distance(query: &[Floats], row: &[Floats]) -> f32 {
    let (mut low, mut high) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for (q, r) in query.iter().zip(row) {
        let ([q0, q1], [r0, r1]) = (floats(q), floats(r));
        let (apart0, apart1) = (_mm256_sub_ps(q0, r0), _mm256_sub_ps(q1, r1));
        low = _mm256_add_ps(low, _mm256_mul_ps(apart0, apart0));
        high = _mm256_add_ps(high, _mm256_mul_ps(apart1, apart1));
    }
    sum([low, high])
}

/// Pairs are added in 16 bits, which hold two products of at most 127 * 127 but none of 255 * 127:
/// so the rows' bias is taken off first, and put back at the end.
#[target_feature(enable = "avx2")]
#[inline]
fn product(query: &[Bytes], row: &[Bytes]) -> i32 {
    let (bias, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
    let (mut sums, mut biases) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for (q, r) in query.iter().zip(row) {
        for (q, r) in bytes(q).into_iter().zip(bytes(r)) {
            let signed = _mm256_sign_epi8(_mm256_xor_si256(r, bias), q);
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), signed);
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
            let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
            biases = _mm256_add_epi32(biases, _mm256_madd_epi16(pairs, ones));
        }
    }
    let mut lanes = [0; 8];
    let all = _mm256_add_epi32(sums, _mm256_slli_epi32::<7>(biases));
    // SAFETY: `lanes` is 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), all) };
    lanes.iter().sum()
}

/// Bits of each byte, by nibbles, with a table in a register.
#[target_feature(enable = "avx2")]
#[inline]
fn ones(words: __m256i) -> __m256i {
    let low = _mm256_set1_epi8(15);
    let table = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3,
        3, 4,
    );
    let lower = _mm256_shuffle_epi8(table, _mm256_and_si256(words, low));
    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(words), low);
    _mm256_add_epi8(lower, _mm256_shuffle_epi8(table, upper))
}

/// The planes of 1, 2 and 4 are weighed byte by byte: at most 8 * (1 + 2 + 4) in each.
#[target_feature(enable = "avx2")]
#[inline]
fn set(query: &[Planes], block: &[Words]) -> [i32; 8] {
    let zero = _mm256_setzero_si256();
    let mut sums = [zero; 2];
    for (planes, words) in query.iter().zip(block) {
        let [one, two, four, eight] = planes.map(|plane| _mm256_set1_epi64x(plane.cast_signed()));
        let start = words.0.as_ptr().cast::<__m256i>();
        // SAFETY: a line is 64 bytes, aligned to 64.
        let halves = unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] };
        for (sum, half) in sums.iter_mut().zip(halves) {
            let count = |plane| ones(_mm256_and_si256(half, plane));
            let double = |counts| _mm256_add_epi8(counts, counts);
            let upper = _mm256_add_epi8(count(two), double(count(four)));
            let positive = _mm256_add_epi8(count(one), double(upper));
            let negative = _mm256_slli_epi64::<3>(_mm256_sad_epu8(count(eight), zero));
            let word = _mm256_sub_epi64(_mm256_sad_epu8(positive, zero), negative);
            *sum = _mm256_add_epi64(*sum, word);
        }
    }
    let mut lanes = [0i64; 8];
    let start = lanes.as_mut_ptr().cast::<__m256i>();
    let [low, high] = sums;
    // SAFETY: `lanes` is 64 bytes; the stores need no alignment.
    unsafe {
        _mm256_storeu_si256(start, low);
        _mm256_storeu_si256(start.add(1), high);
    }
    // A sum is at most 4,096 * 8.
    lanes.map(|sum| sum as i32)
}

#[inline]
fn prefetch<Line>(line: &Line) {
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
}
