//! Door: SQLite, through rusqlite.
//!
//! Durable: `journal_mode=WAL`, `synchronous=FULL`. Buffered: `synchronous=NORMAL`, which syncs at checkpoints only. In
//! the log: no checkpoints. One connection writes, behind a lock: several would wait for each other in sleeps. Each
//! reading thread has a connection of its own. Statements are kept prepared; the table is `WITHOUT ROWID`.

use std::path::PathBuf;
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const PUT: &str = "INSERT OR REPLACE INTO players (key, value) VALUES (?1, ?2)";
const GET: &str = "SELECT value FROM players WHERE key = ?1";

/// An open database.
pub struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
}

impl Sqlite {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let path = opening.dir.join("sqlite");
        let writer = Connection::open(&path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = if opening.setting.is_durable() { "FULL" } else { "NORMAL" };
        writer.pragma_update(None, "synchronous", synchronous)?;
        if opening.setting.keeps_the_log() {
            writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        writer.execute_batch(
            "CREATE TABLE IF NOT EXISTS players (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { path, writer: Mutex::new(writer) })
    }
}

impl Engine for Sqlite {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Box::new(Client { writer: &self.writer, reader: Connection::open_with_flags(&self.path, flags)? }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        let writer = self.writer.into_inner().map_err(|_| "a thread panicked while it wrote")?;
        writer.close().map_err(|(_, e)| e.into())
    }
}

struct Client<'e> {
    writer: &'e Mutex<Connection>,
    reader: Connection,
}

impl Client<'_> {
    fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut writer = self.writer.lock().map_err(|_| "a thread panicked while it wrote")?;
        let tx = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

impl Session for Client<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let writer = self.writer.lock().map_err(|_| "a thread panicked while it wrote")?;
        writer.prepare_cached(PUT)?.execute(params![&key[..], value])?;
        Ok(())
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        self.write(|tx| {
            let mut put = tx.prepare_cached(PUT)?;
            for (key, value) in items {
                put.execute(params![&key[..], value])?;
            }
            Ok(())
        })
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let mut get = self.reader.prepare_cached(GET)?;
        let found = get.query_row(params![&key[..]], |row| {
            let value = row.get_ref(0)?.as_blob()?;
            std::hint::black_box(value.first());
            Ok(value.len())
        });
        Ok(found.optional()?)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        self.write(|tx| {
            let mut get = tx.prepare_cached(GET)?;
            let stands = get.query_row(params![&key[..]], |row| row.get::<_, Vec<u8>>(0)).optional()?;
            let mut value = stands.unwrap_or_default();
            change(&mut value);
            tx.prepare_cached(PUT)?.execute(params![&key[..], value])?;
            Ok(())
        })
    }
}
