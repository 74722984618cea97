//! Corridor: a room of the server: it plays whoever comes into it, as profiles, until another room wants him.
//!
//! A player is in one room at a time. A deed needs all its players in the room of the thread that does it: who plays
//! elsewhere is handed over first. Whoever came is followed by a write with the token by which he was played before, as
//! if the room that had him did not know better: it must be refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use savehold::{
    Collection, Error, ErrorKind, Once, Policy, Profile, Profiles, Result, Start, Store, Token, Tx, Value,
};

use super::ledger::Report;
use super::model::{pay, trade};
use super::op::{Op, OpId};
use super::player::{Gift, Player};
use super::world::Played;

/// How often a deed is tried while its players are taken away by other rooms.
const TRIES: usize = 8;

/// How long a room may take to hand a player over.
const HANDOFF: Duration = Duration::from_secs(5);

/// By which right each player is played just now.
pub type Tokens = Arc<Mutex<HashMap<u64, Token>>>;

/// A room.
pub struct Room {
    store: Store,
    profiles: Profiles<Player>,
    documents: Collection<Value>,
    shops: Collection<u64>,
    items: Collection<u64>,
    tokens: Tokens,
}

/// Writes that were tried beside a deed, each with the token of a session that was over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Late {
    /// Refused.
    pub fenced: u64,
    /// Not refused.
    pub passed: u64,
}

impl Late {
    /// What is to be reported of them.
    pub fn reports(self) -> impl Iterator<Item = Report> {
        let fenced = (0..self.fenced).map(|_| Report::Fenced);
        fenced.chain((0..self.passed).map(|_| Report::Passed))
    }
}

/// Why a deed stops.
enum Stopped {
    Rule,
    Store(Error),
}

impl From<Error> for Stopped {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

impl From<&'static str> for Stopped {
    fn from(_rule: &'static str) -> Self {
        Self::Rule
    }
}

impl Room {
    /// The room with this number.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn open(store: &Store, number: u8, tokens: &Tokens) -> Result<Self> {
        let holder = store.holder(&format!("room-{number}"))?;
        let profiles = store.profiles::<Player>("players").user_id(savehold::Key::as_u64);
        Ok(Self {
            store: store.clone(),
            profiles: profiles.holder(&holder).open()?,
            documents: store.any("players")?,
            shops: store.collection("shops")?,
            items: store.collection("items")?,
            tokens: tokens.clone(),
        })
    }

    /// Does a deed, once for its id. Durable on return. A deed whose players do not stay is declined.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn play(&self, id: OpId, op: &Op, late: &mut Late) -> Result<Played> {
        for _ in 0..TRIES {
            let Some(players) = self.gather(op, late)? else { continue };
            let done = self.store.transaction_once(id.to_string(), |tx| self.steps(tx, op, &players));
            match done {
                Ok(Once::Now(done)) => return Ok(Played::Now(done.version)),
                Ok(Once::Before(version)) => return Ok(Played::Before(version)),
                Err(Stopped::Rule) => return Ok(Played::Declined),
                Err(Stopped::Store(e)) if e.kind() == ErrorKind::MailboxFull => return Ok(Played::Declined),
                Err(Stopped::Store(e)) if went(&e) => {} // a player went to another room: once more
                Err(Stopped::Store(e)) => return Err(e),
            }
        }
        Ok(Played::Declined)
    }

    /// Everybody whom a deed needs; `None` where one does not come.
    fn gather(&self, op: &Op, late: &mut Late) -> Result<Option<Vec<Profile<Player>>>> {
        op.plays().into_iter().flatten().map(|player| self.player(player, late)).collect()
    }

    /// A player of this room, who comes into it where he is not.
    fn player(&self, number: u64, late: &mut Late) -> Result<Option<Profile<Player>>> {
        if let Some(here) = self.profiles.active(number) {
            return Ok(Some(here));
        }
        let start = Start::new().policy(Policy::Handoff { after: HANDOFF }).deadline(2 * HANDOFF);
        match self.profiles.start_with(number, start) {
            Ok(profile) => {
                self.follow(number, profile.token(), late)?;
                match take_mail(&profile) {
                    Ok(()) => Ok(Some(profile)),
                    Err(e) if went(&e) => Ok(None),
                    Err(e) => Err(e),
                }
            }
            Err(e) if went(&e) || e.kind() == ErrorKind::AlreadyActive => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes as the room would that had the player before, and does not know that he is gone.
    fn follow(&self, number: u64, token: Token, late: &mut Late) -> Result<()> {
        let former = {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = tokens.get(&number).is_none_or(|known| *known < token);
            if newest { tokens.insert(number, token) } else { Some(token) }
        };
        let Some(former) = former.filter(|former| *former != token) else { return Ok(()) };
        let rich = Player { coins: u64::from(u32::MAX), bag: Vec::new() };
        match self.documents.with_token(former).set(number, &Value::from(&rich)) {
            Err(e) if e.kind() == ErrorKind::Fenced => {
                late.fenced += 1;
                Ok(())
            }
            Err(e) => Err(e),
            Ok(_) => {
                late.passed += 1;
                Ok(())
            }
        }
    }

    fn steps(&self, tx: &Tx<'_>, op: &Op, players: &[Profile<Player>]) -> Result<(), Stopped> {
        match *op {
            Op::Earn { shop, coins, .. } => {
                let (mut player, mut till) = (tx.edit(&players[0])?, self.till(tx, shop)?);
                pay(&mut till, &mut player.coins, coins)?;
                tx.set(&self.shops, shop, &till)?;
            }
            Op::Spend { shop, coins, .. } => {
                let (mut player, mut till) = (tx.edit(&players[0])?, self.till(tx, shop)?);
                pay(&mut player.coins, &mut till, coins)?;
                tx.set(&self.shops, shop, &till)?;
            }
            Op::Trade { item, buyer, coins, .. } => {
                let (mut s, mut b) = (tx.edit(&players[0])?, tx.edit(&players[1])?);
                trade(&mut s, &mut b, item, coins)?;
                tx.set(&self.items, item, &buyer)?;
            }
            Op::Send { player, shop, coins } => {
                let mut till = self.till(tx, shop)?;
                let mut on_its_way = 0;
                pay(&mut till, &mut on_its_way, coins)?;
                tx.set(&self.shops, shop, &till)?;
                tx.send(&self.profiles, player, &Gift { coins: on_its_way })?;
            }
        }
        Ok(())
    }

    fn till(&self, tx: &Tx<'_>, shop: u64) -> Result<u64, Stopped> {
        Ok(tx.get(&self.shops, shop)?.ok_or("no such shop")?.value)
    }

    /// Saves and gives up everybody.
    pub fn close(&self, deadline: Duration) {
        let _ = self.profiles.close(deadline); // what it could not save was never acknowledged
    }
}

/// Whether a player went away meanwhile: nothing was written.
fn went(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Ended | ErrorKind::Fenced | ErrorKind::Leased | ErrorKind::Conflict)
}

/// Takes all mail of a player in play.
///
/// # Errors
///
/// The store's.
pub fn take_mail(profile: &Profile<Player>) -> Result<()> {
    while profile.receive(|player, gift: Gift| player.coins += gift.coins)? {}
    Ok(())
}
