//! A model of a few pieces, made by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics fails

use super::*;
use crate::wire::Put;
use std::borrow::Cow;

const PIECES: [&str; 6] = ["play", "##ing", "##in", "a", ".", "##gs"];

/// Each piece's vector is 1 at its number's place.
fn bytes() -> Vec<u8> {
    let mut out = b"dachi static 1\r\n".to_vec();
    out.put_varint(PIECES.len() as u64);
    out.put_varint(PIECES.len() as u64);
    let runs: [(u64, u64, &str); 4] = [
        (0, 33, " "),
        (u64::from('.') - 33, 1, " . "),
        (u64::from('A') - 47, 1, "a"),
        (0x300 - 66, 0x70, ""),
    ];
    out.put_varint(runs.len() as u64);
    for (gap, len, text) in runs {
        out.put_varint(gap);
        out.put_varint(len);
        out.put_bytes(text.as_bytes());
    }
    PIECES.iter().for_each(|piece| out.put_bytes(piece.as_bytes()));
    PIECES.iter().for_each(|_| out.extend_from_slice(&1f32.to_le_bytes()));
    for row in 0..PIECES.len() {
        out.extend((0..PIECES.len()).map(|column| u8::from(row == column)));
    }
    out
}

fn model() -> Model {
    Model::new(bytes()).unwrap()
}

#[test]
fn the_longest_piece_is_taken_first() {
    assert_eq!(model().tokens("playing"), [0, 1]);
    assert!(model().tokens("playinga").is_empty());
    assert!(model().tokens("playings").is_empty());
    assert_eq!(model().tokens("play ing a."), [0, 3, 4]);
}

#[test]
fn letters_are_replaced_and_marks_dropped() {
    assert_eq!(model().tokens("A\u{301}.A\u{300}\tpl\u{36f}ay"), [3, 4, 3, 0]);
}

#[test]
fn a_word_of_more_than_a_hundred_letters_is_unknown() {
    let long = |ings: usize| format!("play{} a", "ing".repeat(ings));
    assert_eq!(model().tokens(&long(32)).len(), 34);
    assert_eq!(model().tokens(&long(33)), [3]);
}

#[test]
fn vectors_are_sums_of_unit_length() {
    let mut out = [9f32; 6];
    model().embed("play a a a a.", &mut out).unwrap();
    let (one, four) = ((1.0 / 18f64.sqrt()) as f32, (4.0 / 18f64.sqrt()) as f32);
    assert_eq!(out, [one, 0.0, 0.0, four, one, 0.0]);
}

#[test]
fn the_first_text_without_a_known_word_is_named() {
    let mut texts = vec![Cow::Borrowed("play a . playing a ."); 10_000];
    texts[777] = Cow::Borrowed("unknown");
    texts[9_000] = Cow::Borrowed("");
    let mut out = vec![0f32; texts.len() * 6];
    let error = embed_all(&model(), &texts, &mut out).unwrap_err();
    assert_eq!((error.slug(), error.context()), ("empty-text", &[("index", 777.into())][..]));
}

#[test]
fn a_batch_gives_what_each_text_gives() {
    let texts: Vec<_> =
        (0..5_000).map(|n| Cow::Owned(format!("play{} a.", " a".repeat(n % 50)))).collect();
    let mut all = vec![0f32; texts.len() * 6];
    embed_all(&model(), &texts, &mut all).unwrap();
    let (model, mut one) = (model(), [0f32; 6]);
    for (text, found) in texts.iter().zip(all.chunks(6)) {
        model.embed(text, &mut one).unwrap();
        assert_eq!(one, found);
    }
}

#[test]
fn a_model_of_any_bytes_is_read_or_malformed() {
    let good = bytes();
    for at in 0..good.len() {
        assert_eq!(Model::new(good[..at].to_vec()).err().map(|e| e.slug()), Some("malformed"));
        for flip in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            match Model::new(bad) {
                // It may still be one: a text with other letters, a vector with other numbers.
                Ok(model) => drop(model.tokens("playing a. \u{301}")),
                Err(error) => assert_eq!(error.slug(), "malformed"),
            }
        }
    }
}

#[test]
fn features_are_hashed_to_the_same_places_for_ever() {
    let (mut one, mut two) = ([0f32; 16], [0f32; 16]);
    Hashing::new(16).embed("Restart the server", &mut one).unwrap();
    Hashing::new(16).embed("SERVER, the... restart!", &mut two).unwrap();
    assert_eq!(one, two);
    assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(Hashing::new(16).embed(" .,!", &mut one).unwrap_err().slug(), "empty-text");
}
