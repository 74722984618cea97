//! Pure: the keys and values that are written and read, and which key comes next.

use serde::{Deserialize, Serialize};

use savehold_wal::draw::{Draw, mixed};

/// Sixteen digits.
pub type Key = [u8; 16];

/// The key with this number.
pub fn key(number: u64) -> Key {
    let (mut key, mut rest) = ([b'0'; 16], number);
    for digit in key.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Values that no engine can make smaller: each record has its own piece of a pool that does not repeat.
pub struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

/// Beside the value itself. A piece begins anywhere in it.
const POOL_BYTES: usize = 1 << 20;

impl Values {
    /// Values of so many bytes each.
    pub fn new(bytes: usize) -> Self {
        let words = (POOL_BYTES + bytes).div_ceil(8) as u64;
        Self { pool: (0..words).flat_map(|at| mixed(at).to_le_bytes()).collect(), bytes }
    }

    /// The value that the record with this number gets.
    pub fn of(&self, number: u64) -> &[u8] {
        let at = (mixed(number) % POOL_BYTES as u64) as usize;
        &self.pool[at..at + self.bytes]
    }
}

/// Which keys a thread works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pick {
    /// All of them alike.
    Uniform,
    /// Few of them often: Zipf's law with exponent 0.99, the frequent ones scattered over all.
    Zipfian,
    /// One.
    Hot,
}

/// Numbers of keys, at random; the same for the same thread.
pub struct Numbers {
    draw: Draw,
    keys: u64,
    zipf: Option<Zipf>,
}

impl Numbers {
    /// For one thread.
    pub fn new(thread: usize, keys: u64, pick: Pick) -> Self {
        let keys = if pick == Pick::Hot { 1 } else { keys.max(1) };
        let zipf = (pick == Pick::Zipfian).then(|| Zipf::new(keys));
        Self { draw: Draw::from_seed(thread as u64 + 1), keys, zipf }
    }

    /// The next one.
    pub fn next(&mut self) -> u64 {
        match &self.zipf {
            None => self.draw.below(self.keys),
            Some(zipf) => {
                let part = (self.draw.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                mixed(zipf.rank(part)) % self.keys
            }
        }
    }
}

/// Zipf's law over ranks 0 … `ranks`, by the closed form of Gray and others (1994).
struct Zipf {
    ranks: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    fn new(ranks: u64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        let (zeta, count) = (zeta_of(ranks), ranks as f64);
        let eta = (1.0 - (2.0 / count).powf(1.0 - THETA)) / (1.0 - zeta_of(2.min(ranks)) / zeta);
        Self { ranks: count, zeta, alpha: 1.0 / (1.0 - THETA), eta }
    }

    /// The rank at this part, 0 … 1, of all choices.
    fn rank(&self, part: f64) -> u64 {
        let scaled = part * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1;
        }
        let rank = self.ranks * (self.eta * part - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.ranks as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sixteen_digits_in_the_order_of_their_numbers() {
        assert_eq!(&key(0), b"0000000000000000");
        assert_eq!(&key(1_234_567), b"0000000001234567");
        assert!(key(99) < key(100));
    }

    #[test]
    fn values_have_their_size_and_differ() {
        let values = Values::new(100);
        assert!((0..1000).all(|n| values.of(n).len() == 100));
        assert_ne!(values.of(1), values.of(2));
        assert_eq!(values.of(7), values.of(7));
    }

    #[test]
    fn a_hot_key_is_one_and_uniform_keys_are_all() {
        let mut hot = Numbers::new(3, 1000, Pick::Hot);
        assert!((0..100).all(|_| hot.next() == 0));
        let mut uniform = Numbers::new(3, 10, Pick::Uniform);
        let seen: std::collections::BTreeSet<u64> = (0..1000).map(|_| uniform.next()).collect();
        assert_eq!(seen, (0..10).collect());
    }

    #[test]
    fn the_most_frequent_of_a_thousand_zipfian_keys_takes_an_eighth() {
        let mut numbers = Numbers::new(0, 1000, Pick::Zipfian);
        let mut counts = vec![0u32; 1000];
        (0..100_000).for_each(|_| counts[numbers.next() as usize] += 1);
        counts.sort_unstable();
        let top = f64::from(counts[999]) / 100_000.0;
        assert!((0.11..0.16).contains(&top), "{top}");
        assert!(counts[500] > 0);
    }
}
