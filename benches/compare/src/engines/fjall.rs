//! Door: fjall.
//!
//! Durable: each write is followed by `persist(SyncData)`, or is a batch or transaction of that durability. Buffered: as
//! it comes, the journal is handed to the system with each write. In the log: memtable and journals as large as they may
//! be, so that nothing is flushed to tables. `update`: the optimistic transactions of the package, repeated after a
//! conflict.

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OptimisticTxDatabase, OptimisticTxKeyspace, PersistMode,
    Readable,
};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const HUGE: u64 = 16 << 30;

/// Opens it, with transactions where updates are asked for.
pub fn open(opening: &Opening) -> Result<Box<dyn Engine>> {
    let in_log = opening.setting.keeps_the_log();
    let options = || {
        let options = KeyspaceCreateOptions::default();
        if in_log { options.max_memtable_size(HUGE) } else { options }
    };
    let durable = opening.setting.is_durable();
    if opening.updates {
        let db = OptimisticTxDatabase::builder(&opening.dir).open()?;
        let players = db.keyspace("players", options)?;
        return Ok(Box::new(Transactional { db, players, durable }));
    }
    let mut builder = Database::builder(&opening.dir);
    if in_log {
        builder = builder.max_journaling_size(HUGE);
    }
    let db = builder.open()?;
    let players = db.keyspace("players", options)?;
    Ok(Box::new(Plain { db, players, durable }))
}

struct Plain {
    db: Database,
    players: Keyspace,
    durable: bool,
}

impl Engine for Plain {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}

impl Session for &Plain {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.players.insert(key, value)?;
        if self.durable {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mode = if self.durable { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.db.batch().durability(Some(mode));
        items.for_each(|(key, value)| batch.insert(&self.players, key, value));
        Ok(batch.commit()?)
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        Ok(self.players.get(key)?.map(|value| {
            std::hint::black_box(value.first());
            value.len()
        }))
    }
}

struct Transactional {
    db: OptimisticTxDatabase,
    players: OptimisticTxKeyspace,
    durable: bool,
}

impl Engine for Transactional {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}

impl Session for &Transactional {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mode = if self.durable { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.db.inner().batch().durability(Some(mode));
        items.for_each(|(key, value)| batch.insert(self.players.inner(), key, value));
        Ok(batch.commit()?)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        let mode = if self.durable { PersistMode::SyncData } else { PersistMode::Buffer };
        loop {
            let mut tx = self.db.write_tx()?.durability(Some(mode));
            let mut value = tx.get(&self.players, key)?.map(|value| value.to_vec()).unwrap_or_default();
            change(&mut value);
            tx.insert(&self.players, *key, value);
            if tx.commit()?.is_ok() {
                return Ok(());
            }
        }
    }
}
