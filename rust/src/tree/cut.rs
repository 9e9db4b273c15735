//! Where a long value is cut, so that a change in it changes few pieces.
//!
//! Arrays are cut at fixed places: their items change in place. All else is cut by content, with
//! FastCDC (Xia et al., USENIX ATC 2016, section 4): a gear hash rolls over the bytes, and a piece
//! ends where its upper bits are zero; more bits must be zero before the normal length than behind
//! it (normalised chunking, 4.3), and none are looked at below the least (4.2). What follows the last
//! such end is cut again, into short pieces, because the next append adds to it. Nobody who reads
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
/// Longest piece, however a value is cut.
pub const MAX_PIECE_BYTES: usize = BODY.most;
/// Longest value that is one piece, however it is cut.
pub const WHOLE_BYTES: usize = 16_384;

/// How pieces are cut by content.
struct Lengths {
    least: usize,
    normal: usize,
    most: usize,
    /// Bits that must be zero before the normal length: two more than make pieces of that length.
    strict_bits: u32,
    /// And behind it: two fewer. With a narrower choice each end would hang on the one before.
    loose_bits: u32,
}

/// Long, so that a piece compresses well, takes little of a key and a hash to prove, and leaves
/// little of its last page empty.
const BODY: Lengths =
    Lengths { least: 4 << 10, normal: 16 << 10, most: 64 << 10, strict_bits: 16, loose_bits: 12 };
/// Short, so that an append writes little again, and several lie in one page of the engine: sealed,
/// they rarely exceed 2,014 bytes, beyond which LMDB gives them pages of their own.
const TAIL: Lengths =
    Lengths { least: 1 << 9, normal: 1 << 11, most: 1 << 13, strict_bits: 13, loose_bits: 9 };

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
    let mut all = Vec::with_capacity(bytes.len() / BODY.normal + TAIL.most / TAIL.normal);
    let mut rest = bytes;
    while let Some(piece) = first(rest, &BODY) {
        all.push(piece);
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    while let Some(piece) = first(rest, &TAIL) {
        all.push(piece);
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    if !rest.is_empty() {
        all.push(rest);
    }
    all
}

/// The first piece; None if it does not end within `bytes`.
fn first<'a>(bytes: &'a [u8], lengths: &Lengths) -> Option<&'a [u8]> {
    let gear = &*GEAR;
    let (mut print, mut start) = (0u64, lengths.least);
    let parts = [(lengths.normal, lengths.strict_bits), (lengths.most, lengths.loose_bits)];
    for (end, bits) in parts {
        let bound = 1 << (u64::BITS - bits);
        let part = bytes.get(start..end.min(bytes.len())).unwrap_or_default();
        let found = part.iter().position(|&byte| {
            let noise = gear.get(usize::from(byte)).copied().unwrap_or_default();
            print = (print << 1).wrapping_add(noise);
            print < bound
        });
        if let Some(at) = found {
            return bytes.get(..=start + at);
        }
        start = end;
    }
    bytes.get(..lengths.most)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
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
        let body = lengths.iter().rposition(|&len| len > TAIL.most).unwrap_or_default();
        let (body, tail) = lengths.split_at(body + 1);
        assert!(body.iter().all(|len| (BODY.least + 1..=BODY.most).contains(len)));
        let mean = body.iter().sum::<usize>() / body.len();
        assert!((BODY.normal / 2..BODY.normal * 2).contains(&mean), "{mean}");
        assert!(tail.iter().sum::<usize>() < BODY.most, "{tail:?}");
        let (_, whole) = tail.split_last().unwrap_or((&0, &[]));
        assert!(whole.iter().all(|len| (TAIL.least + 1..=TAIL.most).contains(len)), "{tail:?}");
    }

    #[test]
    fn an_append_leaves_all_but_the_last_short_pieces_as_they_were() {
        let all = noise(3, 300_000);
        let mut cut_again = 0;
        for end in (100_000..300_000).step_by(4_000) {
            let (before, after) = (pieces(&all[..end - 4_000], Cut::Content), lengths(&all[..end]));
            let kept = before.iter().zip(&after).take_while(|(old, new)| old.len() == **new);
            cut_again += before.len() - kept.count();
        }
        // The last one, and all short ones whenever a long piece is complete.
        assert!(cut_again < 50 + 200_000 / TAIL.normal, "{cut_again}");
    }

    #[test]
    fn equal_bytes_throughout_make_pieces_of_one_length() {
        let lengths = lengths(&vec![7; 100_000]);
        let whole = &lengths[..100_000 / BODY.most];
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
        assert!(fresh <= 3, "{fresh} of {} pieces", new.len());
    }

    #[test]
    fn short_values_are_one_piece() {
        assert_eq!(pieces(&[], Cut::Content).len(), 1);
        assert_eq!(pieces(&[0; WHOLE_BYTES], Cut::Fixed).len(), 1);
        assert_eq!(pieces(&[0; WHOLE_BYTES + 1], Cut::Fixed).len(), 2);
    }
}
