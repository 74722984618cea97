//! How a log is read: through maps, or without them by windows. Both show the same, and a window holds little.

use std::path::Path;
use std::sync::Arc;

use savehold_wal::Durability::Buffered;
use savehold_wal::env::Env;
use savehold_wal::segment::file::Access;
use savehold_wal::{Lsn, Options, Verify, Wal};
use support::check::Places;
use support::history::History;
use support::mirror::Mirror;
use support::world::{ROOT, Step, World, small_segments};

use crate::budget;
use crate::random;

/// The most that a thread may hold of a log: a stretch.
const HELD_BYTES_MAX: usize = 4 << 20;

/// Replays a log of these records, and finds its end, without maps; says the longest read.
fn longest_read(steps: &[Step], verify: Verify) -> usize {
    let options = Options { segment_bytes_max: 16 << 20, ..small_segments() };
    let mut world = World::new(5, options.clone());
    world.steps(steps).unwrap();
    let given: Vec<Lsn> = world.history.entries().iter().filter_map(|e| e.lsn).collect();
    let killed = World::on(world.disk.restart(), 6, options.clone(), History::default());
    // found and written anew by recovery, which holds what nobody proved: here the last records
    drop(killed.try_open().unwrap());
    let mirror = Mirror::over(killed.disk.restart());
    let env = Env { vfs: Arc::new(mirror.clone()), ..killed.env() };
    let log = Wal::open_in(env, Path::new(ROOT), options).unwrap();
    let (_, places) = log.replay_into(Lsn::NONE, verify, vec![Places::default()]).unwrap();
    assert_eq!(places[0].0, given);
    assert_eq!(mirror.maps(), 0);
    mirror.longest_read()
}

#[test]
fn a_replay_without_maps_holds_a_stretch_and_no_more() {
    let small = [Step::Commit(100_000, Buffered); 60];
    let large = [
        Step::Commit(100, Buffered),
        Step::Commit(7_000_000, Buffered),
        Step::Sync,
        Step::Commit(100, Buffered),
        Step::Commit(9_000_000, Buffered),
        Step::Commit(100, Buffered),
        Step::Sync,
        Step::Commit(100, Buffered),
    ];
    for steps in [&small[..], &large[..]] {
        for verify in [Verify::Heads, Verify::Bodies] {
            let longest = longest_read(steps, verify);
            assert!(longest <= HELD_BYTES_MAX, "{longest} bytes at once, {verify:?}");
        }
    }
}

#[test]
fn random_workloads_survive_random_crashes_under_maps() {
    let seeds = budget::count(12, 1_000);
    let images: u64 = (0..seeds)
        .map(|seed| random::run_with(seed, Access::Mapped).unwrap_or_else(|e| panic!("seed {seed}: {e}")))
        .sum();
    println!("{seeds} workloads with maps, {images} images");
}
