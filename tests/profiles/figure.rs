//! What the writing of whole documents costs: bytes logged for each player and hour.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Profile, Result};
use serde::{Deserialize, Serialize};

use crate::world::secs;

const PLAYERS: u64 = 1_000;

/// A document of 12 KB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hero {
    coins: u64,
    bag: BTreeMap<u32, String>,
}

fn hero() -> Hero {
    Hero { coins: 1 << 40, bag: (0..575).map(|n| (n + 1000, format!("item number {n:05}"))).collect() }
}

/// Bytes logged for each player and hour, by as many seconds of play after as many seconds of warming up.
fn logged(autosave: u64, seconds: u64) -> Result<(u64, u64)> {
    let step = autosave.div_ceil(10); // a document that is unsaved need not change again to be saved
    let mut sim = Sim::new(autosave);
    let store = sim.open()?;
    let players = store.profiles_with("heroes", hero()).autosave(secs(autosave)).open()?;
    let all = (0..PLAYERS).map(|id| players.start(id)).collect::<Result<Vec<Profile<Hero>>>>()?;
    let mut before = (0, 0);
    for second in 0..autosave + seconds {
        if second == autosave {
            before = (store.stats().log_bytes_written, store.stats().commits);
        }
        if second % step == 0 {
            all.iter().try_for_each(|player| player.update(|hero| hero.coins += 1))?;
        }
        for _ in 0..10 {
            sim.advance(Duration::from_millis(100));
        }
    }
    let stats = store.stats();
    let each = |total: u64| total * 3600 / seconds / PLAYERS;
    Ok((each(stats.log_bytes_written - before.0), each(stats.commits - before.1)))
}

#[test]
fn bytes_logged_for_each_player_and_hour() -> Result<()> {
    for (autosave, seconds, at_most) in [(10, 20, 5_400_000), (1, 2, 50_000_000), (60, 60, 900_000)] {
        let (bytes, saves) = logged(autosave, seconds)?;
        println!("autosave {autosave} s: {bytes} bytes and {saves} saves for each player and hour");
        let least = 12_000 * 3600 / autosave;
        assert!((least..at_most).contains(&bytes), "autosave {autosave} s: {bytes} bytes");
    }
    Ok(())
}
