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

/// Bits are counted by nibbles, with a table in a register.
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
    let counts = _mm256_add_epi8(lower, _mm256_shuffle_epi8(table, upper));
    _mm256_sad_epu8(counts, _mm256_setzero_si256())
}

#[target_feature(enable = "avx2")]
#[inline]
fn differing(query: &[u64], block: &[Words]) -> [i32; 8] {
    let mut counts = [_mm256_setzero_si256(); 2];
    for (&q, words) in query.iter().zip(block) {
        let q = _mm256_set1_epi64x(q.cast_signed());
        let start = words.0.as_ptr().cast::<__m256i>();
        // SAFETY: a line is 64 bytes, aligned to 64.
        let halves = unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] };
        for (count, half) in counts.iter_mut().zip(halves) {
            *count = _mm256_add_epi64(*count, ones(_mm256_xor_si256(half, q)));
        }
    }
    let mut lanes = Words::ZERO;
    let start = lanes.0.as_mut_ptr().cast::<__m256i>();
    let [low, high] = counts;
    // SAFETY: `lanes` is 64 bytes, aligned to 64.
    unsafe {
        _mm256_store_si256(start, low);
        _mm256_store_si256(start.add(1), high);
    }
    // A count is at most 4,096.
    lanes.0.map(|count| count as i32)
}

#[inline]
fn prefetch(line: &Bytes) {
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()) };
}
