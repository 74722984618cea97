//! Crashes under threads: several committers, the writer and the keeper of a real log on a simulated disk, with maps and
//! without, whose power goes, whose process dies, or one of whose syncs fails, at a call of whichever thread comes. The checks
//! are those of every other crash: an exact prefix in the order of places, nothing acknowledged missing, no record torn.
//!
//! A seed decides what each thread asks for and which call is the last. Which thread makes it is the machine's choice, so
//! a seed that failed once stays in `KEPT` and is run first.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::clock::OsClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::planted::{Planted, plant};
use savehold_wal::segment::file::Access;
use savehold_wal::sim::{Choice, Death, Draw, Failure, Fault, SimDisk, SimEntropy, When};
use savehold_wal::{Append, Durability, Error, ErrorKind, Options, Ticket, Wal};
use support::check::{Promise, records, verify};
use support::history::{Finding, History, Stop, body, head};
use support::mirror::Mirror;
use support::world::{ROOT, World, frame, small_segments};

use crate::budget;

/// Seeds that found something once.
const KEPT: [u64; 0] = [];

/// Lives of one disk, each ended by a crash.
const LIVES: u64 = 3;

/// Most changes of the disk in one life.
const CHANGES_MAX: u64 = 260;

/// Calls of one thread in one life, if nothing ends it before.
const CALLS: u64 = 60;

/// One record that a thread gave to the log, and what it was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    number: u64,
    bytes: usize,
    lsn: savehold_wal::Lsn,
    acknowledged: Option<Durability>,
}

/// What one thread does, and what it hears.
struct Committer<'a> {
    log: &'a Wal,
    draw: Draw,
    /// The number of its next record; no two threads share one.
    number: u64,
    /// Hardly anything of it is synced, so that records are stored to a map.
    seldom: bool,
    told: Vec<Told>,
    /// Placed, and not waited for yet: where it stands in `told`, how it was asked for, its ticket.
    open: Vec<(usize, Durability, Ticket)>,
}

impl Committer<'_> {
    /// Calls until the log takes no more, or its calls are made.
    fn run(&mut self) -> Result<(), Finding> {
        for _ in 0..CALLS {
            let goes_on = match self.draw.below(12) {
                0..4 => self.commit(),
                4..8 => self.append(),
                8 => self.wait_for_one(),
                9 => self.read_back(),
                10 if self.seldom => self.commit(),
                10 => self.log.sync().map(drop).or_else(|e| over(&e)).map(|()| true),
                _ => {
                    std::thread::sleep(Duration::from_micros(self.draw.below(2_500)));
                    Ok(true)
                }
            }?;
            if !goes_on {
                break;
            }
        }
        while self.wait_for_one()? {}
        Ok(())
    }

    fn give(&mut self) -> (u64, usize, Durability) {
        let number = self.number;
        self.number += 1;
        let most = [60, 300, 1_500, 6_000, 20_000][self.draw.below(5).min(self.draw.below(5)) as usize];
        let buffered = self.draw.below(3) == 0 || self.seldom && !number.is_multiple_of(20);
        let durability = if buffered { Buffered } else { Synced };
        (number, self.draw.below(most) as usize, durability)
    }

    fn commit(&mut self) -> Result<bool, Finding> {
        let (number, bytes, durability) = self.give();
        match self.log.commit(frame(number, bytes), Append { durability, ..Append::default() }) {
            Ok(lsn) => {
                self.told.push(Told { number, bytes, lsn, acknowledged: Some(durability) });
                Ok(true)
            }
            Err(e) => {
                if e.kind() == ErrorKind::Unknown {
                    let lsn = e.lsn().ok_or("an Unknown that names no place")?;
                    self.told.push(Told { number, bytes, lsn, acknowledged: None });
                }
                over(&e).map(|()| false)
            }
        }
    }

    fn append(&mut self) -> Result<bool, Finding> {
        let (number, bytes, durability) = self.give();
        match self.log.append_frame(frame(number, bytes), Append { durability, ..Append::default() }) {
            Ok(ticket) => {
                let lsn = ticket.lsn();
                self.open.push((self.told.len(), durability, ticket));
                self.told.push(Told { number, bytes, lsn, acknowledged: None });
                if self.open.len() > 4 { self.wait_for_one() } else { Ok(true) }
            }
            Err(e) => over(&e).map(|()| false),
        }
    }

    /// Waits for the oldest ticket; false where none is left.
    fn wait_for_one(&mut self) -> Result<bool, Finding> {
        if self.open.is_empty() {
            return Ok(false);
        }
        let (at, durability, ticket) = self.open.remove(0);
        match ticket.wait() {
            Ok(lsn) if lsn == self.told[at].lsn => {
                self.told[at].acknowledged = Some(durability);
                Ok(true)
            }
            Ok(lsn) => Err(format!("a ticket for {} answered {lsn}", self.told[at].lsn)),
            Err(e) if e.kind() == ErrorKind::Unknown => Ok(true),
            Err(e) => Err(format!("a ticket answered {e:?}")),
        }
    }

    /// A record that was acknowledged reads as it was given, whatever is written meanwhile.
    fn read_back(&mut self) -> Result<bool, Finding> {
        let heard: Vec<&Told> = self.told.iter().filter(|told| told.acknowledged.is_some()).collect();
        if heard.is_empty() {
            return Ok(true);
        }
        let told = heard[self.draw.below(heard.len() as u64) as usize];
        match self.log.read(told.lsn) {
            Ok(record)
                if record.head == head(told.number) && record.body() == body(told.number, told.bytes) =>
            {
                Ok(true)
            }
            Ok(record) => Err(format!("{told:?} reads as {} bytes", record.body().len())),
            Err(e) if e.kind() == ErrorKind::Io => Ok(false), // the disk is gone
            Err(e) => Err(format!("{told:?} does not read: {e:?}")),
        }
    }
}

/// The log takes no more: the disk is gone. Nothing else may happen.
fn over(e: &Error) -> Result<(), Finding> {
    match e.kind() {
        ErrorKind::Halted | ErrorKind::Unknown => Ok(()),
        _ => Err(format!("answered {e:?}")),
    }
}

fn options(draw: &mut Draw, access: Access, seldom: bool) -> Options {
    let rarer = if seldom { 20 } else { 1 };
    let Options { segment_bytes_min, segment_bytes_max, .. } = small_segments();
    Options {
        access,
        sync_after: Duration::from_micros(500 + draw.below(4_000)) * rarer,
        sync_after_bytes: (1 + draw.below(40_000)) * u64::from(rarer),
        mark_after: Duration::from_micros(draw.below(1_500)),
        in_flight_bytes_max: 4_000 + draw.below(60_000),
        segment_bytes_min: segment_bytes_min * u64::from(rarer),
        segment_bytes_max: segment_bytes_max * u64::from(rarer),
        ..small_segments()
    }
}

fn env(disk: &SimDisk, access: Access, seed: u64) -> (Env, Option<Mirror>) {
    let mirror = (access == Access::Mapped).then(|| Mirror::over(disk.clone()));
    let vfs: Arc<dyn savehold_wal::vfs::Vfs> = match &mirror {
        Some(mirror) => Arc::new(mirror.clone()),
        None => Arc::new(disk.clone()),
    };
    let (clock, entropy) = (Arc::new(OsClock), Arc::new(SimEntropy::new(seed)));
    (Env { vfs, clock, entropy, threads: Threads::Own }, mirror)
}

/// What one run saw.
#[derive(Debug, Default)]
struct Seen {
    images: u64,
    crashes: u64,
    failures: u64,
    in_doubt: u64,
    maps: usize,
    stores: u64,
}

/// Runs the lives of `seed`.
fn run(seed: u64, planted: Option<Planted>) -> Result<Seen, Finding> {
    let mut draw = Draw::from_seed(seed);
    let access = if seed.is_multiple_of(2) { Access::Mapped } else { Access::Pread };
    let seldom = seed.is_multiple_of(4);
    let options = options(&mut draw, access, seldom);
    let (mut disk, mut history, mut seen) = (SimDisk::new(seed), History::default(), Seen::default());
    for life in 0..LIVES {
        let context = |e| format!("life {life}, {access:?}: {e}");
        let (env, mirror) = env(&disk, access, seed ^ life << 40);
        let log = Wal::open_in(env, Path::new(ROOT), options.clone())
            .map_err(|e| context(format!("refused: {e:?}")))?;
        let ends = [Fault::CutBefore, Fault::CutInside, Fault::KillBefore, Fault::KillInside];
        let fails = [Fault::Fail(Failure::Io), Fault::FailHalfway(Failure::Io)];
        let last = 1 + draw.below(CHANGES_MAX);
        match draw.below(6) as usize {
            n @ 0..4 => disk.order(When::Change(disk.counts().changes + last), ends[n]),
            n => disk.order(When::Sync(disk.counts().syncs + last / 4 + 1), fails[n - 4]),
        }
        let told = commit_from_threads(&log, 2 + draw.below(3), &mut draw, (life, seldom), planted)
            .map_err(context)?;
        match disk.death() {
            Some(_) => seen.crashes += 1,
            None if log.failure().is_some() => {
                seen.failures += 1;
                disk.cut_power(); // what the sync lost, a process that is killed would find in the cache
            }
            None => disk.kill(),
        }
        drop(log);
        seen.stores += disk.counts().stores;
        seen.maps += mirror.map_or(0, |mirror| mirror.maps());
        seen.in_doubt += told.iter().filter(|told| told.acknowledged.is_none()).count() as u64;
        for Told { number, bytes, lsn, acknowledged } in told {
            history.add(number, bytes, lsn, acknowledged)?;
        }
        let (next, stop) = match disk.death() {
            Some(Death::Cut) => (disk.reboot_by(&mut draw), Stop::Cut),
            _ => (disk.restart(), Stop::Kill),
        };
        let promise = |stop| Promise { history: &history, stop, change: u64::MAX, options: &options };
        let mut images =
            vec![(disk.reboot(Choice::KeepNone), Stop::Cut), (disk.reboot(Choice::KeepAll), Stop::Cut)];
        images.extend((0..4).map(|_| (disk.reboot_by(&mut draw), Stop::Cut)));
        for (image, stop) in images.iter().chain([&(next.fork(), stop)]) {
            verify(image, &promise(*stop), seed).map_err(|e| context(format!("{stop:?}: {e}")))?;
            seen.images += 1;
        }
        history = next_life(&next, &history, &options, seed).map_err(context)?;
        disk = next;
    }
    Ok(seen)
}

/// What all threads were told, in the order of places.
fn commit_from_threads(
    log: &Wal,
    threads: u64,
    draw: &mut Draw,
    (life, seldom): (u64, bool),
    planted: Option<Planted>,
) -> Result<Vec<Told>, Finding> {
    let seeds: Vec<u64> = (0..threads).map(|_| draw.next_u64()).collect();
    let committed: Vec<Result<Vec<Told>, Finding>> = std::thread::scope(|scope| {
        let run = |(n, seed): (u64, u64)| {
            plant(planted);
            let number = (life * 100 + n) * 10_000;
            let draw = Draw::from_seed(seed);
            let mut committer = Committer { log, draw, number, seldom, told: Vec::new(), open: Vec::new() };
            committer.run().map(|()| committer.told)
        };
        let running: Vec<_> = (0..).zip(seeds).map(|own| scope.spawn(move || run(own))).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut told: Vec<Told> = committed.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    told.sort_by_key(|told| told.lsn);
    Ok(told)
}

/// What the next life begins with: what is there, of which nothing was served yet but to this look.
fn next_life(disk: &SimDisk, history: &History, options: &Options, seed: u64) -> Result<History, Finding> {
    let look = World::on(disk.fork(), seed, options.clone(), History::default());
    let log = look.try_open().map_err(|e| format!("refused: {e:?}"))?;
    let found = records(&log).map_err(|e| format!("not replayed: {e:?}"))?;
    let kept = history.compare(&found, u64::MAX)?;
    Ok(history.cut_down(&found, kept, u64::MAX, 0).counted_anew())
}

#[test]
fn crashes_at_a_call_of_any_thread_lose_nothing_that_was_told() {
    let mut all = Seen::default();
    let seeds = budget::number("SAVEHOLD_CRASH_THREADS").unwrap_or_else(|| budget::count(150, 2_000));
    for seed in KEPT.into_iter().chain(0..seeds) {
        let seen = run(seed, None).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        all.images += seen.images;
        all.crashes += seen.crashes;
        all.failures += seen.failures;
        all.in_doubt += seen.in_doubt;
        all.maps += seen.maps;
        all.stores += seen.stores;
    }
    println!("{seeds} seeds with threads: {all:?}");
    assert!(
        all.crashes * 2 > seeds && all.failures > 0 && all.in_doubt > 0 && all.maps > 0 && all.stores > 0,
        "{all:?}"
    );
}

/// Faults in the path of the writer and the keeper, which only threads go: the suite must see them.
#[test]
fn faults_under_threads_are_noticed() {
    for fault in [Planted::SkipFileSync, Planted::AcknowledgeEarly, Planted::SkipPredecessorSync] {
        plant(Some(fault));
        let found = (0..400).find_map(|seed| run(seed, Some(fault)).err());
        plant(None);
        println!("{fault:?}: {}", found.unwrap_or_else(|| panic!("{fault:?} was not noticed")));
    }
}
