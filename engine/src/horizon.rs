//! Pure: how far commits have come in commit order, and in memory.
//!
//! A record is placed, and entered into memory, under the commit lock; whoever writes what is placed answers it without that lock.
//! So an answer may be there before the last of its record's keys is in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use savehold_wal::Lsn;

/// How far commits have come.
#[derive(Debug)]
pub(crate) struct Horizon {
    /// The newest place in commit order.
    sequenced: AtomicU64,
    /// Readers see nothing behind it: a commit is entering memory.
    shown: AtomicU64,
}

impl Horizon {
    /// Everything up to `lsn` is in memory.
    pub(crate) const fn new(lsn: Lsn) -> Self {
        Self { sequenced: AtomicU64::new(lsn.raw()), shown: AtomicU64::new(Lsn::MAX.raw()) }
    }

    /// The newest place in commit order.
    #[inline]
    pub(crate) fn sequenced(&self) -> Lsn {
        Lsn::from_raw(self.sequenced.load(Ordering::Acquire))
    }

    /// Moves the newest place on; under the commit lock.
    #[inline]
    pub(crate) fn raise(&self, lsn: Lsn) {
        self.sequenced.store(lsn.raw(), Ordering::Release);
    }

    /// Everything up to it that has its place is in memory.
    #[inline]
    pub(crate) fn shown(&self) -> Lsn {
        Lsn::from_raw(self.shown.load(Ordering::Acquire))
    }

    /// While a record is placed and entered into memory; under the commit lock.
    #[inline]
    pub(crate) fn entering(&self) -> Entering<'_> {
        Entering(self)
    }
}

/// A record is entering memory: until this goes, readers see nothing behind what was there before it. Whoever learns of its answer
/// meanwhile was told by somebody who found it placed: so he finds this stored, or the record in memory.
pub(crate) struct Entering<'a>(&'a Horizon);

impl Entering<'_> {
    /// It is placed now; everything before `acknowledged` has its answer, and nothing more gets one meanwhile.
    #[inline]
    pub(crate) fn begin(&self, acknowledged: Lsn) {
        let shown = self.0.sequenced().max(before(acknowledged));
        self.0.shown.store(shown.raw(), Ordering::Release);
    }
}

impl Drop for Entering<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.shown.store(Lsn::MAX.raw(), Ordering::Release);
    }
}

/// The largest place before `lsn`: a moment includes the place it names.
pub(crate) fn before(lsn: Lsn) -> Lsn {
    Lsn::from_raw(lsn.raw().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_there_until_a_record_is_in_memory() {
        let lsn = Lsn::from_raw;
        let horizon = Horizon::new(lsn(10));
        assert_eq!((horizon.sequenced(), horizon.shown()), (lsn(10), Lsn::MAX));
        for (acknowledged, shown) in [(5, 10), (11, 10), (20, 19)] {
            let entering = horizon.entering();
            assert_eq!(horizon.shown(), Lsn::MAX, "it has no place yet");
            entering.begin(lsn(acknowledged));
            assert_eq!(horizon.shown(), lsn(shown), "{acknowledged}");
            drop(entering);
            assert_eq!(horizon.shown(), Lsn::MAX);
        }
        horizon.raise(lsn(30));
        let entering = horizon.entering();
        entering.begin(lsn(20));
        assert_eq!(horizon.shown(), lsn(30));
    }
}
