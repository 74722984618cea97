//! Door: redb.
//!
//! Durable: `Durability::Immediate`, as it comes. Buffered: `Durability::None`, which is less than the others give: a
//! killed process loses it. In the log: there is no log; what is killed has a last commit that is immediate, and opening
//! repairs.

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::case::Setting;
use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const PLAYERS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("players");

/// An open database.
pub struct Redb {
    db: Database,
    durability: Durability,
}

impl Redb {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let db = Database::create(opening.dir.join("redb"))?;
        let durability = match opening.setting {
            Setting::Durable => Durability::Immediate,
            _ => Durability::None,
        };
        let made = db.begin_write()?;
        made.open_table(PLAYERS)?;
        made.commit()?;
        Ok(Self { db, durability })
    }
}

impl Engine for Redb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.db.begin_write()?.commit()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.settle()?;
        Ok(self.db.close()?)
    }
}

impl Session for &Redb {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(self.durability)?;
        {
            let mut players = tx.open_table(PLAYERS)?;
            for (key, value) in items {
                players.insert(&key, value)?;
            }
        }
        Ok(tx.commit()?)
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let players = self.db.begin_read()?.open_table(PLAYERS)?;
        Ok(players.get(key)?.map(|value| {
            std::hint::black_box(value.value().first());
            value.value().len()
        }))
    }

    fn list(&mut self, prefix: &[u8]) -> Result<u64> {
        let players = self.db.begin_read()?.open_table(PLAYERS)?;
        let bound = |digit: u8| -> Key { std::array::from_fn(|at| prefix.get(at).copied().unwrap_or(digit)) };
        let (low, high, mut count) = (bound(b'0'), bound(b'9'), 0);
        for item in players.range::<&[u8; 16]>(&low..=&high)? {
            std::hint::black_box(item?.0.value().first());
            count += 1;
        }
        Ok(count)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(self.durability)?;
        {
            let mut players = tx.open_table(PLAYERS)?;
            let mut value = players.get(key)?.map(|value| value.value().to_vec()).unwrap_or_default();
            change(&mut value);
            players.insert(key, &*value)?;
        }
        Ok(tx.commit()?)
    }
}
