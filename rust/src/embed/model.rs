//! A static embedding model: one vector a piece of a word, summed over a text.
//!
//! Such a model is distilled from a transformer (Tulkens and van Dongen, Model2Vec, 2024): each piece
//! went through it alone, principal components were kept, and a piece's length is its weight.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | [`MAGIC`] |
//! | varint, varint | dimension; number of pieces |
//! | | letters ([`Letters::read`]) |
//! | per piece | its text, with a varint length |
//! | per piece 4 | scale: an f32, little endian |
//! | per piece x dimension | i8; times the scale it is the piece's vector |

use super::batch::Embed;
use super::letters::Letters;
use super::unit;
use super::words::{LONGEST_WORD, Words};
use crate::error::{Error, Result};
use crate::wire::Take;

/// The first bytes of a model.
const MAGIC: &[u8; 16] = b"dachi static 1\r\n";
/// The largest dimension of a vector in a store.
const LARGEST_DIMENSION: usize = 4096;
/// A sum of f32 of this many pieces has lost nothing that matters; then it goes into one of f64.
const PIECES_AT_ONCE: usize = 256;

/// A model, ready to embed.
pub struct Model {
    bytes: Vec<u8>,
    rows_at: usize,
    dimension: usize,
    letters: Letters,
    words: Words,
    scales: Vec<f32>,
}

impl Model {
    /// Reads the bytes of a model.
    ///
    /// # Errors
    /// `malformed`: they are not one.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        let mut take = Take::new(&bytes);
        if take.array()? != *MAGIC {
            return Err(Error::new("malformed", "this is no static embedding model"));
        }
        let dimension = take.count()?;
        if !(1..=LARGEST_DIMENSION).contains(&dimension) {
            return Err(Error::new("malformed", "a model's dimension is not in 1 to 4096"));
        }
        let pieces = take.count()?;
        let letters = Letters::read(&mut take)?;
        let mut words = Words::with_room(pieces);
        for number in 0..pieces {
            words.add(take.text()?, number as u32);
        }
        let scales = (0..pieces).map(|_| take.array().map(f32::from_le_bytes));
        let scales = scales.collect::<Result<Vec<_>>>()?;
        if !scales.iter().all(|scale| scale.is_finite()) {
            return Err(Error::new("malformed", "a model's scale is not a finite number"));
        }
        let rows_at = bytes.len() - take.rest().len();
        take.slice(pieces * dimension)?;
        take.done()?;
        Ok(Model { rows_at, dimension, letters, words, scales, bytes })
    }

    /// Gives the numbers of a text's pieces to `each`, word by word.
    fn pieces(&self, text: &str, mut each: impl FnMut(&[u32])) {
        let (mut word, mut length, mut numbers) = (String::new(), 0, Vec::new());
        let mut letter = |letter: char| {
            if letter != ' ' {
                length += 1;
                // More is never looked at, and a text without spaces may be long.
                if length <= LONGEST_WORD {
                    word.push(letter);
                }
                return;
            }
            if (1..=LONGEST_WORD).contains(&length) {
                numbers.clear();
                self.words.split(&word, &mut numbers);
                each(&numbers);
            }
            word.clear();
            length = 0;
        };
        for original in text.chars() {
            match self.letters.replacement(original) {
                Some(text) => text.chars().for_each(&mut letter),
                None => letter(original),
            }
        }
        letter(' ');
    }

    /// The numbers of a text's pieces; what the vocabulary lacks is left out.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut all = Vec::new();
        self.pieces(text, |numbers| all.extend_from_slice(numbers));
        all
    }

    /// Adds a piece's vector to a sum.
    #[inline]
    fn add(&self, number: u32, sum: &mut [f32]) {
        let at = self.rows_at + number as usize * self.dimension;
        let row = self.bytes.get(at..at + self.dimension).unwrap_or_default();
        let scale = self.scales.get(number as usize).copied().unwrap_or_default();
        // Multiplied and then added, never fused: every machine rounds alike.
        sum.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += f32::from(byte as i8) * scale);
    }
}

impl Embed for Model {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn embed(&self, text: &str, out: &mut [f32]) -> Result<()> {
        let mut total = vec![0f64; self.dimension];
        let (mut sum, mut summed) = (vec![0f32; self.dimension], 0);
        self.pieces(text, |numbers| {
            numbers.iter().for_each(|&number| self.add(number, &mut sum));
            summed += numbers.len();
            if summed >= PIECES_AT_ONCE {
                move_sum(&mut sum, &mut total);
                summed = 0;
            }
        });
        move_sum(&mut sum, &mut total);
        unit(&total, out)
    }
}

fn move_sum(sum: &mut [f32], total: &mut [f64]) {
    for (sum, total) in sum.iter_mut().zip(total) {
        *total += f64::from(*sum);
        *sum = 0.0;
    }
}
