//! Rows by their signs, 32 in a block, in blocks that belong to cells.
//!
//! All blocks lie in one piece of memory: those of a cell one after the other when it is made, new ones
//! at the end.

use super::coarse::Coarse;
use super::kernel::{BLOCK, Bits, Kernel, Numbers};

/// Keys of a block's rows.
pub type Keys = (u32, [f32; BLOCK]);

/// The blocks.
#[derive(Debug)]
pub struct Blocks {
    lines: usize,
    bits: Vec<Bits>,
    numbers: Vec<Numbers>,
    slots: Vec<[u32; BLOCK]>,
    free: Vec<u32>,
}

/// A row as its signs.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Of each sixteen components.
    pub bits: Vec<[u8; 2]>,
    /// What an inner product with the signs is multiplied by.
    pub factor: f32,
    /// What its key has besides.
    pub bias: f32,
    /// Whose row it is.
    pub slot: u32,
}

impl Blocks {
    /// None yet, of rows of so many lines, with room for as many.
    pub fn new(lines: usize, capacity: usize) -> Blocks {
        Blocks {
            lines,
            bits: Vec::with_capacity(capacity * lines),
            numbers: Vec::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
        }
    }

    /// A block without rows.
    pub fn add(&mut self) -> u32 {
        if let Some(block) = self.free.pop() {
            return block;
        }
        self.bits.resize(self.bits.len() + self.lines, Bits::ZERO);
        self.numbers.push(Numbers::NONE);
        self.slots.push([0; BLOCK]);
        self.numbers.len() as u32 - 1
    }

    /// Takes back a block, which has no rows any more.
    pub fn release(&mut self, block: u32) {
        self.free.push(block);
    }

    /// Writes a row of a block.
    pub fn write(&mut self, block: u32, row: usize, signed: &Signed) {
        let bits = self.bits.iter_mut().skip(block as usize * self.lines);
        for (Bits(bits), signs) in bits.zip(&signed.bits) {
            for (half, sign) in bits.chunks_mut(BLOCK).zip(signs) {
                half.iter_mut().skip(Bits::place(row)).take(1).for_each(|to| *to = *sign);
            }
        }
        self.set_numbers(block, row, signed.factor, signed.bias);
        let slots = self.slots.iter_mut().skip(block as usize).take(1).flatten();
        slots.skip(row).take(1).for_each(|slot| *slot = signed.slot);
    }

    fn set_numbers(&mut self, block: u32, row: usize, factor: f32, bias: f32) {
        for Numbers { factors, biases } in self.numbers.iter_mut().skip(block as usize).take(1) {
            factors.iter_mut().skip(row).take(1).for_each(|to| *to = factor);
            biases.iter_mut().skip(row).take(1).for_each(|to| *to = bias);
        }
    }

    /// Takes a row out of a block.
    pub fn take(&mut self, block: u32, row: usize) -> Signed {
        let lines = self.bits.iter().skip(block as usize * self.lines).take(self.lines);
        let byte = |Bits(bits): &Bits, half: usize| {
            bits.get(half + Bits::place(row)).copied().unwrap_or(0)
        };
        let bits = lines.map(|line| [byte(line, 0), byte(line, BLOCK)]).collect();
        let numbers = self.numbers.get(block as usize).unwrap_or(&Numbers::NONE);
        let (factors, biases) = (numbers.factors.get(row), numbers.biases.get(row));
        let taken = Signed {
            bits,
            factor: factors.copied().unwrap_or(0.0),
            bias: biases.copied().unwrap_or(f32::NEG_INFINITY),
            slot: self.slots(block).get(row).copied().unwrap_or(0),
        };
        self.set_numbers(block, row, 0.0, f32::NEG_INFINITY);
        taken
    }

    /// The slots of a block's rows.
    pub fn slots(&self, block: u32) -> &[u32] {
        self.slots.get(block as usize).map_or(&[], |slots| slots)
    }

    /// Sets `keys` to those of the blocks that have one above `floor`; with a block comes what its
    /// keys begin with.
    pub fn keys(&self, query: &Coarse, blocks: &[(u32, f32)], floor: f32, keys: &mut Vec<Keys>) {
        keys.clear();
        let rows = (&*self.bits, &*self.numbers);
        Kernel::best().weighed(&query.sums, query.weigh(floor), rows, blocks, keys);
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.bits.capacity() * size_of::<Bits>()
            + self.numbers.capacity() * size_of::<Numbers>()
            + self.slots.capacity() * size_of::<[u32; BLOCK]>()
    }
}
