//! Long random workloads through several lives, each crashed at random places.

use std::time::{Duration, Instant};

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::segment::file::Access;
use savehold_wal::sim::{Draw, Fault, SimDisk, When};
use savehold_wal::{Durability, Options};
use support::check::{Promise, verify};
use support::history::{Finding, History, Stop};
use support::world::{Step, World, small_segments};

use crate::budget;

/// Images for one life of a workload.
const IMAGES_A_LIFE: u64 = 25;

/// Lives of one workload at the most.
const LIVES: u64 = 4;

fn step(draw: &mut Draw) -> Step {
    let durability: Durability = if draw.below(2) == 0 { Synced } else { Buffered };
    match draw.below(20) {
        0..8 => Step::Commit(size(draw), durability),
        8 => Step::Batch(1 + draw.below(5) as usize, size(draw)),
        9 => Step::Lump(1 + draw.below(5) as usize, size(draw)),
        10 | 11 => Step::Sync,
        12 => Step::Reopen,
        13 => Step::Retire,
        14 | 15 => Step::Tick(Duration::from_millis(1 + draw.below(12))),
        16 => Step::Tick(Duration::from_secs(2)),
        17 => Step::Pack,
        _ => Step::Commit(draw.below(200) as usize, Buffered),
    }
}

/// Mostly small, sometimes several blocks, seldom larger than a segment.
fn size(draw: &mut Draw) -> usize {
    let most = [60, 300, 1_500, 6_000, 13_000, 40_000][draw.below(6).min(draw.below(6)) as usize];
    draw.below(most) as usize
}

fn options(draw: &mut Draw) -> Options {
    let small = small_segments();
    match draw.below(4) {
        0 => Options { segment_bytes_max: 128 << 10, sync_after_bytes: 20_000, ..small },
        1 => Options { segment_bytes_min: 64 << 10, segment_bytes_max: 1 << 20, ..small },
        _ => small,
    }
}

/// Runs the workload of `seed` through all its lives; says how many images were verified.
pub(crate) fn run(seed: u64) -> Result<u64, Finding> {
    let access = if seed.is_multiple_of(4) { Access::Mapped } else { Access::Pread };
    run_with(seed, access)
}

/// The same, the log read in this way.
pub(crate) fn run_with(seed: u64, access: Access) -> Result<u64, Finding> {
    let mut draw = Draw::from_seed(seed);
    let options = Options { access, ..options(&mut draw) };
    let mut disk = SimDisk::new(seed);
    let (mut history, mut images) = (History::default(), 0);
    for life in 0..1 + draw.below(LIVES) {
        let steps: Vec<Step> = (0..20 + draw.below(41)).map(|_| step(&mut draw)).collect();
        let context = |e| format!("life {life} of {steps:?}: {e}");
        let start = disk.fork();
        let mut world = World::on(disk, seed ^ life << 32, options.clone(), history.clone());
        world.disk.record();
        world.steps(&steps).map_err(context)?;
        let (changes, tape) = (world.changes(), world.disk.take_tape());
        for n in 0..IMAGES_A_LIFE {
            let change = draw.below(changes);
            let at = &tape[usize::try_from(change).expect("a few thousand")];
            let context = |e| context(format!("behind change {change} of {changes}, image {n}: {e}"));
            let promise = Promise { history: &world.history, stop: Stop::Cut, change, options: &options };
            verify(&at.reboot_by(&mut draw), &promise, seed).map_err(context)?;
        }
        images += IMAGES_A_LIFE;
        world.disk.kill();
        drop(world);
        // The life ends in the middle of a change, and the next begins with what that left.
        let mut world = World::on(start, seed ^ life << 32, options.clone(), history);
        let (inside, kill) = (1 + draw.below(changes), draw.below(2) == 0);
        let how = if kill { Fault::KillInside } else { Fault::CutInside };
        world.disk.order(When::Change(inside), how);
        for step in &steps {
            world.step(*step).map_err(context)?;
        }
        world.log = None;
        disk = if kill { world.disk.restart() } else { world.disk.reboot_by(&mut draw) };
        let stop = if kill { Stop::Kill } else { Stop::Cut };
        let context = |e| context(format!("{how:?} at change {inside} of {changes}: {e}"));
        history = next_life(&disk, &world, stop, seed).map_err(context)?;
        images += 1;
    }
    Ok(images)
}

/// Holds what a crash left to the promise; says what the next life begins with.
fn next_life(disk: &SimDisk, world: &World, stop: Stop, seed: u64) -> Result<History, Finding> {
    let promise = Promise { history: &world.history, stop, change: u64::MAX, options: &world.options };
    verify(disk, &promise, seed)?;
    let look = World::on(disk.fork(), seed, world.options.clone(), History::default());
    let log = look.try_open().map_err(|e| format!("refused: {e:?}"))?;
    let found = support::check::records(&log).map_err(|e| format!("not replayed: {e:?}"))?;
    let kept = world.history.compare(&found, u64::MAX)?;
    Ok(world.history.cut_down(&found, kept, u64::MAX, 0).counted_anew())
}

#[test]
fn random_workloads_survive_random_crashes() {
    if let Some(seed) = budget::number("SAVEHOLD_CRASH_SEED") {
        run(seed).unwrap_or_else(|e| panic!("SAVEHOLD_CRASH_SEED={seed}: {e}"));
        return;
    }
    let wanted = budget::number("SAVEHOLD_CRASH_IMAGES").unwrap_or_else(|| budget::count(30_000, 200_000));
    let (mut images, mut seed, begun) = (0, 0, Instant::now());
    while images < wanted {
        images += run(seed).unwrap_or_else(|e| panic!("SAVEHOLD_CRASH_SEED={seed}: {e}"));
        seed += 1;
    }
    let rate = images as f64 / begun.elapsed().as_secs_f64();
    println!("{seed} random workloads, {images} images, {rate:.0} images/s");
}
