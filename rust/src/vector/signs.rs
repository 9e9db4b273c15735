//! One bit a component: the sign of a vector less the centre of its cell. A 32nd of the bytes to read.
//!
//! The inner product of a query with a vector is about that with its signs, times the square of the
//! vector's length over the sum of its magnitudes (RaBitQ, arXiv 2405.12497, section 3.2, without its
//! rotation). The query has four bits a component, so a table of sixteen sums serves four components.
//! Of the cells that are best, the best by signs are compared in eight bits. How many of both it takes
//! depends on the data, is measured on it, and may be so many that signs are of no use: low dimensions,
//! near-duplicates, no structure.

use super::best::Best;
use super::blocks::{Blocks, Keys, Signed};
use super::cells::{self, Centres};
use super::coarse::Coarse;
use super::int8::{Int8, Query, less};
use super::kernel::{BLOCK, Floats};
use super::metric::Metric;
use super::ranks::Ranks;
use super::slots::Slots;
use super::table::Table;

/// Cells that are looked into first.
const FIRST: usize = 6;
/// Blocks that are compared before the best of them are picked.
const CHUNK: usize = 16;

/// The signs of a table's rows, and what they are worth.
#[derive(Debug)]
pub struct Signs {
    metric: Metric,
    centres: Centres,
    cells: Vec<Cell>,
    blocks: Blocks,
    /// For each slot the cell that it is in, and where there.
    homes: Vec<Option<(u32, u32)>>,
    ranks: Ranks,
    room: cells::Room,
}

/// Vectors of a cell.
#[derive(Debug, Default, Clone)]
struct Cell {
    count: usize,
    blocks: Vec<u32>,
}

/// Memory that a search works in.
#[derive(Debug, Default)]
pub struct Room {
    coarse: Coarse,
    ranks: Vec<f32>,
    bases: Vec<f32>,
    cells: Best,
    blocks: Vec<(u32, f32)>,
    keys: Vec<Keys>,
}

/// How much to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// How many of the cells.
    pub cells: usize,
    /// How many of the best by signs.
    pub best: usize,
}

impl Signs {
    /// Of all rows of a table, measured against eight bits.
    pub fn build(table: &Table, int8: &Int8) -> Signs {
        let centres = Centres::build(table, int8);
        let (count, cells) = (table.count(), centres.count());
        let mut made = Signs {
            metric: table.metric(),
            cells: vec![Cell::default(); cells],
            centres,
            blocks: Blocks::new(table.lines(), count.div_ceil(BLOCK) + cells),
            homes: Vec::with_capacity(table.capacity()),
            ranks: Ranks::default(),
            room: cells::Room::default(),
        };
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); cells];
        for slot in table.live().iter() {
            let cell = made.centres.nearest(int8, slot, &mut made.room);
            members.iter_mut().skip(cell).take(1).for_each(|slots| slots.push(slot));
        }
        for (cell, slots) in members.iter().enumerate() {
            slots.iter().for_each(|&slot| made.put_into(cell, slot, table.row(slot), int8.mean()));
        }
        made.ranks = Ranks::measured(table, int8, &made);
        made
    }

    /// Puts a slot, whose row in eight bits is there, into the cell of its row.
    pub fn put(&mut self, slot: u32, row: &[Floats], int8: &Int8) {
        self.remove(slot);
        let cell = self.centres.nearest(int8, slot, &mut self.room);
        self.put_into(cell, slot, row, int8.mean());
    }

    fn put_into(&mut self, at: usize, slot: u32, row: &[Floats], mean: &[Floats]) {
        let Some(cell) = self.cells.get_mut(at) else { return };
        let signed = signed(self.metric, slot, row, self.centres.row(at), mean);
        let place = cell.count;
        if place % BLOCK == 0 {
            cell.blocks.push(self.blocks.add());
        }
        cell.count += 1;
        self.blocks.write(cell.block(place), place % BLOCK, &signed);
        self.homes.resize(self.homes.len().max(slot as usize + 1), None);
        self.settle(slot, Some((at as u32, place as u32)));
    }

    fn settle(&mut self, slot: u32, home: Option<(u32, u32)>) {
        self.homes.iter_mut().skip(slot as usize).take(1).for_each(|to| *to = home);
    }

    /// Takes a slot out of its cell; the last of the cell gets its place.
    pub fn remove(&mut self, slot: u32) {
        let Some((at, place)) = self.homes.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        let Some(cell) = self.cells.get_mut(at as usize) else { return };
        cell.count -= 1;
        let (place, last) = (place as usize, cell.count);
        let moved = self.blocks.take(cell.block(last), last % BLOCK);
        let to = cell.block(place);
        if last % BLOCK == 0 {
            cell.blocks.pop().into_iter().for_each(|block| self.blocks.release(block));
        }
        if place != last {
            self.blocks.write(to, place % BLOCK, &moved);
            self.settle(moved.slot, Some((at, place as u32)));
        }
    }

    /// Offers to `best` the slots of the best cells that are allowed.
    pub fn search(
        &self,
        query: &Query,
        cells: usize,
        allowed: Option<&Slots>,
        best: &mut Best,
        room: &mut Room,
    ) {
        let Room { coarse, ranks, bases, cells: chosen, blocks, keys } = room;
        coarse.set(&query.centred);
        self.centres.ranked(query, ranks, bases);
        let mut least = |cells: usize| {
            chosen.reset(cells);
            chosen.offer(0, ranks, |_| true);
            chosen.chosen().iter().fold(f32::INFINITY, |least, chosen| least.min(chosen.0))
        };
        let (first, last) = (least(cells.min(FIRST)), least(cells));
        blocks.clear();
        // What is best raises the floor for the rest, which is in order of memory, that fetches ahead.
        for (most, least) in [(f32::INFINITY, first), (first, last)] {
            for (cell, (&rank, &base)) in self.cells.iter().zip(ranks.iter().zip(bases.iter())) {
                if rank >= least && rank < most {
                    blocks.extend(cell.blocks.iter().map(|&block| (block, base)));
                }
            }
        }
        for blocks in blocks.chunks(CHUNK) {
            self.blocks.keys(coarse, blocks, best.floor(), keys);
            for (block, keys) in keys.iter() {
                let slots = self.blocks.slots(*block);
                match allowed {
                    Some(allowed) => best.offer_of(slots, keys, |slot| allowed.has(slot)),
                    None => best.offer_of(slots, keys, |_| true),
                }
            }
        }
    }

    /// For each of `slots`, how many cells are as good as its, and how many rows are by signs.
    pub fn ranks(&self, query: &Query, slots: &[u32], room: &mut Room) -> Vec<(u32, u32)> {
        let Room { coarse, ranks, bases, blocks, keys, .. } = room;
        coarse.set(&query.centred);
        self.centres.ranked(query, ranks, bases);
        let mut own = Vec::with_capacity(slots.len());
        for (at, place) in slots.iter().filter_map(|&slot| *self.homes.get(slot as usize)?) {
            let (at, place) = (at as usize, place as usize);
            let Some(cell) = self.cells.get(at) else { continue };
            let base = bases.get(at).copied().unwrap_or(0.0);
            self.blocks.keys(coarse, &[(cell.block(place), base)], f32::NEG_INFINITY, keys);
            let key = keys.iter().flat_map(|(_, keys)| keys).nth(place % BLOCK);
            own.push((ranks.get(at).copied().unwrap_or(f32::MIN), *key.unwrap_or(&f32::MIN)));
        }
        let least = own.iter().fold(f32::MAX, |least, own| least.min(own.1));
        blocks.clear();
        for (cell, &base) in self.cells.iter().zip(bases.iter()) {
            blocks.extend(cell.blocks.iter().map(|&block| (block, base)));
        }
        self.blocks.keys(coarse, blocks, least.next_down(), keys);
        let rank = |(cell, row): (f32, f32)| {
            let rows = keys.iter().flat_map(|(_, keys)| keys);
            (as_good(ranks.iter(), cell), as_good(rows, row))
        };
        own.into_iter().map(rank).collect()
    }

    /// How much holds the share `recall` of the ten nearest; None if it is not known.
    pub fn needed(&self, recall: f32) -> Option<Effort> {
        self.ranks.needed(recall)
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        let cells = self.cells.iter().map(|cell| size_of::<Cell>() + cell.blocks.capacity() * 4);
        cells.sum::<usize>()
            + self.blocks.size_bytes()
            + self.centres.size_bytes()
            + self.homes.capacity() * size_of::<Option<(u32, u32)>>()
    }
}

impl Cell {
    /// The block of a place.
    fn block(&self, place: usize) -> u32 {
        self.blocks.get(place / BLOCK).copied().unwrap_or(u32::MAX)
    }
}

/// A row less the centre of its cell, as signs.
fn signed(metric: Metric, slot: u32, row: &[Floats], centre: &[Floats], mean: &[Floats]) -> Signed {
    // With r the row less the centre c, and m the mean, from which queries are taken: an inner product
    // has m . r besides; half a squared distance, negated, (m - c) . r - r . r / 2.
    let share = if metric == Metric::Euclidean { 1.0 } else { 0.0 };
    let [mut squares, mut magnitudes, mut others] = [[0.0f32; 16]; 3];
    let mut bits = Vec::with_capacity(row.len());
    for (line, (Floats(mean), Floats(centre))) in less(row, centre).zip(mean.iter().zip(centre)) {
        let lanes = squares.iter_mut().zip(&mut magnitudes).zip(&mut others);
        let values = line.0.iter().zip(mean).zip(centre);
        for (((square, magnitude), other), ((value, mean), centre)) in lanes.zip(values) {
            *square += value * value;
            *magnitude += value.abs();
            *other += (mean - share * centre) * value;
        }
        bits.push(signs(line));
    }
    let sum = |lanes: [f32; 16]| lanes.iter().sum::<f32>();
    let (square, magnitude) = (sum(squares), sum(magnitudes));
    Signed {
        bits,
        factor: if magnitude > 0.0 { square / magnitude } else { 0.0 },
        bias: sum(others) - share * square / 2.0,
        slot,
    }
}

/// How many keys are not less than one's own.
fn as_good<'a>(keys: impl Iterator<Item = &'a f32>, own: f32) -> u32 {
    // A check for overflow would keep several from being counted at once.
    keys.fold(0, |count, &key| count.wrapping_add(u32::from(key >= own)))
}

/// The signs of sixteen components.
fn signs(line: Floats) -> [u8; 2] {
    let mut bits = 0u16;
    for (at, value) in line.0.iter().enumerate() {
        bits |= u16::from(*value > 0.0) << at;
    }
    bits.to_le_bytes()
}
