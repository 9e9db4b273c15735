//! Without any particular instructions: what the others are compared with.

use super::{folded, loops};

loops! { #[inline(never)] }

fn dot(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = [0.0; 16];
    for (Floats(q), Floats(r)) in query.iter().zip(row) {
        sums.iter_mut().zip(q).zip(r).for_each(|((sum, q), r)| *sum += q * r);
    }
    folded(sums)
}

fn distance(query: &[Floats], row: &[Floats]) -> f32 {
    let mut sums = [0.0; 16];
    for (Floats(q), Floats(r)) in query.iter().zip(row) {
        sums.iter_mut().zip(q).zip(r).for_each(|((sum, q), r)| *sum += (q - r) * (q - r));
    }
    folded(sums)
}

fn product(query: &[Bytes], row: &[Bytes]) -> i32 {
    let bytes = query.iter().zip(row).flat_map(|(Bytes(q), Bytes(r))| q.iter().zip(r));
    bytes.map(|(&q, &r)| i32::from(q.cast_signed()) * i32::from(r)).sum()
}

fn differing(query: &[u64], block: &[Words]) -> [i32; 8] {
    let mut counts = [0; 8];
    for (q, Words(words)) in query.iter().zip(block) {
        for (count, word) in counts.iter_mut().zip(words) {
            *count += (q ^ word).count_ones().cast_signed();
        }
    }
    counts
}

fn prefetch(_line: &Bytes) {}
