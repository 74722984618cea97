//! Random calls with crashes, failures, full disks and stepping clocks, against the model.

use crate::scaled;
use crate::world::World;

/// Rounds of calls, each ended by a crash or a close, and reopened.
pub(crate) fn run(seed: u64, rounds: u64) {
    let mut world = World::new(seed);
    for _ in 0..rounds {
        for _ in 0..1 + world.draw.below(24) {
            world.step();
            if world.disk.death().is_some() {
                break;
            }
        }
        world.end();
        world.trace.push("open".into());
        world.open();
    }
}

#[test]
fn a_store_is_a_prefix_of_its_commits_whatever_fails() {
    for seed in 0..scaled(400) {
        run(seed, 5);
    }
}
