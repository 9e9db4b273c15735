//! Names and texts as vectors of a fixed length: signed feature hashing (Weinberger, Dasgupta,
//! Langford, Smola, Attenberg: Feature hashing for large scale multitask learning, arXiv 0902.2206,
//! section 2).

use xxhash_rust::xxh3::xxh3_64;

/// Adds each value where its name's hash points to, with the sign that the hash says: names that meet
/// cancel out on average.
pub fn signed<'a>(named: impl Iterator<Item = (&'a str, f64)>, dimension: usize) -> Vec<f64> {
    let mut vector = vec![0.0; dimension];
    for (name, value) in named {
        let hash = xxh3_64(name.as_bytes());
        // The high half says where and the lowest bit which sign, so that the two are independent.
        let at = ((hash >> 32) * dimension as u64) >> 32;
        if let Some(sum) = vector.get_mut(at as usize) {
            *sum += if hash & 1 == 0 { value } else { -value };
        }
    }
    vector
}

/// The words of a text and the pairs of words that stand side by side, hashed; of length 1 where there
/// are any. Words are runs of letters and digits, in small letters.
pub fn of_text(text: &str, dimension: usize) -> Vec<f64> {
    let small = text.to_lowercase();
    let words: Vec<&str> =
        small.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let pairs: Vec<String> = words
        .iter()
        .zip(words.iter().skip(1))
        .map(|(first, second)| format!("{first} {second}"))
        .collect();
    let names = words.iter().copied().chain(pairs.iter().map(String::as_str));
    let mut vector = signed(names.map(|name| (name, 1.0)), dimension);
    let length = super::sum::dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

/// A hash of what was decided: which row, of what context, as the how manieth.
pub fn tag(context: &[f64], row: u64, number: u64) -> u64 {
    let words = [row, number].into_iter().chain(context.iter().map(|value| value.to_bits()));
    xxh3_64(&words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lies_where_it_lay_in_every_store_before() {
        let vector = signed([("colour=red", 1.0), ("size", 2.5), ("age", 3.0)].into_iter(), 16);
        let found: Vec<_> =
            vector.into_iter().enumerate().filter(|(_, value)| *value != 0.0).collect();
        assert_eq!(found, [(0, -3.0), (12, 2.5), (15, 1.0)]);
    }

    #[test]
    fn every_place_and_both_signs_are_used() {
        let names: Vec<String> = (0..10_000).map(|n| format!("name {n}")).collect();
        let (mut places, mut sum) = ([0_u32; 10], 0.0);
        for name in &names {
            let vector = signed([(name.as_str(), 1.0)].into_iter(), 10);
            for (count, value) in places.iter_mut().zip(&vector) {
                *count += u32::from(*value != 0.0);
                sum += value;
            }
        }
        assert!(places.iter().all(|count| (900..1_100).contains(count)), "{places:?}");
        assert!(sum.abs() < 300.0, "{sum}");
    }

    #[test]
    fn a_text_is_its_words_and_their_neighbours_whatever_stands_between() {
        assert_eq!(of_text("Sort a list!", 64), of_text("sort,  A List", 64));
        assert_ne!(of_text("sort a list", 64), of_text("list a sort", 64));
        assert!(
            (super::super::sum::dot(&of_text("sort", 8), &of_text("sort", 8)) - 1.0).abs() < 1e-15
        );
        assert_eq!(of_text("?!", 4), [0.0; 4]);
    }
}
