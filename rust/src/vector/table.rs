//! The vectors themselves: a row of 32-bit floats a slot, and which slot has which label.

use super::kernel::Floats;
use super::metric::{MOST_COMPONENTS, Metric};
use super::slots::Slots;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Slots have 32 bits.
const MOST_ROWS: usize = u32::MAX as usize;

/// Vectors by label.
#[derive(Debug)]
pub struct Table {
    metric: Metric,
    dimension: usize,
    rows: Vec<Floats>,
    labels: Vec<u64>,
    slots: HashMap<u64, u32>,
    free: Vec<u32>,
    live: Slots,
}

impl Table {
    /// No vectors yet.
    pub fn new(dimension: usize, metric: Metric) -> Result<Table> {
        if !(1..=MOST_COMPONENTS).contains(&dimension) {
            return Err(Error::new(
                "vector-setting",
                format!("a dimension is from 1 to {MOST_COMPONENTS}, not {dimension}"),
            ));
        }
        Ok(Table {
            metric,
            dimension,
            rows: Vec::new(),
            labels: Vec::new(),
            slots: HashMap::new(),
            free: Vec::new(),
            live: Slots::default(),
        })
    }

    /// How vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Lines of a row.
    pub fn lines(&self) -> usize {
        self.dimension.div_ceil(16)
    }

    /// How many vectors there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// How many slots there are, of vectors and of none.
    pub fn capacity(&self) -> usize {
        self.labels.len()
    }

    /// The rows of all slots.
    pub fn rows(&self) -> &[Floats] {
        &self.rows
    }

    /// The row of a slot.
    pub fn row(&self, slot: u32) -> &[Floats] {
        let start = slot as usize * self.lines();
        self.rows.get(start..start + self.lines()).unwrap_or(&[])
    }

    /// The slots with a vector.
    pub fn live(&self) -> &Slots {
        &self.live
    }

    /// Those slots, or none where every slot has a vector.
    pub fn gaps(&self) -> Option<&Slots> {
        (self.count() < self.capacity()).then_some(&self.live)
    }

    /// The label of a slot.
    pub fn label(&self, slot: u32) -> u64 {
        self.labels.get(slot as usize).copied().unwrap_or(0)
    }

    /// The slot of a label.
    pub fn slot(&self, label: u64) -> Option<u32> {
        self.slots.get(&label).copied()
    }

    /// Fails before anything changed if `more` vectors do not fit.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        let lines = more.saturating_mul(self.lines());
        if self.capacity().saturating_add(more) > MOST_ROWS || self.rows.try_reserve(lines).is_err()
        {
            return Err(Error::new("vector-memory", "there is no memory for so many vectors")
                .with("vectors", (self.count() + more) as u64));
        }
        Ok(())
    }

    /// Puts a vector, prepared by the metric, into a slot; its label must not be there.
    pub fn put(&mut self, label: u64, row: &[Floats]) -> u32 {
        let slot = self.free.pop().unwrap_or(self.labels.len() as u32);
        let start = slot as usize * self.lines();
        match self.rows.get_mut(start..start + row.len()) {
            Some(old) => old.copy_from_slice(row),
            None => self.rows.extend_from_slice(row),
        }
        match self.labels.get_mut(slot as usize) {
            Some(old) => *old = label,
            None => self.labels.push(label),
        }
        self.slots.insert(label, slot);
        self.live.add(slot);
        slot
    }

    /// Takes a vector out; its slot is not used again before it is `released`.
    pub fn take(&mut self, label: u64) -> Option<u32> {
        let slot = self.slots.remove(&label)?;
        self.live.drop(slot);
        Some(slot)
    }

    /// Gives a slot free whose vector was taken out.
    pub fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Bytes of memory, about.
    pub fn size_bytes(&self) -> usize {
        // A hash map has a byte beside each of at most 8/7 as many entries.
        self.rows.capacity() * size_of::<Floats>()
            + self.labels.capacity() * 8
            + self.slots.capacity() * 17
            + self.free.capacity() * 4
            + self.live.size_bytes()
    }
}
