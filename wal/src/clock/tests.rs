use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn readings(clock: &SimClock) -> (u64, Duration, Duration) {
    (clock.wall_us(), clock.monotonic(), clock.boot())
}

#[test]
fn time_that_passes_moves_all_clocks() {
    let clock = SimClock::new(10);
    clock.advance(SECOND);
    assert_eq!(readings(&clock), (1_000_010, SECOND, SECOND));
    assert_eq!(readings(&clock), (1_000_010, SECOND, SECOND), "reading moves nothing");
}

#[test]
fn each_clock_can_be_moved_alone() {
    let clock = SimClock::new(10);
    clock.step_wall(-4);
    clock.advance_boot(SECOND);
    assert_eq!(readings(&clock), (6, Duration::ZERO, SECOND));
    clock.advance_monotonic(2 * SECOND);
    clock.set_wall(77);
    assert_eq!(readings(&clock), (77, 2 * SECOND, SECOND));
    clock.step_wall(i64::MIN);
    assert_eq!(clock.wall_us(), 0);
}

#[test]
fn sleeping_machine_leaves_the_monotonic_clock_behind_and_a_new_start_resets_two() {
    let clock = SimClock::new(0);
    clock.advance(SECOND);
    clock.sleep(2 * SECOND);
    assert_eq!(readings(&clock), (3_000_000, SECOND, 3 * SECOND));
    clock.reboot();
    assert_eq!(readings(&clock), (3_000_000, Duration::ZERO, Duration::ZERO));
}

#[test]
fn clocks_of_the_system_do_not_run_backwards() {
    let (boot, monotonic) = (OsClock.boot(), OsClock.monotonic());
    assert!(OsClock.boot() >= boot && OsClock.monotonic() >= monotonic);
    assert!(OsClock.wall_us() > SimClock::new(1_577_836_800_000_000).wall_us(), "later than 2020");
}
