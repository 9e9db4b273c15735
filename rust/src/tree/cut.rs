//! Where a long value is cut, so that a change in it changes few pieces.
//!
//! Arrays are cut at fixed places: their items change in place. All else is cut by content, with
//! FastCDC (Xia et al., USENIX ATC 2016, section 4): a gear hash rolls over the bytes, and a piece
//! ends where its upper bits are zero; more bits must be zero before the normal length than behind
//! it (normalised chunking, 4.3), and none are looked at below the least (4.2). Nobody who reads
//! needs this: an index says how long its pieces are.

use std::sync::LazyLock;

/// How a value is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Every [`CHUNK_BYTES`].
    Fixed,
    /// Where the content says.
    Content,
}

/// Bytes of a piece of an array: 16 of BLAKE3's blocks, which AVX-512 hashes side by side. 16,256
/// would fill four pages of the engine exactly where this takes a fifth, but hashes three times
/// slower, and hashing is what a save of an unchanged array costs.
pub const CHUNK_BYTES: usize = 16_384;
/// Longest value that is one piece, however it is cut.
pub const WHOLE_BYTES: usize = 16_384;

/// An append rewrites the last piece, so pieces are shorter than an array's. After 500 appends of 4 KB
/// of text the file was 3.7, 3.0 and 3.3 times that text with pieces of 2, 4 and 8 KB: shorter ones
/// compress worse, and longer ones are written again more often.
const LEAST_BYTES: usize = 1 << 10;
const NORMAL_BYTES: usize = 1 << 12;
const MOST_BYTES: usize = 1 << 14;
/// Two bits more, and two fewer, than the 12 that make pieces of the normal length (4.3).
const STRICT_BITS: u32 = 14;
const LOOSE_BITS: u32 = 10;

/// Random numbers, one a byte value: SplitMix64 from zero.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut state = 0u64;
    std::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
});

/// The pieces of a value, in order; one empty piece for an empty value.
pub fn pieces(bytes: &[u8], cut: Cut) -> Vec<&[u8]> {
    if bytes.len() <= WHOLE_BYTES {
        return vec![bytes];
    }
    if cut == Cut::Fixed {
        return bytes.chunks(CHUNK_BYTES).collect();
    }
    let mut all = Vec::with_capacity(bytes.len() / NORMAL_BYTES + 1);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at_checked(first(rest)).unwrap_or((rest, &[]));
        all.push(piece);
        rest = after;
    }
    all
}

/// How long the first piece is.
fn first(bytes: &[u8]) -> usize {
    let gear = &*GEAR;
    let mut print = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(MOST_BYTES).skip(LEAST_BYTES) {
        print = (print << 1).wrapping_add(gear.get(usize::from(byte)).copied().unwrap_or_default());
        let bits = if at < NORMAL_BYTES { STRICT_BITS } else { LOOSE_BITS };
        if print >> (u64::BITS - bits) == 0 {
            return at + 1;
        }
    }
    bytes.len().min(MOST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed;
        let step = |_| {
            state =
                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            (state >> 56) as u8
        };
        (0..len).map(step).collect()
    }

    fn lengths(bytes: &[u8]) -> Vec<usize> {
        let all = pieces(bytes, Cut::Content);
        assert_eq!(all.concat(), bytes);
        all.iter().map(|piece| piece.len()).collect()
    }

    #[test]
    fn pieces_are_neither_tiny_nor_huge_and_of_normal_length_in_the_mean() {
        let lengths = lengths(&noise(1, 4_000_000));
        let (last, whole) = lengths.split_last().unwrap_or((&0, &[]));
        assert!(*last <= MOST_BYTES);
        assert!(whole.iter().all(|len| (LEAST_BYTES + 1..=MOST_BYTES).contains(len)));
        let mean = 4_000_000 / lengths.len();
        assert!((NORMAL_BYTES / 2..NORMAL_BYTES * 2).contains(&mean), "{mean}");
    }

    #[test]
    fn equal_bytes_throughout_make_pieces_of_one_length() {
        let lengths = lengths(&vec![7; 100_000]);
        let (_, whole) = lengths.split_last().unwrap_or((&0, &[]));
        assert!(whole.windows(2).all(|pair| pair.first() == pair.last()));
    }

    #[test]
    fn an_insertion_changes_the_pieces_around_it_only() {
        let before = noise(2, 500_000);
        let mut after = before.clone();
        after.splice(250_000..250_000, [1, 2, 3]);
        let old: std::collections::HashSet<_> = pieces(&before, Cut::Content).into_iter().collect();
        let new = pieces(&after, Cut::Content);
        let fresh = new.iter().filter(|piece| !old.contains(*piece)).count();
        assert!(fresh <= 4, "{fresh} of {} pieces", new.len());
    }

    #[test]
    fn short_values_are_one_piece() {
        assert_eq!(pieces(&[], Cut::Content).len(), 1);
        assert_eq!(pieces(&[0; WHOLE_BYTES], Cut::Fixed).len(), 1);
        assert_eq!(pieces(&[0; WHOLE_BYTES + 1], Cut::Fixed).len(), 2);
    }
}
