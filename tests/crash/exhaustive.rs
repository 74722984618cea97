//! Every workload of up to three steps, crashed before and inside every change of the disk, and again inside the
//! recovery, and again inside that one.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::sim::{Fault, When};
use support::check::Promise;
use support::history::{Finding, Stop};
use support::world::{Step, World, small_segments};

use crate::budget;
use crate::images::{Depth, Tally};

/// What workloads are made of.
const STEPS: [Step; 9] = [
    Step::Commit(100, Synced),
    Step::Commit(100, Buffered),
    Step::Commit(9_000, Synced),
    Step::Commit(20_000, Synced),
    Step::Batch(3, 700),
    Step::Sync,
    Step::Reopen,
    Step::Tick(Duration::from_millis(6)),
    Step::Tick(Duration::from_secs(2)),
];

/// All sequences of `length` steps.
pub(crate) fn workloads(length: usize) -> impl Iterator<Item = Vec<Step>> {
    let count = STEPS.len().pow(u32::try_from(length).expect("three at most"));
    (0..count).map(move |mut n| {
        let digit = |_| {
            let step = STEPS[n % STEPS.len()];
            n /= STEPS.len();
            step
        };
        let mut steps: Vec<Step> = (0..length).map(digit).collect();
        steps.reverse();
        steps
    })
}

/// Crashes a workload everywhere in its last step: the steps before it are the last ones of shorter workloads.
pub(crate) fn crash_in_last_step(steps: &[Step], tally: &mut Tally, depth: Depth) -> Result<(), Finding> {
    let options = small_segments();
    let context = |e| format!("{steps:?}: {e}");
    let mut world = World::new(1, options.clone());
    world.disk.record();
    let (last, before) = steps.split_last().expect("at least one step");
    world.steps(before).map_err(context)?;
    let from = world.changes();
    world.steps(&[*last]).map_err(context)?;
    let through = world.changes();

    let mut tape = world.disk.take_tape();
    tape.push(world.disk.fork());
    for change in from..=through {
        let promise = Promise { history: &world.history, stop: Stop::Kill, change, options: &options };
        let disk = &tape[usize::try_from(change).expect("a few hundred")];
        let crashed = tally.crash(disk, &promise, depth);
        crashed.map_err(|e| context(format!("behind change {change} of {through}: {e}")))?;
    }
    world.disk.kill();
    for change in from + 1..=through {
        let mut world = World::new(1, options.clone());
        world.disk.order(When::Change(change), Fault::KillInside);
        for step in steps {
            world.step(*step).map_err(|e| context(format!("killed inside change {change}: {e}")))?;
        }
        let promise = Promise { history: &world.history, stop: Stop::Kill, change, options: &options };
        let crashed = tally.crash(&world.disk.restart(), &promise, depth);
        crashed.map_err(|e| context(format!("killed inside change {change} of {through}: {e}")))?;
    }
    Ok(())
}

/// Of how many workloads of so many steps a quick run takes one, of how many of its images one is crashed again, and of
/// how many of those that this leaves. A full run takes every one of each.
const STRIDES: [[u64; 3]; 3] = [[1, 7, 40], [1, 97, 97], [4, 97, 97]];

/// Every workload that is to be run, with how deep to go.
fn chosen() -> (Vec<(Vec<Step>, Depth)>, usize) {
    let (mut chosen, mut all) = (Vec::new(), 0);
    for (quick, length) in STRIDES.into_iter().zip(1..) {
        let [one_of, stride, deeper] = if budget::full() { [1; 3] } else { quick.map(budget::stride) };
        let one_of = if length == 1 { 1 } else { one_of };
        let depth = Depth { levels: 2, stride, deeper, random: 2 };
        for (n, steps) in (0_u64..).zip(workloads(length)) {
            all += 1;
            if n.is_multiple_of(one_of) {
                chosen.push((steps, depth));
            }
        }
    }
    let from = budget::number("SAVEHOLD_CRASH_FROM").unwrap_or(0);
    chosen.drain(..chosen.len().min(usize::try_from(from).unwrap_or(usize::MAX)));
    (chosen, all)
}

#[test]
fn every_workload_of_up_to_three_steps_survives_every_crash() {
    let ((chosen, all), begun) = (chosen(), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let next = AtomicUsize::new(0);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let run = || {
            let mut tally = Tally::default();
            while let Some((steps, depth)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                crash_in_last_step(steps, &mut tally, *depth).unwrap_or_else(|e| panic!("{e}"));
                if budget::full() {
                    println!("{:6.0} s {steps:?}: {tally:?}", begun.elapsed().as_secs_f64());
                }
            }
            tally
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|e| resume_unwind(e))).collect()
    });
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let (images, repeated, nested) = (sum(|t| t.images), sum(|t| t.repeated), sum(|t| t.nested));
    let rate = images as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{} of {all} workloads, {images} images, {repeated} more that repeat one of them, {nested} crashed again while \
         they were recovered, {rate:.0} images/s",
        chosen.len()
    );
    assert!(images > 1_000, "{tallies:?}");
}
