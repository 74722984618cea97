//! What the tests of profiles share: types of a game, and a machine that crashes at every step.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Collection, Profile, Profiles, Result, Store};
use savehold_wal::sim::{Fault, When};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Player {
    pub(crate) coins: u64,
    pub(crate) level: u32,
    pub(crate) bag: BTreeMap<u32, u32>,
    pub(crate) banned: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct House {
    pub(crate) owner: Option<String>,
    pub(crate) price: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gift {
    pub(crate) coins: u64,
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn players(store: &Store) -> Result<Profiles<Player>> {
    store.profiles::<Player>("players").open()
}

/// The coins that the store holds for a player, by a plain read.
pub(crate) fn coins(store: &Store, key: &str) -> Option<u64> {
    let players = store.collection::<Player>("players").expect("a collection");
    players.get(key).expect("it can be read").map(|entry| entry.value.coins)
}

/// A player with so many coins, saved.
pub(crate) fn rich(players: &Profiles<Player>, key: &str, coins: u64) -> Result<Profile<Player>> {
    let player = players.start(key)?;
    player.update(|p| p.coins = coins)?;
    player.save()?;
    Ok(player)
}

pub(crate) fn houses(store: &Store) -> Result<Collection<House>> {
    store.collection("houses")
}

/// Runs `act` again and again, each time with the machine ending inside another of its changes to the disk, first by a
/// power cut and then by a kill, until it comes to its end; after each, `check` looks at the store as it was opened
/// again, and is told whether `act` had its answer.
pub(crate) fn crash_at_every_step(
    prepare: impl Fn(&Store) -> Result<()>,
    act: impl Fn(&Store) -> Result<()>,
    check: impl Fn(&Store, bool) -> Result<()>,
) {
    for fault in [Fault::CutInside, Fault::KillInside, Fault::CutBefore] {
        let mut answered = false;
        let mut step = 0;
        while !answered {
            step += 1;
            assert!(step < 500, "it never ends");
            let mut sim = Sim::new(step);
            let store = sim.open().expect("it opens");
            prepare(&store).expect("nothing has failed yet");
            let disk = sim.disk();
            disk.order(When::Change(disk.counts().changes + step), fault);
            answered = act(&store).is_ok();
            sim.cut_power();
            drop(store);
            let store = sim.open().unwrap_or_else(|e| panic!("{fault:?} at step {step}: {e}"));
            check(&store, answered).unwrap_or_else(|e| panic!("{fault:?} at step {step}: {e}"));
        }
        assert!(step > 1, "{fault:?}: nothing was ever interrupted");
    }
}
