//! Pure: how many different keys there were, in memory that does not grow with them: counted while they are few, and
//! estimated from a sketch (HyperLogLog) when they are many, to within some two per cent.

use std::collections::HashSet;

use foldhash::fast::FixedState;

/// Registers of a sketch, a byte each: 2^12 of them err by 1.04 / 2^6.
const REGISTERS: usize = 1 << 12;

/// Different keys.
#[derive(Clone, Debug)]
pub(super) enum Different {
    /// Prints of all of them.
    Counted(HashSet<u64, FixedState>),
    /// Of each register the longest run of zeros that a print began with, and one.
    About(Box<[u8; REGISTERS]>),
}

impl Default for Different {
    fn default() -> Self {
        Self::Counted(HashSet::default())
    }
}

impl Different {
    /// Notes a key by its print, a good hash of it; says whether that took memory.
    pub(super) fn note(&mut self, print: u64) -> bool {
        match self {
            Self::Counted(prints) => prints.insert(print),
            Self::About(registers) => {
                enter(registers, print);
                false
            }
        }
    }

    /// From now on an estimate.
    pub(super) fn estimate(&mut self) {
        if let Self::Counted(prints) = self {
            let mut registers = Box::new([0; REGISTERS]);
            prints.iter().for_each(|print| enter(&mut registers, *print));
            *self = Self::About(registers);
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Counted(prints) => prints.len() as u64,
            Self::About(registers) => estimated(registers),
        }
    }
}

fn enter(registers: &mut [u8; REGISTERS], print: u64) {
    let register = &mut registers[print as usize % REGISTERS];
    let rank = (print >> REGISTERS.trailing_zeros() | 1 << 51).trailing_zeros() as u8 + 1;
    *register = (*register).max(rank);
}

fn estimated(registers: &[u8; REGISTERS]) -> u64 {
    let m = REGISTERS as f64;
    let harmonic: f64 = registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / harmonic;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    let few = raw <= 2.5 * m && empty > 0; // there the registers that are still empty tell more
    let count = if few { m * (m / empty as f64).ln() } else { raw };
    count.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use savehold_wal::draw::mixed;

    #[test]
    fn few_are_counted_and_many_are_estimated_within_a_few_per_cent() {
        for many in [0_u64, 1, 1000, 20_000, 300_000] {
            let mut keys = Different::default();
            for n in (0..many).chain(0..many / 2) {
                keys.note(mixed(n));
            }
            assert_eq!(keys.count(), many);
            keys.estimate();
            (0..many).for_each(|n| assert!(!keys.note(mixed(n))));
            let off = keys.count().abs_diff(many) as f64;
            assert!(off <= 0.06 * many as f64, "{} where there are {many}", keys.count());
        }
    }
}
