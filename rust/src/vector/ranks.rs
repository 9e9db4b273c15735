//! How much of the vectors must be looked at for a recall, measured on the vectors themselves.

use super::best::Best;
use super::int8::{Int8, Query};
use super::signs::{Effort, Room, Signs};
use super::table::Table;

/// Vectors that are taken as queries, evenly spread. Neighbours of one are missed together: with 128
/// samples what was asked for as .99 was from .981 to .989, as they were drawn.
const SAMPLES: usize = 192;
/// Neighbours of each.
pub const NEIGHBOURS: usize = 10;
/// Rows that all samples are compared with while they lie in the nearest cache.
const CHUNK: usize = 96;
/// Of what may be missed, the share that is: queries are not as near to vectors as they are to each
/// other.
pub const RESERVE: f64 = 0.65;
/// Of that, what may lie in other cells; the rest is missed by signs.
const CELLS: f64 = 0.75;

/// Of fewer neighbours that may be missed samples say too little.
const FEWEST: f64 = 6.0;
/// Where too few samples tell, all cells are looked into, and so many times as many of the best as any
/// sample needed: among 10,000 text embeddings that finds all.
const BEYOND: usize = 2;

/// For neighbours of samples, how many cells are as good as theirs, and how many vectors are as near
/// by signs; each rising.
#[derive(Debug, Default)]
pub struct Ranks {
    cells: Vec<u32>,
    rows: Vec<u32>,
}

/// A vector that stands for a query.
#[derive(Debug)]
pub struct Sample {
    /// Its own.
    pub slot: u32,
    /// What it asks.
    pub query: Query,
    /// Its nearest neighbours, by eight bits.
    pub near: Vec<u32>,
}

impl Sample {
    /// Some of a table's vectors.
    pub fn of(table: &Table, int8: &Int8) -> Vec<Sample> {
        let apart = (table.count() / SAMPLES).max(1);
        // Not where centres are found with every so-manieth: those have their cells about them.
        let slots = table.live().iter().skip(apart / 2).step_by(apart).take(SAMPLES);
        let mut made: Vec<Sample> = slots
            .map(|slot| {
                let mut query = Query::default();
                int8.query(table.row(slot), &mut query);
                Sample { slot, query, near: Vec::new() }
            })
            .collect();
        let mut nearest: Vec<Best> = made.iter().map(|_| Best::new(NEIGHBOURS)).collect();
        let mut keys = Vec::new();
        for start in (0..table.capacity()).step_by(CHUNK) {
            let slots = start..table.capacity().min(start + CHUNK);
            for (Sample { slot, query, .. }, best) in made.iter().zip(&mut nearest) {
                keys.clear();
                int8.keys(query, slots.clone(), &mut keys);
                let other = |other| other != *slot && table.live().has(other);
                best.offer(start as u32, &keys, other);
            }
        }
        for (sample, best) in made.iter_mut().zip(&mut nearest) {
            sample.near = best.chosen().iter().map(|&(_, slot)| slot).collect();
        }
        made
    }
}

impl Ranks {
    /// Of the nearest neighbours of some vectors, by eight bits.
    pub fn measured(table: &Table, int8: &Int8, signs: &Signs) -> Ranks {
        let (mut made, mut room) = (Ranks::default(), Room::default());
        for Sample { query, near, .. } in Sample::of(table, int8) {
            for (cells, rows) in signs.ranks(&query, &near, &mut room) {
                made.cells.push(cells);
                made.rows.push(rows);
            }
        }
        made.cells.sort_unstable();
        made.rows.sort_unstable();
        made
    }

    /// How much holds the share `recall` of the nearest; None if it is not known.
    pub fn needed(&self, recall: f32) -> Option<Effort> {
        let missed = f64::from(1.0 - recall) * RESERVE * self.rows.len() as f64;
        let rank = |ranks: &[u32], share: f64| {
            let at = ranks.len().checked_sub(1 + (missed * share) as usize)?;
            ranks.get(at).map(|&rank| rank as usize)
        };
        if missed >= FEWEST {
            let cells = rank(&self.cells, CELLS)?;
            return Some(Effort { cells, best: rank(&self.rows, 1.0 - CELLS)? });
        }
        let most = self.rows.last().filter(|_| recall < 1.0)?;
        Some(Effort { cells: usize::MAX, best: BEYOND * *most as usize })
    }
}
