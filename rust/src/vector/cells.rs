//! Cells: vectors that are nearest to the same centre.
//!
//! What is near to a query is mostly in cells whose centres are (an inverted file: IVFADC, "Product
//! quantization for nearest neighbor search", 2011, section IV). Centres are found by Lloyd's
//! algorithm on some of the vectors, in eight bits.

use super::best::Best;
use super::int8::{Int8, Query, less};
use super::kernel::Floats;
use super::metric::Metric;
use super::table::Table;
use std::ops::Range;

/// Vectors of a cell, on average, when it is made: fewer are found sooner, and cost more centres.
const VECTORS: usize = 96;
/// With more, comparing a query with the centres takes longer than they save.
const MOST: usize = 1024;
/// Vectors a cell that centres are found with, and how often they are moved: all vectors and six
/// moves more saved a tenth of what a search looks at.
const TRAINED: usize = 16;
const MOVES: usize = 3;

/// Of so many groups of centres, those are looked into for a vector's nearest centre: what is missed
/// so makes no difference to a search.
const GROUPS: usize = 3;

/// The centres of cells.
#[derive(Debug)]
pub struct Centres {
    lines: usize,
    /// Those of a group one after the other.
    rows: Vec<Floats>,
    groups: Groups,
    /// By distance, about the mean of all vectors.
    int8: Int8,
    /// By cell, what makes of these keys those of the metric, and those that cells are ranked by.
    shifts: Vec<f32>,
    tilts: Vec<f32>,
}

impl Centres {
    /// Of a table's vectors, whose mean is that of `int8`.
    pub fn build(table: &Table, int8: &Int8) -> Centres {
        let count = (table.count() / VECTORS).clamp(1, MOST);
        let spread = |many: usize| {
            let apart = (table.count() / many.max(1)).max(1);
            table.live().iter().step_by(apart).take(many)
        };
        let rows = spread(count).flat_map(|slot| table.row(slot).iter().copied()).collect();
        let mut made = Centres::of(table, int8, rows);
        let trained: Vec<u32> = spread(if count > 1 { count * TRAINED } else { 0 }).collect();
        for _ in 0..if count > 1 { MOVES } else { 0 } {
            made = Centres::of(table, int8, made.moved(table, int8, &trained));
        }
        made
    }

    fn of(table: &Table, int8: &Int8, rows: Vec<Floats>) -> Centres {
        let (lines, mean) = (table.lines(), int8.mean());
        let (groups, rows) = Groups::of(rows, lines, mean);
        let int8 = quantised(&rows, lines, mean);
        let count = rows.len() / lines.max(1);
        let mut made = Centres {
            lines,
            rows,
            groups,
            int8,
            shifts: Vec::with_capacity(count),
            tilts: Vec::with_capacity(count),
        };
        for row in made.rows.chunks_exact(lines) {
            let (mut square, mut dot) = (0.0, 0.0);
            for (Floats(centred), Floats(mean)) in less(row, mean).zip(mean) {
                for (value, mean) in centred.iter().zip(mean) {
                    square += value * value;
                    dot += value * mean;
                }
            }
            // Keys are of half a squared distance. Ranked half way between that and the inner
            // product, cells that must be looked at are fewest.
            let (shift, tilt) = match table.metric() {
                Metric::Cosine | Metric::Dot => (square / 2.0 + dot, square / 4.0 + dot),
                Metric::Euclidean => (0.0, square / 4.0),
            };
            made.shifts.push(shift);
            made.tilts.push(tilt);
        }
        made
    }

    /// The means of those of `slots` that are nearest to each centre.
    fn moved(&self, table: &Table, int8: &Int8, slots: &[u32]) -> Vec<Floats> {
        let mut sums = vec![Floats::ZERO; self.rows.len()];
        let mut counts = vec![0u32; self.count()];
        let mut room = Room::default();
        for &slot in slots {
            let cell = self.nearest(int8, slot, &mut room);
            counts.iter_mut().skip(cell).take(1).for_each(|count| *count += 1);
            let sums = sums.iter_mut().skip(cell * self.lines);
            for (Floats(sum), Floats(row)) in sums.zip(table.row(slot)) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        let old = self.rows.chunks(self.lines);
        for ((sums, old), &count) in sums.chunks_mut(self.lines).zip(old).zip(&counts) {
            if count == 0 {
                sums.copy_from_slice(old);
            }
            let share = 1.0 / count.max(1) as f32;
            sums.iter_mut().flat_map(|line| &mut line.0).for_each(|sum| *sum *= share);
        }
        sums
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shifts.len()
    }

    /// The centre of a cell.
    pub fn row(&self, cell: usize) -> &[Floats] {
        self.rows.get(cell * self.lines..(cell + 1) * self.lines).unwrap_or(&[])
    }

    /// The cell whose centre is nearest to a slot's row, nearly always.
    pub fn nearest(&self, int8: &Int8, slot: u32, room: &mut Room) -> usize {
        let Room { query, keys, groups } = room;
        int8.row_query(slot, query);
        let mut best = (f32::MIN, 0);
        for range in self.groups.near(query, keys, groups) {
            keys.clear();
            self.int8.keys(query, range.clone(), keys);
            let (key, at) = greatest(keys);
            if key > best.0 {
                best = (key, range.start + at);
            }
        }
        best.1
    }

    /// Sets `keys` to what cells are ranked by, and `bases` to what keys of their vectors begin with.
    pub fn ranked(&self, query: &Query, keys: &mut Vec<f32>, bases: &mut Vec<f32>) {
        keys.clear();
        self.int8.keys(query, 0..self.count(), keys);
        bases.clear();
        bases.extend(keys.iter().zip(&self.shifts).map(|(key, shift)| key + shift));
        keys.iter_mut().zip(&self.tilts).for_each(|(key, tilt)| *key += tilt);
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Floats>()
            + self.int8.size_bytes()
            + (self.shifts.capacity() + self.tilts.capacity()) * 4
    }
}

/// Centres that are near to each other, so that a vector's own is found by looking at few.
#[derive(Debug)]
struct Groups {
    /// Their own centres.
    int8: Int8,
    ranges: Vec<Range<usize>>,
}

impl Groups {
    /// Of centres, whose rows are put in order of their groups.
    fn of(rows: Vec<Floats>, lines: usize, mean: &[Floats]) -> (Groups, Vec<Floats>) {
        let centres = quantised(&rows, lines, mean);
        let count = rows.len() / lines.max(1);
        let many = count.isqrt();
        let heads = rows.chunks_exact(lines).step_by((count / many.max(1)).max(1)).take(many);
        let int8 = quantised(&heads.flatten().copied().collect::<Vec<_>>(), lines, mean);
        let (mut query, mut keys) = (Query::default(), Vec::new());
        let mut members = vec![Vec::new(); many];
        for centre in 0..count {
            centres.row_query(centre as u32, &mut query);
            keys.clear();
            int8.keys(&query, 0..many, &mut keys);
            members.iter_mut().skip(greatest(&keys).1).take(1).for_each(|of| of.push(centre));
        }
        let mut ranges = Vec::with_capacity(many);
        let mut ordered = Vec::with_capacity(rows.len());
        for of in members {
            let start = ordered.len() / lines.max(1);
            ranges.push(start..start + of.len());
            ordered.extend(of.iter().flat_map(|at| rows.iter().skip(at * lines).take(lines)));
        }
        (Groups { int8, ranges }, ordered)
    }

    /// Those that are nearest to a query.
    fn near(&self, query: &Query, keys: &mut Vec<f32>, best: &mut Best) -> Vec<Range<usize>> {
        keys.clear();
        self.int8.keys(query, 0..self.ranges.len(), keys);
        best.reset(GROUPS);
        best.offer(0, keys, |_| true);
        let range = |&(_, at): &(f32, u32)| self.ranges.get(at as usize).cloned();
        best.chosen().iter().filter_map(range).collect()
    }
}

/// Centres in eight bits, compared by distance.
fn quantised(rows: &[Floats], lines: usize, mean: &[Floats]) -> Int8 {
    let mut made = Int8::new(Metric::Euclidean, mean.to_vec(), rows.len() / lines.max(1));
    rows.chunks_exact(lines).zip(0..).for_each(|(row, cell)| made.put(cell, row));
    made
}

/// The greatest of keys, and where it is.
fn greatest(keys: &[f32]) -> (f32, usize) {
    let best = keys.iter().fold(f32::MIN, |best, &key| if key > best { key } else { best });
    (best, keys.iter().position(|&key| key >= best).unwrap_or(0))
}

/// Memory that finding a cell works in.
#[derive(Debug, Default)]
pub struct Room {
    query: Query,
    keys: Vec<f32>,
    groups: Best,
}
