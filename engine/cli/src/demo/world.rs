//! Corridor: the game's rules over the store: each deed a transaction, done once for its id.
//!
//! ```text
//! players/N   {"coins": 90, "bag": [4, 17]}     items/N   owner     shops/N   coins
//! ```
//!
//! Who owns an item is written twice, in the bag and at the item: both are changed by one transaction or by none.

use savehold::{
    At, Collection, Error, Key, Once, Outcome, Profiles, Result, Store, Tx, Value, Version, VersionInfo,
};

use super::model::{Model, pay, trade};
use super::op::{Op, OpId};
use super::player::{Gift, Player};

/// Players whose beginnings make one commit.
const PLAYERS_AT_ONCE: usize = 500;

/// The world in an open store.
pub struct World {
    store: Store,
    players: Collection<Value>,
    profiles: Profiles<Player>,
    items: Collection<u64>,
    shops: Collection<u64>,
}

/// What became of a deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// It is done, durably.
    Now(Version),
    /// It was done before.
    Before(Version),
    /// The rules forbid it; nothing was committed.
    Declined,
}

/// Why the closure of a deed ends without one.
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

impl World {
    /// The world that is in `store`.
    ///
    /// # Errors
    ///
    /// None that these names meet.
    pub fn of(store: &Store) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            players: store.collection("players")?,
            profiles: store.profiles("players").open()?,
            items: store.collection("items")?,
            shops: store.collection("shops")?,
        })
    }

    /// Writes a world into the store.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn begin(&self, world: &Model) -> Result<()> {
        let mut batch = self.store.batch();
        for (shop, coins) in &world.shops {
            batch.set(&self.shops, *shop, coins)?;
        }
        for (at, (number, player)) in world.players.iter().enumerate() {
            if at % PLAYERS_AT_ONCE == PLAYERS_AT_ONCE - 1 {
                std::mem::replace(&mut batch, self.store.batch()).commit()?;
            }
            batch.set(&self.players, *number, &player.into())?;
            for item in &player.bag {
                batch.set(&self.items, *item, number)?;
            }
        }
        batch.commit().map(drop)
    }

    /// Gives every player his mail, as his next session would.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn deliver(&self) -> Result<()> {
        for key in self.players.keys("") {
            let key = key?;
            if self.profiles.mail_count(&key)? > 0 {
                let profile = self.profiles.start(&key)?;
                while profile.receive(|player: &mut Player, gift: Gift| player.coins += gift.coins)? {}
                profile.release()?;
            }
        }
        Ok(())
    }

    /// A mishap: every player loses everything. Answers how many there were.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn ruin(&self) -> Result<u64> {
        let keys: Vec<Key> = self.players.keys("").collect::<Result<_>>()?;
        for some in keys.chunks(PLAYERS_AT_ONCE) {
            let mut batch = self.store.batch();
            for key in some {
                batch.set(&self.players, key, &(&Player { coins: 0, bag: Vec::new() }).into())?;
            }
            batch.commit()?;
        }
        Ok(keys.len() as u64)
    }

    /// Everything that is in the store.
    ///
    /// # Errors
    ///
    /// The store's; a key or value that is none of the world's.
    pub fn read(&self) -> Result<Model> {
        let mut found = Model::default();
        for entry in self.players.scan("") {
            let entry = entry?;
            found.players.insert(number(&entry.key), Player::try_from(&entry.value)?);
        }
        found.owners = numbers(&self.items)?;
        found.shops = numbers(&self.shops)?;
        Ok(found)
    }

    /// Does a deed, once for its id. Durable on return.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn play(&self, id: OpId, op: &Op) -> Result<Played> {
        match self.store.transaction_once(id.to_string(), |tx| self.steps(tx, op)) {
            Ok(Once::Now(done)) => Ok(Played::Now(done.version)),
            Ok(Once::Before(version)) => Ok(Played::Before(version)),
            Err(Stopped::Rule) => Ok(Played::Declined),
            Err(Stopped::Store(e)) => Err(e),
        }
    }

    fn steps(&self, tx: &Tx<'_>, op: &Op) -> Result<(), Stopped> {
        match *op {
            Op::Earn { player, shop, coins } => {
                let (mut p, mut till) = (self.player(tx, player)?, self.till(tx, shop)?);
                pay(&mut till, &mut p.coins, coins)?;
                tx.set(&self.shops, shop, &till)?;
                tx.set(&self.players, player, &Value::from(&p))?;
            }
            Op::Spend { player, shop, coins } => {
                let (mut p, mut till) = (self.player(tx, player)?, self.till(tx, shop)?);
                pay(&mut p.coins, &mut till, coins)?;
                tx.set(&self.shops, shop, &till)?;
                tx.set(&self.players, player, &Value::from(&p))?;
            }
            Op::Send { player, shop, coins } => {
                let (mut till, mut on_its_way) = (self.till(tx, shop)?, 0);
                pay(&mut till, &mut on_its_way, coins)?;
                self.player(tx, player)?;
                tx.set(&self.shops, shop, &till)?;
                tx.send(&self.profiles, player, &Gift { coins: on_its_way })?;
            }
            Op::Trade { item, seller, buyer, coins } => {
                let (mut s, mut b) = (self.player(tx, seller)?, self.player(tx, buyer)?);
                trade(&mut s, &mut b, item, coins)?;
                tx.set(&self.items, item, &buyer)?;
                tx.set(&self.players, seller, &Value::from(&s))?;
                tx.set(&self.players, buyer, &Value::from(&b))?;
            }
        }
        Ok(())
    }

    fn player(&self, tx: &Tx<'_>, number: u64) -> Result<Player, Stopped> {
        let entry = tx.get(&self.players, number)?.ok_or("no such player")?;
        Ok(Player::try_from(&entry.value)?)
    }

    fn till(&self, tx: &Tx<'_>, shop: u64) -> Result<u64, Stopped> {
        Ok(tx.get(&self.shops, shop)?.ok_or("no such shop")?.value)
    }

    /// Who owns an item just now.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn owner(&self, item: u64) -> Result<Option<u64>> {
        Ok(self.items.get(item)?.map(|entry| entry.value))
    }

    /// What became of the deed with this id.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn outcome(&self, id: OpId) -> Result<Outcome> {
        self.store.outcome(&id.to_string())
    }

    /// The newest versions of a player, newest first, at most so many; what he had with each.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn history(&self, player: u64, most: usize) -> Result<Vec<(VersionInfo, Player)>> {
        let versions = self.players.versions(player)?.take(most);
        versions
            .map(|version| {
                let version = version?;
                let entry = self.players.get_at(player, version.version)?;
                let then = entry.map_or_else(|| Ok(Player::default()), |e| Player::try_from(&e.value));
                Ok((version, then?))
            })
            .collect()
    }

    /// What a player had at a time, microseconds since 1970; `None` where there was no such player yet.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn player_at(&self, player: u64, time_us: u64) -> Result<Option<Player>> {
        let entry = self.players.get_at(player, At::Time(time_us))?;
        entry.map(|entry| Player::try_from(&entry.value)).transpose()
    }
}

fn numbers(collection: &Collection<u64>) -> Result<std::collections::BTreeMap<u64, u64>> {
    collection.scan("").map(|entry| entry.map(|entry| (number(&entry.key), entry.value))).collect()
}

/// The number that a key is. Another key stands for a number that the world has not, so it is found as a stranger.
fn number(key: &Key) -> u64 {
    key.as_u64().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_and_the_model_agree_on_every_deed() -> Result<()> {
        let store = Store::in_memory()?;
        let (world, mut model) = (World::of(&store)?, Model::new(1200));
        world.begin(&model)?;
        assert_eq!(world.read()?, model);
        let deeds = [
            Op::Earn { player: 0, shop: 1, coins: 7 },
            Op::Spend { player: 1, shop: 2, coins: 5 },
            Op::Send { player: 3, shop: 2, coins: 9 },
            Op::Spend { player: 1, shop: 2, coins: 500 },
            Op::Trade { item: 6, seller: 1, buyer: 2, coins: 11 },
            Op::Trade { item: 6, seller: 1, buyer: 2, coins: 11 },
            Op::Earn { player: 5000, shop: 1, coins: 7 },
        ];
        for (at, op) in deeds.iter().enumerate() {
            let played = world.play(OpId::new(1, 0, at as u64), op)?;
            assert_eq!(matches!(played, Played::Now(_)), model.apply(op).is_ok(), "{op}: {played:?}");
            world.deliver()?;
            assert_eq!(world.read()?, model, "{op}");
        }
        Ok(())
    }

    #[test]
    fn a_deed_is_done_once_for_its_id_and_its_outcome_is_known() -> Result<()> {
        let store = Store::in_memory()?;
        let world = World::of(&store)?;
        world.begin(&Model::new(2))?;
        let (id, op) = (OpId::new(1, 2, 3), Op::Earn { player: 0, shop: 0, coins: 4 });
        assert_eq!(world.outcome(id)?, Outcome::NotCommitted);
        let Played::Now(version) = world.play(id, &op)? else { panic!("nothing forbids it") };
        assert_eq!(world.play(id, &op)?, Played::Before(version));
        assert_eq!(world.outcome(id)?, Outcome::Committed(version));
        assert_eq!(world.read()?.players[&0].coins, 104);
        let forbidden = Op::Earn { player: 0, shop: 0, coins: 4000 };
        assert_eq!(world.play(OpId::new(1, 2, 4), &forbidden)?, Played::Declined);
        assert_eq!(world.outcome(OpId::new(1, 2, 4))?, Outcome::NotCommitted);
        Ok(())
    }

    #[test]
    fn history_tells_what_a_player_had_and_when() -> Result<()> {
        let store = Store::in_memory()?;
        let world = World::of(&store)?;
        world.begin(&Model::new(2))?;
        world.play(OpId::new(1, 0, 0), &Op::Earn { player: 1, shop: 0, coins: 4 })?;
        let history = world.history(1, 10)?;
        assert_eq!(history.iter().map(|(_, then)| then.coins).collect::<Vec<_>>(), [104, 100]);
        assert_eq!(history[0].0.id.as_deref(), Some(&b"r1-t0-0"[..]));
        assert_eq!(world.history(1, 1)?.len(), 1);
        assert_eq!(world.player_at(1, history[0].0.time_us)?.map(|p| p.coins), Some(104));
        assert_eq!(world.player_at(1, 1)?, None);
        Ok(())
    }
}
