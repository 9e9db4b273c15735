//! Without any particular instructions: what the others are compared with.

use super::{folded, loops, weighed};

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

fn set(query: &[Planes], block: &[Words]) -> [i32; 8] {
    let mut counts = [[0; 4]; 8];
    for (planes, Words(words)) in query.iter().zip(block) {
        for (counts, word) in counts.iter_mut().zip(words) {
            for (count, plane) in counts.iter_mut().zip(planes) {
                *count += (plane & word).count_ones().cast_signed();
            }
        }
    }
    counts.map(weighed)
}

fn prefetch<Line>(_line: &Line) {}
