//! Maps and states as trees, against `BTreeMap`, over nodes in memory.
//!
//! Seeds are fixed; a failure names the round it happened in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a test that panics fails

mod memory;

use _core::seal::{NodeId, kind};
use _core::state::{Arena, Flat};
use _core::tree::{Edits, Map, Node, Shape, entries, get, unshared, write_state};
use memory::{Memory, Random, Store};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn set(pairs: &Model) -> Edits {
    pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
}

fn content(memory: &Memory, root: Option<&Node>) -> Model {
    let all = root.map_or_else(Vec::new, |root| entries(memory, root).unwrap());
    let pairs: Vec<_> = all.into_iter().map(|e| (e.key, e.value.whole(memory).unwrap())).collect();
    assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0), "entries do not ascend");
    pairs.into_iter().collect()
}

/// The root hash of the same content written at once into an empty store.
fn rebuilt(model: &Model) -> Option<Node> {
    Store::new().apply(&Map::default(), set(model)).root
}

/// A reference without the ids, which differ from store to store.
fn identity(root: Option<&Node>) -> Option<Node> {
    let without_id = |(hash, _)| (hash, NodeId::default());
    root.map(|n| Node { id: NodeId::default(), keys: n.keys.map(without_id), ..n.clone() })
}

fn leaf_sizes(memory: &Memory, root: &Node) -> Vec<u64> {
    if root.height == 0 {
        return vec![root.entries];
    }
    let children = root.children(memory).unwrap();
    assert!(children.len() <= 256);
    children.iter().flat_map(|child| leaf_sizes(memory, &child.node)).collect()
}

fn random_edits(random: &mut Random, model: &mut Model) -> Edits {
    let mut edits = Edits::new();
    for _ in 0..1 + random.below(200) {
        let known = random.below(3) == 0 && !model.is_empty();
        let key = match known.then(|| random.below(model.len())) {
            Some(at) => model.keys().nth(at).unwrap().clone(),
            None => random.key(),
        };
        let value = (random.below(3) > 0).then(|| random.value());
        edits.insert(key, value);
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
fn edits_agree_with_a_btreemap_and_with_building_anew() {
    for seed in 0..6 {
        let (mut random, mut model, mut map) = (Random(seed), Model::new(), Map::default());
        let mut store = Store::new();
        for round in 0..25 {
            let edits = random_edits(&mut random, &mut model);
            map = store.apply(&map, edits);
            let memory = &store.memory;
            assert_eq!(content(memory, map.root.as_ref()), model, "seed {seed} round {round}");
            let anew = rebuilt(&model);
            assert_eq!(identity(map.root.as_ref()), identity(anew.as_ref()), "{seed} {round}");
            for _ in 0..20 {
                let key = random.key();
                assert_eq!(map.get(memory, &key).unwrap().as_ref(), model.get(&key));
                let found = map.prefixed(memory, &key).unwrap().into_iter().map(|e| e.key);
                let expected = model.keys().filter(|k| k.starts_with(&key)).cloned();
                assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
            let all = map.prefixed(memory, b"").unwrap();
            assert_eq!(all.len(), model.len());
        }
        let nothing = model.keys().map(|key| (key.clone(), None)).collect();
        assert!(store.apply(&map, nothing).root.is_none());
    }
}

#[test]
fn one_edit_at_a_time_gives_the_tree_of_all_at_once() {
    let mut random = Random(77);
    let mut model = Model::new();
    while model.len() < 600 {
        model.insert(random.key(), vec![1]);
    }
    let mut keys: Vec<_> = model.keys().cloned().collect();
    for at in (1..keys.len()).rev() {
        keys.swap(at, random.below(at + 1));
    }
    let (mut store, mut map) = (Store::new(), Map::default());
    for key in &keys {
        map = store.apply(&map, Edits::from([(key.clone(), Some(vec![1]))]));
    }
    assert_eq!(identity(map.root.as_ref()), identity(rebuilt(&model).as_ref()));
    for key in keys.iter().take(500) {
        map = store.apply(&map, Edits::from([(key.clone(), None)]));
        model.remove(key);
    }
    assert_eq!(identity(map.root.as_ref()), identity(rebuilt(&model).as_ref()));
}

#[test]
fn what_does_not_change_is_not_written_again() {
    let model: Model =
        (0..20_000u32).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 20])).collect();
    let mut store = Store::new();
    let map = store.apply(&Map::default(), set(&model));
    let same = Edits::from([(5u32.to_be_bytes().to_vec(), Some(vec![5; 20]))]);
    let (again, new) = store.edit(&map, same);
    assert_eq!((identity(again.root.as_ref()), new), (identity(map.root.as_ref()), 0));
    let one = Edits::from([(9_999u32.to_be_bytes().to_vec(), Some(vec![0; 21]))]);
    let ((edited, new), opened) = {
        store.memory.opened.store(0, Ordering::Relaxed);
        let written = store.edit(&map, one);
        (written, store.memory.opened.load(Ordering::Relaxed))
    };
    let height = usize::from(edited.root.as_ref().unwrap().height);
    assert_eq!(new, height + 1);
    assert_eq!(opened, height + 1);
}

// --- chosen keys ---------------------------------------------------------------------------------

/// Whether a node of this level ends behind the key (docs/format.md, where nodes end).
fn ends_at(key: &[u8], level: usize) -> bool {
    (xxhash_rust::xxh3::xxh3_64(key) >> (6 * level)) & 63 == 0
}

/// Keys of which none ends a node of that level, or of which each does.
fn chosen(count: usize, level: usize, ends: bool) -> Vec<Vec<u8>> {
    (0u64..)
        .map(|n| n.to_be_bytes().to_vec())
        .filter(|key| ends_at(key, level) == ends)
        .take(count)
        .collect()
}

#[test]
fn keys_that_never_end_a_node_are_cut_at_256() {
    let keys = chosen(3_000, 0, false);
    let model: Model = keys.iter().map(|key| (key.clone(), vec![7])).collect();
    let mut store = Store::new();
    let mut map = store.apply(&Map::default(), set(&model));
    let sizes = leaf_sizes(&store.memory, map.root.as_ref().unwrap());
    assert_eq!(sizes.iter().max(), Some(&256));
    assert_eq!(sizes.iter().sum::<u64>(), 3_000);
    let (mut model, mut random) = (model, Random(5));
    for _ in 0..20 {
        let at = random.below(model.len());
        let gone: Vec<_> = model.keys().skip(at).take(1 + random.below(40)).cloned().collect();
        gone.iter().for_each(|key| drop(model.remove(key)));
        map = store.apply(&map, gone.into_iter().map(|key| (key, None)).collect());
        assert_eq!(content(&store.memory, map.root.as_ref()), model);
        assert_eq!(identity(map.root.as_ref()), identity(rebuilt(&model).as_ref()));
        assert!(leaf_sizes(&store.memory, map.root.as_ref().unwrap()).iter().all(|&n| n <= 256));
    }
}

#[test]
fn keys_that_each_end_a_node_make_a_tree_that_still_works() {
    let keys: Vec<_> = chosen(900, 0, true);
    let model: Model = keys.iter().map(|key| (key.clone(), vec![1])).collect();
    let mut store = Store::new();
    let map = store.apply(&Map::default(), set(&model));
    let root = map.root.as_ref().unwrap();
    assert!(leaf_sizes(&store.memory, root).iter().all(|&size| size == 1));
    assert!(root.height <= 10);
    assert_eq!(content(&store.memory, Some(root)), model);
}

#[test]
fn keys_that_end_nodes_of_two_levels_are_held() {
    // Behind each of these keys end the leaf and the branch above it.
    let keys: Vec<Vec<u8>> = (0u64..)
        .map(|n| n.to_be_bytes().to_vec())
        .filter(|key| ends_at(key, 0) && ends_at(key, 1))
        .take(60)
        .collect();
    let model: Model = keys.into_iter().map(|key| (key, vec![1])).collect();
    let mut store = Store::new();
    let map = store.apply(&Map::default(), set(&model));
    assert_eq!(content(&store.memory, map.root.as_ref()), model);
}

// --- differences ---------------------------------------------------------------------------------

#[test]
fn unshared_entries_hold_every_difference() {
    let mut random = Random(99);
    for round in 0..40 {
        let (mut store, mut model) = (Store::new(), Model::new());
        let edits = random_edits(&mut random, &mut model);
        let a = store.apply(&Map::default(), edits);
        let before = model.clone();
        let edits = random_edits(&mut random, &mut model);
        let b = store.apply(&a, edits);
        let (Some(a), Some(b)) = (&a.root, &b.root) else { continue };
        let (left, right) = unshared(&store.memory, a, b).unwrap();
        let side = |found: Vec<_>, whole: &Model| {
            let found: Model = found
                .into_iter()
                .map(|e: _core::tree::Entry| (e.key, e.value.whole(&store.memory).unwrap()))
                .collect();
            assert!(found.iter().all(|(key, value)| whole.get(key) == Some(value)), "{round}");
            found
        };
        let (left, right) = (side(left, &before), side(right, &model));
        for key in before.keys().chain(model.keys()) {
            if before.get(key) != model.get(key) {
                assert_eq!(left.get(key), before.get(key), "round {round}");
                assert_eq!(right.get(key), model.get(key), "round {round}");
            }
        }
    }
}

#[test]
fn a_difference_opens_only_what_differs() {
    let model: Model = (0..50_000u32).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8])).collect();
    let mut store = Store::new();
    let a = store.apply(&Map::default(), set(&model));
    let b = store.apply(&a, Edits::from([(30_000u32.to_be_bytes().to_vec(), Some(vec![0; 9]))]));
    let (a, b) = (a.root.unwrap(), b.root.unwrap());
    let ((left, right), opened) = store.opened_by(|memory| unshared(memory, &a, &b).unwrap());
    assert_eq!(left.len(), right.len());
    assert!(left.len() <= 256);
    assert_eq!(opened, 2 * (usize::from(a.height) + 1));
    let (none, opened) = store.opened_by(|memory| unshared(memory, &a, &a).unwrap());
    assert_eq!((none.0.len(), none.1.len(), opened), (0, 0, 0));
}

// --- states --------------------------------------------------------------------------------------

fn flat(model: &Model, order: impl Iterator<Item = usize>) -> Flat {
    let pairs: Vec<_> = model.iter().collect();
    let (mut paths, mut values) = (Arena::default(), Arena::default());
    for at in order {
        paths.push(pairs[at].0);
        values.push(pairs[at].1);
    }
    Flat { paths, values, ..Flat::default() }
}

fn save(store: &mut Store, flat: &Flat) -> (Option<Node>, usize) {
    let shape = Shape::new(flat.paths.clone()).unwrap();
    store.write(|_, writer| write_state(writer, &shape, flat).unwrap())
}

#[test]
fn a_state_does_not_show_its_order_or_its_history() {
    let mut random = Random(3);
    let (mut model, mut store) = (Model::new(), Store::new());
    for _ in 0..15 {
        random_edits(&mut random, &mut model);
        let saved = save(&mut store, &flat(&model, 0..model.len())).0;
        let backwards = save(&mut Store::new(), &flat(&model, (0..model.len()).rev())).0;
        assert_eq!(identity(saved.as_ref()), identity(backwards.as_ref()));
        assert_eq!(content(&store.memory, saved.as_ref()), model);
        let root = saved.unwrap();
        for _ in 0..20 {
            let key = random.key();
            let found = get(&store.memory, &root, &key).unwrap();
            let found = found.map(|value| value.whole(&store.memory).unwrap());
            assert_eq!(found.as_ref(), model.get(&key));
        }
    }
    assert!(save(&mut store, &flat(&Model::new(), 0..0)).0.is_none());
}

#[test]
fn a_changed_value_of_a_state_writes_its_leaf_and_the_branches_above() {
    let mut model: Model = (0..20_000).map(|n| (format!("a.{n}").into_bytes(), vec![1])).collect();
    let mut store = Store::new();
    let (first, _) = save(&mut store, &flat(&model, 0..model.len()));
    model.insert(b"a.777".to_vec(), vec![2, 3]);
    let (second, new) = save(&mut store, &flat(&model, 0..model.len()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(new, usize::from(second.height) + 1);
    let (left, right) = unshared(&store.memory, &first, &second).unwrap();
    let changed = left.iter().zip(&right).filter(|(a, b)| a != b).count();
    assert_eq!((left.len(), changed), (right.len(), 1));
}

#[test]
fn a_renamed_path_is_a_difference_though_the_values_are_equal() {
    let mut model: Model = (0..3_000).map(|n| (format!("a.{n}").into_bytes(), vec![1])).collect();
    let mut store = Store::new();
    let (first, _) = save(&mut store, &flat(&model, 0..model.len()));
    // The next path that, like the old one, ends no leaf: then the leaves hold equal values.
    let new = (0..).map(|n| format!("a.777{}", "x".repeat(n + 1)).into_bytes());
    let new = new.take(9).find(|key| !ends_at(key, 0)).unwrap();
    model.remove(b"a.777".as_slice());
    model.insert(new.clone(), vec![1]);
    let (second, _) = save(&mut store, &flat(&model, 0..model.len()));
    let (left, right) = unshared(&store.memory, &first.unwrap(), &second.unwrap()).unwrap();
    assert!(left.iter().any(|entry| entry.key == b"a.777"));
    assert!(right.iter().any(|entry| entry.key == new));
    assert!(left.iter().all(|entry| entry.key != new));
}

#[test]
fn two_equal_paths_are_refused() {
    let mut paths = Arena::default();
    ["a", "b", "a"].iter().for_each(|path| paths.push(path.as_bytes()));
    assert_eq!(Shape::new(paths).err().map(|e| e.slug()), Some("duplicate-path"));
}

// --- evidence ------------------------------------------------------------------------------------

#[test]
fn a_root_needs_exactly_the_nodes_it_refers_to() {
    let mut random = Random(21);
    let (mut store, mut model) = (Store::new(), Model::new());
    let mut map = Map::default();
    for _ in 0..10 {
        let edits = random_edits(&mut random, &mut model);
        map = store.apply(&map, edits);
    }
    let root = map.root.unwrap();
    let needed = store.reachable(&root);
    store.memory.plain.retain(|id, _| needed.contains(id));
    assert_eq!(store.memory.plain.len(), needed.len());
    assert_eq!(content(&store.memory, Some(&root)), model);
    for id in &needed {
        let node = store.memory.plain.remove(id).unwrap();
        let read = entries(&store.memory, &root).and_then(|all| {
            all.into_iter().try_for_each(|e| e.value.whole(&store.memory).map(drop))
        });
        assert_eq!(read.map_err(|e| e.slug()), Err("missing"));
        store.memory.plain.insert(*id, node);
    }
}

#[test]
fn a_node_in_the_place_of_another_is_refused() {
    let mut random = Random(22);
    let (mut store, mut model) = (Store::new(), Model::new());
    let mut map = Map::default();
    for _ in 0..5 {
        let edits = random_edits(&mut random, &mut model);
        map = store.apply(&map, edits);
    }
    let root = map.root.unwrap();
    let ids: Vec<_> = store.reachable(&root).into_iter().collect();
    let mut refused = 0;
    for pair in ids.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|id| store.memory.plain[&id].clone());
        if a.0 != b.0 || a.1 == b.1 {
            continue;
        }
        store.memory.plain.insert(pair[0], b.clone());
        let read = entries(&store.memory, &root).and_then(|all| {
            all.into_iter().try_for_each(|e| e.value.whole(&store.memory).map(drop))
        });
        let slug = read.map_err(|e| e.slug());
        assert!(matches!(slug, Err("tampered" | "malformed")), "{slug:?}");
        assert!(a.0 != kind::LEAF || slug == Err("tampered"));
        refused += 1;
        store.memory.plain.insert(pair[0], a);
    }
    assert!(refused > 10);
}
