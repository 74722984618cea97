use std::io::{ErrorKind, IoSlice, Result};

use super::*;
use crate::clock::Clock as _;
use crate::vfs::{OpenMode, VfsFile, is_full};

fn file(sim: &mut Sim) -> Arc<dyn VfsFile> {
    let path = sim.dir().join("f");
    let vfs = sim.env().vfs;
    let file = vfs.open(&path, OpenMode::CreateNew).unwrap();
    vfs.sync_dir(sim.dir()).unwrap();
    file
}

fn write(file: &dyn VfsFile, bytes: &[u8]) -> Result<()> {
    file.write_at(&mut [IoSlice::new(bytes)], 0)
}

fn read(sim: &mut Sim) -> Vec<u8> {
    let path = sim.dir().join("f");
    sim.disk().read(&path).unwrap()
}

#[test]
fn power_cut_keeps_what_was_synced_and_by_some_seed_loses_the_rest() {
    let after = |seed| {
        let mut sim = Sim::new(seed);
        let file = file(&mut sim);
        write(&*file, b"old").unwrap();
        file.sync().unwrap();
        write(&*file, b"new").unwrap();
        sim.cut_power();
        assert!(file.sync().is_err());
        read(&mut sim)
    };
    let all: Vec<Vec<u8>> = (0..40).map(after).collect();
    assert!(all.contains(&b"old".to_vec()) && all.contains(&b"new".to_vec()));
    assert!((0..40).map(after).eq(all));
}

#[test]
fn killed_process_loses_nothing_and_its_handles_are_dead() {
    let mut sim = Sim::new(1);
    let file = file(&mut sim);
    write(&*file, b"new").unwrap();
    sim.kill();
    assert!(write(&*file, b"late").is_err());
    assert_eq!(read(&mut sim), b"new");
    assert!(write(&*file, b"late").is_err(), "also when the next process runs");
}

#[test]
fn power_cut_starts_the_boot_clock_anew_and_a_kill_does_not() {
    let mut sim = Sim::new(1);
    sim.advance(DAY);
    sim.kill();
    assert_eq!(sim.env().clock.boot(), DAY);
    let wall_us = sim.clock().wall_us();
    sim.cut_power();
    sim.step_wall(-5);
    let clock = sim.env().clock;
    assert_eq!((clock.boot(), clock.wall_us()), (Duration::ZERO, wall_us - 5));
}

#[test]
fn ordered_sync_fails_counted_from_now() {
    let mut sim = Sim::new(1);
    let file = file(&mut sim);
    file.sync().unwrap();
    sim.fail_sync(2);
    sim.fail_dir_sync(1);
    file.sync().unwrap();
    file.sync().unwrap_err();
    file.sync().unwrap();
    sim.disk().sync_dir(sim.dir()).unwrap_err();
    sim.disk().sync_dir(sim.dir()).unwrap();
}

#[test]
fn full_disk_stays_full_over_a_crash_until_it_is_freed() {
    let mut sim = Sim::new(1);
    let file = file(&mut sim);
    sim.fill();
    assert!(is_full(&write(&*file, b"x").unwrap_err()));
    sim.cut_power();
    let path = sim.dir().join("f");
    let file = sim.env().vfs.open(&path, OpenMode::Write).unwrap();
    assert_eq!(file.allocate(1).unwrap_err().kind(), ErrorKind::StorageFull);
    sim.free();
    write(&*file, b"x").unwrap();
}

fn rewrite(sim: &mut Sim, round: u8) -> Result<()> {
    let file = sim.env().vfs.open(&sim.dir().join("f"), OpenMode::Truncate)?;
    write(&*file, &[round; 600])?;
    file.sync()
}

/// Writes and syncs ten times, opening again after each failure; the trouble met, and the bytes left.
fn run(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let mut sim = Sim::from_bytes(bytes);
    let path = sim.dir().join("f");
    let mut trouble = Vec::new();
    for round in 0..10_u8 {
        trouble.extend(rewrite(&mut sim, round).err().map(|e| e.to_string()));
    }
    sim.disk().heal();
    (trouble, sim.disk().read(&path).unwrap_or_default())
}

#[test]
fn no_bytes_mean_no_trouble() {
    assert_eq!(run(&[]), (vec![], vec![9; 600]));
}

#[test]
fn bytes_choose_where_power_goes_and_how_the_clocks_step() {
    let mut bytes = vec![1, 4, 0]; // one fault, at the fifth change: power goes inside it
    assert_eq!(run(&bytes).0, ["the simulated power is cut"]);
    bytes[2] = 7;
    assert!(run(&bytes).0[0].contains("os error 5"));
    let mut sim = Sim::from_bytes(&[0, 0, 2]); // no fault, no fault, two days
    let wall_us = sim.clock().wall_us();
    sim.kill();
    assert_eq!(sim.env().clock.wall_us() - wall_us, 2 * DAY.as_micros() as u64);
}

#[test]
fn same_bytes_give_the_same_run_and_some_bytes_give_trouble() {
    let mut draw = Draw::from_seed(3);
    let inputs: Vec<Vec<u8>> = (0..200).map(|_| (0..60).map(|_| draw.below(32) as u8).collect()).collect();
    assert!(inputs.iter().all(|bytes| run(bytes) == run(bytes)));
    assert!(inputs.iter().any(|bytes| run(bytes).0.len() > 1));
}
