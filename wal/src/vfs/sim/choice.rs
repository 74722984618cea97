//! Pure: what a power cut leaves of each thing that was not yet durable.

use crate::draw::Draw;

/// One thing that is not yet durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The change that made it, counted as [`Counts::changes`](crate::vfs::fault::Counts::changes) counts them.
    pub change: u64,
    /// What it is.
    pub what: What,
}

/// What is not yet durable. Files go by the number that [`SimDisk::file_number`](super::SimDisk::file_number) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A sector of 512 bytes was written. A sector that was given the bytes it has on the medium is not pending.
    Sector {
        /// Whose.
        file: u64,
        /// Which, from the front of the file.
        sector: u64,
    },
    /// The length changed, or space was allocated.
    Length {
        /// Whose.
        file: u64,
        /// The new length in bytes.
        to: u64,
    },
    /// A name appeared, changed or went.
    Name,
}

/// What becomes of one pending thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never happened.
    Old,
    /// It reached the medium.
    New,
    /// The power went in the middle of this sector. Names and lengths cannot tear: they stay as they were.
    Torn(Tear),
}

/// How a sector tears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// So many bytes in front are new, the rest is old.
    Front(usize),
    /// So many bytes at the back are new, the rest is old.
    Back(usize),
    /// All bytes are zero.
    Zeros,
    /// All bytes are noise from this seed.
    Noise(u64),
}

/// Which pending things a power cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None of them.
    KeepNone,
    /// All of them.
    KeepAll,
    /// Some, and perhaps one torn sector: by seed, in one of several manners (each for itself, a prefix in the order
    /// of the changes, all but one, just one).
    Seed(u64),
    /// The n-th pending thing where bit n is set, in the order of [`SimDisk::pending`](super::SimDisk::pending);
    /// none past the 128th.
    Pattern(u128),
}

impl Tear {
    /// The torn sector, `new` over `old`.
    pub(super) fn apply(self, old: &mut [u8], new: &[u8]) {
        let whole = old.len();
        match self {
            Self::Front(bytes) => old[..bytes.min(whole)].copy_from_slice(&new[..bytes.min(whole)]),
            Self::Back(bytes) => {
                let from = whole.saturating_sub(bytes);
                old[from..].copy_from_slice(&new[from..]);
            }
            Self::Zeros => old.fill(0),
            Self::Noise(seed) => {
                let mut draw = Draw::from_seed(seed);
                old.fill_with(|| draw.next_u64() as u8);
            }
        }
    }
}

/// Decides the fates of `pending` things by draws.
pub(super) struct Decider<'a> {
    draw: &'a mut Draw,
    manner: Manner,
    torn: Option<u64>,
    asked: u64,
}

enum Manner {
    /// Each for itself, with so many chances in 256.
    Each(u64),
    /// All made by this change or an earlier one.
    Through(u64),
    AllBut(u64),
    Only(u64),
}

impl<'a> Decider<'a> {
    /// A decider over `count` things, made by the changes `changes.0..=changes.1`.
    pub(super) fn new(draw: &'a mut Draw, count: u64, changes: (u64, u64)) -> Self {
        let manner = match draw.below(8) {
            0 => Manner::Each(0),
            1 => Manner::Each(256),
            2 => Manner::Each(32),
            3 => Manner::Each(224),
            4 => Manner::Through(changes.0 + draw.below(changes.1.saturating_sub(changes.0) + 1)),
            5 => Manner::AllBut(draw.below(count)),
            6 => Manner::Only(draw.below(count)),
            _ => Manner::Each(128),
        };
        let torn = (draw.below(2) == 1).then(|| draw.below(count));
        Self { draw, manner, torn, asked: 0 }
    }

    pub(super) fn fate(&mut self, pending: &Pending) -> Fate {
        let index = self.asked;
        self.asked += 1;
        if self.torn == Some(index) {
            return Fate::Torn(self.tear());
        }
        let kept = match self.manner {
            Manner::Each(0) => false,
            Manner::Each(chances) => self.draw.below(256) < chances,
            Manner::Through(change) => pending.change <= change,
            Manner::AllBut(one) => index != one,
            Manner::Only(one) => index == one,
        };
        if kept { Fate::New } else { Fate::Old }
    }

    fn tear(&mut self) -> Tear {
        match self.draw.below(4) {
            0 => Tear::Front(1 + self.draw.below(511) as usize),
            1 => Tear::Back(1 + self.draw.below(511) as usize),
            2 => Tear::Zeros,
            _ => Tear::Noise(self.draw.next_u64()),
        }
    }
}
