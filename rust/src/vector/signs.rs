//! One bit a component: the sign of a vector less the mean of all. A 32nd of the bytes to read.
//!
//! The inner product of a query with a vector is about that with its signs, times the square of the
//! vector's length over the sum of its magnitudes (RaBitQ, arXiv 2405.12497, section 3.2, without its
//! rotation). The query has four bits a component, so four counts of bits give the sum. The best by
//! that are compared in eight bits. How many of them it takes depends on the data, is measured on it,
//! and may be so many that signs are of no use: low dimensions, near-duplicates, no structure.

use super::best::Best;
use super::int8::{Int8, Query};
use super::kernel::{Floats, Kernel, Planes, Words};
use super::table::Table;
use std::ops::Range;

/// Rows of a block.
const BLOCK: usize = 8;
/// The greatest value of a query's component.
const LARGEST: f32 = 7.0;
/// Vectors that are taken as queries, evenly spread: of 1,280 neighbours the six that signs find last
/// are those that a recall of .995 leaves out.
const SAMPLES: usize = 128;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;
/// Rows that all samples are compared with while they lie in the nearest cache.
const CHUNK: usize = 256;

/// The signs of a table's rows, and what they are worth.
#[derive(Debug)]
pub struct Signs {
    words: usize,
    /// Blocks of eight rows, word by word.
    blocks: Vec<Words>,
    /// What an inner product with a row's signs is multiplied by.
    factors: Vec<f32>,
    /// For neighbours of samples, how many vectors are as near or nearer by signs; rising.
    ranks: Vec<u32>,
}

/// A query in four bits a component.
#[derive(Debug, Default)]
pub struct Coarse {
    planes: Vec<Planes>,
    sum: i32,
    scale: f32,
}

impl Signs {
    /// Of all rows of a table, measured against eight bits.
    pub fn build(table: &Table, int8: &Int8) -> Signs {
        let words = table.dimension().div_ceil(64);
        let mut made = Signs {
            words,
            blocks: Vec::with_capacity(table.capacity().div_ceil(BLOCK) * words),
            factors: Vec::with_capacity(table.capacity()),
            ranks: Vec::new(),
        };
        for slot in table.live().iter() {
            made.put(slot, table.row(slot), int8.mean());
        }
        made.ranks = made.measured(table, int8);
        made
    }

    /// Writes the row of a slot.
    pub fn put(&mut self, slot: u32, row: &[Floats], mean: &[Floats]) {
        let (block, lane) = (slot as usize / BLOCK, slot as usize % BLOCK);
        if (block + 1) * self.words > self.blocks.len() {
            self.blocks.resize((block + 1) * self.words, Words::ZERO);
        }
        if slot as usize >= self.factors.len() {
            self.factors.resize(slot as usize + 1, 0.0);
        }
        let (mut squares, mut magnitudes) = ([0.0; 16], [0.0; 16]);
        let words = self.blocks.iter_mut().skip(block * self.words);
        for (Words(lanes), (row, mean)) in words.zip(row.chunks(4).zip(mean.chunks(4))) {
            let mut word = 0;
            for (quarter, (Floats(row), Floats(mean))) in row.iter().zip(mean).enumerate() {
                for (at, (value, mean)) in row.iter().zip(mean).enumerate() {
                    word |= u64::from(value > mean) << (16 * quarter + at);
                }
                let lanes = squares.iter_mut().zip(&mut magnitudes);
                for ((square, magnitude), (value, mean)) in lanes.zip(row.iter().zip(mean)) {
                    let value = value - mean;
                    *square += value * value;
                    *magnitude += value.abs();
                }
            }
            lanes.iter_mut().skip(lane).take(1).for_each(|to| *to = word);
        }
        let (square, magnitude) = (squares.iter().sum::<f32>(), magnitudes.iter().sum::<f32>());
        let factor = if magnitude > 0.0 { square / magnitude } else { 0.0 };
        self.factors.iter_mut().skip(slot as usize).take(1).for_each(|to| *to = factor);
    }

    /// Adds to `keys` those of the slots of a range that begins with a block; `sums` is room.
    pub fn keys(
        &self,
        query: &Coarse,
        biases: &[f32],
        slots: Range<usize>,
        sums: &mut Vec<i32>,
        keys: &mut Vec<f32>,
    ) {
        let blocks = slots.start / BLOCK * self.words..slots.end.div_ceil(BLOCK) * self.words;
        sums.clear();
        Kernel::best().sums(&query.planes, self.blocks.get(blocks).unwrap_or(&[]), sums);
        let factors = self.factors.get(slots.clone()).unwrap_or(&[]);
        let biases = biases.get(slots).unwrap_or(&[]);
        keys.extend(sums.iter().zip(factors).zip(biases).map(|((&sum, factor), bias)| {
            // A sign is +1 or -1, a bit 1 or 0. A check for overflow would keep four from being done
            // at once; a sum is at most 4,096 * 8.
            sum.wrapping_mul(2).wrapping_sub(query.sum) as f32 * (query.scale * factor) + bias
        }));
    }

    /// How many of the best by signs hold the share `recall` of the nearest; None if it is not known.
    pub fn needed(&self, recall: f32) -> Option<usize> {
        let missed = f64::from(1.0 - recall) * RESERVE * self.ranks.len() as f64;
        let at = self.ranks.len().checked_sub(1 + missed as usize)?;
        (missed >= 1.0).then(|| self.ranks.get(at).map(|&rank| rank as usize)).flatten()
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Words>()
            + (self.factors.capacity() + self.ranks.capacity()) * 4
    }

    /// The ranks by signs of the nearest neighbours of some vectors, by eight bits.
    fn measured(&self, table: &Table, int8: &Int8) -> Vec<u32> {
        let samples = samples(table, int8);
        let mut nearest: Vec<Best> = samples.iter().map(|_| Best::new(NEIGHBOURS)).collect();
        let (mut room, mut keys) = (Vec::new(), Vec::new());
        for start in (0..table.capacity()).step_by(CHUNK) {
            let slots = start..table.capacity().min(start + CHUNK);
            for ((slot, query), best) in samples.iter().zip(&mut nearest) {
                keys.clear();
                int8.keys(query, slots.clone(), &mut room, &mut keys);
                let other = |other| other != *slot && table.live().has(other);
                best.offer(start as u32, &keys, other);
            }
        }
        let mut ranks = Vec::with_capacity(samples.len() * NEIGHBOURS);
        let mut coarse = Coarse::default();
        for ((_, query), best) in samples.iter().zip(&mut nearest) {
            keys.clear();
            coarse.set(&query.centred);
            self.keys(&coarse, int8.biases(), 0..table.capacity(), &mut room, &mut keys);
            for &(_, slot) in best.chosen() {
                let own = keys.get(slot as usize).copied().unwrap_or(f32::MIN);
                ranks.push(keys.iter().map(|&key| u32::from(key >= own)).sum());
            }
        }
        ranks.sort_unstable();
        ranks
    }
}

/// Of what may be missed, the share that is: queries are not as near to vectors as they are to each
/// other.
const RESERVE: f64 = 0.75;

/// Vectors that stand for queries.
fn samples(table: &Table, int8: &Int8) -> Vec<(u32, Query)> {
    let apart = (table.count() / SAMPLES).max(1);
    let slots = table.live().iter().step_by(apart).take(SAMPLES);
    let quantised = |slot| {
        let mut query = Query::default();
        int8.query(table.row(slot), &mut query);
        (slot, query)
    };
    slots.map(quantised).collect()
}

impl Coarse {
    /// Quantises a query, which is centred.
    pub fn set(&mut self, centred: &[Floats]) {
        let values = || centred.iter().flat_map(|line| line.0);
        let largest = values().fold(0.0f32, |most, value| most.max(value.abs()));
        let factor = Some(LARGEST / largest).filter(|factor| factor.is_finite()).unwrap_or(0.0);
        self.scale = largest / LARGEST;
        self.sum = 0;
        self.planes.clear();
        for lines in centred.chunks(4) {
            let mut planes = Planes::default();
            for (at, value) in lines.iter().flat_map(|line| line.0).enumerate() {
                let whole = (value * factor).round_ties_even() as i32;
                self.sum += whole;
                for (bit, plane) in planes.iter_mut().enumerate() {
                    *plane |= u64::from(whole.cast_unsigned() >> bit & 1) << at;
                }
            }
            self.planes.push(planes);
        }
    }
}
