//! Pure: the dice of unit tests, one seed each, so that a failure repeats.

/// A small generator of numbers (xorshift*), for tests only.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number of any size: small ones are as likely as large ones.
    pub(crate) fn number(&mut self) -> u64 {
        let bits = self.below(64);
        self.next() >> bits
    }

    /// Between `least` and `most` random bytes.
    pub(crate) fn bytes(&mut self, least: usize, most: usize) -> Vec<u8> {
        let len = least + self.below(most - least + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }
}
