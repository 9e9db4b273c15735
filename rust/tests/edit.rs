//! What editing and reading a map costs, and what it leaves behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a test that panics fails

mod memory;

use _core::seal::NodeId;
use _core::state::{Arena, Flat};
use _core::tree::{
    Cut, Edits, Map, Order, Range, Shape, changed, changed_in, known_of, unshared, write_blob,
    write_state,
};
use memory::{Random, Store};
use std::collections::{BTreeMap, BTreeSet};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn number(n: u32) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn numbered(count: u32) -> Edits {
    (0..count).map(|n| (number(n), Some(vec![n as u8; 20]))).collect()
}

fn reachable(store: &Store, map: &Map) -> BTreeSet<NodeId> {
    map.root.as_ref().map_or_else(BTreeSet::new, |root| store.reachable(root))
}

fn draw(random: &mut Random, model: &mut Model) -> Edits {
    let mut edits = Edits::new();
    for _ in 0..1 + random.below(30) {
        let value = (random.below(3) > 0).then(|| random.value());
        edits.insert(random.key(), value);
    }
    for (key, value) in &edits {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
    edits
}

#[test]
fn what_an_edit_loses_is_exactly_what_nothing_refers_to_any_more() {
    for seed in 0..8 {
        let (mut random, mut store, mut map) = (Random(seed), Store::new(), Map::default());
        let mut model = Model::new();
        for round in 0..60 {
            let edits = match random.below(8) {
                // Everything again as it is, and all but a few keys gone.
                0 => model.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect(),
                1 => model.keys().skip(3).map(|key| (key.clone(), None)).collect(),
                _ => draw(&mut random, &mut model),
            };
            edits.iter().filter(|(_, v)| v.is_none()).for_each(|(k, _)| drop(model.remove(k)));
            let before = reachable(&store, &map);
            map = store.apply(&map, edits);
            let after = reachable(&store, &map);
            let lost: BTreeSet<_> = store.lost.iter().copied().collect();
            assert_eq!(lost.len(), store.lost.len(), "lost twice: seed {seed} round {round}");
            assert_eq!(lost, &before - &after, "seed {seed} round {round}");
            for id in &lost {
                store.memory.plain.remove(id);
            }
            assert_eq!(store.memory.plain.len(), after.len(), "seed {seed} round {round}");
        }
    }
}

#[test]
fn an_edit_opens_paths_and_writes_paths() {
    let mut store = Store::new();
    let map = store.apply(&Map::default(), numbered(200_000));
    let height = usize::from(map.root.as_ref().unwrap().height);
    let mut random = Random(4);
    for _ in 0..200 {
        let key = number(random.below(200_000) as u32);
        let value = (random.below(2) > 0).then(|| vec![1, 2, 3]);
        let memory = &store.memory;
        memory.opened.store(0, std::sync::atomic::Ordering::Relaxed);
        let (_, new) = store.edit(&map, Edits::from([(key, value)]));
        let opened = store.memory.opened.load(std::sync::atomic::Ordering::Relaxed);
        // A removed end joins a node with its neighbour, at each height at worst.
        assert!(opened <= 2 * (height + 1), "{opened} nodes were opened");
        assert!(new <= 2 * (height + 1), "{new} nodes were written");
    }
    let (_, new) = store.edit(&map, Edits::from([(number(200_001), Some(vec![1]))]));
    assert_eq!(new, height + 1);
}

#[test]
fn ranges_agree_with_a_btreemap_from_both_sides() {
    for seed in 0..10 {
        let (mut random, mut store, mut model) = (Random(seed), Store::new(), Model::new());
        let mut map = Map::default();
        for _ in 0..10 {
            map = store.apply(&map, draw(&mut random, &mut model));
        }
        for _ in 0..60 {
            let (start, end) = (random.key(), random.key());
            let end = (random.below(5) > 0).then_some(end);
            let limit = [0, 1, 2, 7, usize::MAX][random.below(5)];
            let inside = |key: &Vec<u8>| *key >= start && end.as_ref().is_none_or(|end| key < end);
            let mut keys: Vec<_> = model.keys().filter(|key| inside(key)).cloned().collect();
            let range = Range { start: start.clone(), end: end.clone() };
            assert_eq!(map.count(&store.memory, &range).unwrap(), keys.len() as u64);
            for order in [Order::Ascending, Order::Descending] {
                let found = map.range(&store.memory, &range, order, limit).unwrap();
                let found: Vec<_> = found.into_iter().map(|entry| entry.key).collect();
                assert_eq!(found, keys.iter().take(limit).cloned().collect::<Vec<_>>(), "{seed}");
                keys.reverse();
            }
        }
    }
}

#[test]
fn the_end_of_a_long_range_is_read_without_its_beginning() {
    let mut store = Store::new();
    let map = store.apply(&Map::default(), numbered(100_000));
    let range = Range::prefix(b"");
    let (found, opened) =
        store.opened_by(|memory| map.range(memory, &range, Order::Descending, 100).unwrap());
    assert_eq!((found.len(), found[0].key.clone()), (100, number(99_999)));
    assert!(opened < 16, "{opened} nodes were opened");
    let (count, opened) = store.opened_by(|memory| map.count(memory, &range).unwrap());
    assert_eq!(count, 100_000);
    assert!(opened <= 4, "{opened} nodes were opened");
}

#[test]
fn prefixes_that_end_in_the_largest_byte_have_an_end() {
    assert_eq!(Range::prefix(&[1, 0xff, 0xff]).end, Some(vec![2]));
    assert_eq!(Range::prefix(&[0xff]).end, None);
    assert_eq!(Range::prefix(&[]).end, None);
}

// --- states --------------------------------------------------------------------------------------

fn wide(count: usize) -> Model {
    (0..count).map(|n| (format!("part.{n}.value").into_bytes(), vec![n as u8; 9])).collect()
}

fn flat(model: &Model) -> Flat {
    let (mut paths, mut values) = (Arena::default(), Arena::default());
    for (path, value) in model {
        paths.push(path);
        values.push(value);
    }
    Flat { paths, values, ..Flat::default() }
}

#[test]
fn ten_differences_among_a_hundred_thousand_open_their_paths() {
    let (mut store, mut model) = (Store::new(), wide(100_000));
    let mut save = |model: &Model| {
        let flat = flat(model);
        let shape = Shape::new(flat.paths.clone()).unwrap();
        store.write(|_, writer| write_state(writer, &shape, &flat).unwrap()).0.unwrap()
    };
    let before = save(&model);
    for n in 0..10 {
        model.insert(format!("part.{}.value", n * 9_999).into_bytes(), vec![1, 2]);
    }
    let after = save(&model);
    let ((left, _), opened) = store.opened_by(|memory| unshared(memory, &before, &after).unwrap());
    assert!(left.len() <= 10 * 256);
    let paths = 10 * (usize::from(after.height) + 1);
    assert!(opened <= 2 * paths + 10, "{opened} nodes were opened");
}

#[test]
fn what_is_known_of_a_state_is_learned_from_its_branches_and_large_values() {
    let (mut store, mut model) = (Store::new(), wide(20_000));
    model.insert(b"part.77.value".to_vec(), vec![7; 50_000]);
    let flat = flat(&model);
    let shape = Shape::new(flat.paths.clone()).unwrap();
    let root = store.write(|_, writer| write_state(writer, &shape, &flat).unwrap()).0.unwrap();
    let (known, opened) =
        store.opened_by(|memory| known_of(memory, &root, flat.large(512)).unwrap());
    assert!(opened < 20, "{opened} nodes were opened");
    store.forget_known_but(known);
    let (again, new) = store.write(|_, writer| write_state(writer, &shape, &flat).unwrap());
    assert_eq!((again.unwrap(), new), (root, 0));
}

#[test]
fn equal_pieces_of_one_version_are_one_node() {
    let mut store = Store::new();
    let (_, new) = store.write(|_, writer| {
        write_blob(writer, &[0; 1_000_000], Cut::Fixed).unwrap();
        write_blob(writer, &[0; 500_000], Cut::Fixed).unwrap()
    });
    // A full piece and two shorter ones; of the first value two indexes and one above, of the second
    // one.
    assert_eq!(new, 3 + 3 + 1);
}

#[test]
fn many_keys_at_once_give_what_each_gives_alone() {
    for seed in 0..8 {
        let (mut random, mut store, mut map) = (Random(seed), Store::new(), Map::default());
        let mut model = Model::new();
        for _ in 0..20 {
            let edits = draw(&mut random, &mut model);
            map = store.apply(&map, edits);
            let mut keys: BTreeSet<_> =
                model.keys().filter(|_| random.below(2) > 0).cloned().collect();
            keys.extend((0..5).map(|_| random.key()));
            let keys: Vec<_> = keys.into_iter().collect();
            let (found, _) = store.opened_by(|nodes| {
                let found = map.get_all(nodes, &keys).unwrap().into_iter();
                found.map(|value| value.map(|v| v.whole(nodes).unwrap())).collect::<Vec<_>>()
            });
            let expected = keys.iter().map(|key| model.get(key).cloned());
            assert!(found.into_iter().eq(expected), "seed {seed}");
        }
    }
}

#[test]
fn the_keys_that_differ_are_those_whose_values_do() {
    for seed in 0..8 {
        let (mut random, mut store) = (Random(seed), Store::new());
        let (mut map, mut model) = (Map::default(), Model::new());
        for _ in 0..20 {
            let (before, model_before) = (map.clone(), model.clone());
            let edits = draw(&mut random, &mut model);
            map = store.apply(&map, edits);
            let keys: BTreeSet<_> = model_before.keys().chain(model.keys()).cloned().collect();
            let differ = |key: &&Vec<u8>| model_before.get(*key) != model.get(*key);
            let expected: Vec<_> = keys.iter().filter(differ).cloned().collect();
            for (a, b) in [(&before, &map), (&map, &before)] {
                let (found, _) = store.opened_by(|nodes| changed(nodes, a, b).unwrap());
                assert_eq!(found, expected, "seed {seed}");
            }
        }
    }
}

#[test]
fn what_differs_in_ranges_and_what_they_hold_is_told_of_them_alone() {
    for seed in 0..8 {
        let (mut random, mut store) = (Random(seed), Store::new());
        let (mut map, mut model) = (Map::default(), Model::new());
        for _ in 0..20 {
            let (before, model_before) = (map.clone(), model.clone());
            let edits = draw(&mut random, &mut model);
            map = store.apply(&map, edits);
            let mut ends: Vec<_> = (0..3).map(|_| random.key()).collect();
            ends.sort();
            if ends[0] == ends[1] {
                continue; // ranges do not meet
            }
            let ranges = [
                Range::key(&ends[0]),
                Range { start: ends[1].clone(), end: Some(ends[2].clone()) },
            ];
            let inside = |key: &&Vec<u8>| ranges.iter().any(|range| range.contains(key));
            let keys: BTreeSet<_> = model_before.keys().chain(model.keys()).collect();
            let differ = |key: &&Vec<u8>| model_before.get(*key) != model.get(*key);
            let expected: Vec<_> = keys.into_iter().filter(inside).filter(differ).collect();
            let (found, _) = store.opened_by(|nodes| {
                let found = changed_in(nodes, &before, &map, &ranges).unwrap().into_iter();
                found.map(|(k, v)| (k, v.map(|v| v.whole(nodes).unwrap()))).collect::<Vec<_>>()
            });
            let expected = expected.into_iter().map(|key| (key.clone(), model.get(key).cloned()));
            assert!(found.into_iter().eq(expected), "seed {seed}");
            let mut held = Vec::new();
            store.opened_by(|nodes| {
                map.visit(nodes, &ranges[1], &mut |key, _, _| {
                    held.push(key.to_vec());
                    Ok(())
                })
                .unwrap();
            });
            let expected = model.keys().filter(|key| ranges[1].contains(key));
            assert!(held.iter().eq(expected), "seed {seed}");
        }
    }
}

#[test]
fn what_differs_in_a_range_opens_no_leaves_of_others() {
    let (mut store, map) = (Store::new(), Map::default());
    let before = store.apply(&map, numbered(100_000));
    let edits = (0..100).map(|n| (number(n * 1_000), Some(vec![1, 2]))).collect();
    let after = store.apply(&before, edits);
    let one = [Range { start: number(50_000), end: Some(number(50_001)) }];
    let (found, opened) =
        store.opened_by(|nodes| changed_in(nodes, &before, &after, &one).unwrap());
    assert_eq!(found.len(), 1);
    assert!(opened <= 2 * 4, "{opened} nodes were opened");
}
