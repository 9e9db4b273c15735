//! Mutations of real encodings, and the runs over them.

use std::time::{Duration, Instant};

/// A slow machine takes a few milliseconds; what depends on a forged count would take for ever.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Numbers that lengths and counts are forged with.
const ODD: [u64; 8] = [0, 1, 0x7f, 0x80, 0xffff, 1 << 31, (1 << 63) - 1, u64::MAX];

struct Random(u64);

impl Random {
    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>], bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.next() as u8),
        2 if !bytes.is_empty() => drop(bytes.remove(at)),
        3 => {
            let other = &corpus[random.below(corpus.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len())..]);
        }
        4 => {
            let end = (at + 1 + random.below(16)).min(bytes.len());
            let piece = bytes[at.min(end)..end].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            // A number in each of the forms that are in use.
            let mut number = ODD[random.below(ODD.len())];
            let mut forged = number.to_le_bytes().to_vec();
            if random.below(2) == 0 {
                forged.clear();
                while number >= 0x80 {
                    forged.push(number as u8 | 0x80);
                    number >>= 7;
                }
                forged.push(number as u8);
            }
            let end = (at + forged.len()).min(bytes.len());
            bytes.splice(at..end, forged);
        }
        6 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xc1, 0xff][random.below(6)],
        _ if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        _ => {}
    }
}

/// What came of the runs of one target.
pub struct Counts {
    /// Runs over bytes that are in no corpus, and were accepted.
    pub others_accepted: usize,
    /// Runs that were refused.
    pub refused: usize,
}

/// Runs `decode` over a corpus, which it must accept, and over mutations of it, of which it must
/// refuse some: what refuses or accepts everything tests nothing.
pub fn fuzz<E: std::fmt::Debug>(
    name: &str,
    corpus: &[Vec<u8>],
    decode: impl Fn(&[u8]) -> Result<(), E>,
) -> Counts {
    let torture = std::env::var_os("DACHI_TORTURE").is_some();
    let runs = if torture { 1_000_000 } else { 10_000 };
    for bytes in corpus {
        let accepted = decode(bytes);
        assert!(accepted.is_ok(), "{name}: refuses {bytes:02x?} of its own corpus: {accepted:?}");
    }
    let (mut random, mut counts) = (Random(1), Counts { others_accepted: 0, refused: 0 });
    for _ in 0..runs {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut random, corpus, &mut bytes);
        }
        let begun = Instant::now();
        let accepted = decode(&bytes).is_ok();
        assert!(begun.elapsed() < MOST_TIME, "{name}: {bytes:02x?} took too long");
        counts.refused += usize::from(!accepted);
        counts.others_accepted += usize::from(accepted && !corpus.contains(&bytes));
    }
    let Counts { others_accepted, refused } = counts;
    println!("{name}: {runs} runs, {refused} refused, {others_accepted} accepted of other bytes");
    assert!(refused > 0, "{name}: refuses nothing");
    counts
}
