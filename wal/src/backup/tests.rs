use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::Frame;
use crate::inspect::{self, Inspector};
use crate::lsn::Lsn;
use crate::options::{Options, Progress};
use crate::pack::Stay;
use crate::segment::packing::Judged;
use crate::sim::{Choice, Failure, Fault, Sim, SimDisk, When};
use crate::vfs::Vfs;
use crate::wal::{Append, Wal};

/// Head and body of each record.
type Model = BTreeMap<Lsn, (Vec<u8>, Vec<u8>)>;

const DEST: &str = "/backups";
const TO: &str = "/restored";

fn options() -> Options {
    Options { segment_bytes_min: 12 << 10, segment_bytes_max: 16 << 10, ..Options::default() }
}

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Nothing is looked at and nothing added.
struct Nothing;

impl Carry for Nothing {
    fn record(&mut self, _: &Passing<'_>) -> Result<()> {
        Ok(())
    }

    fn first_records(&mut self) -> Result<Vec<Frame>> {
        Ok(Vec::new())
    }
}

fn commit(log: &Wal, model: &mut Model, n: u8, body: usize) -> Lsn {
    let (head, body) = (vec![n; 3 + usize::from(n % 5)], vec![n ^ 0x55; body]);
    let parts: Vec<&[u8]> = if n.is_multiple_of(3) { vec![&body[..1], &body[1..]] } else { vec![&body] };
    let lsn = log.commit(Frame::record(&head, &parts).unwrap(), Append::default()).unwrap();
    model.insert(lsn, (head, body));
    lsn
}

/// How bytes get into the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Copied,
    /// Sealed segments are linked.
    Linked,
    #[cfg(feature = "compression")]
    Compressed,
}

const MODES: &[Mode] = &[
    Mode::Copied,
    Mode::Linked,
    #[cfg(feature = "compression")]
    Mode::Compressed,
];

impl Mode {
    fn packing(self) -> Packing {
        match self {
            Self::Copied | Self::Linked => Packing::Plain,
            #[cfg(feature = "compression")]
            Self::Compressed => Packing::Lz4,
        }
    }

    fn back_up(self, log: &Wal) -> Result<BackedUp> {
        let copying = Copying { packing: self.packing(), ..Copying::default() };
        log.back_up(Path::new(DEST), b"note", copying, &mut go)
    }
}

/// A log over several segments, killed once in the middle, open.
fn world() -> (Sim, Wal, Model) {
    world_as(Mode::Copied)
}

fn world_as(mode: Mode) -> (Sim, Wal, Model) {
    let (mut sim, mut model) = (Sim::new(3), Model::new());
    if mode == Mode::Linked {
        sim.disk().one_file_system();
    }
    let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    (0..4).for_each(|n| _ = commit(&log, &mut model, n, 900));
    sim.kill();
    drop(log);
    let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    for n in 4..9 {
        sim.advance(Duration::from_secs(60));
        commit(&log, &mut model, n, 2500);
    }
    together(&log, &mut model);
    (sim, log, model)
}

/// Three records in one group.
fn together(log: &Wal, model: &mut Model) {
    let bodies = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
    let tickets = bodies.map(|body| (log.append(b"together", &body).unwrap(), body));
    for (ticket, body) in tickets {
        model.insert(ticket.wait().unwrap(), (b"together".to_vec(), body));
    }
}

fn back_up(log: &Wal) -> Result<BackedUp> {
    Mode::Copied.back_up(log)
}

fn restore(env: &Env, moment: Moment, to: &str) -> Result<Restored> {
    let source = Source::open(env, Path::new(DEST))?;
    let (name, cut) = source.choose(moment)?;
    source.restore(name, cut, Path::new(to), 0, &mut Nothing, &mut go)
}

fn contents(env: &Env, dir: &str) -> Result<Model> {
    let log = Wal::open_in(env.clone(), Path::new(dir), options())?;
    let mut all = Model::new();
    for record in log.replay(Lsn::NONE)? {
        let record = record?;
        let body = log.read(record.lsn)?.body().to_vec();
        all.insert(record.lsn, (record.head.to_vec(), body));
    }
    Ok(all)
}

fn until(model: &Model, last: Lsn) -> Model {
    model.range(..=last).map(|(lsn, record)| (*lsn, record.clone())).collect()
}

fn env_of(sim: &mut Sim, disk: &SimDisk) -> Env {
    Env { vfs: std::sync::Arc::new(disk.clone()), ..sim.env() }
}

fn files(disk: &SimDisk, under: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let all = disk.files().into_iter().map(|(path, _)| PathBuf::from(path));
    let ours = all.filter(|path| path.starts_with(under) && !path.ends_with("LOCK"));
    ours.map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

#[test]
fn a_backup_restores_to_what_the_log_was() {
    let (mut sim, log, model) = world();
    let done = back_up(&log).unwrap();
    assert_eq!((done.name, done.damaged_values), (BackupName::Numbered(1), 0));
    assert!(done.segments > 3 && done.copied_bytes == done.bytes, "{done:?}");
    let restored = restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!((restored.records, restored.undone), (model.len() as u64, 0));
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

#[test]
fn every_record_is_a_moment_that_can_be_restored_and_nothing_behind_it_is() {
    let (mut sim, log, model) = world();
    back_up(&log).unwrap();
    for (n, lsn) in model.keys().enumerate() {
        let to = format!("{TO}-{n}");
        let restored = restore(&sim.env(), Moment::At(*lsn), &to).unwrap();
        assert_eq!(restored.undone, (model.len() - n - 1) as u64);
        assert_eq!(contents(&sim.env(), &to).unwrap(), until(&model, *lsn), "{lsn}");
        let log = Wal::open_in(sim.env(), Path::new(&to), options()).unwrap();
        for other in model.keys() {
            assert_eq!(log.undone(*other).is_some(), other > lsn, "restored to {lsn}: {other}");
            assert_eq!(restored.end <= *other, other > lsn, "{other} {restored:?}");
        }
    }
}

#[test]
fn a_log_cut_inside_a_group_goes_on_in_the_backup_that_it_came_from() {
    let (mut sim, log, model) = world();
    back_up(&log).unwrap();
    let inside = *model.keys().rev().nth(1).unwrap();
    restore(&sim.env(), Moment::At(inside), TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let mut then = until(&model, inside);
    commit(&restored, &mut then, 40, 70);
    back_up(&restored).unwrap();
    let second = back_up(&restored).unwrap();
    assert!(second.copied_bytes <= 4096, "the mark of a sync at most: {second:?}");
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), then);
    let refused = restore(&sim.env(), Moment::At(*model.keys().last().unwrap()), "/undone").unwrap_err();
    assert!(refused.message().contains("undone"), "{refused}");
}

#[test]
fn a_time_restores_what_was_committed_until_then() {
    let (mut sim, log, mut model) = world();
    let (before_us, last) = (log.time_us(), *model.keys().last().unwrap());
    sim.advance(Duration::from_secs(5));
    commit(&log, &mut model, 77, 50);
    back_up(&log).unwrap();
    let restored = restore(&sim.env(), Moment::Time(before_us), TO).unwrap();
    assert_eq!((restored.undone, restored.end > last), (1, true));
    assert_eq!(contents(&sim.env(), TO).unwrap(), until(&model, last));
    for outside in [1, log.time_us() + 1_000_000_000] {
        let refused = restore(&sim.env(), Moment::Time(outside), "/other").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Gone, "{refused}");
        assert!(refused.message().contains("backup 1 holds"), "{refused}");
        assert_eq!(refused.message().contains("restore the newest moment"), outside > 1, "{refused}");
    }
}

/// A backup before and one behind records of which each comes ten seconds behind the one before, all in one segment:
/// of each of the two that the first backup lacks the place, and a time right behind it.
fn two_backups_of_one_segment(sim: &mut Sim, log: &Wal, model: &mut Model) -> [(Lsn, u64); 2] {
    back_up(log).unwrap();
    let both = [80, 81].map(|n| {
        sim.advance(Duration::from_secs(10));
        let lsn = commit(log, model, n, 50);
        (lsn, log.time_us())
    });
    sim.advance(Duration::from_secs(10));
    back_up(log).unwrap();
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap();
    let [first, second] = [1, 2].map(|n| source.inventory(BackupName::Numbered(n)).unwrap());
    let ours = second.segments.last().unwrap();
    assert!(first.segments.last().unwrap().identity() == ours.identity() && both[1].0 < ours.covered());
    both
}

fn restore_number(env: &Env, n: u64, to: &str) -> Wal {
    let source = Source::open(env, Path::new(DEST)).unwrap().only(BackupName::Numbered(n)).unwrap();
    source.restore(BackupName::Numbered(n), Cut::NOTHING, Path::new(to), 0, &mut Nothing, &mut go).unwrap();
    Wal::open_in(env.clone(), Path::new(to), options()).unwrap()
}

#[test]
fn a_time_between_a_backup_and_its_restore_means_the_timeline_that_was_live_then() {
    let (mut sim, log, mut model) = world();
    let [(late, late_us), (latest, _)] = two_backups_of_one_segment(&mut sim, &log, &mut model);
    let restored = [(1, "/first"), (2, "/second")].map(|(n, to)| {
        sim.advance(Duration::from_secs(3600));
        restore_number(&sim.env(), n, to)
    });
    commit(&restored[0], &mut Model::new(), 90, 50);
    back_up(&restored[0]).unwrap();
    restore(&sim.env(), Moment::Time(late_us), "/late").unwrap();
    assert_eq!(contents(&sim.env(), "/late").unwrap(), until(&model, late));
    // of the whole segment only the backup of the log that ends within it says anything now
    sim.disk().uproot(Path::new("/backups/backups/00000002.backup")).unwrap();
    commit(&restored[1], &mut Model::new(), 91, 50);
    back_up(&restored[1]).unwrap();
    restore(&sim.env(), Moment::Time(late_us), "/late-again").unwrap();
    assert_eq!(contents(&sim.env(), "/late-again").unwrap(), until(&model, late));
    restore(&sim.env(), Moment::At(latest), "/latest").unwrap();
    assert_eq!(contents(&sim.env(), "/latest").unwrap(), until(&model, latest));
}

#[test]
fn a_time_of_before_means_the_timeline_of_before_where_the_clock_was_behind_at_the_restore() {
    let (mut sim, log, mut model) = world();
    let early = *model.keys().last().unwrap();
    let [(late, late_us), (latest, latest_us)] = two_backups_of_one_segment(&mut sim, &log, &mut model);
    log.close().unwrap();
    sim.step_wall(-2 * 86_400_000_000);
    restore(&sim.env(), Moment::At(early), "/early").unwrap();
    repair(&sim.env(), sim.dir(), "/repaired");
    for log in ["/early", "/repaired"] {
        let disk = sim.disk().fork();
        let env = env_of(&mut sim, &disk);
        let log = Wal::open_in(env.clone(), Path::new(log), options()).unwrap();
        commit(&log, &mut Model::new(), 90, 50);
        back_up(&log).unwrap();
        for (n, (last, time_us)) in [(late, late_us), (latest, latest_us)].into_iter().enumerate() {
            let to = format!("{TO}-{n}");
            restore(&env, Moment::Time(time_us), &to).unwrap();
            assert_eq!(contents(&env, &to).unwrap(), until(&model, last), "{n}");
        }
    }
}

#[test]
fn a_second_backup_copies_what_is_new_and_both_restore() {
    let (mut sim, log, mut model) = world();
    let first = back_up(&log).unwrap();
    let (then, last) = (model.clone(), *model.keys().last().unwrap());
    (20..24).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let second = back_up(&log).unwrap();
    assert_eq!(second.name, BackupName::Numbered(2));
    assert_eq!(second.bytes, first.bytes + second.copied_bytes);
    assert!(second.copied_bytes <= 16 << 10, "{second:?}");
    let third = back_up(&log).unwrap();
    assert!(third.copied_bytes <= 4096, "the mark of a sync at most: {third:?}");
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
    restore(&sim.env(), Moment::At(last), "/earlier").unwrap();
    assert_eq!(contents(&sim.env(), "/earlier").unwrap(), then);
}

#[test]
fn restored_logs_go_on_above_everything_and_never_alike() {
    let (mut sim, log, mut model) = world();
    back_up(&log).unwrap();
    let first = *model.keys().next().unwrap();
    let mut new = Vec::new();
    for to in ["/a", "/b"] {
        restore(&sim.env(), Moment::At(first), to).unwrap();
        let restored = Wal::open_in(sim.env(), Path::new(to), options()).unwrap();
        new.extend((0..3).map(|n| restored.append(&[n], b"").unwrap().wait().unwrap()));
        restored.close().unwrap();
    }
    new.extend((0..3).map(|n| commit(&log, &mut model, n, 10)));
    let all: std::collections::BTreeSet<Lsn> = new.iter().copied().collect();
    assert_eq!(all.len(), new.len());
    let ever = *model.keys().last().unwrap();
    assert!(new[..6].iter().all(|lsn| *lsn > ever), "{new:?} {ever}");
}

#[test]
fn a_restored_log_backs_up_where_its_past_lies_and_the_old_one_no_more() {
    let (mut sim, log, mut model) = world();
    back_up(&log).unwrap();
    let last = *model.keys().nth(5).unwrap();
    restore(&sim.env(), Moment::At(last), TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let mut there = until(&model, last);
    commit(&restored, &mut there, 99, 700);
    let done = back_up(&restored).unwrap();
    assert!(done.copied_bytes < done.bytes, "{done:?}");
    let refused = back_up(&log).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Superseded, "{refused}");
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), there);
    let undone = *model.keys().last().unwrap();
    let refused = restore(&sim.env(), Moment::At(undone), "/undone").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Gone, "{refused}");
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Numbered(1)).unwrap();
    let (name, cut) = source.choose(Moment::At(undone)).unwrap();
    source.restore(name, cut, Path::new("/undone"), 0, &mut Nothing, &mut go).unwrap();
    model.retain(|lsn, _| *lsn <= undone);
    assert_eq!(contents(&sim.env(), "/undone").unwrap(), model);
}

#[test]
fn a_restore_of_a_backup_that_was_named_goes_on_above_all_the_others() {
    let (mut sim, log, _) = world();
    back_up(&log).unwrap();
    log.back_up(Path::new("/b"), b"", Copying::default(), &mut go).unwrap();
    let source = Source::open(&sim.env(), Path::new("/b")).unwrap();
    let (name, cut) = source.choose(Moment::Latest).unwrap();
    let above = source.restore(name, cut, Path::new("/x"), 30_000, &mut Nothing, &mut go).unwrap().timeline;
    back_up(&Wal::open_in(sim.env(), Path::new("/x"), options()).unwrap()).unwrap();
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Numbered(1)).unwrap();
    let (name, cut) = source.choose(Moment::Latest).unwrap();
    let restored = source.restore(name, cut, Path::new(TO), 0, &mut Nothing, &mut go).unwrap();
    assert!(restored.timeline > above && above > 30_000, "{restored:?}");
}

#[test]
fn what_the_layer_above_carries_stands_first_in_the_new_timeline() {
    struct First(Vec<Lsn>);
    impl Carry for First {
        fn record(&mut self, passing: &Passing<'_>) -> Result<()> {
            self.0.extend((!passing.kept).then_some(passing.lsn));
            Ok(())
        }

        fn first_records(&mut self) -> Result<Vec<Frame>> {
            [b"first", b"other"].iter().map(|head| Frame::record(*head, &[b"body"])).collect()
        }
    }
    let (mut sim, log, model) = world();
    back_up(&log).unwrap();
    let last = *model.keys().nth(2).unwrap();
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap();
    let (name, cut) = source.choose(Moment::At(last)).unwrap();
    let mut carry = First(Vec::new());
    let restored = source.restore(name, cut, Path::new(TO), 4000, &mut carry, &mut go).unwrap();
    assert_eq!(restored.timeline, 4001);
    assert_eq!(carry.0, model.keys().skip(3).copied().collect::<Vec<_>>());
    let all = contents(&sim.env(), TO).unwrap();
    let own: Vec<_> =
        all.range(Lsn::new(4001, 0)..).map(|(_, (head, body))| (&head[..], &body[..])).collect();
    assert_eq!(own, [(&b"first"[..], &b"body"[..]), (b"other", b"body")]);
    assert_eq!(all.range(..Lsn::new(4001, 0)).count(), 3);
}

#[test]
fn a_directory_that_holds_anything_is_not_restored_into() {
    let (mut sim, log, _) = world();
    back_up(&log).unwrap();
    let disk = sim.disk();
    crate::vfs::Vfs::create_dir(&disk, Path::new(TO)).unwrap();
    disk.plant(Path::new("/restored/note"), b"mine").unwrap();
    for to in [TO, "/store"] {
        let refused = restore(&sim.env(), Moment::Latest, to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    disk.plant(Path::new("/backups/note"), b"mine").unwrap();
    assert_eq!(back_up(&log).unwrap_err().kind(), ErrorKind::Foreign);
}

#[test]
fn sealed_segments_are_linked_where_log_and_destination_share_a_disk_and_nothing_is_copied_twice() {
    let (mut sim, log, mut model) = world_as(Mode::Linked);
    let first = back_up(&log).unwrap();
    assert!(first.one_disk && first.linked_bytes > 0, "{first:?}");
    assert_eq!(first.linked_bytes + first.copied_bytes, first.bytes);
    (20..24).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let second = back_up(&log).unwrap();
    assert!(second.copied_bytes + second.linked_bytes < 20_000, "{second:?}");
    assert!(verify(&sim.env()).faults.is_empty());
    let behind = *model.keys().nth(6).unwrap();
    assert!(log.retire(behind).unwrap() > 0, "what the log gives up stays in the backup");
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

#[cfg(feature = "compression")]
#[test]
fn a_compressed_backup_is_smaller_and_goes_on_uncompressed_or_not() {
    let (mut sim, log, mut model) = world();
    let first = Mode::Compressed.back_up(&log).unwrap();
    assert!(first.copied_bytes < first.bytes / 3, "{first:?}");
    (20..24).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let second = back_up(&log).unwrap();
    assert!(second.bytes > first.bytes && second.copied_bytes < 20_000, "{second:?}");
    let checked = verify(&sim.env());
    assert!(checked.faults.is_empty() && checked.bytes == second.bytes, "{checked:?}");
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

#[cfg(not(feature = "compression"))]
#[test]
fn a_program_without_compression_says_so() {
    let (_sim, log, _) = world();
    let copying = Copying { packing: Packing::Lz4, ..Copying::default() };
    let refused = log.back_up(Path::new(DEST), b"", copying, &mut go).unwrap_err();
    assert!(refused.kind() == ErrorKind::Invalid && refused.message().contains("`compression`"), "{refused}");
}

#[test]
fn a_damaged_piece_is_named_with_its_checksum_and_what_to_run() {
    for mode in MODES {
        let (mut sim, log, _) = world_as(*mode);
        mode.back_up(&log).unwrap();
        let disk = sim.disk().fork();
        let (path, bytes) = files(&disk, "/backups/pieces").into_iter().max_by_key(|(_, b)| b.len()).unwrap();
        disk.flip_bit(&path, bytes.len() as u64 / 3, 2).unwrap();
        let refused = restore(&env_of(&mut sim, &disk), Moment::Latest, TO).unwrap_err();
        let name = path.file_name().unwrap().to_str().unwrap();
        for word in [name, "checksum", "is wrong", "nothing was restored", "savehold backup verify"] {
            assert!(refused.message().contains(word), "{mode:?}: {refused}");
        }
    }
}

#[test]
fn pieces_stay_while_somebody_reads_and_go_with_the_next_step() {
    let (mut sim, log, mut model) = world();
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    let reading = Source::open(&sim.env(), Path::new(DEST)).unwrap();
    let (then, last) = (model.clone(), *model.keys().last().unwrap());
    for n in 20..26 {
        commit(&log, &mut model, n, 600);
        archive.step(&log, b"").unwrap();
    }
    let (name, cut) = reading.choose(Moment::At(last)).unwrap();
    reading.restore(name, cut, Path::new(TO), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), then);
    let refused =
        prune(&sim.env(), Path::new(DEST), &Keep { last: 1, ..Keep::default() }, Do::It).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    let mut pieces = || files(&sim.disk(), "/backups/pieces").len();
    let before = pieces();
    drop(reading);
    commit(&log, &mut model, 30, 10);
    archive.step(&log, b"").unwrap();
    let left = pieces();
    assert!(left < before, "{left} of {before} are left");
    restore(&sim.env(), Moment::Latest, "/other").unwrap();
    assert_eq!(contents(&sim.env(), "/other").unwrap(), model);
}

#[test]
fn an_archive_clears_what_a_crash_left_where_no_backup_needs_it() {
    let (mut sim, log, _) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let (path, _) = files(&sim.disk(), "/backups/pieces").remove(0);
    let left = [path.with_extension("piece.tmp"), path.with_file_name("0-0-0-0-0.piece")];
    left.iter().for_each(|left| sim.disk().plant(left, b"left").unwrap());
    let note = path.with_file_name("note");
    sim.disk().plant(&note, b"mine").unwrap();
    log.append(b"more", b"").unwrap().wait().unwrap();
    archive(&sim.env()).step(&log, b"").unwrap();
    let there: Vec<PathBuf> = files(&sim.disk(), DEST).into_iter().map(|(path, _)| path).collect();
    assert!(there.contains(&note) && !left.iter().any(|left| there.contains(left)), "{there:?}");
}

#[test]
fn every_flipped_bit_and_every_shortened_file_is_refused() {
    for mode in MODES {
        refuses_every_flip(*mode);
    }
}

fn refuses_every_flip(mode: Mode) {
    let (mut sim, log, _) = world_as(mode);
    mode.back_up(&log).unwrap();
    let disk = sim.disk();
    let full = std::env::var("SAVEHOLD_BACKUPS").is_ok_and(|how| how == "full");
    let step = match mode {
        _ if full => 1,
        Mode::Copied => 13,
        Mode::Linked => 67,
        #[cfg(feature = "compression")]
        Mode::Compressed => 5,
    };
    let mut tried = 0_u64;
    for (path, bytes) in files(&disk, DEST) {
        let small = bytes.len() < 3000 && mode == Mode::Copied;
        let bits = (0..bytes.len() as u64 * 8).filter(|bit| bit % step == tried % step || small);
        let flips: Vec<_> = bits.map(|bit| Err((bit / 8, (bit % 8) as u8))).collect();
        let cuts = (0..bytes.len() as u64).step_by(211).map(Ok);
        for hurt in flips.into_iter().chain(cuts) {
            let damaged = disk.fork();
            match hurt {
                Ok(len) => damaged.truncate(&path, len).unwrap(),
                Err((at, bit)) => damaged.flip_bit(&path, at, bit).unwrap(),
            }
            let env = env_of(&mut sim, &damaged);
            let refused = restore(&env, Moment::Latest, TO);
            assert!(refused.is_err(), "{} {hurt:?}", path.display());
            assert!(contents_of_nothing(&env), "{} {hurt:?}", path.display());
            if full || tried.is_multiple_of(5) {
                assert!(!verify(&env).faults.is_empty(), "{} {hurt:?}", path.display());
            }
            tried += 1;
        }
    }
    let least = if mode == Mode::Copied { 2000 } else { 500 };
    assert!(tried > least, "{mode:?}: {tried}");
}

/// What is left of a refused restore opens as no log.
fn contents_of_nothing(env: &Env) -> bool {
    let names = env.vfs.list(Path::new(TO)).unwrap_or_default();
    !names.iter().any(|name| name.starts_with("MANIFEST"))
        && (names.is_empty() || Wal::open_in(env.clone(), Path::new(TO), options()).is_err())
}

/// Faults at the n-th change from now on.
const FAULTS: [Fault; 6] = [
    Fault::Fail(Failure::Io),
    Fault::FailHalfway(Failure::Full),
    Fault::CutBefore,
    Fault::CutInside,
    Fault::KillBefore,
    Fault::KillInside,
];

#[test]
fn a_restore_that_is_cut_short_anywhere_leaves_nothing_that_opens_and_can_be_repeated() {
    for mode in MODES {
        is_repeatable(*mode);
    }
}

fn is_repeatable(mode: Mode) {
    let (mut sim, log, model) = world_as(mode);
    mode.back_up(&log).unwrap();
    let disk = sim.disk();
    let mut finished = 0;
    for fault in FAULTS {
        for n in 1.. {
            let hurt = disk.fork();
            hurt.order(When::Change(hurt.counts().changes + n), fault);
            let env = env_of(&mut sim, &hurt);
            let outcome = restore(&env, Moment::Latest, TO);
            let dead = hurt.death().is_some();
            let found = if dead { rebooted(&hurt, n) } else { hurt.clone() };
            found.heal();
            let env = env_of(&mut sim, &found);
            let named =
                env.vfs.list(Path::new(TO)).is_ok_and(|names| names.iter().any(|name| name == "MANIFEST"));
            assert!(dead || named == outcome.is_ok(), "{fault:?} {n}: {outcome:?}");
            let whole = contents(&env.clone(), TO);
            match (&outcome, dead) {
                (Ok(_), false) => assert_eq!(whole.unwrap(), model),
                _ if whole.as_ref().is_ok_and(|whole| !whole.is_empty()) => {
                    assert_eq!(whole.unwrap(), model, "{fault:?} {n}")
                }
                _ => {
                    let again = restore(&env, Moment::Latest, TO);
                    let target = if again.is_ok() { TO } else { "/elsewhere" };
                    again.or_else(|_| restore(&env, Moment::Latest, target)).unwrap();
                    assert_eq!(contents(&env, target).unwrap(), model, "{fault:?} {n}");
                }
            }
            if outcome.is_ok() && !dead {
                finished += 1;
                break;
            }
        }
    }
    assert_eq!(finished, FAULTS.len());
}

fn rebooted(disk: &SimDisk, n: u64) -> SimDisk {
    match n % 3 {
        0 => disk.reboot(Choice::KeepNone),
        1 => disk.reboot(Choice::KeepAll),
        _ => disk.reboot(Choice::Seed(n)),
    }
}

#[test]
fn a_backup_that_is_cut_short_anywhere_leaves_the_earlier_one_and_is_finished_by_the_next() {
    for mode in MODES {
        is_finished(*mode);
    }
}

#[test]
fn a_read_that_fails_in_a_step_does_not_make_an_archive_begin_anew() {
    let (mut sim, log, mut model) = world();
    let whole = archive(&sim.env()).step(&log, b"").unwrap().copied_bytes;
    commit(&log, &mut model, 90, 300);
    log.close().unwrap();
    let disk = sim.disk();
    for n in 1.. {
        let hurt = disk.fork();
        let env = env_of(&mut sim, &hurt);
        let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
        let mut archive = archive(&env);
        let before = hurt.counts().calls;
        hurt.order(When::Call(before + n), Fault::Fail(Failure::Io));
        let stepped = archive.step(&log, b"");
        let over = hurt.counts().calls < before + n;
        hurt.heal();
        let done = archive.step(&log, b"again").unwrap_or_else(|e| panic!("{n}: {e}"));
        let copied = stepped.as_ref().map_or(0, |step| step.copied_bytes) + done.copied_bytes;
        assert!(copied < whole / 2, "{n}: {stepped:?} {done:?}");
        restore(&env, Moment::Latest, TO).unwrap_or_else(|e| panic!("{n}: {e}"));
        assert_eq!(contents(&env, TO).unwrap(), model, "{n}");
        if over {
            assert!(n > 20, "{n}");
            break;
        }
    }
}

fn is_finished(mode: Mode) {
    let (mut sim, log, mut model) = world_as(mode);
    mode.back_up(&log).unwrap();
    let (then, _) = (model.clone(), log.sync().unwrap());
    (20..26).for_each(|n| _ = commit(&log, &mut model, n, 3000));
    log.close().unwrap();
    let disk = sim.disk();
    for fault in FAULTS {
        for n in 1.. {
            let hurt = disk.fork();
            let env = env_of(&mut sim, &hurt);
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            hurt.order(When::Change(hurt.counts().changes + n), fault);
            let outcome = mode.back_up(&log);
            let dead = hurt.death().is_some();
            drop(log);
            let found = if dead { rebooted(&hurt, n) } else { hurt.clone() };
            found.heal();
            let env = env_of(&mut sim, &found);
            restore(&env, Moment::Latest, "/between").unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            let between = contents(&env, "/between").unwrap();
            assert!(between == then || between == model, "{fault:?} {n}");
            assert!(outcome.is_err() || between == model, "{fault:?} {n}");
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            mode.back_up(&log).unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            restore(&env, Moment::Latest, "/after").unwrap();
            assert_eq!(contents(&env, "/after").unwrap(), model, "{fault:?} {n}");
            if outcome.is_ok() && !dead {
                break;
            }
        }
    }
}

#[test]
fn a_damaged_log_is_not_backed_up_unless_its_values_alone_are_and_that_is_wanted() {
    let (mut sim, log, model) = world();
    log.close().unwrap();
    let disk = sim.disk();
    let (path, at) = files(&disk, "/store/log")
        .into_iter()
        .find_map(|(path, bytes)| bytes.windows(64).position(|w| w == [5 ^ 0x55; 64]).map(|at| (path, at)))
        .unwrap();
    disk.flip_bit(&path, at as u64 + 8, 3).unwrap();
    let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    let refused = back_up(&log).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    let done = log
        .back_up(Path::new(DEST), b"", Copying { damaged: Damaged::Keep, ..Copying::default() }, &mut go)
        .unwrap();
    assert_eq!(done.damaged_values, 1);
    let restored = restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(restored.records, model.len() as u64);
    let log = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let bad: Vec<Lsn> = model.keys().filter(|lsn| log.read(**lsn).is_err()).copied().collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(log.read(bad[0]).map(drop).map_err(|e: Error| e.kind()), Err(ErrorKind::Corrupt));
}

#[test]
fn the_callback_ends_a_backup_and_the_next_one_goes_on() {
    let (mut sim, log, model) = world();
    let stopped = log.back_up(Path::new(DEST), b"", Copying::default(), &mut |at| {
        if at.done_bytes > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(Source::open(&sim.env(), Path::new(DEST)).unwrap_err().kind(), ErrorKind::Missing);
    back_up(&log).unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

fn verify(env: &Env) -> Checked {
    Source::open(env, Path::new(DEST)).unwrap().verify(&mut go).unwrap()
}

#[test]
fn verify_reads_every_byte_and_names_the_backups_that_are_hurt() {
    let (mut sim, log, mut model) = world();
    let first = back_up(&log).unwrap();
    (20..24).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let second = back_up(&log).unwrap();
    let whole = verify(&sim.env());
    assert_eq!((whole.backups, whole.bytes), (2, second.bytes), "{whole:?}");
    assert!(whole.faults.is_empty());
    let disk = sim.disk();
    for (path, bytes) in files(&disk, DEST).into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let hurt = disk.fork();
        hurt.flip_bit(&path, bytes.len() as u64 / 2, 4).unwrap();
        let found = verify(&env_of(&mut sim, &hurt));
        let [fault] = &found.faults[..] else { panic!("{}: {found:?}", path.display()) };
        assert!(fault.error.message().contains(path.file_name().unwrap().to_str().unwrap()), "{fault:?}");
        let restores = |name| {
            let source = Source::open(&env_of(&mut sim, &hurt), Path::new(DEST)).unwrap().only(name).unwrap();
            let restored = source.choose(Moment::Latest).and_then(|(name, cut)| {
                let to = PathBuf::from(format!("/try-{name}"));
                source.restore(name, cut, &to, 0, &mut Nothing, &mut go)
            });
            restored.is_ok()
        };
        let hurts: Vec<bool> = [first.name, second.name].map(restores).iter().map(|ok| !ok).collect();
        let named: Vec<bool> = [first.name, second.name].iter().map(|n| fault.backups.contains(n)).collect();
        assert_eq!(named, hurts, "{}", path.display());
    }
}

#[test]
fn pruning_takes_what_nobody_needs_and_breaks_no_chain() {
    let (mut sim, log, mut model) = world();
    back_up(&log).unwrap();
    for n in 20..23 {
        sim.advance(Duration::from_secs(3600));
        commit(&log, &mut model, n, 1500);
        back_up(&log).unwrap();
    }
    let (env, keep) = (sim.env(), Keep { last: 1, ..Keep::default() });
    let before = files(&sim.disk(), DEST);
    let said = prune(&env, Path::new(DEST), &keep, Do::Nothing).unwrap();
    assert_eq!(files(&sim.disk(), DEST), before);
    sim.disk().plant(Path::new("/backups/pieces/note"), b"mine").unwrap();
    let done = prune(&env, Path::new(DEST), &keep, Do::It).unwrap();
    assert_eq!((&done, done.backups.len(), &done.left[..]), (&said, 3, &[BackupName::Numbered(4)][..]));
    assert!(verify(&env).faults.is_empty());
    restore(&env, Moment::Latest, TO).unwrap();
    assert_eq!(contents(&env, TO).unwrap(), model);
    let names = files(&sim.disk(), DEST);
    assert!(names.iter().any(|(path, _)| path.ends_with("note")), "what is not ours stays");
    sim.disk().uproot(Path::new("/backups/pieces/note")).unwrap();
    assert!(back_up(&log).unwrap().name == BackupName::Numbered(5));
    sim.disk().flip_bit(Path::new("/backups/backups/00000004.backup"), 40, 1).unwrap();
    let refused = prune(&env, Path::new(DEST), &keep, Do::It).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
}

#[test]
fn a_newest_backup_that_cannot_be_read_is_not_passed_over() {
    let (mut sim, log, mut model) = world();
    back_up(&log).unwrap();
    let then = model.clone();
    commit(&log, &mut model, 90, 300);
    back_up(&log).unwrap();
    let disk = sim.disk();
    disk.flip_bit(Path::new("/backups/backups/00000002.backup"), 40, 1).unwrap();
    let last = *then.keys().last().unwrap();
    for moment in [Moment::Latest, Moment::At(last), Moment::Time(log.time_us())] {
        let refused = restore(&sim.env(), moment, TO).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(refused.message().contains("backup 2 may be the newest"), "{refused}");
    }
    let one = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Numbered(1)).unwrap();
    let (name, cut) = one.choose(Moment::Latest).unwrap();
    one.restore(name, cut, Path::new(TO), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), then);
    // an older one that cannot be read is no matter
    back_up(&log).unwrap();
    restore(&sim.env(), Moment::Latest, "/newest").unwrap();
    assert_eq!(contents(&sim.env(), "/newest").unwrap(), model);
}

fn archive(env: &Env) -> Archive {
    Archive::new(env, Path::new(DEST), Packing::Plain)
}

#[test]
fn an_archive_takes_its_first_copy_by_itself_and_keeps_itself_current() {
    let (mut sim, log, mut model) = world();
    let mut archive = archive(&sim.env());
    let first = archive.step(&log, b"").unwrap();
    assert!(first.copied_bytes > 0);
    assert_eq!(archive.step(&log, b"").unwrap().copied_bytes, 0);
    for n in 0..60_u8 {
        commit(&log, &mut model, n, 300 + usize::from(n) * 20);
        archive.step(&log, b"").unwrap();
        if n % 20 == 7 {
            back_up(&log).unwrap();
        }
    }
    log.sync().unwrap();
    archive.step(&log, b"").unwrap();
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap();
    let inventory = source.inventory(BackupName::Archive).unwrap();
    assert!(inventory.segments.iter().all(|held| held.pieces.len() <= 6), "small pieces are written anew");
    let needed: usize = source.backups().iter().map(|l| l.inventory.as_ref().unwrap().segments.len()).sum();
    assert!(files(&sim.disk(), "/backups/pieces").len() <= 6 * needed);
    assert!(verify(&sim.env()).faults.is_empty());
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
    for lsn in model.keys().step_by(9) {
        let to = format!("/at-{}", lsn.raw());
        restore(&sim.env(), Moment::At(*lsn), &to).unwrap();
        assert_eq!(contents(&sim.env(), &to).unwrap(), until(&model, *lsn));
    }
}

#[test]
fn an_archive_that_fails_anywhere_is_as_it_was_and_catches_up() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let then = model.clone();
    (20..26).for_each(|n| _ = commit(&log, &mut model, n, 3000));
    log.close().unwrap();
    let disk = sim.disk();
    for fault in FAULTS {
        for n in 1.. {
            let hurt = disk.fork();
            let env = env_of(&mut sim, &hurt);
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            let mut archive = archive(&env);
            hurt.order(When::Change(hurt.counts().changes + n), fault);
            let stepped = archive.step(&log, b"");
            let dead = hurt.death().is_some();
            if !dead {
                hurt.heal();
                archive.step(&log, b"").unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            }
            drop(log);
            let found = if dead { rebooted(&hurt, n) } else { hurt.clone() };
            let env = env_of(&mut sim, &found);
            restore(&env, Moment::Latest, TO).unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            let restored = contents(&env, TO).unwrap();
            assert!(restored == model || dead && restored == then, "{fault:?} {n}");
            if stepped.is_ok() && !dead {
                break;
            }
        }
    }
}

#[test]
fn an_archive_of_an_older_timeline_is_superseded_and_touches_nothing() {
    let (mut sim, log, mut model) = world();
    let mut older = archive(&sim.env());
    older.step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    restored.append(b"new", b"").unwrap().wait().unwrap();
    archive(&sim.env()).step(&restored, b"").unwrap();
    let before = files(&sim.disk(), DEST);
    commit(&log, &mut model, 1, 100);
    for _ in 0..2 {
        let refused = older.step(&log, b"").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Superseded, "{refused}");
    }
    assert_eq!(files(&sim.disk(), DEST), before);
}

#[test]
fn an_older_copy_of_a_log_does_not_write_over_its_archive() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let (rolled_back, mut then) = (sim.disk().fork(), model.clone());
    (20..40).for_each(|n| _ = commit(&log, &mut model, n, 2500));
    archive(&sim.env()).step(&log, b"").unwrap();
    for (path, _) in files(&rolled_back, DEST) {
        rolled_back.uproot(&path).unwrap();
    }
    let there = files(&sim.disk(), DEST);
    there.iter().for_each(|(path, bytes)| rolled_back.plant(path, bytes).unwrap());
    let env = env_of(&mut sim, &rolled_back);
    let copy = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
    // one that is behind the archive, and one that wrote as much since
    for more in [0, 40] {
        (0..more).for_each(|n| _ = commit(&copy, &mut then, 60 + n, 2500));
        for refused in [archive(&env).step(&copy, b"").map(drop), back_up(&copy).map(drop)] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Superseded, "{refused}");
            assert!(refused.message().contains("older copy"), "{refused}");
        }
        assert_eq!(files(&rolled_back, DEST), there);
    }
}

/// A copy of all that is sound in a log, as a repair makes it.
fn repair(env: &Env, root: &Path, to: &str) {
    let inspector = Inspector::open(env, root, Duration::ZERO).unwrap();
    let inspection = inspector.inspect(&mut go, |_| Ok(())).unwrap();
    inspector.copy(&inspection, Path::new(to), &mut go, |_| Ok(inspect::Keep::Yes)).unwrap();
}

#[test]
fn an_archive_goes_on_after_a_repair_and_not_from_an_older_copy_of_what_was_repaired() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    log.close().unwrap();
    repair(&sim.env(), sim.dir(), TO);
    let repaired = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let first = commit(&repaired, &mut model, 50, 2500);
    archive(&sim.env()).step(&repaired, b"").unwrap();
    let rolled_back = sim.disk().fork();
    for n in 51..58 {
        commit(&repaired, &mut model, n, 2500);
        archive(&sim.env()).step(&repaired, b"").unwrap();
        back_up(&repaired).unwrap();
    }
    repaired.sync().unwrap();
    archive(&sim.env()).step(&repaired, b"").unwrap();
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), model);
    for (path, _) in files(&rolled_back, DEST) {
        rolled_back.uproot(&path).unwrap();
    }
    files(&sim.disk(), DEST).iter().for_each(|(path, bytes)| rolled_back.plant(path, bytes).unwrap());
    let env = env_of(&mut sim, &rolled_back);
    let copy = Wal::open_in(env.clone(), Path::new(TO), options()).unwrap();
    let mut then = until(&model, first);
    (0..20).for_each(|n| _ = commit(&copy, &mut then, 60 + n, 2500));
    let refused = archive(&env).step(&copy, b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Superseded, "{refused}");
    assert!(refused.message().contains("older copy"), "{refused}");
}

#[test]
fn an_inventory_that_nobody_could_read_again_is_not_published() {
    let (mut sim, log, _) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let before = files(&sim.disk(), DEST);
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap();
    let mut inventory = source.inventory(BackupName::Archive).unwrap().clone();
    inventory.through = inventory.segments.last().unwrap().base;
    let destination = super::destination::Directory::new(&sim.env(), Path::new(DEST));
    let refused = super::copy::put_inventory(&destination, BackupName::Archive, &inventory).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert_eq!(files(&sim.disk(), DEST), before);
}

#[test]
fn a_step_that_outlives_its_log_does_not_touch_the_catalog_of_the_next() {
    let (mut sim, log, mut model) = world();
    log.shut().unwrap();
    let next = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    commit(&next, &mut model, 40, 500);
    let manifest = sim.dir().join("MANIFEST");
    let before = sim.disk().read(&manifest).unwrap();
    let refused = archive(&sim.env()).step(&log, b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    assert_eq!(sim.disk().read(&manifest).unwrap(), before);
    let named = crate::segment::catalog::Catalog::clone(&log.log.catalog.lock());
    let refused = log.log.name(&mut log.log.catalog.lock(), named).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    assert_eq!(sim.disk().read(&manifest).unwrap(), before);
}

#[test]
fn a_step_sees_what_another_handle_made_of_the_archive_though_it_goes_no_further() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let (mut first, mut second) = (archive(&sim.env()), archive(&sim.env()));
    first.step(&log, b"one").unwrap();
    second.step(&log, b"two").unwrap();
    thin(&mut second, &model);
    second.step(&log, b"three").unwrap(); // what it was made of goes
    first.step(&log, b"four").unwrap();
    assert!(verify(&sim.env()).faults.is_empty());
}

#[test]
fn a_piece_that_an_archive_lost_is_written_anew_from_the_log() {
    for killed in [false, true] {
        let (mut sim, log, mut model) = world();
        for n in 0..30 {
            commit(&log, &mut model, n, 700);
            archive(&sim.env()).step(&log, b"").unwrap();
        }
        if killed {
            sim.kill()
        } else {
            log.close().unwrap()
        }
        let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
        commit(&log, &mut model, 40, 700);
        archive(&sim.env()).step(&log, b"").unwrap();
        log.close().unwrap();
        let disk = sim.disk();
        for (path, _) in files(&disk, "/backups/pieces") {
            let hurt = disk.fork();
            hurt.uproot(&path).unwrap();
            let env = env_of(&mut sim, &hurt);
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            let step = archive(&env).step(&log, b"").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(step.copied_bytes > 0 && verify(&env).faults.is_empty(), "{}", path.display());
            restore(&env, Moment::Latest, TO).unwrap();
            assert_eq!(contents(&env, TO).unwrap(), model);
        }
    }
}

#[test]
fn a_piece_that_an_archive_lost_and_the_log_gave_up_is_named_at_each_step() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let piece = files(&sim.disk(), "/backups/pieces").remove(0);
    log.retire(*model.keys().nth(6).unwrap()).unwrap();
    sim.disk().uproot(&piece.0).unwrap();
    let before = files(&sim.disk(), DEST);
    let mut archive = archive(&sim.env());
    for n in 0..2 {
        commit(&log, &mut model, 30 + n, 100);
        let refused = archive.step(&log, b"").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(refused.message().contains(&format!("{} is missing", piece.0.display())), "{refused}");
        assert_eq!(files(&sim.disk(), DEST), before);
    }
    sim.disk().plant(&piece.0, &piece.1).unwrap();
    archive.step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

#[test]
fn what_the_log_gave_up_stays_in_its_archive_for_thirty_days() {
    let (mut sim, log, mut model) = world();
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    let behind = *model.keys().nth(6).unwrap();
    assert!(log.retire(behind).unwrap() > 0);
    sim.advance(Duration::from_secs(24 * 3600));
    commit(&log, &mut model, 30, 100);
    archive.step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
    sim.advance(Duration::from_secs(31 * 24 * 3600));
    commit(&log, &mut model, 31, 100);
    archive.step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, "/later").unwrap();
    let later = contents(&sim.env(), "/later").unwrap();
    assert!(later.len() < model.len() && later.iter().all(|(lsn, record)| model[lsn] == *record));
    assert!(verify(&sim.env()).faults.is_empty());
}

/// Packs all sealed segments, dropping every third record.
fn pack(log: &Wal, model: &mut Model) -> Lsn {
    let last = *model.keys().last().unwrap();
    let judged = Judged { at: last, number: 1, note: b"plan" };
    let packing = crate::pack::Packing { from: Lsn::NONE, to: Lsn::MAX, judged };
    let mut gone = Vec::new();
    let mut n = 0;
    let packed = log.pack(
        packing,
        &mut |candidate: &crate::pack::Candidate<'_>| {
            n += 1;
            if n % 3 == 0 {
                gone.push(candidate.lsn);
                return Ok(Stay::Nothing);
            }
            Ok(Stay::Whole)
        },
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(packed.unwrap().is_some_and(|packed| packed.segments > 1));
    gone.iter().for_each(|lsn| _ = model.remove(lsn));
    last
}

#[test]
fn a_packed_log_is_backed_up_verified_and_restored() {
    for mode in MODES {
        let (mut sim, log, mut model) = world_as(*mode);
        let last = pack(&log, &mut model);
        commit(&log, &mut model, 40, 500);
        let then = model.clone();
        let first = mode.back_up(&log).unwrap();
        let (done, more) = (mode.back_up(&log).unwrap(), first.copied_bytes + first.linked_bytes);
        assert!(done.copied_bytes + done.linked_bytes < more / 2, "{mode:?}: {first:?} {done:?}");
        let checked = verify(&sim.env());
        assert!(checked.faults.is_empty(), "{mode:?}: {checked:?}");
        restore(&sim.env(), Moment::Latest, TO).unwrap();
        assert_eq!(contents(&sim.env(), TO).unwrap(), then, "{mode:?}");
        restore(&sim.env(), Moment::At(last), "/last").unwrap();
        assert_eq!(contents(&sim.env(), "/last").unwrap(), until(&then, last), "{mode:?}");
        let before = *model.keys().nth(2).unwrap();
        let refused = restore(&sim.env(), Moment::At(before), "/before").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Gone, "moments before the judgement are thinned: {refused}");
        let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
        restored.append(b"goes on", b"").unwrap().wait().unwrap();
        mode.back_up(&restored).unwrap();
        assert!(verify(&sim.env()).faults.is_empty(), "{mode:?}");
    }
}

/// Thins all that is ended in the archive to what the model holds.
fn thin(archive: &mut Archive, model: &Model) {
    assert!(try_thin(archive, model).unwrap());
}

fn try_thin(archive: &mut Archive, model: &Model) -> Result<bool> {
    let last = archive.sealed().last().map_or(Lsn::NONE, |sealed| sealed.end);
    let judged = Judged { at: last, number: 1, note: b"plan" };
    let packing = crate::pack::Packing { from: Lsn::NONE, to: Lsn::MAX, judged };
    let Some(thinning) = archive.thinning(packing)? else { return Ok(false) };
    let mut judge = |candidate: &crate::pack::Candidate<'_>| {
        Ok(if model.contains_key(&candidate.lsn) { Stay::Whole } else { Stay::Nothing })
    };
    let thinned = thinning.write(packing, &mut judge, &mut |_| ControlFlow::Continue(()))?;
    archive.put_in_place(thinned)
}

#[test]
fn a_thinned_archive_goes_on_and_takes_nothing_again() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    let sealed = archive.sealed();
    assert!(sealed.len() > 3 && sealed.iter().all(|sealed| sealed.packed.is_none()), "{sealed:?}");
    let last = sealed.last().unwrap().end;
    let gone: Vec<Lsn> = model.range(..last).map(|(lsn, _)| *lsn).step_by(3).collect();
    let before = model.clone();
    gone.iter().for_each(|lsn| _ = model.remove(lsn));
    let bytes = files(&sim.disk(), "/backups/pieces").iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    thin(&mut archive, &model);
    archive.step(&log, b"").unwrap(); // what it was made of goes
    let left = files(&sim.disk(), "/backups/pieces").iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    assert!(left < bytes, "{left} of {bytes}");
    let [one] = &archive.sealed()[..] else { panic!("{:?}", archive.sealed()) };
    assert_eq!((one.packed, one.judged), (Some(model.range(..last).count() as u64), 1));
    for n in 41..60 {
        commit(&log, &mut model, n, 700);
        assert!(archive.step(&log, b"").unwrap().copied_bytes < 32 << 10);
    }
    assert!(verify(&sim.env()).faults.is_empty());
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
    let refused = restore(&sim.env(), Moment::At(*before.keys().nth(2).unwrap()), "/before").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Gone, "thinned: {refused}");
    // a process that comes later goes on from there, and the log may be packed meanwhile
    pack(&log, &mut model.clone());
    let mut later = self::archive(&sim.env());
    commit(&log, &mut model, 60, 700);
    assert!(later.step(&log, b"").unwrap().copied_bytes < 32 << 10);
    restore(&sim.env(), Moment::Latest, "/later").unwrap();
    assert_eq!(contents(&sim.env(), "/later").unwrap(), model);
    thin(&mut later, &model);
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), model);
}

#[test]
fn what_a_backup_took_over_meanwhile_stays_when_nothing_new_is_archived() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    log.sync().unwrap();
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    let whole = model.clone();
    let last = archive.sealed().last().unwrap().end;
    model.retain(|lsn, _| lsn.raw() % 3 > 0 || *lsn >= last);
    thin(&mut archive, &model);
    let done = back_up(&log).unwrap(); // of pieces that the archive needs no more, and will take away
    archive.step(&log, b"").unwrap();
    assert!(verify(&sim.env()).faults.is_empty());
    let source = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(done.name).unwrap();
    let (name, cut) = source.choose(Moment::Latest).unwrap();
    source.restore(name, cut, Path::new(TO), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), whole);
}

#[test]
fn what_a_newer_program_backed_up_is_neither_written_over_nor_robbed_of_its_pieces() {
    for name in ["archive.backup", "00000002.backup"] {
        let (mut sim, log, mut model) = world();
        commit(&log, &mut model, 40, 500);
        let mut archive = archive(&sim.env());
        archive.step(&log, b"").unwrap();
        back_up(&log).unwrap();
        let (disk, path) = (sim.disk(), Path::new("/backups/backups").join(name));
        let mut newer = disk.read(&path).unwrap();
        newer[16 + 56] |= 2; // a feature, at its place in the body
        let end = newer.len() - 4;
        let crc = crc32fast::hash(&newer[..end]);
        newer[end..].copy_from_slice(&crc.to_le_bytes());
        disk.plant(&path, &newer).unwrap();
        let before = files(&disk, DEST);
        commit(&log, &mut model, 41, 500);
        for refused in
            [archive.step(&log, b"").map(drop), self::archive(&sim.env()).step(&log, b"").map(drop)]
        {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Format, "{name}: {refused}");
        }
        assert_eq!(files(&disk, DEST), before, "{name}");
    }
}

#[test]
fn nothing_is_taken_away_while_a_backup_cannot_be_read() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    back_up(&log).unwrap();
    let disk = sim.disk();
    let flip = || disk.flip_bit(Path::new("/backups/backups/00000002.backup"), 40, 1).unwrap();
    flip();
    commit(&log, &mut model, 41, 500);
    archive.step(&log, b"").unwrap();
    thin(&mut archive, &model);
    for n in 42..45 {
        commit(&log, &mut model, n, 500);
        archive.step(&log, b"").unwrap();
    }
    flip();
    assert!(verify(&sim.env()).faults.is_empty());
}

#[test]
fn thinning_can_be_stopped_as_long_as_it_goes_through_bytes() {
    for mode in MODES {
        let (mut sim, log, mut model) = world_as(*mode);
        commit(&log, &mut model, 40, 500);
        let mut archive = Archive::new(&sim.env(), Path::new(DEST), mode.packing());
        archive.step(&log, b"").unwrap();
        let judged = Judged { at: archive.sealed().last().unwrap().end, number: 1, note: b"" };
        let packing = crate::pack::Packing { from: Lsn::NONE, to: Lsn::MAX, judged };
        let before = files(&sim.disk(), DEST);
        let stopped_after = |most: u64| {
            let mut told = 0;
            let thinned = archive.thinning(packing).unwrap().unwrap().write(
                packing,
                &mut |_| Ok(Stay::Whole),
                &mut |bytes| {
                    told += bytes;
                    if told > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            (told, thinned.map(|thinned| thinned.packed))
        };
        let (told, packed) = stopped_after(u64::MAX);
        let packed = packed.unwrap();
        assert!(told >= packed.bytes_before + packed.bytes_after, "{mode:?}: {told} {packed:?}");
        let left = files(&sim.disk(), DEST);
        for most in [0, packed.bytes_before, told - 1] {
            assert_eq!(stopped_after(most).1.unwrap_err().kind(), ErrorKind::Aborted, "{mode:?} {most}");
        }
        let names =
            |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(names(&files(&sim.disk(), DEST)), names(&left), "{mode:?}: nothing more is left over");
        assert!(left.len() == before.len() + 1, "what was thinned, and not put in its place");
    }
}

#[test]
fn thinning_that_fails_anywhere_leaves_the_archive_before_or_after_and_it_goes_on() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let mut first = archive(&sim.env());
    first.step(&log, b"").unwrap();
    let last = first.sealed().last().unwrap().end;
    log.close().unwrap();
    let (disk, before) = (sim.disk(), model.clone());
    let gone: Vec<Lsn> = model.range(..last).map(|(lsn, _)| *lsn).step_by(3).collect();
    gone.iter().for_each(|lsn| _ = model.remove(lsn));
    for fault in FAULTS {
        for n in 1.. {
            let hurt = disk.fork();
            let env = env_of(&mut sim, &hurt);
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            let mut archive = archive(&env);
            archive.step(&log, b"other").unwrap();
            hurt.order(When::Change(hurt.counts().changes + n), fault);
            let thinned = try_thin(&mut archive, &model);
            let stepped = archive.step(&log, b"again");
            let dead = hurt.death().is_some();
            let ended = thinned.is_ok() && stepped.is_ok() && !dead;
            drop((archive, log));
            let found = if dead { rebooted(&hurt, n) } else { hurt.clone() };
            found.heal();
            let env = env_of(&mut sim, &found);
            assert!(verify(&env).faults.is_empty(), "{fault:?} {n}");
            restore(&env, Moment::Latest, TO).unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            let there = contents(&env, TO).unwrap();
            assert!(there == before || there == model, "{fault:?} {n}");
            let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            let mut archive = self::archive(&env);
            archive.step(&log, b"").unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            thin(&mut archive, &model);
            archive.step(&log, b"end").unwrap_or_else(|e| panic!("{fault:?} {n}: {e}"));
            restore(&env, Moment::Latest, "/after").unwrap();
            assert_eq!(contents(&env, "/after").unwrap(), model, "{fault:?} {n}");
            if ended {
                break;
            }
        }
    }
}

#[test]
fn what_a_store_of_an_undone_future_thinned_does_not_stand_in_the_archive_of_one_that_was_restored() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    log.back_up(Path::new("/b"), b"", Copying::default(), &mut go).unwrap();
    let mut older = archive(&sim.env());
    older.step(&log, b"").unwrap();
    let gone = *model.keys().nth(2).unwrap();
    let mut less = model.clone();
    less.remove(&gone);
    thin(&mut older, &less);
    older.step(&log, b"thinned").unwrap();
    let source = Source::open(&sim.env(), Path::new("/b")).unwrap();
    let (name, cut) = source.choose(Moment::Latest).unwrap();
    source.restore(name, cut, Path::new("/x"), 0, &mut Nothing, &mut go).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new("/x"), options()).unwrap();
    commit(&restored, &mut model, 41, 100);
    archive(&sim.env()).step(&restored, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
    restore(&sim.env(), Moment::At(gone), "/exact").unwrap();
    assert_eq!(contents(&sim.env(), "/exact").unwrap(), until(&model, gone));
    // what was restored out of the thinned archive itself goes on in it
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let mut older = archive(&sim.env());
    older.step(&log, b"").unwrap();
    model.remove(&gone);
    thin(&mut older, &model);
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    commit(&restored, &mut model, 41, 100);
    assert!(archive(&sim.env()).step(&restored, b"").unwrap().copied_bytes < 16 << 10);
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), model);
}

#[test]
fn what_an_ending_ended_does_not_begin_again_where_originals_stand_in() {
    // the log drops a record, and later an ending of it; an earlier backup has the record, and none has the ending
    let (mut sim, log, mut model) = world();
    back_up(&log).unwrap();
    let begun = *model.keys().nth(1).unwrap();
    (20..40).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let ending = *model.keys().nth_back(8).unwrap();
    let sealed = log.sealed().unwrap();
    let border =
        sealed.iter().map(|file| file.base).find(|base| *base > *model.keys().nth(9).unwrap()).unwrap();
    for (from, to) in [(Lsn::NONE, border), (border, Lsn::MAX)] {
        let judged = Judged { at: ending, number: 1, note: b"" };
        let stays = |candidate: &crate::pack::Candidate<'_>| {
            Ok(if [begun, ending].contains(&candidate.lsn) { Stay::Nothing } else { Stay::Whole })
        };
        let packed =
            log.pack(crate::pack::Packing { from, to, judged }, stays, |_| ControlFlow::Continue(()));
        assert_eq!(packed.unwrap().unwrap().dropped, 1);
    }
    back_up(&log).unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    let there = contents(&sim.env(), TO).unwrap();
    assert!(!there.contains_key(&ending));
    assert!(!there.contains_key(&begun), "it began again");
}

/// What compaction dropped before the moment is told to nobody: a packed file of which nothing else is restored says so.
#[test]
fn who_lacks_what_was_dropped_before_the_moment_is_told_so_in_the_restored_log() {
    let (mut sim, log, mut model) = world();
    (20..60).for_each(|n| _ = commit(&log, &mut model, n, 1500));
    let sealed = log.sealed().unwrap();
    let border = sealed[sealed.len() / 2].base;
    let told = *model.range(..border).next_back().unwrap().0;
    let moment = *model.range(border..).nth(2).unwrap().0;
    for (from, to) in [(Lsn::NONE, border), (border, Lsn::MAX)] {
        let judged = Judged { at: moment, number: 1, note: b"" };
        let stays = |candidate: &crate::pack::Candidate<'_>| {
            Ok(if (border..=moment).contains(&candidate.lsn) { Stay::Nothing } else { Stay::Whole })
        };
        log.pack(crate::pack::Packing { from, to, judged }, stays, |_| ControlFlow::Continue(())).unwrap();
    }
    back_up(&log).unwrap();
    assert_eq!(restore(&sim.env(), Moment::At(moment), TO).unwrap().end, moment.plus(1));
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let gone = restored.follow(told.plus(1)).try_next().unwrap_err();
    assert_eq!((gone.kind(), gone.lsn()), (ErrorKind::Gone, Some(moment.plus(1))));
    assert_eq!(restored.follow(moment.plus(1)).try_next().unwrap(), None);
    // a moment before all of it leaves nothing of it
    let judged = Judged { at: told, number: 2, note: b"" };
    let packing = crate::pack::Packing { from: border, to: Lsn::MAX, judged };
    log.pack(packing, |_| Ok(Stay::Whole), |_| ControlFlow::Continue(())).unwrap();
    let first = Judged { at: told, number: 2, note: b"" };
    let packing = crate::pack::Packing { from: Lsn::NONE, to: border, judged: first };
    log.pack(packing, |_| Ok(Stay::Whole), |_| ControlFlow::Continue(())).unwrap();
    back_up(&log).unwrap();
    restore(&sim.env(), Moment::At(told), "/before").unwrap();
    let restored = Wal::open_in(sim.env(), Path::new("/before"), options()).unwrap();
    assert_eq!(restored.complete(), told.plus(1));
}

#[test]
fn who_was_told_everything_goes_on_in_a_log_that_was_restored_from_a_thinned_archive() {
    let (mut sim, log, mut model) = world();
    let mut archive = archive(&sim.env());
    let mut last = Lsn::NONE;
    for n in 40..43 {
        (0..9).for_each(|_| _ = commit(&log, &mut model, n, 1500));
        archive.step(&log, b"").unwrap();
        let ended = archive.sealed().last().unwrap().end;
        last = *model.range(..ended).next_back().unwrap().0;
        let gone: Vec<Lsn> = model.range(..ended).map(|(lsn, _)| *lsn).collect();
        let less: Model =
            model.iter().filter(|(lsn, _)| !gone.contains(lsn)).map(|(l, r)| (*l, r.clone())).collect();
        thin(&mut archive, &less);
    }
    archive.step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    assert_eq!(restored.complete(), last.plus(1));
    let mut follower = restored.follow(last.plus(1));
    let told = std::iter::from_fn(|| follower.try_next().unwrap()).map(|record| record.lsn);
    assert!(told.eq(model.range(last.plus(1)..).map(|(lsn, _)| *lsn)));
}

/// Two destinations of one log know nothing of each other, and neither does who restores from them on one day.
#[test]
fn restores_from_two_destinations_never_hand_out_one_place_twice_and_the_later_one_is_superseded() {
    let (mut sim, log, mut model) = world();
    for to in ["/a", "/b"] {
        log.back_up(Path::new(to), b"", Copying::default(), &mut go).unwrap();
    }
    let (mut places, mut logs) = (std::collections::BTreeSet::new(), Vec::new());
    for (n, from) in ["/a", "/b", "/b", "/a"].into_iter().enumerate() {
        let source = Source::open(&sim.env(), Path::new(from)).unwrap();
        let (name, cut) = source.choose(Moment::At(*model.keys().nth(4).unwrap())).unwrap();
        let to = format!("/restored-{n}");
        let restored = source.restore(name, cut, Path::new(&to), 0, &mut Nothing, &mut go).unwrap();
        assert!(restored.claimed);
        logs.push((restored.timeline, Wal::open_in(sim.env(), Path::new(&to), options()).unwrap()));
    }
    let numbers: Vec<u16> = logs.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers[0], numbers[3]), (numbers[1], numbers[2]), "they took the same, and could not know");
    for n in 0..40_u8 {
        for (_, log) in &logs {
            assert!(places.insert(log.append(&[n], &[n; 300]).unwrap().wait().unwrap()), "twice");
        }
        assert!(places.insert(commit(&log, &mut model, n, 100)));
    }
    let ever = *model.keys().nth(12).unwrap();
    assert!(places.iter().filter(|place| place.timeline() >= numbers[0]).all(|place| *place > ever));
    // both go on in one archive: whoever comes second to a number is told
    let (first, second) = (&logs[0].1, &logs[1].1);
    archive(&sim.env()).step(first, b"").unwrap();
    let refused = archive(&sim.env()).step(second, b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Superseded, "{refused}");
    archive(&sim.env()).step(first, b"again").unwrap();
    // a later restore of the second goes on there: what the first wrote is none of its past
    second.back_up(Path::new("/c"), b"", Copying::default(), &mut go).unwrap();
    let source = Source::open(&sim.env(), Path::new("/c")).unwrap();
    let (name, cut) = source.choose(Moment::Latest).unwrap();
    source.restore(name, cut, Path::new("/third"), 0, &mut Nothing, &mut go).unwrap();
    let third = Wal::open_in(sim.env(), Path::new("/third"), options()).unwrap();
    third.append(b"third", b"").unwrap().wait().unwrap();
    archive(&sim.env()).step(&third, b"").unwrap();
    third.close().unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), contents(&sim.env(), "/third").unwrap());
    // what it becomes, restored and closed and opened again, has its places still
    logs.into_iter().for_each(|(_, log)| log.close().unwrap());
    for n in 0..4 {
        let log = Wal::open_in(sim.env(), Path::new(&format!("/restored-{n}")), options()).unwrap();
        assert!(places.insert(log.append(b"later", b"").unwrap().wait().unwrap()), "twice");
    }
}

/// So far ahead that no timeline has the number of the day.
const CENTURIES_US: i64 = 180 * 366 * 86_400 * 1_000_000;

#[test]
fn a_clock_that_is_wrong_by_centuries_at_a_restore_costs_one_timeline() {
    let (mut sim, log, model) = world();
    back_up(&log).unwrap();
    let first = model.keys().next().unwrap().timeline();
    let mut begun = Vec::new();
    for (to, by_us) in [("/a", CENTURIES_US), ("/b", -CENTURIES_US), ("/c", CENTURIES_US)] {
        sim.step_wall(by_us);
        begun.push(restore(&sim.env(), Moment::Latest, to).unwrap().timeline);
        assert_eq!(contents(&sim.env(), to).unwrap(), model);
    }
    assert_eq!(begun, [first + 1, first + 2, first + 3]);
}

#[test]
fn a_log_made_while_the_clock_was_wrong_by_centuries_is_restored_and_repaired() {
    let (mut sim, mut model) = (Sim::new(3), Model::new());
    sim.step_wall(CENTURIES_US);
    let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    commit(&log, &mut model, 1, 900);
    back_up(&log).unwrap();
    log.close().unwrap();
    for (by_us, restored, repaired) in [(0, "/a", "/b"), (-CENTURIES_US, "/c", "/d")] {
        sim.step_wall(by_us);
        restore(&sim.env(), Moment::Latest, restored).unwrap();
        repair(&sim.env(), sim.dir(), repaired);
        assert_eq!(contents(&sim.env(), restored).unwrap(), model);
        assert_eq!(contents(&sim.env(), repaired).unwrap(), model);
    }
}

#[test]
fn what_compaction_made_of_segments_never_takes_their_place_in_a_destination() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 40, 500);
    let mut archive = archive(&sim.env());
    archive.step(&log, b"").unwrap();
    back_up(&log).unwrap();
    let before = model.clone();
    pack(&log, &mut model);
    let mut all = before;
    let lsn = commit(&log, &mut model, 41, 100);
    all.insert(lsn, model[&lsn].clone());
    let done = back_up(&log).unwrap();
    assert!(done.copied_bytes < 8 << 10, "{done:?}");
    archive.step(&log, b"").unwrap();
    for (n, lsn) in all.keys().enumerate().step_by(4) {
        let to = format!("/at-{n}");
        restore(&sim.env(), Moment::At(*lsn), &to).unwrap();
        assert_eq!(contents(&sim.env(), &to).unwrap(), until(&all, *lsn), "{lsn}");
    }
    let only = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Archive).unwrap();
    let (name, cut) = only.choose(Moment::Latest).unwrap();
    only.restore(name, cut, Path::new("/archived"), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), "/archived").unwrap(), all);
    drop(only);
    sim.advance(Duration::from_secs(31 * 24 * 3600));
    let lsn = commit(&log, &mut model, 42, 100);
    all.insert(lsn, model[&lsn].clone());
    archive.step(&log, b"").unwrap();
    let only = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Archive).unwrap();
    let (name, cut) = only.choose(Moment::Latest).unwrap();
    only.restore(name, cut, Path::new("/whole"), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), "/whole").unwrap(), all, "however old it is");
    drop(only);
    thin(&mut archive, &model);
    let only = Source::open(&sim.env(), Path::new(DEST)).unwrap().only(BackupName::Archive).unwrap();
    let (name, cut) = only.choose(Moment::Latest).unwrap();
    only.restore(name, cut, Path::new("/thinned"), 0, &mut Nothing, &mut go).unwrap();
    assert_eq!(contents(&sim.env(), "/thinned").unwrap(), model, "it is thinned by itself");
    assert!(verify(&sim.env()).faults.is_empty());
}

#[test]
fn every_flipped_bit_of_a_packed_piece_is_refused() {
    for mode in MODES {
        let (mut sim, log, mut model) = world_as(*mode);
        pack(&log, &mut model);
        mode.back_up(&log).unwrap();
        let disk = sim.disk();
        let pieces = files(&disk, "/backups/pieces").into_iter();
        let (path, bytes) = pieces.max_by_key(|(_, bytes)| bytes.len()).unwrap();
        for at in (0..bytes.len() as u64).step_by(97) {
            let damaged = disk.fork();
            damaged.flip_bit(&path, at, (at % 8) as u8).unwrap();
            let env = env_of(&mut sim, &damaged);
            assert!(restore(&env, Moment::Latest, TO).is_err() && contents_of_nothing(&env), "{mode:?} {at}");
            assert!(!verify(&env).faults.is_empty(), "{mode:?} {at}");
        }
    }
}

/// What is packed compresses as well as any log, alone and among what follows it.
#[cfg(feature = "compression")]
#[test]
fn a_packed_log_and_a_thinned_archive_are_compressed_where_that_is_asked_for() {
    let bytes_in = |mode: Mode| {
        let (mut sim, log, mut model) = world_as(mode);
        let mut archive = Archive::new(&sim.env(), Path::new("/archive"), mode.packing());
        archive.step(&log, b"").unwrap();
        let gone: Vec<Lsn> = model.keys().copied().step_by(3).collect();
        let last = archive.sealed().last().unwrap().end;
        gone.into_iter().filter(|lsn| *lsn < last).for_each(|lsn| _ = model.remove(&lsn));
        thin(&mut archive, &model);
        archive.step(&log, b"").unwrap();
        let env = sim.env();
        let source = || Source::open(&env, Path::new("/archive")).unwrap();
        assert!(source().verify(&mut go).unwrap().faults.is_empty(), "{mode:?}");
        let (name, cut) = source().choose(Moment::Latest).unwrap();
        source().restore(name, cut, Path::new("/thinned"), 0, &mut Nothing, &mut go).unwrap();
        assert_eq!(contents(&env, "/thinned").unwrap(), model, "{mode:?}");
        thin(&mut archive, &model); // what is compressed is thinned again
        let disk = sim.disk();
        let bytes = |dir: &str| files(&disk, dir).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let thinned = bytes("/archive/pieces");
        pack(&log, &mut model);
        mode.back_up(&log).unwrap();
        (bytes("/backups/pieces"), thinned)
    };
    let (plain, compressed) = (bytes_in(Mode::Copied), bytes_in(Mode::Compressed));
    assert!(compressed.0 < plain.0 / 2 && compressed.1 < plain.1 / 2, "{compressed:?} of {plain:?}");
}

#[test]
fn a_restore_leaves_nothing_of_an_undone_future_in_the_archive_that_goes_on() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    let last = *model.keys().nth(3).unwrap();
    restore(&sim.env(), Moment::At(last), TO).unwrap();
    let restored = Wal::open_in(sim.env(), Path::new(TO), options()).unwrap();
    let mut there = until(&model, last);
    commit(&restored, &mut there, 50, 300);
    archive(&sim.env()).step(&restored, b"").unwrap();
    restore(&sim.env(), Moment::Latest, "/again").unwrap();
    assert_eq!(contents(&sim.env(), "/again").unwrap(), there);
    model.clear();
}

/// A disk like `disk`, which has in `DEST` what lies there on `from`.
fn with_backups_of(disk: &SimDisk, from: &SimDisk) -> SimDisk {
    let disk = disk.fork();
    files(&disk, DEST).iter().for_each(|(path, _)| disk.uproot(path).unwrap());
    for (path, bytes) in files(from, DEST) {
        disk.plant(&path, &bytes).unwrap();
    }
    disk
}

fn is_refused_as_an_older_copy(env: &Env, copy: &Wal, mode: Mode, disk: &SimDisk, what: &str) {
    let there = files(disk, DEST);
    for refused in [archive(env).step(copy, b"").map(drop), mode.back_up(copy).map(drop)] {
        let refused = refused.err().unwrap_or_else(|| panic!("{what}: went on"));
        assert_eq!(refused.kind(), ErrorKind::Superseded, "{what}: {refused}");
        assert!(refused.message().contains("older copy"), "{what}: {refused}");
    }
    assert!(files(disk, DEST) == there, "{what}");
}

#[test]
fn an_older_copy_that_went_on_in_the_same_segment_is_told_by_the_bytes() {
    for mode in MODES {
        // more of the same sizes; groups that do not line up; into the next segment
        for (archived, first, theirs, ours) in [
            (false, 400, 1, 2),
            (false, 3000, 1, 6),
            (true, 400, 2, 3),
            (true, 900, 20, 40),
            (false, 900, 20, 40),
        ] {
            let what = format!("{mode:?} {archived} {first} {theirs} {ours}");
            let (mut sim, log, mut model) = world_as(*mode);
            let begun = commit(&log, &mut model, 30, 100);
            archive(&sim.env()).step(&log, b"").unwrap();
            log.close().unwrap();
            let closed = sim.disk().fork();
            let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
            (0..theirs).for_each(|n| _ = commit(&log, &mut model, 40 + n, 400));
            if archived {
                archive(&sim.env()).step(&log, b"").map(drop)
            } else {
                mode.back_up(&log).map(drop)
            }
            .unwrap();
            let disk = with_backups_of(&closed, &sim.disk());
            let env = env_of(&mut sim, &disk);
            let copy = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
            let mut then = until(&model, begun);
            commit(&copy, &mut then, 100, first);
            (0..ours).for_each(|n| _ = commit(&copy, &mut then, 101 + n, 400));
            is_refused_as_an_older_copy(&env, &copy, *mode, &disk, &what);
        }
    }
}

#[test]
fn an_older_copy_of_a_log_that_was_killed_does_not_stand_on_its_archive() {
    for theirs in [1, 3, 20] {
        let (mut sim, log, mut model) = world();
        let begun = commit(&log, &mut model, 30, 100);
        let killed = sim.disk().fork();
        (0..theirs).for_each(|n| _ = commit(&log, &mut model, 40 + n, 400));
        log.sync().unwrap();
        archive(&sim.env()).step(&log, b"").unwrap();
        let killed = killed.reboot(Choice::KeepAll);
        for shelf in ["", "pieces", "backups", "claims"] {
            Vfs::create_dir(&killed, &Path::new(DEST).join(shelf)).unwrap();
        }
        let disk = with_backups_of(&killed, &sim.disk());
        let env = env_of(&mut sim, &disk);
        let copy = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
        let mut then = until(&model, begun);
        (0..40).for_each(|n| _ = commit(&copy, &mut then, 100 + n, 900));
        is_refused_as_an_older_copy(&env, &copy, Mode::Copied, &disk, &theirs.to_string());
    }
}

#[test]
fn what_recovery_wrote_anew_of_what_was_backed_up_is_no_older_copy() {
    for n in 0..40 {
        let (mut sim, log, mut model) = world();
        (0..n).for_each(|n| _ = commit(&log, &mut model, 40 + n, 900)); // through the end of a segment, one by one
        archive(&sim.env()).step(&log, b"").unwrap();
        back_up(&log).unwrap();
        sim.cut_power();
        drop(log);
        for more in 0..3 {
            let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
            archive(&sim.env()).step(&log, b"").unwrap_or_else(|e| panic!("{n} {more}: {e}"));
            back_up(&log).unwrap_or_else(|e| panic!("{n} {more}: {e}"));
            commit(&log, &mut model, 100 + more, 600);
            archive(&sim.env()).step(&log, b"").unwrap_or_else(|e| panic!("{n} {more}: {e}"));
            back_up(&log).unwrap_or_else(|e| panic!("{n} {more}: {e}"));
            if more == 1 { log.close().unwrap() } else { sim.kill() }
        }
        assert!(verify(&sim.env()).faults.is_empty(), "{n}");
        restore(&sim.env(), Moment::Latest, TO).unwrap();
        assert_eq!(contents(&sim.env(), TO).unwrap(), model, "{n}");
    }
}

#[test]
fn a_repaired_log_goes_on_in_the_archive_of_its_past_more_than_once() {
    let (mut sim, log, mut model) = world();
    archive(&sim.env()).step(&log, b"").unwrap();
    log.close().unwrap();
    let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
    let found = inspector.inspect(&mut go, |_| Ok(())).unwrap();
    inspector.copy(&found, Path::new("/repaired"), &mut go, |_| Ok(inspect::Keep::Yes)).unwrap();
    for n in 0..3 {
        let log = Wal::open_in(sim.env(), Path::new("/repaired"), options()).unwrap();
        let mut archive = archive(&sim.env());
        for m in 0..3 {
            commit(&log, &mut model, 100 + 10 * n + m, 2000);
            archive.step(&log, b"").unwrap_or_else(|e| panic!("{n} {m}: {e}"));
        }
        log.close().unwrap();
    }
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}

#[test]
fn damage_in_what_was_backed_up_makes_no_older_copy_of_a_log() {
    let (mut sim, log, mut model) = world();
    commit(&log, &mut model, 77, 600);
    archive(&sim.env()).step(&log, b"").unwrap();
    log.close().unwrap();
    let disk = sim.disk();
    let hurt = files(&disk, "/store/log")
        .into_iter()
        .find_map(|(path, bytes)| Some((path, bytes.windows(64).position(|w| w == [77 ^ 0x55; 64])?)));
    let (path, at) = hurt.unwrap();
    disk.flip_bit(&path, at as u64 + 8, 3).unwrap();
    let log = Wal::open_in(sim.env(), sim.dir(), options()).unwrap();
    commit(&log, &mut model, 78, 600);
    archive(&sim.env()).step(&log, b"").unwrap();
    restore(&sim.env(), Moment::Latest, TO).unwrap();
    assert_eq!(contents(&sim.env(), TO).unwrap(), model);
}
