//! A recovery that finds no space: it opens the log all the same, to read, and changes nothing; or it goes through; or
//! it is an error. Whatever it is, everything acknowledged is there, then and after the next opening.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::sim::{Choice, Failure, Fault, SimDisk, When};
use savehold_wal::{Append, ErrorKind, Frame, Unwritable, Urgency, Wal};
use support::check::{Promise, judge, records, segments, verify};
use support::history::{Finding, History, Stop};
use support::world::{Step, World, small_segments};

use crate::budget;
use crate::images::{counts, subsets};

/// Workloads whose crashes leave a little of everything: torn tails, prepared segments, ends that nobody stated,
/// segments given up.
const SCRIPTS: [&[Step]; 5] = [
    &[Step::Commit(100, Synced), Step::Commit(300, Buffered), Step::Commit(400, Buffered)],
    &[Step::Commit(100, Synced), Step::Reopen, Step::Commit(100, Synced), Step::Commit(9_000, Buffered)],
    &[Step::Batch(3, 700), Step::Commit(20_000, Synced), Step::Commit(9_000, Synced)],
    &[
        Step::Commit(300, Buffered),
        Step::Renew,
        Step::Commit(200, Synced),
        Step::Tick(Duration::from_millis(6)),
    ],
    &[
        Step::Commit(9_000, Synced),
        Step::Commit(9_000, Buffered),
        Step::Commit(9_000, Buffered),
        Step::Retire,
        Step::Commit(50, Buffered),
    ],
];

/// A disk that a crash left, and what it is held to.
struct Crashed {
    disk: SimDisk,
    stop: Stop,
    change: u64,
}

/// Every so-manieth disk that crashes of a script leave, each once.
fn crashed(script: &[Step], stride: u64, each: &mut dyn FnMut(&World, &Crashed) -> Result<(), Finding>) {
    let mut world = World::new(1, small_segments());
    world.disk.record();
    world.steps(script).unwrap_or_else(|e| panic!("{script:?}: {e}"));
    let mut tape = world.disk.take_tape();
    tape.push(world.disk.fork());
    let (mut seen, mut n) = (HashSet::new(), 0_u64);
    for (change, disk) in (0..).zip(&tape) {
        let mut images = vec![(disk.fork(), Stop::Kill)];
        images.extend(subsets(disk, 1).into_iter().map(|left| (left.of(disk), Stop::Cut)));
        for (disk, stop) in images {
            let promise = Promise { history: &world.history, stop, change, options: &world.options };
            if !seen.insert((disk.state(&counts), promise.digest())) {
                continue;
            }
            n += 1;
            if n.is_multiple_of(stride) {
                each(&world, &Crashed { disk, stop, change })
                    .unwrap_or_else(|e| panic!("{script:?}, {stop:?} behind change {change}: {e}"));
            }
        }
    }
}

/// How a recovery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Full,
    ReadOnly,
    Refused,
}

/// A machine that finds what a crash left.
fn machine(disk: SimDisk) -> World {
    World::on(disk, 5, small_segments(), History::default())
}

/// Holds what was opened, to read or fully, to the promise; says what is promised from now on.
fn served(log: &Wal, history: &History, crashed: &Crashed) -> Result<(History, u64), Finding> {
    let found = records(log).map_err(|e| format!("not replayed: {e:?}"))?;
    let kept = judge(log, &found, history, crashed.stop, crashed.change)?;
    Ok(match log.read_only() {
        Some(_) => (history.shown(&found, kept, crashed.change), crashed.change),
        None => (history.survived(&found, kept, crashed.change, 0).counted_anew(), u64::MAX),
    })
}

/// Every write is refused, and says how much space is needed.
fn takes_nothing(log: &Wal) -> Result<(), Finding> {
    let why = log.read_only().ok_or("not open to read only")?;
    let lacking = log.report().lacking_bytes;
    if lacking == 0 || !why.message().contains(&format!("{lacking} bytes")) {
        return Err(format!("lacks {lacking} bytes, and says: {why}"));
    }
    let frame = || Frame::record(b"never", &[b"written"]).expect("small");
    let reserve = Append { urgency: Urgency::Reserve, ..Append::default() };
    let answers = [
        log.append(b"never", b"written").map(drop),
        log.commit(frame(), reserve).map(drop),
        log.append_batch([(&b"never"[..], &b"written"[..])]).map(drop),
        log.make_room(100),
        log.retire(log.span().end).map(drop),
    ];
    let refused = |answer: &Result<(), savehold_wal::Error>| {
        answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::ReadOnly)
    };
    if !answers.iter().all(refused) {
        return Err(format!("a log open to read only answers {answers:?}"));
    }
    match log.sync() {
        Ok(through) if through == log.accepted() => Ok(()),
        other => Err(format!("all of it is durable, and a sync answers {other:?}")),
    }
}

/// Recovers with a fault among its calls, then once more without.
fn recover(
    world: &World,
    crashed: &Crashed,
    when: When,
    fault: Fault,
    for_ever: bool,
) -> Result<Ended, Finding> {
    let before = segments(&crashed.disk);
    let machine = machine(crashed.disk.fork());
    if for_ever {
        machine.disk.order_for_ever(when, fault)
    } else {
        machine.disk.order(when, fault)
    }
    let opened = machine.try_open();
    machine.disk.heal();
    let mut history = world.history.clone();
    if lost_by_a_sync(crashed, when, for_ever) {
        history.sync_failed();
    }
    let (ended, (history, change)) = match &opened {
        Ok(log) if log.read_only().is_some() => {
            let served = served(log, &history, crashed).map_err(|e| format!("open to read: {e}"))?;
            takes_nothing(log)?;
            (Ended::ReadOnly, served)
        }
        Ok(log) => (Ended::Full, served(log, &history, crashed)?),
        Err(e) if [ErrorKind::Corrupt, ErrorKind::Foreign, ErrorKind::Format].contains(&e.kind()) => {
            return Err(format!("a full disk is taken for damage: {e:?}"));
        }
        Err(_) => (Ended::Refused, (history, crashed.change)),
    };
    let after = segments(&machine.disk);
    if let Some((path, _)) = before.iter().find(|(path, crc)| after.get(*path).is_some_and(|now| now != *crc))
    {
        return Err(format!("{ended:?}, and {path} was changed"));
    }
    drop(opened);
    let stop = if ended == Ended::Full { Stop::Cut } else { crashed.stop };
    let promise = Promise { history: &history, stop, change, options: &world.options };
    verify(&machine.disk.restart(), &promise, 6).map_err(|e| format!("{ended:?}, then: {e}"))?;
    let cut = Promise { stop: Stop::Cut, ..promise };
    for choice in [Choice::KeepNone, Choice::KeepAll] {
        verify(&machine.disk.reboot(choice), &cut, 7)
            .map_err(|e| format!("{ended:?}, then a power cut, {choice:?}: {e}"))?;
    }
    Ok(ended)
}

/// Every write is refused for good, and says why.
fn is_unwritable(log: &Wal) -> Result<(), Finding> {
    let why = log.read_only().ok_or("not open to read only")?;
    let refused = log.append(b"never", b"written").map(drop);
    if log.report().lacking_bytes > 0 || !why.message().contains("LOCK") || refused.is_ok() {
        return Err(format!("answers {refused:?}, and says: {why}"));
    }
    log.sync().map(drop).map_err(|e| format!("all of it is durable, and a sync answers {e:?}"))
}

#[test]
fn a_log_on_a_medium_that_is_for_reading_only_is_read_and_nothing_is_changed() {
    let mut read = 0_u64;
    for script in SCRIPTS {
        crashed(script, budget::stride(3), &mut |world, crashed| {
            let mut machine = machine(crashed.disk.fork());
            machine.disk.set_read_only(true);
            let before = files(&machine.disk);
            let refused = machine.try_open().map(drop).map_err(|e| e.kind());
            machine.options.unwritable = Unwritable::Read;
            let log = match machine.try_open() {
                Ok(log) => log,
                Err(e) if world.history.required(crashed.stop, crashed.change) == 0 => {
                    let none = [ErrorKind::ReadOnly, ErrorKind::Missing, ErrorKind::Io];
                    return none.contains(&e.kind()).then_some(()).ok_or(format!("no log: {e:?}"));
                }
                Err(e) => return Err(format!("to read only: {e:?}")),
            };
            read += 1;
            let (history, change) = served(&log, &world.history, crashed)?;
            is_unwritable(&log)?;
            drop(log);
            let written = before.iter().any(|(path, _)| path.contains("/log/")); // without a file of it nothing need be opened to write
            if (refused.is_ok() && written) || files(&machine.disk) != before {
                return Err(format!("something was changed, or {refused:?} is no refusal"));
            }
            machine.disk.set_read_only(false);
            let log = machine.try_open().map_err(|e| format!("written again: {e:?}"))?;
            if let Some(e) = log.read_only() {
                return Err(format!("it can be written, and says: {e}"));
            }
            drop(log);
            let promise = Promise { history: &history, stop: Stop::Cut, change, options: &world.options };
            verify(&machine.disk.reboot(Choice::KeepNone), &promise, 6)
        });
    }
    assert!(read > 20, "{read}");
}

/// The bytes of every file.
fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let bytes = |path: &str| disk.read(Path::new(path)).expect("it is there");
    disk.files().into_iter().map(|(path, _)| (path.clone(), bytes(&path))).collect()
}

/// True where the fault may hit a sync of a file, which loses what it should have made durable.
fn lost_by_a_sync(crashed: &Crashed, when: When, for_ever: bool) -> bool {
    let When::Call(n) = when else { unreachable!("faults are ordered by calls") };
    let syncs = |calls: u64| {
        let machine = machine(crashed.disk.fork());
        machine.disk.order(When::Call(calls), Fault::KillBefore);
        drop(machine.try_open());
        machine.disk.counts().syncs
    };
    if for_ever { syncs(u64::MAX) > syncs(n - 1) } else { syncs(n) > syncs(n - 1) }
}

#[test]
fn a_recovery_without_space_opens_to_read_or_changes_nothing() {
    let (images, calls) = (budget::stride(30), if budget::full() { 1 } else { 3 });
    let mut ended = [0_u64; 3];
    let mut asked = 0_u64;
    for script in SCRIPTS {
        crashed(script, images, &mut |world, crashed| {
            let whole = machine(crashed.disk.fork());
            drop(whole.try_open().map_err(|e| format!("refused: {e:?}"))?);
            for n in 1..=whole.disk.counts().calls {
                for failure in [Failure::Full, Failure::Quota] {
                    for fault in [Fault::Fail(failure), Fault::FailHalfway(failure)] {
                        for for_ever in [false, true] {
                            asked += 1;
                            if !asked.is_multiple_of(calls) {
                                continue;
                            }
                            let how = recover(world, crashed, When::Call(n), fault, for_ever);
                            let context = |e| format!("call {n}, {fault:?}, for ever: {for_ever}: {e}");
                            ended[how.map_err(context)? as usize] += 1;
                        }
                    }
                }
            }
            Ok(())
        });
    }
    let [full, read_only, refused] = ended;
    println!("{full} recoveries went through, {read_only} opened to read only, {refused} were refused");
    assert!(full > 10 && read_only > 20, "{ended:?}");
}

#[test]
fn a_log_open_to_read_only_says_how_much_space_it_needs() {
    const BLOCK: u64 = 4096;
    let (mut read_only, mut at_once) = (0_u64, 0_u64);
    for script in SCRIPTS {
        crashed(script, budget::stride(3), &mut |world, crashed| {
            let machine = machine(crashed.disk.fork());
            machine.disk.set_capacity(Some(machine.disk.used()));
            let log = match machine.try_open() {
                Ok(log) => log,
                // nothing was made yet, so there is nothing to read
                Err(e)
                    if e.kind() == ErrorKind::Full
                        && world.history.required(crashed.stop, crashed.change) == 0 =>
                {
                    return Ok(());
                }
                Err(e) => return Err(format!("a full disk: {e:?}")),
            };
            if log.read_only().is_none() {
                at_once += 1;
                return served(&log, &world.history, crashed).map(drop);
            }
            read_only += 1;
            let (history, change) = served(&log, &world.history, crashed)?;
            takes_nothing(&log)?;
            let lacking = log.report().lacking_bytes;
            drop(log);
            let used = machine.disk.used();
            // of what is asked for, LOCK and an unfinished MANIFEST.next may have their blocks already
            machine.disk.set_capacity(Some(used + lacking.saturating_sub(3 * BLOCK)));
            let short = machine.try_open().map_err(|e| format!("still short: {e:?}"))?;
            takes_nothing(&short).map_err(|e| format!("with less than it needs: {e}"))?;
            drop(short);
            machine.disk.set_capacity(Some(machine.disk.used().max(used) + lacking));
            let enough = machine.try_open().map_err(|e| format!("with what it needs: {e:?}"))?;
            if let Some(e) = enough.read_only() {
                return Err(format!("has what it asked for, and says: {e}"));
            }
            drop(enough);
            machine.disk.set_capacity(None);
            let promise = Promise { history: &history, stop: Stop::Cut, change, options: &world.options };
            verify(&machine.disk.reboot(Choice::KeepNone), &promise, 6)
        });
    }
    println!("{read_only} opened to read only, {at_once} needed no space");
    assert!(read_only > 20 && at_once > 5, "{read_only} {at_once}");
}
