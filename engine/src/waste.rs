//! Door: how much of the log could go, and how long commits wait for it. All threads share it; what is judged by what was
//! seen is pure (`Sight`).
//!
//! What could go is *dead* in files that may be packed, or has *lapsed* in tables, whose next merge makes it dead. The first
//! is counted, the second is drawn by a sample now and then. What was committed since the last look is taken to make as much
//! lapse as what came before it did. Commits go on freely while that is less than a part of what lives; beyond it they share
//! a rate that falls, smoothly, until it is what merges and compaction give back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use savehold_wal::Lsn;
use savehold_wal::sync::Mutex;

/// What could go, for each byte that lives, from where on it is worth packing a file of which less than half is dead…
pub(crate) const PACKED_FROM: (u64, u64) = (2, 9);
/// …and from where on commits are held back. Where little lives there may be more.
const HELD_FROM: (u64, u64) = (9, 20);
const HELD_FROM_LEAST: u64 = 64 << 20;
/// In files that are packed what lives takes more than the tables list: commits are never held back before so much could go
/// for each byte that it takes there, which is half as much again as what packing begins at.
const HELD_FROM_FILED: (u64, u64) = (1, 3);
/// So much over that line is the bend: there commits share a rate of so many bytes a second.
const BEND: (u64, u64) = (3, 20);
const BEND_LEAST: u64 = 32 << 20;
const BEND_RATE: u64 = 8 << 20;
/// So many bends over the line whoever takes tickets waits too.
const FAR_BENDS: u64 = 2;
/// A table is worth it when so much was committed since the last one, where that makes anything lapse to speak of.
const TABLE_FROM: (u64, u64) = (1, 12);
const TABLE_FROM_LEAST: u64 = 16 << 20;
const SPEAKS: f64 = 0.125;
/// So much that no table lists is worth one where nothing is committed any more: what lapsed by it can go then.
const IDLE_TABLE_FROM: u64 = 256 << 10;
/// One commit waits no longer, and shorter times are not waited, but left to whoever comes next.
const PAUSE_MAX: Duration = Duration::from_millis(100);
const PAUSE_LEAST: Duration = Duration::from_micros(100);

/// How much of the log could go. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Waste {
    /// Who commits behind this place looks more closely.
    line: AtomicU64,
    sight: Mutex<Sight>,
}

/// What was seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sight {
    /// Bytes that the tables list and that have not lapsed.
    live: u64,
    dead: u64,
    /// What is not dead in files that may be packed, with all that a file has besides.
    filed: u64,
    lapsed: u64,
    /// Bytes that the tables listed behind the last merge of all of them.
    merged: u64,
    /// What part of the bytes that are committed make as many lapse.
    share: f64,
    /// What lapsed was drawn among what stands before this place.
    seen: Lsn,
    /// Everything before it is in a table.
    floor: Lsn,
    /// For how much of what came since whoever writes tables was woken.
    woken: Woken,
    /// Tables cannot be written or merged, or packing fails: commits would wait for nothing.
    stuck: Stuck,
    /// When the next commit that is held back may go on, by the monotonic clock.
    next: Duration,
}

/// What gives nothing back because it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stuck {
    tables: bool,
    packing: bool,
}

/// For how much of what no table lists whoever writes them was woken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Woken {
    #[default]
    No,
    /// For what is worth a table when nothing more comes.
    ToWait,
    /// For what is worth one now.
    ToWrite,
}

impl Default for Waste {
    fn default() -> Self {
        Self { line: AtomicU64::new(u64::MAX), sight: Mutex::default() }
    }
}

impl Waste {
    /// Of a store that is opened: its tables list `listed` bytes, all before `floor`. Nobody has looked yet what of that
    /// has lapsed.
    pub(crate) fn new(listed: u64, floor: Lsn) -> Self {
        let waste = Self::default();
        waste.note_lapsed(listed, 0, floor);
        waste.note_floor(floor);
        waste
    }

    /// Whether a commit that ends at `end` looks more closely.
    #[inline]
    pub(crate) fn is_over(&self, end: Lsn) -> bool {
        end.raw() >= self.line.load(Ordering::Relaxed)
    }

    /// Counts a commit of so many bytes that ends at `end`; whether who writes tables is to be woken.
    #[cold]
    pub(crate) fn count(&self, bytes: u64, end: Lsn, now: Duration) -> bool {
        self.change(|sight| {
            let woken = match () {
                () if sight.is_table_due(end) => Woken::ToWrite,
                () if sight.is_idle_table_due(end) => Woken::ToWait,
                () => Woken::No,
            };
            let wake = woken > sight.woken;
            sight.woken = sight.woken.max(woken);
            sight.count(bytes, end, now);
            wake
        })
    }

    /// How long whoever has committed up to `end` waits: until everything that was counted has had its turn.
    #[cold]
    pub(crate) fn pause(&self, end: Lsn, now: Duration) -> Option<Duration> {
        self.sight.lock().pause(end, now)
    }

    /// Whether so much could go that whoever takes tickets waits too.
    #[cold]
    pub(crate) fn is_far_over(&self, end: Lsn) -> bool {
        let sight = self.sight.lock();
        sight.over(end) >= FAR_BENDS * sight.bend()
    }

    /// Whether what was committed up to `end` is worth a table, so that it can be seen what lapsed by it.
    pub(crate) fn is_table_due(&self, end: Lsn) -> bool {
        self.sight.lock().is_table_due(end)
    }

    /// Whether it is worth one where nothing more comes.
    pub(crate) fn is_idle_table_due(&self, end: Lsn) -> bool {
        self.sight.lock().is_idle_table_due(end)
    }

    /// How much there is to be packed: nothing to speak of is 0, and at 1 commits are about to be held back.
    pub(crate) fn urgency(&self, end: Lsn) -> f64 {
        let sight = *self.sight.lock();
        let (from, to) = (part(sight.live, PACKED_FROM), sight.held_from());
        let over = sight.could_go(end).saturating_sub(from);
        (over as f64 / (to.saturating_sub(from)).max(1) as f64).min(1.0)
    }

    /// Bytes that could go, about: dead ones, those that lapsed, and what was committed since has made lapse.
    pub(crate) fn could_go(&self, end: Lsn) -> u64 {
        self.sight.lock().could_go(end)
    }

    /// Of `listed` bytes that the tables list, all before `floor`, so many have lapsed.
    pub(crate) fn note_lapsed(&self, listed: u64, lapsed: u64, floor: Lsn) {
        self.change(|sight| {
            let grown = listed.saturating_sub(sight.merged);
            if grown >= listed / 32 {
                sight.share = (lapsed as f64 / grown.max(1) as f64).min(1.0);
            }
            (sight.lapsed, sight.live, sight.seen) = (lapsed, listed.saturating_sub(lapsed), floor);
        });
    }

    /// All tables were merged into one that lists `listed` bytes, all before `floor`: nothing that lapsed is in it.
    pub(crate) fn note_merged(&self, listed: u64, floor: Lsn) {
        self.change(|sight| {
            (sight.lapsed, sight.live, sight.merged, sight.seen) = (0, listed, listed, floor);
        });
    }

    /// Everything before `floor` is in a table.
    pub(crate) fn note_floor(&self, floor: Lsn) {
        self.change(|sight| (sight.floor, sight.woken) = (floor, Woken::No));
    }

    /// Files that may be packed have so many bytes that are dead, and so many that are not.
    pub(crate) fn note_dead(&self, dead: u64, filed: u64) {
        self.change(|sight| (sight.dead, sight.filed, sight.stuck.packing) = (dead, filed, false));
    }

    /// Packing fails: nobody waits for it.
    pub(crate) fn note_packing_stuck(&self) {
        self.change(|sight| sight.stuck.packing = true);
    }

    /// Tables cannot be written or merged: nobody waits for it.
    pub(crate) fn note_tables_stuck(&self) {
        self.change(|sight| sight.stuck.tables = true);
    }

    /// Whatever was due for tables is done.
    pub(crate) fn note_tables_tended(&self) {
        if self.sight.lock().stuck.tables {
            self.change(|sight| sight.stuck.tables = false);
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Sight) -> R) -> R {
        let mut sight = self.sight.lock();
        let answer = change(&mut sight);
        self.line.store(sight.line(), Ordering::Relaxed);
        answer
    }
}

impl Sight {
    fn could_go(&self, end: Lsn) -> u64 {
        let since = end.bytes_since(self.seen).unwrap_or(0);
        self.dead + self.lapsed + (self.share * since as f64) as u64
    }

    fn held_from(&self) -> u64 {
        part(self.live, HELD_FROM).max(part(self.filed, HELD_FROM_FILED)).max(HELD_FROM_LEAST)
    }

    fn speaks(&self) -> bool {
        self.share >= SPEAKS
    }

    fn table_from(&self) -> u64 {
        part(self.live, TABLE_FROM).max(TABLE_FROM_LEAST)
    }

    fn is_table_due(&self, end: Lsn) -> bool {
        self.speaks() && end.bytes_since(self.floor).unwrap_or(0) >= self.table_from()
    }

    fn is_idle_table_due(&self, end: Lsn) -> bool {
        let since = match self.floor {
            Lsn::NONE => end.offset(), // nothing was ever written before
            floor => end.bytes_since(floor).unwrap_or(u64::MAX), // in another timeline: all of it
        };
        since >= IDLE_TABLE_FROM
    }

    /// So much more could go than commits may leave behind without waiting for it.
    fn over(&self, end: Lsn) -> u64 {
        if self.stuck != Stuck::default() { 0 } else { self.could_go(end).saturating_sub(self.held_from()) }
    }

    fn bend(&self) -> u64 {
        part(self.live, BEND).max(BEND_LEAST)
    }

    /// Takes the turn of a commit behind those that were counted before. What nobody waited for is not owed for ever: else,
    /// after an hour of too much, a byte over the line would be waited for as if it were all of that.
    fn count(&mut self, bytes: u64, end: Lsn, now: Duration) {
        let over = self.over(end);
        if over == 0 {
            return;
        }
        let bend = over as f64 / self.bend() as f64;
        let takes =
            Duration::from_secs_f64((bend * bend * bytes as f64 / BEND_RATE as f64).min(1.0)).min(PAUSE_MAX);
        self.next = (self.next.max(now) + takes).min(now + PAUSE_MAX);
    }

    fn pause(&self, end: Lsn, now: Duration) -> Option<Duration> {
        let pause = self.next.saturating_sub(now).min(PAUSE_MAX);
        (self.over(end) > 0 && pause >= PAUSE_LEAST).then_some(pause)
    }

    /// The first place at which something is to be done.
    fn line(&self) -> u64 {
        let table = match self.woken {
            Woken::No => behind(self.floor, IDLE_TABLE_FROM),
            Woken::ToWait if self.speaks() => behind(self.floor, self.table_from()),
            _ => u64::MAX,
        };
        let free = self.held_from().saturating_sub(self.dead + self.lapsed);
        let held = match () {
            () if self.stuck != Stuck::default() => u64::MAX,
            () if free == 0 => 0,
            () if self.share == 0.0 => u64::MAX,
            () => behind(self.seen, (free as f64 / self.share) as u64),
        };
        table.min(held)
    }
}

fn part(of: u64, (n, all): (u64, u64)) -> u64 {
    u64::try_from(u128::from(of) * u128::from(n) / u128::from(all)).unwrap_or(u64::MAX)
}

fn behind(place: Lsn, bytes: u64) -> u64 {
    place.raw().saturating_add(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn at(mib: u64) -> Lsn {
        Lsn::new(1, mib * MIB)
    }

    /// A store of which one GiB lives, and of which all that is written makes as much lapse.
    fn overwritten() -> Waste {
        let waste = Waste::default();
        waste.note_merged(GIB, at(0));
        waste.note_floor(at(100));
        waste.note_lapsed(GIB + 100 * MIB, 100 * MIB, at(100));
        waste
    }

    fn waits_for(waste: &Waste, bytes: u64, mib: u64, now: Duration) -> Option<Duration> {
        waste.count(bytes, at(mib), now);
        waste.pause(at(mib), now)
    }

    #[test]
    fn a_store_that_only_grows_waits_for_nothing() {
        let waste = Waste::default();
        for mib in 0..10_000 {
            waste.note_floor(at(mib));
            waste.note_lapsed(mib * MIB, 0, at(mib));
            let wakes = waste.count(1 << 20, at(mib + 9_000), Duration::ZERO);
            assert!(wakes, "to look again when nothing more comes");
            assert_eq!(waste.pause(at(mib + 9_000), Duration::ZERO), None);
            assert!(!waste.is_over(at(mib + 9_000)));
        }
        assert_eq!((waste.could_go(at(99_999)), waste.urgency(at(99_999))), (0, 0.0));
    }

    #[test]
    fn what_was_written_since_counts_as_what_came_before_it_did() {
        let waste = overwritten();
        assert_eq!(waste.could_go(at(100)), 100 * MIB);
        assert_eq!(waste.could_go(at(150)), 150 * MIB);
        waste.note_dead(30 * MIB, 0);
        assert_eq!(waste.could_go(at(150)), 180 * MIB);
        waste.note_merged(GIB, at(150));
        assert_eq!(waste.could_go(at(160)), 40 * MIB);
    }

    #[test]
    fn a_new_store_is_not_worth_a_table_for_its_first_commits() {
        let (new, old) = (Waste::new(0, Lsn::NONE), Waste::new(0, Lsn::new(1, 4096)));
        let end = |timeline, kib: u64| Lsn::new(timeline, kib << 10);
        assert!(!new.is_idle_table_due(end(1, 60)) && new.is_idle_table_due(end(1, 600)));
        assert!(!old.is_idle_table_due(end(1, 60)) && old.is_idle_table_due(end(2, 60)));
    }

    #[test]
    fn who_writes_tables_is_woken_once_for_each() {
        let waste = overwritten();
        let wakes = |mib| waste.is_over(at(mib)) && waste.count(1000, at(mib), Duration::ZERO);
        assert_eq!([100, 101, 180, 186, 190, 300].map(wakes), [false, true, false, true, false, false]);
        waste.note_floor(at(300));
        assert_eq!([300, 386, 387].map(wakes), [false, true, false]);
        assert!(waste.is_idle_table_due(at(301)) && !waste.is_table_due(at(301)));
    }

    #[test]
    fn commits_are_held_back_beyond_a_line_and_then_more_and_more() {
        let waste = overwritten();
        waste.note_dead(200 * MIB, 0);
        let held = |mib: u64| {
            let mut waits = Duration::ZERO;
            for _ in 0..1000 {
                let now = Duration::from_secs(mib * 10) + waits; // each comes when the one before has gone on
                waits += waits_for(&waste, 1100, mib, now).unwrap_or_default();
            }
            waits.as_millis()
        };
        assert_eq!([200, 260].map(held), [0, 0], "up to nine twentieths of what lives");
        let (some, much, most) = (held(300), held(400), held(600));
        assert!((1..40).contains(&some) && (80..200).contains(&much) && most > 400, "{some} {much} {most}");
        waste.note_packing_stuck();
        assert!(!waste.is_over(at(600)) || waits_for(&waste, 1100, 600, Duration::ZERO).is_none());
        waste.note_dead(0, 0);
        assert_eq!(held(400), 0, "what was packed is no longer waited for");
        waste.note_dead(400 * MIB, 0);
        assert!(held(400) > 100);
        waste.note_tables_stuck();
        waste.note_dead(400 * MIB, 0);
        assert_eq!(held(400), 0, "what is packed brings no merge about");
        waste.note_tables_tended();
        assert!(held(400) > 100);
    }

    #[test]
    fn no_commit_waits_longer_than_a_moment() {
        let waste = overwritten();
        waste.note_dead(100 * GIB, 0);
        for n in 0..100 {
            let pause = waits_for(&waste, 64 * MIB, 200, Duration::ZERO);
            assert!(pause.is_none_or(|pause| pause <= PAUSE_MAX), "{n}: {pause:?}");
        }
    }

    #[test]
    fn what_nobody_waited_for_is_forgotten_once_it_is_given_back() {
        let waste = overwritten();
        waste.note_dead(900 * MIB, 0); // four times as far behind the line as the bend is
        for tenth in 0..600 {
            let now = Duration::from_millis(100 * tenth);
            (0..64).for_each(|_| {
                assert!(waits_for(&waste, 1100, 200, now).is_none_or(|pause| pause <= PAUSE_MAX))
            });
        }
        let later = |ms: u64| Duration::from_millis(60_000 + ms);
        waste.note_dead(0, 0);
        assert_eq!(waits_for(&waste, 1100, 200, later(0)), None);
        waste.note_dead(part(GIB, HELD_FROM) - 200 * MIB + 1, 0);
        assert_eq!(waits_for(&waste, 1100, 200, later(100)), None, "a byte over the line");
    }

    #[test]
    fn a_store_that_is_opened_knows_what_lives_before_anybody_has_looked() {
        let waste = Waste::new(10 * GIB, at(9_000));
        waste.note_dead(GIB, 0);
        assert!(!waste.is_over(at(9_000)) && !waste.is_idle_table_due(at(9_000)));
        assert_eq!(waits_for(&waste, 64 * MIB, 9_001, Duration::ZERO), None);
    }

    #[test]
    fn the_more_could_go_the_more_urgent_it_is() {
        let waste = overwritten();
        let urgency = |dead| {
            waste.note_dead(dead * MIB, 0);
            (waste.urgency(at(100)) * 100.0).round() as u64
        };
        assert_eq!([0, 100, 128, 244, 361, 9_000].map(urgency), [0, 0, 0, 50, 100, 100]);
    }
}
