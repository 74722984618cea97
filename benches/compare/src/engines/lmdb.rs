//! Door: LMDB, through lmdb-rkv: the binding whose calls are all safe.
//!
//! Durable: as it comes. Buffered: `MDB_NOSYNC`: what is committed is in the page cache. Reads: a transaction each, so
//! that each sees the newest state. A map of 64 GiB.

use lmdb::{Cursor, Database, Environment, EnvironmentFlags, Error, Transaction, WriteFlags};

use crate::case::Setting;
use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const MAP_BYTES: usize = 64 << 30;
const READERS_MAX: u32 = 256;

/// An open environment.
pub struct Lmdb {
    env: Environment,
    players: Database,
}

impl Lmdb {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let flags = match opening.setting {
            Setting::Durable => EnvironmentFlags::empty(),
            _ => EnvironmentFlags::NO_SYNC,
        };
        let mut options = Environment::new();
        let env = options.set_map_size(MAP_BYTES).set_max_readers(READERS_MAX).set_flags(flags);
        let env = env.open(&opening.dir)?;
        Ok(Self { players: env.open_db(None)?, env })
    }
}

impl Engine for Lmdb {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.env.sync(true)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.settle()
    }
}

impl Session for &Lmdb {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mut tx = self.env.begin_rw_txn()?;
        for (key, value) in items {
            tx.put(self.players, &key, &value, WriteFlags::empty())?;
        }
        Ok(tx.commit()?)
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let tx = self.env.begin_ro_txn()?;
        match tx.get(self.players, key) {
            Ok(value) => {
                std::hint::black_box(value.first());
                Ok(Some(value.len()))
            }
            Err(Error::NotFound) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn list(&mut self, prefix: &[u8]) -> Result<u64> {
        let tx = self.env.begin_ro_txn()?;
        let (mut cursor, mut count) = (tx.open_ro_cursor(self.players)?, 0);
        for item in cursor.iter_from(prefix) {
            if !item?.0.starts_with(prefix) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        let mut tx = self.env.begin_rw_txn()?;
        let mut value = match tx.get(self.players, key) {
            Ok(value) => value.to_vec(),
            Err(Error::NotFound) => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        change(&mut value);
        tx.put(self.players, key, &value, WriteFlags::empty())?;
        Ok(tx.commit()?)
    }
}
