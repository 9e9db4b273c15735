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
            let (mut all, mut some) = (Vec::new(), Vec::new());
            kernel.products(&query, &rows, &mut all);
            assert_eq!(
                all.iter().map(|&sum| i64::from(sum)).collect::<Vec<_>>(),
                truth,
                "{}",
                kernel.name()
            );
            let slots = [10, 0, 5, 5, 1, 9];
            kernel.some_products(&query, &rows, &slots, &mut some);
            let picked = slots.map(|slot| all[slot as usize]);
            assert_eq!(some, picked, "{}", kernel.name());
        }
    }
}

#[test]
fn what_stands_at_set_bits_is_summed_alike_on_every_path() {
    let mut noise = Noise(4);
    for words in WIDTHS {
        let mut query: Vec<Planes> =
            (0..words).map(|_| std::array::from_fn(|_| noise.next())).collect();
        let mut blocks: Vec<Words> =
            (0..5 * words).map(|_| Words(std::array::from_fn(|_| noise.next()))).collect();
        query[0] = [u64::MAX; 4];
        blocks[0].0 = [u64::MAX; 8];
        let bit = |word: u64, at: usize| (word >> at & 1) as i32;
        let value = |at: usize| {
            let [a, b, c, d] = query[at / 64].map(|plane| bit(plane, at % 64));
            a + 2 * b + 4 * c - 8 * d
        };
        let truth: Vec<i32> = (0..40)
            .map(|row| {
                let block = &blocks[row / 8 * words..];
                let set = |at: &usize| bit(block[at / 64].0[row % 8], at % 64) == 1;
                (0..64 * words).filter(set).map(value).sum()
            })
            .collect();
        for kernel in Kernel::all() {
            let mut out = Vec::new();
            kernel.sums(&query, &blocks, &mut out);
            assert_eq!(out, truth, "{}", kernel.name());
        }
    }
}
