//! AVX2: every x86-64 machine since 2013 or so.
#![allow(unsafe_code)]

use super::{LINES, folded, loops};
use std::arch::x86_64::*;

loops! { #[target_feature(enable = "avx2")] }

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

#[target_feature(enable = "avx2")]
#[inline]
fn products(query: &[Bytes], rows: &[Bytes]) -> [i32; GROUP] {
    let mut out = [0; GROUP];
    let rows = rows.chunks_exact(query.len().max(1));
    out.iter_mut().zip(rows).for_each(|(to, row)| *to = product(query, row));
    out
}

/// A table of sixteen sums is a register's lane, which a shuffle looks up.
#[target_feature(enable = "avx2")]
#[inline]
fn signed(query: &[Sums], block: &[Bits]) -> [u16; BLOCK] {
    let (mask, zero) = (_mm256_set1_epi8(15), _mm256_setzero_si256());
    let (mut first, mut second) = (zero, zero);
    for (query, block) in query.chunks(LINES).zip(block.chunks(LINES)) {
        for half in [0, 1] {
            let mut sums = zero;
            for (Sums([low, high]), Bits(line)) in query.iter().zip(block) {
                // SAFETY: each is 64 bytes, aligned to 64, so two halves of 32.
                let [low, high, line] = [low, high, line].map(|at| unsafe {
                    _mm256_load_si256(at.as_ptr().cast::<__m256i>().add(half))
                });
                let lower = _mm256_and_si256(line, mask);
                let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(line), mask);
                sums = _mm256_add_epi8(sums, _mm256_shuffle_epi8(low, lower));
                sums = _mm256_add_epi8(sums, _mm256_shuffle_epi8(high, upper));
            }
            // The first rows' sums with 256 times the second's, which are taken off at the end.
            first = _mm256_add_epi16(first, sums);
            second = _mm256_add_epi16(second, _mm256_srli_epi16::<8>(sums));
        }
    }
    first = _mm256_sub_epi16(first, _mm256_slli_epi16::<8>(second));
    let mut out = [0; BLOCK];
    for (sums, to) in [first, second].into_iter().zip(out.as_chunks_mut::<16>().0) {
        // SAFETY: `to` is 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sums) };
    }
    out
}

#[inline]
fn prefetch<Line>(line: &Line) {
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
}
