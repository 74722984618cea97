//! The programs that users want to write, as they stand in the plan of the API: they compile, and they do what they say.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use savehold::{
    At, Collection, Compatible, Ended, Error, Event, Key, Next, Once, Outcome, Profile, Profiles, Result,
    Start, Store, Version, sim::Sim,
};
use serde::{Deserialize, Serialize};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Player {
    coins: u64,
    level: u32,
    bag: BTreeMap<u32, u32>,
    banned: bool,
}

#[derive(Serialize, Deserialize)]
struct Gift {
    coins: u64,
}

struct Game {
    profiles: Profiles<Player>,
    online: HashMap<u64, Profile<Player>>,
    told: Vec<String>,
}

impl Game {
    fn new(store: &Store) -> Result<Self> {
        let profiles = store
            .profiles::<Player>("players")
            .user_id(|key| key.as_u64())
            .validate(|p| if p.level > 100 { Err("level over 100") } else { Ok(()) })
            .migration("2026-11 gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
            .on_absent(|key| from_old_game(key))
            .before_release(|_key, p, _why| p.level = p.level.max(1))
            .open()?;
        Ok(Self { profiles, online: HashMap::new(), told: Vec::new() })
    }

    fn player_added(&mut self, id: u64) {
        match self.profiles.start(id) {
            Ok(p) => {
                self.online.insert(id, p);
            }
            Err(e) => self.told.push(format!("kick {id}: Data not loaded, please rejoin ({e})")),
        }
    }

    fn add_coins(&self, id: u64, n: u64) -> Result<()> {
        self.online[&id].update(|p| p.coins += n)
    }

    fn coins(&self, id: u64) -> u64 {
        self.online[&id].read().coins
    }

    fn player_removing(&mut self, id: u64) {
        self.online.remove(&id);
    }

    fn tick(&mut self) {
        while let Some(event) = self.profiles.events().try_next() {
            match event {
                Event::Mail { key } => {
                    if let Some(p) = self.profiles.active(&key) {
                        while let Ok(true) = p.receive(|d, g: Gift| d.coins += g.coins) {}
                    }
                }
                Event::Ended { key, why: Ended::Released } => {
                    self.told.push(format!("{key} is safe to teleport"))
                }
                Event::Ended { key, why } => self.told.push(format!("kick {key}: {why:?}")),
                Event::Critical(on) => self.told.push(format!("data trouble: {on}")),
                _ => {}
            }
        }
    }

    fn shutdown(&self) -> String {
        let report = self.profiles.close(secs(30));
        format!(
            "saved {}, failed {}, hooks cut short {}",
            report.saved,
            report.failed.len(),
            report.hooks_cut_short
        )
    }
}

fn from_old_game(_: &Key) -> std::result::Result<Option<Player>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(None)
}

#[test]
fn the_game_server_of_the_article() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let mut game = Game::new(&store)?;
    game.player_added(42);
    game.player_added(43);
    game.player_added(42);
    game.add_coins(42, 5)?;
    game.profiles.send("42", &Gift { coins: 7 })?;
    game.tick();
    assert_eq!(game.coins(42), 12);
    game.player_removing(42);
    sim.advance(secs(1));
    game.tick();
    assert!(game.told[0].starts_with("kick 42: Data not loaded"), "{:?}", game.told);
    assert_eq!(game.told[1..], ["42 is safe to teleport"]);
    assert_eq!(game.shutdown(), "saved 1, failed 0, hooks cut short 0");
    Ok(())
}

fn purchase_callback(p: &Profile<Player>, receipt: &str) -> Result<Version> {
    Ok(match p.update_once(receipt, |d| d.coins += 100)? {
        Once::Now(done) => done.version,
        Once::Before(v) => v,
    })
}

fn support(players: &Profiles<Player>) -> Result<()> {
    players.edit("43", |d| d.banned = true)?;
    players.send("44", &Gift { coins: 5 })?;
    Ok(())
}

fn yesterday(players: &Profiles<Player>) -> Result<usize> {
    for v in players.versions("42")? {
        let v = v?;
        println!("{} {} {:?} {:?}", v.version, v.time_us, v.origin, v.id);
    }
    if let Some(then) = players.view("42", At::ago(secs(24 * 3600)))? {
        println!("{} coins then", then.value.coins);
    }
    let back = players.restore("42", At::ago(secs(24 * 3600)))?;
    for lost in &back.undone {
        println!("undone {} {:?}", lost.version, lost.id);
    }
    Ok(back.undone.len())
}

#[test]
fn support_buys_edits_and_brings_one_player_back() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let players = store.profiles::<Player>("players").open()?;
    let p = players.start("42")?;
    let first = purchase_callback(&p, "receipt-1")?;
    assert_eq!(purchase_callback(&p, "receipt-1")?, first);
    support(&players)?;
    sim.advance(secs(48 * 3600));
    purchase_callback(&p, "receipt-2")?;
    assert_eq!(yesterday(&players)?, 1);
    assert_eq!(players.start("42")?.read().coins, 100);
    Ok(())
}

fn fuzz_my_shop(input: &[u8]) -> Result<()> {
    let mut sim = Sim::from_bytes(input);
    let bought =
        purchase_callback(&sim.open()?.profiles::<Player>("players").open()?.start("42")?, "receipt-1");
    sim.cut_power();
    sim.advance(secs(3600));
    let now =
        sim.open()?.profiles::<Player>("players").open()?.view("42", At::Now)?.map_or(0, |v| v.value.coins);
    assert!(now == 100 || now == 0 && bought.is_err());
    Ok(())
}

#[test]
fn a_shop_survives_what_a_fuzzer_thinks_of() {
    let mut seed = 1_u64;
    for _ in 0..300 {
        let input: Vec<u8> = (0..64)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) as u8
            })
            .collect();
        _ = fuzz_my_shop(&input);
    }
}

async fn under_an_executor(
    store: &Store,
    players: &Profiles<Player>,
    levels: &Collection<u32>,
) -> Result<()> {
    let p = players.start_async("42", Start::new()).await?;
    let second = levels.set_async("42", &2);
    second.await?;
    store
        .transaction_async(|tx| -> Result<()> {
            tx.edit(&p)?.coins += 1;
            Ok(())
        })
        .await?;
    p.release_async().await.map(drop)
}

#[test]
fn the_same_runs_on_any_executor() -> Result<()> {
    let store = Store::in_memory()?;
    let (players, levels) = (store.profiles::<Player>("players").open()?, store.collection("levels")?);
    let mut future = std::pin::pin!(under_an_executor(&store, &players, &levels));
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => break done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn after_an_error(store: &Store, e: &Error) -> Result<&'static str> {
    Ok(match e.next() {
        Next::Retry => "nothing was written (Busy, Full): again later",
        Next::EndSession => "another holder has the player: kick him",
        Next::FixCall => "too large, not finite, refused by validate",
        Next::Reopen => match e.version().map(|v| store.outcome(v)).transpose()? {
            Some(Outcome::Committed(_)) => "it happened",
            Some(Outcome::NotCommitted) => "it did not",
            _ => "too long ago",
        },
        _ => "damaged: the message names file, offset and the command to run",
    })
}

#[test]
fn an_error_says_what_to_do_next() -> Result<()> {
    let store = Store::in_memory()?;
    let players =
        store.profiles::<Player>("players").validate(|p| if p.level > 9 { Err("no") } else { Ok(()) });
    let players = players.open()?;
    let player = players.start("42")?;
    let refused = player.update(|p| p.level = 10).unwrap_err();
    assert_eq!(after_an_error(&store, &refused)?, "too large, not finite, refused by validate");
    player.release()?;
    let ended = player.update(|p| p.level = 1).unwrap_err();
    assert_eq!(after_an_error(&store, &ended)?, "another holder has the player: kick him");
    Ok(())
}
