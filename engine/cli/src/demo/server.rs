//! Corridor: the child process: a game server whose players earn, spend, trade and get mail in rooms of their own, until
//! it is killed.
//!
//! Each of its threads says what it is about to do, does it, and says that it is done (`ledger` draws the lines).
//! When its standard input ends, because the parent wants it or is no more, it closes the store and goes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use savehold::{Create, Options, Result as Stored};

use super::host;
use super::ledger::Report;
use super::model::{ITEMS, SHOPS};
use super::op::{Op, OpId};
use super::pace::Dice;
use super::room::{Late, Room, Tokens};
use super::world::{Played, World};
use crate::exit::{Exit, Failure};

/// Threads that play.
pub const THREADS: u8 = 16;

/// Rooms, each with sessions of its own; threads share them.
pub const ROOMS: u8 = 4;

/// How long the server may take to save what is in play when it ends in peace.
const LAST_SAVES: Duration = Duration::from_secs(30);

/// The most that changes hands in one deed.
const COINS_MAX: u64 = 20;

/// Plays in the store at `dir`.
///
/// # Errors
///
/// The store's.
pub fn serve(dir: &Path, players: u64, round: u16) -> Result<Exit, Failure> {
    let store = Options::new().create(Create::Never).origin(format!("demo server {round}")).open(dir)?;
    let tokens = Tokens::default();
    let rooms = (0..ROOMS).map(|number| Room::open(&store, number, &tokens)).collect::<Stored<_>>()?;
    let game = Game { world: World::of(&store)?, rooms, players, round, stop: Arc::default() };
    let stop = game.stop.clone();
    let wait = move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.store(true, Ordering::Relaxed);
    };
    host::beside(wait).map_err(|e| Failure::new(Exit::Failed, format!("starting a thread: {e}"), ""))?;
    say(Report::Ready);
    let game = &game;
    let played: Result<(), Failure> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || game.play(thread))).collect();
        let ends = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "a player's thread panicked", "")))
        });
        ends.fold(Ok(()), Result::and)
    });
    played?;
    game.rooms.iter().for_each(|room| room.close(LAST_SAVES));
    store.close()?;
    say(Report::End);
    Ok(Exit::Fine)
}

struct Game {
    world: World,
    rooms: Vec<Room>,
    players: u64,
    round: u16,
    stop: Arc<AtomicBool>,
}

impl Game {
    fn play(&self, thread: u8) -> Result<(), Failure> {
        let mut dice = Dice::new(host::seed());
        let ended = (0..).map(|number| OpId::new(self.round, thread, number)).try_for_each(|id| {
            let room = &self.rooms[usize::from(thread % ROOMS)];
            let goes_on =
                !self.stop.load(Ordering::Relaxed) && self.one(room, id, &mut dice).map_err(Some)?;
            if goes_on { Ok(()) } else { Err(None) }
        });
        self.stop.store(true, Ordering::Relaxed);
        match ended {
            Err(Some(failure)) => Err(failure),
            _ => Ok(()),
        }
    }

    /// One deed; answers whether anybody still listens.
    fn one(&self, room: &Room, id: OpId, dice: &mut Dice) -> Result<bool, Failure> {
        let op = self.choose(dice)?;
        if !say(Report::Begun(id, op)) {
            return Ok(false);
        }
        let mut late = Late::default();
        let played = room.play(id, &op, &mut late)?;
        for report in late.reports() {
            say(report);
        }
        Ok(say(match played {
            Played::Now(version) => Report::Done(id, version),
            Played::Declined => Report::Declined(id),
            Played::Before(version) => {
                let what = format!("{id} is new, and the store says that it was done before as {version}");
                return Err(Failure::new(Exit::Damaged, what, ""));
            }
        }))
    }

    fn choose(&self, dice: &mut Dice) -> Stored<Op> {
        let (player, shop) = (dice.below(self.players), dice.below(SHOPS));
        let coins = 1 + dice.below(COINS_MAX);
        Ok(match dice.below(4) {
            0 => Op::Earn { player, shop, coins },
            1 => Op::Spend { player, shop, coins },
            2 => Op::Send { player, shop, coins },
            _ => {
                let item = dice.below(self.players * ITEMS);
                let seller = self.world.owner(item)?.unwrap_or(0);
                let buyer = (seller + 1 + dice.below(self.players - 1)) % self.players;
                Op::Trade { item, seller, buyer, coins }
            }
        })
    }
}

/// Tells the parent, in one write that no kill can cut; answers whether anybody listens.
fn say(report: Report) -> bool {
    let line = format!("{report}\n");
    io::stdout().lock().write_all(line.as_bytes()).is_ok()
}
