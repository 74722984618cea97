use std::time::Duration;

use super::*;
use crate::retention::{Extent, Looked, Share};
use crate::tests::Dice;
use crate::waste::Waste;

const MIB: u64 = 1 << 20;

fn file(n: u64, mib: u64, dead_mib: u64) -> File {
    let base = Lsn::new(1 + (n / 100) as u16, n * 64 * MIB);
    File { base, first: true, bytes: mib * MIB, dead: dead_mib * MIB, packed: false, unsettled: None }
}

fn files(all: &[(u64, u64)]) -> Vec<File> {
    all.iter().zip(0..).map(|((mib, dead), n)| file(n, *mib, *dead)).collect()
}

#[test]
fn what_is_half_dead_goes_and_takes_neighbours_along_that_gain_by_it() {
    for (all, run) in [
        (&[][..], None),
        (&[(64, 0), (64, 10), (64, 0)], None),
        (&[(64, 32), (64, 10), (64, 0)], Some(0..1)),
        (&[(64, 0), (64, 32), (64, 55), (64, 42), (64, 0)], Some(2..4)),
        (&[(64, 64), (64, 64), (64, 64), (64, 64), (64, 64)], Some(1..5)),
        (&[(64, 20), (64, 20), (64, 25)], Some(2..3)),
    ] {
        assert_eq!(due(&files(all)), run, "{all:?}");
    }
}

#[test]
fn a_rest_segment_goes_with_the_one_in_whose_space_it_lies() {
    let mut all = files(&[(64, 0), (64, 60), (64, 0)]);
    all[1].first = false;
    assert_eq!(due(&all), Some(0..2));
    assert_eq!(all_due(&all), vec![0..2]);
    all[0].first = false;
    assert_eq!((due(&all), all_due(&all)), (None, vec![]));
}

#[test]
fn timelines_are_not_mixed() {
    let all = [file(98, 64, 64), file(99, 64, 64), file(100, 64, 64), file(101, 64, 60)];
    assert_eq!(due(&all), Some(2..4));
    assert_eq!(all_due(&all), [0..2, 2..4]);
}

#[test]
fn small_packed_files_become_few() {
    let mut all: Vec<File> = (0..7).map(|n| File { packed: true, ..file(n, 1, 0) }).collect();
    assert_eq!(due(&all), None);
    all.push(File { packed: true, ..file(7, 1, 0) });
    all.push(file(8, 1, 0));
    assert_eq!(due(&all), Some(0..8));
}

#[test]
fn files_for_which_endings_wait_are_packed_once_as_much_was_logged_as_they_have() {
    let of = |all: &[Option<u64>]| -> Vec<File> {
        let one = |(since, n): (&Option<u64>, u64)| File {
            unsettled: since.map(|mib| mib * MIB),
            ..file(n, 16, 0)
        };
        all.iter().zip(0..).map(one).collect()
    };
    for (all, due, asked) in [
        (&[][..], None, &[][..]),
        (&[None, None], None, &[]),
        (&[None, Some(15), None], None, &[(1, 2)]),
        (&[None, Some(16), None], Some(1..2), &[(1, 2)]),
        (&[Some(0), None, Some(31)], None, &[(0, 1), (2, 3)]),
        (&[Some(0), None, Some(32)], Some(2..3), &[(0, 1), (2, 3)]),
        (&[Some(32), Some(32), None], Some(0..2), &[(0, 2)]),
    ] {
        let files = of(all);
        let runs: Vec<_> = settling(&files, 0).iter().map(|run| (run.start, run.end)).collect();
        assert_eq!((settling_due(&files), &runs[..]), (due, asked), "{all:?}");
        assert_eq!((super::due(&files), all_due(&files)), (None, vec![]), "worth nothing else");
    }
}

#[test]
fn however_the_dead_lies_spread_the_log_stays_within_its_bounds_and_work_ends() {
    let mut all: Vec<File> = (0..64).map(|n| file(n, 64, (n * 7) % 40)).collect();
    let mut copied = 0;
    while let Some(run) = due(&all) {
        let live: u64 = all[run.clone()].iter().map(File::live).sum();
        copied += live;
        let packed = File { bytes: live + 16_384, dead: 0, packed: true, ..all[run.start] };
        all.splice(run, [packed]);
    }
    let (dead, live) = all.iter().fold((0, 0), |(d, l), f| (d + f.dead, l + f.live()));
    assert!(dead * 9 <= live * 2, "{dead} of {live}");
    assert!(copied <= live, "{copied} of {live}");
    assert!(all_due(&all).iter().all(|run| all[run.clone()].iter().any(|file| file.dead > 0)));
}

/// A record of the model stands for so many bytes of log; a segment has a thousand of them.
const RECORD: u64 = 64 << 10;
const SEGMENT: usize = 1 << 10;
/// Keys: a gigabyte of live log.
const KEYS: usize = 1 << 14;
/// Bytes of tables for each byte of log, with values of 1 KiB; bytes of log for each byte of payload.
const TABLES: f64 = 0.035;
const LOG: f64 = 1.08;

/// How fast the model's machine is, in MiB of log for each second: what commits write when nobody holds them back, what is
/// packed, read and written, and of what a merge goes through the tables.
#[derive(Clone, Copy, Debug)]
struct Speed {
    commits: f64,
    packing: f64,
    merging: f64,
}

/// A file of the model: the records in it, by their numbers.
struct Held {
    records: Vec<usize>,
    packed: bool,
}

/// A store whose keys are overwritten at random, without its bytes: the plan, the looks and the restraint are the real
/// ones, and time passes as the speeds say.
struct Overwritten {
    /// The key of each record, by its number: its place in the log.
    keys: Vec<usize>,
    files: Vec<Held>,
    /// The newest record of each key at the last merge of all tables, and all records that it judged.
    newest: Vec<usize>,
    judged: usize,
    /// Records in tables, and those that the tables list.
    floor: usize,
    listed: usize,
    looked: Looked,
    waste: Waste,
    merging: Option<(f64, usize)>,
    packing: Option<(f64, Range<usize>, Held)>,
    /// The plan may say something else than the last time.
    changed: bool,
    now: f64,
    held_back: u64,
    packed: usize,
    merges: u64,
    most: f64,
}

impl Overwritten {
    fn new() -> Self {
        let all: Vec<usize> = (0..KEYS).collect();
        let files = all.chunks(SEGMENT).map(|records| Held { records: records.to_vec(), packed: false });
        let (mut looked, waste) = (Looked::default(), Waste::default());
        let files = files.collect();
        looked.note_merged(Duration::ZERO, extent(KEYS));
        waste.note_merged(KEYS as u64 * RECORD, place(KEYS));
        waste.note_floor(place(KEYS));
        Self {
            keys: all.clone(),
            files,
            newest: all,
            judged: KEYS,
            floor: KEYS,
            listed: KEYS,
            looked,
            waste,
            merging: None,
            packing: None,
            changed: true,
            now: 0.0,
            held_back: 0,
            packed: 0,
            merges: 0,
            most: 0.0,
        }
    }

    fn commit(&mut self, key: usize, speed: Speed) {
        self.keys.push(key);
        let (end, now) = (place(self.keys.len()), Duration::from_secs_f64(self.now));
        let took = RECORD as f64 / (speed.commits * MIB as f64);
        let pause = if self.waste.is_over(end) {
            self.waste.count(RECORD, end, now);
            self.waste.pause(end, now)
        } else {
            None
        };
        self.held_back += u64::from(pause.is_some());
        self.pass(took + pause.unwrap_or_default().as_secs_f64(), speed);
    }

    /// What goes on beside the commits.
    fn pass(&mut self, seconds: f64, speed: Speed) {
        self.now += seconds;
        if self.keys.len().is_multiple_of(SEGMENT) {
            let records = (self.keys.len() - SEGMENT..self.keys.len()).collect();
            self.files.push(Held { records, packed: false });
        }
        if self.waste.is_table_due(place(self.keys.len())) || self.keys.len() - self.floor > KEYS / 4 {
            (self.listed, self.floor) = (self.listed + self.keys.len() - self.floor, self.keys.len());
            self.waste.note_floor(place(self.floor));
        }
        self.merge(seconds * speed.merging * MIB as f64);
        self.pack(seconds * speed.packing * MIB as f64);
        self.most = self.most.max(self.disk());
    }

    fn merge(&mut self, bytes: f64) {
        let now = Duration::from_secs_f64(self.now);
        match &mut self.merging {
            Some((left, _)) if *left > bytes => *left -= bytes,
            Some((_, floor)) => {
                (self.judged, self.listed) = (*floor, KEYS + self.floor - *floor);
                (0..*floor).for_each(|n| self.newest[self.keys[n]] = n);
                (self.merging, self.changed) = (None, true);
                self.merges += 1;
                self.looked.note_merged(now, extent(self.listed));
                self.waste.note_merged(self.listed as u64 * RECORD, place(self.judged));
            }
            None if self.looked.next(now, extent(self.listed)).is_zero() => {
                let (all, lapsed) = (self.listed as u64, (self.listed - KEYS) as u64);
                let share =
                    Share { versions: (all, lapsed), bytes: (all * RECORD, lapsed * RECORD), waiting: 0 };
                self.looked.note(now, extent(self.listed), Duration::ZERO);
                self.waste.note_lapsed(all * RECORD, lapsed * RECORD, place(self.floor));
                if self.looked.worth(now, share, extent(self.listed)) {
                    self.merging = Some((extent(self.listed).log_bytes as f64, self.floor));
                }
            }
            None => {}
        }
    }

    fn pack(&mut self, bytes: f64) {
        match &mut self.packing {
            Some((left, ..)) if *left > bytes => *left -= bytes,
            Some(_) => {
                let (_, run, file) = self.packing.take().expect("just seen");
                self.packed += file.records.len();
                self.files.splice(run, [file]);
                self.changed = true;
            }
            None if std::mem::take(&mut self.changed) => {
                let seen: Vec<File> = self
                    .files
                    .iter()
                    .map(|file| self.seen(file))
                    .take_while(|file| file.is_some())
                    .flatten()
                    .collect();
                let (dead, filed) = seen.iter().fold((0, 0), |(d, l), file| (d + file.dead, l + file.live()));
                self.waste.note_dead(dead, filed);
                if let Some(run) = due(&seen) {
                    let records = self.files[run.clone()].iter().flat_map(|file| &file.records);
                    let stay: Vec<usize> = records.copied().filter(|n| self.lists(*n)).collect();
                    let read: u64 = seen[run.clone()].iter().map(|file| file.bytes).sum();
                    let left = read + stay.len() as u64 * RECORD;
                    self.packing = Some((left as f64, run, Held { records: stay, packed: true }));
                }
            }
            None => {}
        }
    }

    fn lists(&self, record: usize) -> bool {
        record >= self.judged || self.newest[self.keys[record]] == record
    }

    /// A file as the plan sees it; `None`: not all of it was judged.
    fn seen(&self, file: &Held) -> Option<File> {
        let first = *file.records.first()?;
        let judged = file.records.last().is_none_or(|last| *last < self.judged);
        let dead = file.records.iter().filter(|n| !self.lists(**n)).count() as u64 * RECORD;
        let bytes = file.records.len() as u64 * RECORD;
        judged.then_some(File {
            base: place(first),
            first: true,
            bytes,
            dead,
            packed: file.packed,
            unsettled: None,
        })
    }

    /// Everything that stands on the disk, for each byte of live payload.
    fn disk(&self) -> f64 {
        let sealed: usize = self.files.iter().map(|file| file.records.len()).sum();
        let packing = self.packing.as_ref().map_or(0, |(_, _, file)| file.records.len());
        let tables = self.listed + if self.merging.is_some() { KEYS } else { 0 };
        let log = (sealed + packing + 2 * SEGMENT) as f64; // one is being written, and one is prepared
        (log + tables as f64 * TABLES) / KEYS as f64 * LOG
    }

    /// Bytes written for each of payload, groups padded to blocks included.
    fn written(&self, turns: usize) -> f64 {
        let of = |records: f64| records / (turns * KEYS) as f64;
        LOG * 1.07 + of(self.packed as f64) * LOG + of(self.merges as f64 * KEYS as f64) * TABLES
    }
}

fn place(records: usize) -> Lsn {
    Lsn::new(1, records as u64 * RECORD)
}

fn extent(versions: usize) -> Extent {
    let log_bytes = versions as u64 * RECORD;
    Extent { versions: versions as u64, log_bytes, table_bytes: (log_bytes as f64 * TABLES) as u64 }
}

/// A gigabyte is overwritten ten times on machines of several speeds.
#[test]
fn a_store_takes_about_twice_its_live_data_however_slowly_it_is_packed() {
    const TURNS: usize = 10;
    let mut wrong = Vec::new();
    for (commits, packing, merging, most_allowed, held) in [
        (20.0, 400.0, 1000.0, 1.8, false),
        (80.0, 400.0, 1000.0, 2.0, true),
        (200.0, 400.0, 1000.0, 2.0, true),
        (80.0, 80.0, 500.0, 2.0, true),
        (200.0, 40.0, 200.0, 2.2, true), // a merge alone takes longer than all that may be dead
    ] {
        let speed = Speed { commits, packing, merging };
        let (mut store, mut dice) = (Overwritten::new(), Dice::new(7));
        for _ in 0..TURNS * KEYS {
            store.commit((dice.next() % KEYS as u64) as usize, speed);
        }
        let (most, written) = (store.most, store.written(TURNS));
        let took = store.now * commits * (MIB / RECORD) as f64 / (TURNS * KEYS) as f64;
        let found = format!(
            "{speed:?}: {most:.2} of live, {written:.2} of payload, {took:.1} times as long, {} merges, {} held back",
            store.merges, store.held_back
        );
        println!("{found}");
        if most > most_allowed || written > 3.0 || (store.held_back > 0) != held {
            wrong.push(found);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values of 20 bytes: of a record more stands in a packed file than a table lists.
#[test]
fn nobody_waits_where_nothing_is_worth_packing_however_small_the_values_are() {
    const FILES: u64 = 16;
    let (records, listed, besides) = (1 << 18, 50, 72);
    let held = |percent: u64| {
        let live = records * (listed + besides);
        let of = |n| File {
            bytes: live + live * percent / 100,
            dead: live * percent / 100,
            packed: true,
            ..file(n, 0, 0)
        };
        let all: Vec<File> = (0..FILES).map(of).collect();
        let (waste, end) = (Waste::new(FILES * records * listed, place(KEYS)), place(KEYS));
        waste.note_dead(FILES * live * percent / 100, FILES * live);
        waste.count(RECORD, end, Duration::ZERO);
        (due(&all).is_none(), waste.pause(end, Duration::ZERO).is_some())
    };
    for percent in 0..100 {
        assert_ne!(held(percent), (true, true), "{percent} bytes are dead for each hundred that live");
    }
    assert_eq!([10, 90].map(held), [(true, false), (false, true)]);
}
