//! Pure: the one function that says whether a lease still lives.
//!
//! | grant | holder in memory | verdict |
//! |---|---|---|
//! | inside, of another run | whatever | stale: that process is dead, the lock of the store proves it |
//! | any | none | stale: it is gone |
//! | external, of another life | whatever | stale: a newer life has begun |
//! | any | in a later stint | stale: it was silent for too long, or gone, and came back since |
//! | any | its deadline is now or past | stale: it has been silent for too long |
//! | any | otherwise | lives |
//!
//! A holder whose deadline passed, or whose last handle went, begins a new *stint* before it can be heard again: so a
//! lease that was stale once is stale for ever, whoever asks and whenever.

use std::time::Duration;

use super::ended::Ended;
use super::grant::Life;

/// What memory knows of a holder's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// Which of its lives: of an inside holder the run.
    pub(crate) life: Life,
    /// Counts its deaths.
    pub(crate) stint: u64,
    /// It is dead from then on (boot clock); `None`: its handle keeps it alive.
    pub(crate) deadline: Option<Duration>,
}

/// Why a lease is over though no record says so yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The process is dead, or the last handle went.
    Gone,
    /// The holder began another life.
    OtherLife,
    /// It was silent for too long.
    Silent,
}

impl Stale {
    /// What its holder learns.
    pub(crate) fn ended(self) -> Ended {
        match self {
            Self::Gone | Self::OtherLife => Ended::Closed,
            Self::Silent => Ended::Expired,
        }
    }
}

/// Whether a lease of `life`, granted in this `stint` of its holder, is over at `now` (boot clock) in the run `run`.
pub(crate) fn stale(
    life: Life,
    stint: u64,
    holder: Option<&Pulse>,
    now: Duration,
    run: u64,
) -> Option<Stale> {
    let Some(pulse) = holder.filter(|_| !matches!(life, Life::Inside(of) if of != run)) else {
        return Some(Stale::Gone);
    };
    if pulse.life != life {
        return Some(Stale::OtherLife);
    }
    if pulse.stint != stint {
        let silent = matches!(life, Life::External(_)) || pulse.deadline.is_some();
        return Some(if silent { Stale::Silent } else { Stale::Gone });
    }
    pulse.deadline.filter(|deadline| now >= *deadline).map(|_| Stale::Silent)
}
