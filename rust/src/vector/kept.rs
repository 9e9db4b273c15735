//! A graph as bytes: linking again takes minutes, reading it milliseconds.
//!
//! One byte of format, 1. 32 bytes of digest (BLAKE3) over the vectors that it is of. Then, integers as
//! varints: how many slots are linked, and their labels; which of these, counted from 0, a search begins
//! at; for each how many levels above the lowest it is on, and for each of its levels from the lowest
//! on, how many links and which. So the bytes do not depend on where vectors lie.

use super::graph::{Graph, LINKS, MOST_LEVELS};
use super::table::Table;
use crate::error::{Error, Result};
use crate::wire::{Put, Take};
use std::collections::HashMap;

const FORMAT: u8 = 1;

/// Of a graph of all of a table's vectors, and of none that was taken out; None of another.
pub fn to_bytes(graph: &Graph, table: &Table) -> Option<Vec<u8>> {
    let slots: Vec<u32> = table.live().iter().collect();
    let numbers: HashMap<u32, u64> = slots.iter().copied().zip(0..).collect();
    let mut out = vec![FORMAT];
    out.extend(digest(table));
    out.put_varint(slots.len() as u64);
    slots.iter().for_each(|&slot| out.put_varint(table.label(slot)));
    let entry = graph.entry().map(|(slot, _)| slot);
    out.put_varint(entry.map_or(Some(0), |slot| numbers.get(&slot).copied())?);
    for &slot in &slots {
        if !graph.linked().has(slot) {
            return None;
        }
        let levels = graph.levels(slot);
        out.put_u8(levels as u8);
        for level in 0..=levels {
            let links = graph.links(slot, level);
            out.put_varint(links.len() as u64);
            for link in links {
                out.put_varint(*numbers.get(link)?);
            }
        }
    }
    Some(out)
}

/// The graph of a table, which must have the vectors that it was made of.
pub fn from_bytes(bytes: &[u8], table: &Table) -> Result<Graph> {
    let mut take = Take::new(bytes);
    if take.u8()? != FORMAT {
        return Err(wrong("it is of another format"));
    }
    if take.array()? != digest(table) {
        return Err(wrong("it is of other vectors"));
    }
    let count = take.count()?;
    if count != table.count() {
        return Err(wrong("it is of more or fewer vectors"));
    }
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        let slot = table.slot(take.varint()?).ok_or_else(|| wrong("a label has no vector"))?;
        slots.push(slot);
    }
    let entry = slot(&slots, take.varint()?).filter(|_| count > 0);
    let mut graph = Graph::default();
    let mut lists = Vec::with_capacity(count);
    for &at in &slots {
        let levels = usize::from(take.u8()?);
        if levels > MOST_LEVELS || graph.linked().has(at) {
            return Err(wrong("a vector is on too many levels or there twice"));
        }
        graph.add(at, levels);
        for level in 0..=levels {
            let most = if level == 0 { 2 * LINKS } else { LINKS };
            let links = take.count()?;
            if links > most {
                return Err(wrong("a vector has too many links"));
            }
            let mut to = Vec::with_capacity(links);
            for _ in 0..links {
                to.push(slot(&slots, take.varint()?).ok_or_else(|| wrong("a link leads nowhere"))?);
            }
            lists.push((at, level, to));
        }
    }
    take.done()?;
    for (at, level, to) in lists {
        if to.iter().any(|&other| graph.levels(other) < level) {
            return Err(wrong("a link leads to another level"));
        }
        graph.link(at, level, &to);
    }
    match graph.begin_at(entry) {
        true => Ok(graph),
        false => Err(wrong("it begins below its top")),
    }
}

fn slot(slots: &[u32], number: u64) -> Option<u32> {
    slots.get(usize::try_from(number).ok()?).copied()
}

/// Over what a table has, by rising label, whatever the order in which it came.
fn digest(table: &Table) -> [u8; 32] {
    let mut labels: Vec<(u64, u32)> =
        table.live().iter().map(|slot| (table.label(slot), slot)).collect();
    labels.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.metric().name().as_bytes());
    hasher.update(&(table.dimension() as u64).to_le_bytes());
    for (label, slot) in labels {
        hasher.update(&label.to_le_bytes());
        for line in table.row(slot) {
            let mut bytes = [0; 64];
            let to = bytes.as_chunks_mut::<4>().0.iter_mut();
            to.zip(line.0).for_each(|(to, value)| *to = value.to_le_bytes());
            hasher.update(&bytes);
        }
    }
    *hasher.finalize().as_bytes()
}

#[cold]
fn wrong(why: &'static str) -> Error {
    Error::new("vector-graph", format!("this is no graph of these vectors: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::super::{Index, Metric, Plan};

    const DIMENSION: usize = 40;

    fn vectors(count: usize) -> Vec<f32> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count * DIMENSION).map(|_| next()).collect()
    }

    fn linked(count: usize) -> (Index, Vec<u64>, Vec<f32>) {
        let index = Index::new(DIMENSION, Metric::Cosine, Plan::Hnsw).unwrap();
        let vectors = vectors(count);
        let labels: Vec<u64> = (0..count as u64).map(|at| at * 977).collect();
        index.insert(&labels, &vectors).unwrap();
        (index, labels, vectors)
    }

    fn again(labels: &[u64], vectors: &[f32], bytes: &[u8]) -> crate::error::Result<Index> {
        Index::with_graph(DIMENSION, Metric::Cosine, labels, vectors, bytes)
    }

    #[test]
    fn a_kept_graph_finds_what_it_found_whatever_the_order_of_the_vectors() {
        let (index, labels, vectors) = linked(1_200);
        let bytes = index.graph_bytes().unwrap();
        let turned: Vec<u64> = labels.iter().rev().copied().collect();
        let rows = vectors.chunks(DIMENSION).rev().flatten().copied().collect::<Vec<_>>();
        let other = again(&turned, &rows, &bytes).unwrap();
        assert_eq!(other.stats(0.9).method, "hnsw");
        for query in vectors.chunks(DIMENSION).take(50) {
            let found = index.search(query, 5, 0.9, None).unwrap();
            let kept = other.search(query, 5, 0.9, None).unwrap();
            assert_eq!(kept[0][0], found[0][0]);
        }
        other.insert(&[5], &vectors[..DIMENSION]).unwrap();
        assert_eq!(other.count(), 1_201);
    }

    #[test]
    fn a_graph_of_other_vectors_is_refused() {
        let (index, labels, mut vectors) = linked(400);
        let bytes = index.graph_bytes().unwrap();
        let code = |made: crate::error::Result<Index>| made.unwrap_err().slug();
        assert_eq!(code(again(&labels[1..], &vectors[DIMENSION..], &bytes)), "vector-graph");
        vectors[3] += 1.0;
        assert_eq!(code(again(&labels, &vectors, &bytes)), "vector-graph");
        index.delete(&[0]);
        assert!(index.graph_bytes().is_none());
    }

    #[test]
    fn bytes_that_were_changed_are_refused_or_lead_to_vectors_that_are_there() {
        let (index, labels, vectors) = linked(400);
        let bytes = index.graph_bytes().unwrap();
        for end in (0..bytes.len()).step_by(97) {
            assert!(again(&labels, &vectors, &bytes[..end]).is_err());
        }
        let mut seed = 1u64;
        for _ in 0..400 {
            let mut wrong = bytes.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
                let at = (seed >> 33) as usize % wrong.len();
                wrong[at] = (seed >> 20) as u8;
            }
            let Ok(made) = again(&labels, &vectors, &wrong) else { continue };
            let found = made.search(&vectors[..DIMENSION], 10, 0.9, None).unwrap();
            assert_eq!(found[0].len(), 10);
            assert!(found[0].iter().all(|(label, _)| labels.contains(label)));
        }
    }
}
