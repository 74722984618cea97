//! Tests a shop against a machine that loses power, fails and forgets: as a fuzz target would, on inputs of our own.
//!
//! With `cargo fuzz` the whole target is `fuzz_target!(|input: &[u8]| { let _ = fuzz_my_shop(input); });`

use savehold::sim::Sim;
use savehold::{Change, Collection, Once, Result, Version};
use std::time::Duration;

/// What runs in production: grants the coins of a receipt once, whatever happens and however often the shop calls while the id is known:
/// 7 days, or what `set_outcomes_kept` says.
fn purchase_callback(coins: &Collection<u64>, player: &str, receipt: &str) -> Result<Version> {
    let granted = |now: Option<savehold::Entry<u64>>| Change::write(now.map_or(0, |e| e.value) + 100);
    Ok(match coins.update_once(receipt, player, granted)? {
        Once::Now(done) => done.version,
        Once::Before(version) => version,
    })
}

/// The fuzzer chooses power cuts, failed calls, clock steps. An acknowledged purchase is there once; another may be.
fn fuzz_my_shop(input: &[u8]) -> Result<u64> {
    let mut sim = Sim::from_bytes(input);
    let bought =
        sim.open().and_then(|store| purchase_callback(&store.collection("coins")?, "42", "receipt-1"));
    sim.cut_power();
    sim.advance(Duration::from_secs(3600));
    let coins = sim.open()?.collection::<u64>("coins")?;
    let now = coins.get("42")?.map_or(0, |e| e.value);
    assert!(now == 100 || now == 0 && bought.is_err(), "{now} coins after {bought:?}");
    purchase_callback(&coins, "42", "receipt-1")?; // the shop calls again
    assert_eq!(coins.get("42")?.map(|e| e.value), Some(100));
    Ok(now)
}

fn main() {
    let (mut kept, mut lost, mut unopened) = (0, 0, 0);
    for n in 0..500_u64 {
        let input: Vec<u8> = (1..48_u64).map(|i| (n * i * i + n / 7 + i) as u8).collect();
        match fuzz_my_shop(&input) {
            Ok(100) => kept += 1,
            Ok(_) => lost += 1,
            Err(_) => unopened += 1, // the disk failed again on reopening
        }
    }
    println!(
        "500 runs: {kept} purchases survived, {lost} were never acknowledged, {unopened} disks stayed bad"
    );
    assert!(kept > 0 && lost > 0, "the inputs should bring both about");
}
