//! Corridor: the keys and values that are measured with, and a store filled with them.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Collection, Durability, Options, Store};
use savehold_wal::draw::{Draw, mixed};

use crate::args::{self, Workload};
use crate::exit::Failure;

/// How long a restart may take unless something else is measured: the default.
pub(super) const BUDGET: Duration = Duration::from_millis(100);

/// The collection that is measured.
pub(super) const COLLECTION: &str = "players";

/// Tickets under way while a store is filled.
const UNDER_WAY: usize = 4096;

/// The key with this number: sixteen digits.
pub(super) fn key(number: u64) -> [u8; 16] {
    let (mut key, mut rest) = ([b'0'; 16], number);
    for digit in key.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// A value of so many bytes that do not repeat.
pub(super) fn value(bytes: u64) -> Bytes {
    (0..bytes).map(|at| mixed(at) as u8).collect()
}

/// Numbers of keys, at random; the same for the same thread.
pub(super) struct Numbers {
    draw: Draw,
    records: u64,
    /// The first number, and the distance from one to the next.
    first: u64,
    step: u64,
}

impl Numbers {
    /// For one thread of a run.
    pub(super) fn new(thread: usize, work: &Workload) -> Self {
        let records = if work.hot { 1 } else { work.records };
        Self { draw: Draw::from_seed(thread as u64 + 1), records, first: 0, step: 1 }
    }

    /// Numbers that no other thread of the run has: what one thread plays, none takes away from it.
    pub(super) fn own(thread: usize, work: &Workload) -> Self {
        let (all, step) = (Self::new(thread, work), u64::from(work.threads).max(1));
        Self { records: all.records.div_ceil(step), first: thread as u64, step, ..all }
    }

    /// The next key.
    pub(super) fn key(&mut self) -> [u8; 16] {
        key(self.draw.below(self.records) * self.step + self.first)
    }
}

/// When commits of a run are answered.
pub(super) fn durability(work: &Workload) -> Durability {
    match work.durability {
        args::Durability::Synced => Durability::Synced,
        args::Durability::Buffered => Durability::Buffered,
    }
}

/// A restart may take so long that no checkpoint comes: what is replayed is all that was written.
pub(super) const NO_CHECKPOINT: Duration = Duration::from_secs(24 * 3600);

/// A restart may take the time `budget`; where it may take any, the index may take any memory too.
pub(super) fn options(budget: Duration) -> Options {
    let options = Options::new().recovery_budget(budget);
    if budget == NO_CHECKPOINT { options.memory_budget(1 << 40) } else { options }
}

/// Makes a store in `dir` with every key once, all of it durable. A restart may take the time `budget`.
pub(super) fn filled(dir: &Path, work: &Workload, budget: Duration) -> Result<Store, Failure> {
    let store = options(budget).durability(Durability::Buffered).open(dir)?;
    let (players, value) = (players(&store)?, value(work.value_size));
    let mut under_way = VecDeque::with_capacity(UNDER_WAY);
    for number in 0..work.records {
        if under_way.len() == UNDER_WAY
            && let Some(ticket) = under_way.pop_front()
        {
            wait(ticket)?;
        }
        loop {
            let ticket = players.set_async(&key(number), &value);
            if !ticket.is_ready() {
                under_way.push_back(ticket);
                break;
            }
            match ticket.wait() {
                Ok(_) => break,
                Err(e) if e.kind() == savehold::ErrorKind::Busy => {
                    if let Some(ticket) = under_way.pop_front() {
                        wait(ticket)?;
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
    under_way.into_iter().try_for_each(wait)?;
    store.sync()?;
    Ok(store)
}

/// The collection that is measured.
pub(super) fn players(store: &Store) -> Result<Collection<Bytes>, Failure> {
    Ok(store.raw(COLLECTION)?)
}

fn wait(ticket: savehold::Ticket<savehold::Version>) -> Result<(), Failure> {
    ticket.wait().map(drop).map_err(Failure::from)
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
    fn no_two_threads_have_a_number_of_their_own_in_common() {
        let work = Workload {
            records: 7,
            value_size: 100,
            threads: 3,
            in_flight: 1,
            seconds: 1,
            durability: args::Durability::Synced,
            hot: false,
        };
        let of = |thread| -> std::collections::BTreeSet<_> {
            let mut numbers = Numbers::own(thread, &work);
            (0..100).map(|_| numbers.key()).collect()
        };
        assert_eq!(of(1), [key(1), key(4), key(7)].into());
        assert!(of(0).is_disjoint(&of(1)) && of(0).is_disjoint(&of(2)) && of(1).is_disjoint(&of(2)));
    }

    #[test]
    fn a_value_has_its_size() {
        assert_eq!(value(0).len(), 0);
        assert_eq!(value(1000).len(), 1000);
    }
}
