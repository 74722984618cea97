//! Pure: a number for the whole state of a simulated disk: what the program sees, what is on the medium, and what lies
//! between. States that behave alike have the same number, and with 128 bits no two others will.

use std::collections::{BTreeMap, BTreeSet};

/// How much of a file counts in [`SimDisk::state`](super::SimDisk::state), by its name. One that has several names counts
/// as the weightiest of them says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nothing of it: whether it is there decides nothing.
    Nothing,
    /// Its name: nobody reads what is in it.
    Name,
    /// Everything.
    Whole,
}

/// A sum over words, in two lanes that know nothing of each other.
#[derive(Debug)]
pub(super) struct Digest {
    one: u64,
    two: u64,
    /// Files by the order in which they were met: their own numbers say only when they were made.
    files: BTreeMap<u64, u64>,
    met: u64,
    whole: BTreeSet<u64>,
}

impl Digest {
    pub(super) fn new() -> Self {
        let (one, two) = (0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f);
        Self { one, two, files: BTreeMap::new(), met: 0, whole: BTreeSet::new() }
    }

    pub(super) fn word(&mut self, word: u64) {
        self.one = fold(self.one ^ word, 0xa076_1d64_78bd_642f);
        self.two = fold(self.two.rotate_left(23) ^ word, 0xe703_7ed1_a0b4_28db);
    }

    /// Bytes of a length that is known, or was given before.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.word(rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// A file, by when it was met; its bytes are to follow if any of its names says so.
    pub(super) fn file(&mut self, number: u64, weight: Weight) {
        let known = *self.files.entry(number).or_insert(self.met);
        self.met += u64::from(known == self.met);
        if weight == Weight::Whole {
            self.whole.insert(number);
        }
        self.word(known);
    }

    /// The files whose bytes count, in the order in which they were met.
    pub(super) fn whole(&self) -> Vec<u64> {
        let mut whole: Vec<u64> = self.whole.iter().copied().collect();
        whole.sort_by_key(|number| self.files[number]);
        whole
    }

    pub(super) fn sum(&self) -> u128 {
        u128::from(fold(self.one, self.two | 1)) << 64 | u128::from(fold(self.two, self.one | 1))
    }
}

/// Both halves of a product, one over the other.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}
