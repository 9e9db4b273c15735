//! AVX-512 with VNNI and VPOPCNTDQ: Ice Lake, Zen 4 and later.
#![allow(unsafe_code)]

use super::{LINES, folded, loops};
use std::arch::x86_64::*;

loops! { #[target_feature(enable = "avx512f,avx512bw,avx512vnni")] }

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

#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn products(query: &[Bytes], rows: &[Bytes]) -> [i32; GROUP] {
    let mut out = [0; GROUP];
    for (to, rows) in out.as_chunks_mut().0.iter_mut().zip(rows.chunks(4 * query.len().max(1))) {
        *to = four(query, rows);
    }
    out
}

/// The lanes of four sums are added together.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn four(query: &[Bytes], rows: &[Bytes]) -> [i32; 4] {
    let lines = query.len();
    // The sum of a row that is not there is not used.
    let first = rows.get(..lines).unwrap_or(query);
    let second = rows.get(lines..2 * lines).unwrap_or(query);
    let third = rows.get(2 * lines..3 * lines).unwrap_or(query);
    let fourth = rows.get(3 * lines..4 * lines).unwrap_or(query);
    let [mut a, mut b, mut c, mut d] = [_mm512_setzero_si512(); 4];
    let rows = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (q, ((r, s), (t, u))) in query.iter().zip(rows) {
        let q = bytes(q);
        a = _mm512_dpbusd_epi32(a, bytes(r), q);
        b = _mm512_dpbusd_epi32(b, bytes(s), q);
        c = _mm512_dpbusd_epi32(c, bytes(t), q);
        d = _mm512_dpbusd_epi32(d, bytes(u), q);
    }
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut out = [0; 4];
    // SAFETY: `out` is 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}

/// A table of sixteen sums is a register's lane, which a shuffle looks up.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn signed(query: &[Sums], block: &[Bits]) -> [u16; BLOCK] {
    let (mask, zero) = (_mm512_set1_epi8(15), _mm512_setzero_si512());
    let (mut first, mut second) = (zero, zero);
    for (query, block) in query.chunks(LINES).zip(block.chunks(LINES)) {
        let mut sums = zero;
        for (Sums([low, high]), Bits(line)) in query.iter().zip(block) {
            // SAFETY: each is 64 bytes, aligned to 64.
            let [low, high, line] =
                [low, high, line].map(|at| unsafe { _mm512_load_si512(at.as_ptr().cast()) });
            let lower = _mm512_and_si512(line, mask);
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(line), mask);
            sums = _mm512_add_epi8(sums, _mm512_shuffle_epi8(low, lower));
            sums = _mm512_add_epi8(sums, _mm512_shuffle_epi8(high, upper));
        }
        // The first rows' sums with 256 times the second's, which are taken off at the end.
        first = _mm512_add_epi16(first, sums);
        second = _mm512_add_epi16(second, _mm512_srli_epi16::<8>(sums));
    }
    first = _mm512_sub_epi16(first, _mm512_slli_epi16::<8>(second));
    let mut out = [0; BLOCK];
    for (sums, to) in [first, second].into_iter().zip(out.as_chunks_mut::<16>().0) {
        let both =
            _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
        // SAFETY: `to` is 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), both) };
    }
    out
}

#[inline]
fn prefetch<Line>(line: &Line) {
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
}
