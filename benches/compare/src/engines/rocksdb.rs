//! Door: RocksDB.
//!
//! Durable: writes with `sync`. Buffered: as it comes. In the log: a write buffer of 16 GiB. `update`: the pessimistic
//! transactions of the package with `get_for_update`, begun again where the lock was not to be had in time. Nothing is
//! compressed: the package is built without compressors.

use rocksdb::{
    DB, ErrorKind, Options, TransactionDB, TransactionDBOptions, TransactionOptions, WriteBatch,
    WriteBatchWithTransaction, WriteOptions,
};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const HUGE: usize = 16 << 30;

/// Opens it, with transactions where updates are asked for.
pub fn open(opening: &Opening) -> Result<Box<dyn Engine>> {
    let mut options = Options::default();
    options.create_if_missing(true);
    if opening.setting.keeps_the_log() {
        options.set_write_buffer_size(HUGE);
    }
    let sync = opening.setting.is_durable();
    if opening.updates {
        let db = TransactionDB::open(&options, &TransactionDBOptions::default(), &opening.dir)?;
        return Ok(Box::new(Transactional { db, sync }));
    }
    Ok(Box::new(Plain { db: DB::open(&options, &opening.dir)?, sync }))
}

fn write_options(sync: bool) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(sync);
    options
}

struct Plain {
    db: DB,
    sync: bool,
}

impl Engine for Plain {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(PlainSession { db: &self.db, options: write_options(self.sync) }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.db.flush_wal(true)?;
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}

struct PlainSession<'e> {
    db: &'e DB,
    options: WriteOptions,
}

impl Session for PlainSession<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.options)?)
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mut batch = WriteBatch::default();
        items.for_each(|(key, value)| batch.put(key, value));
        Ok(self.db.write_opt(batch, &self.options)?)
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        Ok(self.db.get_pinned(key)?.map(|value| {
            std::hint::black_box(value.first());
            value.len()
        }))
    }
}

struct Transactional {
    db: TransactionDB,
    sync: bool,
}

impl Engine for Transactional {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(TransactionalSession { db: &self.db, options: write_options(self.sync) }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct TransactionalSession<'e> {
    db: &'e TransactionDB,
    options: WriteOptions,
}

impl Session for TransactionalSession<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        items.for_each(|(key, value)| batch.put(key, value));
        Ok(self.db.write_opt(batch, &self.options)?)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        loop {
            let tx = self.db.transaction_opt(&self.options, &TransactionOptions::default());
            let done = tx.get_for_update(key, true).and_then(|stands| {
                let mut value = stands.unwrap_or_default();
                change(&mut value);
                tx.put(key, value)?;
                tx.commit()
            });
            match done {
                Err(e) if matches!(e.kind(), ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain) => {
                }
                done => return Ok(done?),
            }
        }
    }
}
