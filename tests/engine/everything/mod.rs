//! Everything at once: random calls, crashes in the middle of them, openings, backups and restores, thinning and packing at
//! any moment, clocks that leap, settings that change; and at every step the store is what a simple model says.
//!
//! `SAVEHOLD_MODEL_OPS=1000000 cargo test --release -p savehold-tests --test engine -- everything` runs so many calls; the
//! suite runs some thousands. A seed that fails is run again, alone, by `SAVEHOLD_MODEL_SEED`.

mod model;
mod world;
mod calls;
mod upkeep;
mod check;

use world::World;

/// Calls on one machine, about.
const CALLS: u64 = 1500;

/// Seeds beyond those of the suite that found a fault.
const FOUND: [u64; 6] = [12, 22, 28, 33, 40, 106];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn what_found_a_fault_finds_none_any_more() {
    FOUND.into_iter().for_each(|seed| _ = World::new(seed).run(CALLS));
}

#[test]
fn everything_that_is_done_to_a_store_leaves_it_as_a_simple_model_says() {
    let calls = setting("SAVEHOLD_MODEL_OPS").unwrap_or(6 * CALLS);
    let one = setting("SAVEHOLD_MODEL_SEED");
    let seeds = one.map_or(0..calls.div_ceil(CALLS), |seed| seed..seed + 1);
    let (mut done, machines) = (0, seeds.end - seeds.start);
    for seed in seeds {
        done += World::new(seed).run(CALLS);
    }
    println!("{done} calls on {machines} machines");
    assert!(done >= machines * CALLS);
}

/// Whether the model notices a fault that is planted in the store.
pub(crate) fn notices(fault: savehold::planted::Fault) -> bool {
    (0..12).any(|seed| {
        savehold::planted::plant(Some(fault));
        let run = std::panic::AssertUnwindSafe(|| World::new(seed).run(CALLS / 2));
        let run = std::panic::catch_unwind(run);
        savehold::planted::plant(None);
        run.is_err()
    })
}
