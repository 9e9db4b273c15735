#![allow(clippy::indexing_slicing)]
use super::*;

/// Numbers that look random, from a seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 >> 33) ^ self.0;
        mixed.wrapping_mul(0xff51_afd7_ed55_8ccd)
    }

    fn floats(&mut self, lines: usize) -> Vec<Floats> {
        let one = |noise: &mut Noise| (noise.next() >> 40) as f32 / (1 << 20) as f32 - 8.0;
        (0..lines).map(|_| Floats(std::array::from_fn(|_| one(self)))).collect()
    }

    /// Values from -127 to 127, those at the ends often.
    fn bytes(&mut self, lines: usize, bias: u8) -> Vec<Bytes> {
        let one = |noise: &mut Noise| match noise.next() >> 62 {
            0 => 127,
            1 => -127,
            _ => ((noise.next() >> 40) % 255) as i64 - 127,
        };
        let byte = |noise: &mut Noise| (one(noise) as i8).cast_unsigned() ^ bias;
        (0..lines).map(|_| Bytes(std::array::from_fn(|_| byte(self)))).collect()
    }
}

const WIDTHS: [usize; 6] = [1, 2, 3, 6, 24, 64];

#[test]
fn float_sums_have_the_same_bits_on_every_path() {
    let mut noise = Noise(1);
    for lines in [1, 2, 24, 256] {
        let (query, rows) = (noise.floats(lines), noise.floats(9 * lines));
        let slots = [3, 0, 8, 7];
        for one in [Kernel::dots, Kernel::distances] {
            let run = |kernel: Kernel| {
                let mut out = Vec::new();
                one(kernel, &query, &rows, &slots, &mut out);
                out.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>()
            };
            let portable = run(Kernel(Set::Portable));
            assert_eq!(portable.len(), slots.len());
            for kernel in Kernel::all() {
                assert_eq!(run(kernel), portable, "{}, {lines} lines", kernel.name());
            }
        }
    }
}

#[test]
fn float_sums_are_the_sums() {
    let mut noise = Noise(2);
    let (query, rows) = (noise.floats(24), noise.floats(24));
    let flat =
        |lines: &[Floats]| lines.iter().flat_map(|line| line.0).map(f64::from).collect::<Vec<_>>();
    let pairs: Vec<(f64, f64)> = flat(&query).into_iter().zip(flat(&rows)).collect();
    let (mut dots, mut distances) = (Vec::new(), Vec::new());
    Kernel::best().dots(&query, &rows, &[0], &mut dots);
    Kernel::best().distances(&query, &rows, &[0], &mut distances);
    let dot: f64 = pairs.iter().map(|(q, r)| q * r).sum();
    let distance: f64 = pairs.iter().map(|(q, r)| (q - r) * (q - r)).sum();
    assert!((f64::from(dots[0]) - dot).abs() < 1e-2, "{dots:?} {dot}");
    assert!((f64::from(distances[0]) / distance - 1.0).abs() < 1e-5);
}

#[test]
fn byte_sums_are_exact_on_every_path() {
    let mut noise = Noise(3);
    for lines in WIDTHS {
        let (query, rows) = (noise.bytes(lines, 0), noise.bytes(11 * lines, 128));
        let signed = |byte: u8, bias: u8| i64::from((byte ^ bias).cast_signed());
        let values = |lines: &[Bytes], bias| {
            lines.iter().flat_map(|line| line.0).map(|byte| signed(byte, bias)).collect::<Vec<_>>()
        };
        let q = values(&query, 0);
        let bias = 128 * q.iter().sum::<i64>();
        let truth: Vec<i64> = values(&rows, 128)
            .chunks(64 * lines)
            .map(|row| row.iter().zip(&q).map(|(r, q)| r * q).sum::<i64>() + bias)
            .collect();
        for kernel in Kernel::all() {
            let mut some = Vec::new();
            let slots = [10, 0, 5, 5, 1, 9];
            kernel.some_products(&query, &rows, &slots, &mut some);
            let picked = slots.map(|slot| truth[slot as usize]);
            assert_eq!(some.iter().map(|&sum| i64::from(sum)).collect::<Vec<_>>(), picked);
        }
    }
}

#[test]
fn keys_of_rows_have_the_same_bits_on_every_path() {
    let mut noise = Noise(5);
    for (lines, rows) in [(1, 1), (2, 15), (6, 16), (6, 53), (64, 4)] {
        let (query, bytes) = (noise.bytes(lines, 0), noise.bytes(rows * lines, 128));
        let numbers = noise.floats(2 * rows.div_ceil(16));
        let numbers: Vec<f32> = numbers.iter().flat_map(|line| line.0).collect();
        let (scales, biases) = (&numbers[..rows], &numbers[rows..2 * rows]);
        let query = Quantised { bytes: &query, bias: 12_345, scale: 0.37 };
        let truth: Vec<u32> = (0..rows)
            .map(|row| {
                let mut product = Vec::new();
                Kernel(Set::Portable).some_products(
                    query.bytes,
                    &bytes,
                    &[row as u32],
                    &mut product,
                );
                query.key(product[0], scales[row], biases[row]).to_bits()
            })
            .collect();
        for kernel in Kernel::all() {
            let mut keys = vec![1.0];
            kernel.keys(query, &bytes, (scales, biases), &mut keys);
            let bits: Vec<u32> = keys[1..].iter().map(|key| key.to_bits()).collect();
            assert_eq!(bits, truth, "{}, {rows} rows of {lines} lines", kernel.name());
        }
    }
}

#[test]
fn what_stands_at_set_bits_is_summed_alike_on_every_path() {
    let mut noise = Noise(4);
    const BLOCKS: [(u32, f32); 3] = [(2, 2.0), (0, 0.0), (1, 1.0)];
    for lines in [1, 2, 5, 24, 256] {
        let mut query: Vec<Sums> = (0..lines)
            .map(|_| {
                // Each lane twice, as `Coarse` makes them.
                let mut table = || std::array::from_fn(|_| (noise.next() >> 40) as u8 % 29);
                let mut line = || {
                    let lanes: [[u8; 16]; 2] = [table(), table()];
                    std::array::from_fn(|at| lanes[at / 32][at % 16])
                };
                Sums([line(), line()])
            })
            .collect();
        let mut bits: Vec<Bits> = (0..3 * lines)
            .map(|_| Bits(std::array::from_fn(|_| (noise.next() >> 40) as u8)))
            .collect();
        query[0] = Sums([[28; 64]; 2]);
        bits[0] = Bits([255; 64]);
        let numbers: Vec<Numbers> = (0..3)
            .map(|block| Numbers {
                factors: std::array::from_fn(|row| row as f32 + 0.1),
                biases: std::array::from_fn(|row| (block * row) as f32),
            })
            .collect();
        let key = |block: usize, row: usize| {
            let of =
                |line: usize, half: usize| bits[block * lines + line].0[half + Bits::place(row)];
            let sum: i32 = (0..lines)
                .flat_map(|line| [(line, 0), (line, 32)])
                .map(|(line, half)| {
                    let Sums([low, high]) = query[line];
                    let byte = usize::from(of(line, half));
                    i32::from(low[half + byte % 16]) + i32::from(high[half + byte / 16])
                })
                .sum();
            let Numbers { factors, biases } = numbers[block];
            (2 * sum - 77) as f32 * (0.3 * factors[row]) + biases[row] + block as f32
        };
        let truth =
            BLOCKS.map(|(block, _)| (block, std::array::from_fn(|row| key(block as usize, row))));
        let greatest = truth[2].1.into_iter().fold(f32::MIN, f32::max);
        for (floor, blocks) in [(f32::NEG_INFINITY, 0..3), (f32::MAX, 0..0)] {
            let weigh = Weigh { offset: -77, scale: 0.3, floor };
            for kernel in Kernel::all() {
                let mut out = Vec::new();
                kernel.weighed(&query, weigh, (&bits, &numbers), &BLOCKS, &mut out);
                assert_eq!(out, truth[blocks.clone()], "{}, {lines} lines", kernel.name());
            }
        }
        let weigh = Weigh { offset: -77, scale: 0.3, floor: greatest };
        for kernel in Kernel::all() {
            let mut out = Vec::new();
            kernel.weighed(&query, weigh, (&bits, &numbers), &BLOCKS, &mut out);
            assert!(out.iter().all(|(block, _)| *block != 1), "{}", kernel.name());
        }
    }
}
