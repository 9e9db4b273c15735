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

fn products(query: &[Bytes], rows: &[Bytes]) -> [i32; GROUP] {
    let mut out = [0; GROUP];
    let rows = rows.chunks_exact(query.len().max(1));
    out.iter_mut().zip(rows).for_each(|(to, row)| *to = product(query, row));
    out
}

fn signed(query: &[Sums], block: &[Bits]) -> [u16; BLOCK] {
    let mut sums = [0u16; BLOCK];
    for (Sums([low, high]), Bits(line)) in query.iter().zip(block) {
        for (half, (low, high)) in line.chunks(BLOCK).zip(low.chunks(BLOCK).zip(high.chunks(BLOCK)))
        {
            let value = |of: &[u8], at: u8| of.get(usize::from(at)).copied().unwrap_or(0);
            for (row, sum) in sums.iter_mut().enumerate() {
                let byte = half.get(Bits::place(row)).copied().unwrap_or(0);
                *sum += u16::from(value(low, byte & 15) + value(high, byte >> 4));
            }
        }
    }
    sums
}

fn prefetch<Line>(_line: &Line) {}
