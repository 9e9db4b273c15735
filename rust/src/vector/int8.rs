//! Rows in eight bits a component: a quarter of the bytes to read.
//!
//! A vector less the mean of all is scaled by its own largest component. The key that this gives,
//! `scale * scale * product + bias`, orders rows as the metric does, up to a number that is the same
//! for all rows: a cosine or inner product of q with y is that of `q - mean` with `y - mean`, plus
//! `mean . y`; half a squared distance, negated, is the same inner product, less half the square of
//! `y - mean`. Off-centre embeddings lose nothing so.

use super::kernel::{Bytes, Floats, Kernel, Quantised};
use super::metric::Metric;
use super::table::Table;
use std::ops::Range;

/// The greatest value: -128 has no opposite.
const LARGEST: f32 = 127.0;

/// The rows of a table, quantised.
#[derive(Debug)]
pub struct Int8 {
    metric: Metric,
    mean: Vec<Floats>,
    rows: Vec<Bytes>,
    scales: Vec<f32>,
    biases: Vec<f32>,
}

/// A query, quantised.
#[derive(Debug, Default)]
pub struct Query {
    /// Less the mean.
    pub centred: Vec<Floats>,
    bytes: Vec<Bytes>,
    scale: f32,
    /// What each product is too large by.
    bias: i32,
}

impl Query {
    fn quantised(&self) -> Quantised<'_> {
        Quantised { bytes: &self.bytes, bias: self.bias, scale: self.scale }
    }
}

impl Int8 {
    /// All rows of a table about the mean of its vectors; those of vectors that were taken out may
    /// still be ways to others.
    pub fn build(table: &Table) -> Int8 {
        let mut made = Int8::new(table.metric(), mean(table), table.capacity());
        (0..table.capacity() as u32).for_each(|slot| made.put(slot, table.row(slot)));
        made
    }

    /// None yet, with room for some, about a mean.
    pub fn new(metric: Metric, mean: Vec<Floats>, capacity: usize) -> Int8 {
        Int8 {
            metric,
            rows: Vec::with_capacity(capacity * mean.len().div_ceil(4)),
            scales: Vec::with_capacity(capacity),
            biases: Vec::with_capacity(capacity),
            mean,
        }
    }

    /// Lines of a row.
    fn lines(&self) -> usize {
        self.mean.len().div_ceil(4)
    }

    /// What all vectors were taken relative to.
    pub fn mean(&self) -> &[Floats] {
        &self.mean
    }

    /// Writes the row of a slot.
    pub fn put(&mut self, slot: u32, row: &[Floats]) {
        let (slots, lines) = (slot as usize + 1, self.lines());
        if slots > self.scales.len() {
            self.rows.resize(slots * lines, Bytes::ZERO_ROW);
            self.scales.resize(slots, 0.0);
            self.biases.resize(slots, 0.0);
        }
        let bytes = self.rows.get_mut((slots - 1) * lines..slots * lines).unwrap_or(&mut []);
        let scale = quantise(less(row, &self.mean), bytes, 128);
        let key = self.metric.bias(&self.mean, row);
        self.scales.iter_mut().skip(slot as usize).take(1).for_each(|to| *to = scale);
        self.biases.iter_mut().skip(slot as usize).take(1).for_each(|to| *to = key);
    }

    /// Quantises a query, which the metric prepared.
    pub fn query(&self, query: &[Floats], to: &mut Query) {
        to.centred.clear();
        to.centred.extend(less(query, &self.mean));
        to.bytes.clear();
        to.bytes.resize(self.lines(), Bytes::ZERO_QUERY);
        to.scale = quantise(to.centred.iter().copied(), &mut to.bytes, 0);
        to.bias = 128 * sum(&to.bytes);
    }

    /// Makes a query of a row: of what it is in eight bits.
    pub fn row_query(&self, slot: u32, to: &mut Query) {
        let start = slot as usize * self.lines();
        let row = self.rows.get(start..start + self.lines()).unwrap_or(&[]);
        to.bytes.clear();
        to.bytes.extend(row.iter().map(|line| Bytes(line.0.map(|byte| byte ^ 128))));
        to.scale = self.scales.get(slot as usize).copied().unwrap_or(0.0);
        to.bias = 128 * sum(&to.bytes);
    }

    /// Adds to `keys` those of the slots of a range.
    pub fn keys(&self, query: &Query, slots: Range<usize>, keys: &mut Vec<f32>) {
        let lines = self.lines();
        let rows = self.rows.get(slots.start * lines..slots.end * lines).unwrap_or(&[]);
        let scales = self.scales.get(slots.clone()).unwrap_or(&[]);
        let biases = self.biases.get(slots).unwrap_or(&[]);
        Kernel::best().keys(query.quantised(), rows, (scales, biases), keys);
    }

    /// Likewise for some slots.
    pub fn some_keys(
        &self,
        query: &Query,
        slots: &[u32],
        products: &mut Vec<i32>,
        keys: &mut Vec<f32>,
    ) {
        products.clear();
        Kernel::best().some_products(&query.bytes, &self.rows, slots, products);
        keys.extend(products.iter().zip(slots).map(|(&product, &slot)| {
            let scale = self.scales.get(slot as usize).copied().unwrap_or(0.0);
            let bias = self.biases.get(slot as usize).copied().unwrap_or(0.0);
            query.quantised().key(product, scale, bias)
        }));
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Bytes>()
            + self.scales.capacity() * 4
            + self.biases.capacity() * 4
            + self.mean.capacity() * size_of::<Floats>()
    }
}

impl Metric {
    /// What the key of a row has besides the product.
    fn bias(self, mean: &[Floats], row: &[Floats]) -> f32 {
        let mut key = Vec::with_capacity(1);
        match self {
            Metric::Cosine | Metric::Dot => Kernel::best().dots(mean, row, &[0], &mut key),
            Metric::Euclidean => {
                Kernel::best().distances(mean, row, &[0], &mut key);
                key.iter_mut().for_each(|square| *square *= -0.5);
            }
        }
        key.first().copied().unwrap_or(0.0)
    }
}

/// The sum of a query's values.
fn sum(bytes: &[Bytes]) -> i32 {
    let values = bytes.iter().flat_map(|line| line.0);
    // At most 4,096 * 127.
    values.fold(0, |sum, byte| sum.wrapping_add(i32::from(byte.cast_signed())))
}

/// The mean of a table's rows.
fn mean(table: &Table) -> Vec<Floats> {
    let mut sums = vec![[0.0f64; 16]; table.lines()];
    for slot in table.live().iter() {
        for (sums, Floats(row)) in sums.iter_mut().zip(table.row(slot)) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
    }
    let count = table.count().max(1) as f64;
    sums.into_iter().map(|sums| Floats(sums.map(|sum| (sum / count) as f32))).collect()
}

/// Differences, component by component.
pub fn less<'a>(
    from: &'a [Floats],
    mean: &'a [Floats],
) -> impl Iterator<Item = Floats> + Clone + 'a {
    from.iter().zip(mean).map(|(Floats(from), Floats(mean))| {
        let mut line = Floats::ZERO;
        line.0.iter_mut().zip(from).zip(mean).for_each(|((to, from), mean)| *to = from - mean);
        line
    })
}

/// Writes whole numbers from -127 to 127 and gives what one of them stands for.
fn quantise(row: impl Iterator<Item = Floats> + Clone, bytes: &mut [Bytes], bias: u8) -> f32 {
    let mut most = [0.0f32; 16];
    for Floats(line) in row.clone() {
        most.iter_mut().zip(line).for_each(|(most, value)| *most = most.max(value.abs()));
    }
    let largest = most.into_iter().fold(0.0, f32::max);
    let factor = Some(LARGEST / largest).filter(|factor| factor.is_finite()).unwrap_or(0.0);
    let to = bytes.iter_mut().flat_map(|Bytes(to)| to.as_chunks_mut::<16>().0);
    for (to, Floats(from)) in to.zip(row) {
        to.iter_mut().zip(from).for_each(|(to, value)| {
            // Adding 1.5 * 2^23 rounds to a whole number, ties to even, in the low bits.
            *to = (value * factor + 12_582_912.0).to_bits() as u8 ^ bias;
        });
    }
    largest / LARGEST
}
