//! Crashes that once took something: each as small as it can be told.

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::sim::{Choice, Fate, Fault, SimDisk, What, When};
use savehold_wal::{ErrorKind, Options};
use support::check::{Promise, verify};
use support::history::{History, Stop};
use support::world::{Answer, ROOT, Step, World, small_segments};

use crate::images::subsets;

fn promise(world: &World, stop: Stop) -> Promise<'_> {
    Promise { history: &world.history, stop, change: u64::MAX, options: &world.options }
}

/// A process killed before it synced the directory leaves a MANIFEST that a power cut takes back, or a rest segment
/// whose name goes again. What the next one removes or names must wait until these are durable.
#[test]
fn names_that_a_killed_recovery_left_are_made_durable_before_anything_relies_on_them() {
    for steps in [
        vec![Step::Commit(100, Synced)],
        vec![Step::Commit(100, Synced), Step::Commit(300, Buffered), Step::Commit(400, Buffered)],
    ] {
        let mut world = World::new(1, small_segments());
        world.steps(&steps).unwrap();
        let killed = world.disk.restart();
        let recover = |disk: &SimDisk| World::on(disk.fork(), 2, small_segments(), History::default());
        let changes = {
            let whole = recover(&killed);
            drop(whole.try_open().unwrap());
            whole.changes()
        };
        for n in 1..=changes {
            let first = recover(&killed);
            first.disk.order(When::Change(n), Fault::KillBefore);
            drop(first.try_open());
            let second = recover(&first.disk.restart());
            second.disk.record();
            drop(second.try_open().unwrap());
            for (m, disk) in second.disk.take_tape().iter().enumerate() {
                for left in subsets(disk, 0) {
                    let cut = verify(&left.of(disk), &promise(&world, Stop::Cut), 3);
                    cut.unwrap_or_else(|e| {
                        panic!("killed before {n}, then cut before {}, {left:?}: {e}", m + 1)
                    });
                }
            }
        }
    }
}

/// The first process makes the store and is killed before MANIFEST's name is durable; the second prepares a segment.
#[test]
fn a_store_whose_maker_was_killed_survives_a_power_cut_in_its_first_append() {
    for n in 1..30 {
        let first = World::new(1, small_segments());
        first.disk.order(When::Change(n), Fault::KillBefore);
        drop(first.try_open());
        let mut second = World::on(first.disk.restart(), 2, small_segments(), History::default());
        second.disk.record();
        second.steps(&[Step::Commit(100, Synced)]).unwrap();
        for (change, disk) in (0..).zip(second.disk.take_tape()) {
            let promise = Promise { change, ..promise(&second, Stop::Cut) };
            for left in subsets(&disk, 1) {
                let cut = verify(&left.of(&disk), &promise, 3);
                cut.unwrap_or_else(|e| panic!("killed before {n}, cut before {}, {left:?}: {e}", change + 1));
            }
        }
    }
}

/// A power cut may leave MANIFEST.prev alone. An open then writes MANIFEST.next and may die before it is synced: the one
/// after it finds a whole MANIFEST.next beside an older catalog, and may not trust its bytes either.
#[test]
fn a_catalog_written_beside_the_previous_one_alone_is_synced_before_it_gets_its_name() {
    let mut world = World::new(1, small_segments());
    world.disk.record();
    world.steps(&[Step::Commit(100, Synced), Step::Commit(9_000, Synced)]).unwrap();
    let alone = |disk: &SimDisk| {
        let names: Vec<String> = disk.files().into_iter().map(|(path, _)| path).collect();
        let has = |name: &str| names.contains(&format!("{ROOT}/{name}"));
        has("MANIFEST.prev") && !has("MANIFEST") && !has("MANIFEST.next")
    };
    let mut found = 0;
    for (change, disk) in (0..).zip(world.disk.take_tape()) {
        let promise = Promise { change, ..promise(&world, Stop::Cut) };
        for image in subsets(&disk, 0).into_iter().map(|left| left.of(&disk)).filter(alone) {
            found += 1;
            for n in 1..20 {
                let first = World::on(image.fork(), 2, small_segments(), History::default());
                first.disk.order(When::Change(n), Fault::KillBefore);
                drop(first.try_open());
                let second = World::on(first.disk.restart(), 3, small_segments(), History::default());
                drop(second.try_open().unwrap());
                let cut = verify(&second.disk.reboot(Choice::KeepNone), &promise, 4);
                cut.unwrap_or_else(|e| panic!("behind {change}, killed before {n}: {e}"));
            }
        }
    }
    assert!(found > 0);
}

/// The catalog no longer names what was given up, and the files are still there.
#[test]
fn a_crash_between_giving_up_segments_and_removing_them_is_no_corruption() {
    let rest =
        [Step::Commit(300, Buffered), Step::Renew, Step::Commit(3_000, Synced), Step::Commit(3_000, Synced)];
    let none: [Step; 2] = [Step::Commit(9_000, Synced), Step::Commit(9_000, Synced)];
    for before in [&rest[..], &none[..]] {
        let mut world = World::new(1, small_segments());
        world.steps(before).unwrap();
        world
            .steps(&[Step::Commit(9_000, Synced), Step::Commit(9_000, Synced), Step::Commit(9_000, Synced)])
            .unwrap();
        world.disk.record();
        let from = world.changes();
        world.step(Step::Retire).unwrap();
        let mut tape = world.disk.take_tape();
        tape.push(world.disk.fork());
        assert!(tape.len() > 5, "something was given up");
        for (change, disk) in (from..).zip(&tape) {
            let promise = Promise { change, ..promise(&world, Stop::Kill) };
            verify(disk, &promise, 3).unwrap_or_else(|e| panic!("killed behind {change}: {e}"));
            for left in subsets(disk, 2) {
                let cut = verify(&left.of(disk), &Promise { stop: Stop::Cut, ..promise }, 3);
                cut.unwrap_or_else(|e| panic!("cut behind {change}, {left:?}: {e}"));
            }
        }
    }
}

/// The packed file is there, or what it was made of, or both: each record is found once.
#[test]
fn a_crash_while_segments_are_packed_leaves_every_record_once() {
    let rest = [Step::Commit(300, Buffered), Step::Renew, Step::Commit(3_000, Synced)];
    let again = [Step::Commit(9_000, Synced), Step::Commit(9_000, Synced), Step::Pack];
    for before in [&rest[..], &again[..]] {
        let mut world = World::new(1, small_segments());
        world.steps(before).unwrap();
        world
            .steps(&[Step::Commit(9_000, Synced), Step::Commit(9_000, Synced), Step::Commit(9_000, Synced)])
            .unwrap();
        world.disk.record();
        let from = world.changes();
        world.step(Step::Pack).unwrap();
        let mut tape = world.disk.take_tape();
        tape.push(world.disk.fork());
        assert!(tape.len() > 10, "something was packed");
        for (change, disk) in (from..).zip(&tape) {
            let promise = Promise { change, ..promise(&world, Stop::Kill) };
            verify(disk, &promise, 3).unwrap_or_else(|e| panic!("killed behind {change}: {e}"));
            for left in subsets(disk, 2) {
                let left = left.of(disk);
                let cut = Promise { stop: Stop::Cut, ..promise };
                verify(&left, &cut, 3).unwrap_or_else(|e| panic!("cut behind {change}: {e}"));
            }
        }
    }
}

/// A rest segment may begin where the segment began that it takes the rest of: the same base, a higher generation. The
/// old one is then given up before it, and a power cut may take back that it was removed.
#[test]
fn a_segment_given_up_before_its_rest_may_come_back_and_goes_again() {
    let mut world = World::new(1, small_segments());
    world.steps(&[Step::Commit(100, Buffered), Step::Commit(200, Buffered), Step::Renew]).unwrap();
    let second = world.history.entries()[1].lsn.unwrap();
    world.steps(&[Step::Commit(300, Synced)]).unwrap();
    world.log.as_ref().unwrap().retire(second).unwrap();
    world.history.retire(second, world.changes());
    let files = world.disk.files().len();
    let image = world.disk.reboot(Choice::KeepNone);
    assert_eq!(image.files().len(), files + 1, "the removal was taken back");
    verify(&image, &promise(&world, Stop::Cut), 3).unwrap();
}

/// After a clean close the first append writes MANIFEST anew; where there is no space for that, the segment that was
/// prepared before the close stays the next one.
#[test]
fn a_full_disk_at_the_first_append_does_not_lose_the_prepared_segment() {
    let mut world = World::new(1, small_segments());
    world.steps(&[Step::Commit(100, Synced), Step::Reopen]).unwrap();
    world.disk.set_capacity(Some(world.disk.used()));
    assert_eq!(world.step(Step::Commit(100, Synced)), Ok(Answer::Refused(ErrorKind::Full)));
    world.disk.set_capacity(None);
    world
        .steps(&[Step::Commit(9_000, Synced), Step::Commit(9_000, Synced), Step::Renew, Step::Reopen])
        .unwrap();
}

/// The first group of a new segment is lost while later ones are there: they say how far the segment before it is
/// durable, and that is its end, not its capacity.
#[test]
fn a_segment_that_lost_its_beginning_in_a_power_cut_does_not_accuse_the_one_before() {
    let options = Options { segment_bytes_min: 1 << 20, segment_bytes_max: 1 << 20, ..small_segments() };
    let mut world = World::new(1, options);
    world.steps(&[Step::Commit(900_000, Buffered), Step::Commit(500_000, Buffered)]).unwrap();
    world.steps(&[Step::Commit(100, Buffered), Step::Commit(5_000, Buffered)]).unwrap();
    let begun = world.disk.file_number("/store/log/0890000000100000-0.seg".as_ref()).unwrap();
    let first = What::Sector { file: begun, sector: 16 };
    assert!(world.disk.pending().iter().any(|p| p.what == first));
    let image = world.disk.reboot_with(|p| if p.what == first { Fate::Old } else { Fate::New });
    verify(&image, &promise(&world, Stop::Cut), 3).unwrap();
}

/// Giving up is what makes room: it needs none itself but MANIFEST's.
#[test]
fn a_damaged_tail_is_given_up_on_a_full_disk() {
    let mut world = World::new(1, small_segments());
    world.steps(&[Step::Commit(3_000, Buffered), Step::Commit(3_000, Buffered), Step::Renew]).unwrap();
    world
        .steps(&[Step::Commit(9_000, Synced), Step::Commit(9_000, Synced), Step::Commit(9_000, Synced)])
        .unwrap();
    let used = world.disk.used();
    world.disk.set_capacity(Some(used + 4096));
    assert_eq!(world.step(Step::Retire), Ok(Answer::Done));
    assert!(world.disk.used() < used);
    verify(&world.disk.reboot(Choice::KeepNone), &promise(&world, Stop::Cut), 3).unwrap();
}
