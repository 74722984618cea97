//! Pure: numbers drawn from a seed, or from bytes that somebody else chose. Same source, same numbers, for ever.

use std::sync::Arc;

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Draw(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The state of a splitmix64 generator.
    Seed(u64),
    /// Given bytes and how many of them are used up.
    Bytes(Arc<[u8]>, usize),
}

impl Draw {
    /// Numbers that look random, all of them decided by `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Source::Seed(seed))
    }

    /// Numbers made of `bytes`, front to back, and nothing but zeros once they are used up. Zero is the tame choice
    /// everywhere, so that a fuzzer's shorter input is a simpler run.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Source::Bytes(bytes.into(), 0))
    }

    /// A number of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        match &mut self.0 {
            Source::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                mixed(*state)
            }
            Source::Bytes(..) => self.taken(8),
        }
    }

    /// A number below `bound`; 0 where there is none. Given bytes are used up as sparingly as `bound` allows.
    pub fn below(&mut self, bound: u64) -> u64 {
        match (&self.0, bound) {
            (_, 0 | 1) => 0,
            (Source::Seed(_), _) => ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64,
            (Source::Bytes(..), _) => self.taken(8 - (bound - 1).leading_zeros() / 8) % bound,
        }
    }

    fn taken(&mut self, count: u32) -> u64 {
        let Source::Bytes(bytes, used) = &mut self.0 else { return 0 };
        (0..count).fold(0, |number, _| {
            let byte = bytes.get(*used).copied().unwrap_or(0);
            *used = (*used + 1).min(bytes.len());
            number << 8 | u64::from(byte)
        })
    }
}

/// Spreads every bit of `number` over all bits: the last step of splitmix64.
#[must_use]
pub fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
