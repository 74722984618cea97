//! Simulated schedules: several holders with pauses, clock steps, crashes, restarts, handoffs, thefts and power cuts,
//! checked against a model: no write by a stale token, no key with two able writers, no waiter forgotten, no key stuck.
//!
//! `SAVEHOLD_SCHEDULES=1000000 cargo test --release -p savehold-tests --test sessions schedules -- --nocapture` runs the
//! full form.

mod model;
mod run;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use savehold::planted::{Fault, plant};

use run::World;

/// Schedules on one machine before a new one is taken.
const EACH: u64 = 50;

/// Runs the schedules from `first` on; the first thing that was wrong, if anything was.
pub(crate) fn run(first: u64, count: u64, fault: Option<Fault>) -> Result<run::Counts, String> {
    let mut counts = run::Counts::default();
    let mut done = 0;
    while done < count {
        let seed = first + done;
        plant(fault);
        let mut world = World::new(seed);
        let mut ran = Ok(());
        for schedule in 0..EACH.min(count - done) {
            ran = world.schedule().map_err(|e| format!("machine {seed}, schedule {schedule}: {e}"));
            if ran.is_err() {
                break;
            }
        }
        plant(None);
        ran?;
        counts.add(&world.counts);
        done += EACH;
    }
    Ok(counts)
}

#[test]
fn no_schedule_lets_a_stale_token_write_or_forgets_a_waiter() {
    let wanted = std::env::var("SAVEHOLD_SCHEDULES").ok().and_then(|text| text.parse().ok());
    let count: u64 = wanted.unwrap_or(3_000);
    let each = count.div_ceil(40).next_multiple_of(EACH);
    let (next, all) = (AtomicU64::new(0), Mutex::new((0, run::Counts::default())));
    let work = || {
        loop {
            let first = next.fetch_add(each, Ordering::Relaxed);
            if first >= count {
                return;
            }
            let part = each.min(count - first);
            let counts = run(first, part, None).unwrap_or_else(|e| panic!("{e}"));
            let mut all = all.lock().expect("no panic");
            all.0 += part;
            all.1.add(&counts);
            if wanted.is_some() {
                println!("{} of {count} schedules: {:?}", all.0, all.1);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| _ = scope.spawn(work)));
    let (done, all) = all.into_inner().expect("no panic");
    assert_eq!(done, count);
    assert!(all.fenced > 0 && all.granted > 0 && all.forced > 0 && all.crashes > 0 && all.handed_over > 0);
    assert!(all.outlived > 0);
}

#[test]
fn the_schedules_notice_broken_leases() {
    let all = [Fault::DropFence, Fault::FenceEarly, Fault::WallClock, Fault::GrantUnseen];
    for fault in all {
        let noticed = run(0, 20_000, Some(fault));
        assert!(noticed.is_err(), "{fault:?} went unnoticed");
    }
}
