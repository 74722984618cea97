//! Door: savehold.
//!
//! Durable: as it comes. Buffered: `Durability::Buffered`. In the log: a recovery budget of a day, and of memory what the
//! peers are given, so that no checkpoint comes. 1,024 in flight: that many tickets of `set_async`. Tidied: no history is kept, and
//! the log is packed by `Store::compact`.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Change, Collection, Control, Durability, Options, Retention, Store, Ticket, Version};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

/// The collection.
const PLAYERS: &str = "players";

/// Tickets under way where many values are written.
const UNDER_WAY: usize = 1024;

/// Memory for the index where nothing of the log is to be filed: as much as RocksDB's write buffer has.
const MEMORY_BYTES: u64 = 16 << 30;

/// An open store.
pub struct Savehold {
    store: Store,
    players: Collection<Bytes>,
}

impl Savehold {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let durability = match opening.setting.is_durable() {
            true => Durability::Synced,
            false => Durability::Buffered,
        };
        let mut options = Options::new().durability(durability).control(Control::Off);
        if opening.setting.keeps_the_log() {
            options = options.recovery_budget(Duration::from_secs(24 * 3600)).memory_budget(MEMORY_BYTES);
        }
        let store = options.open(opening.dir.join("store"))?;
        Ok(Self { players: store.raw(PLAYERS)?, store })
    }
}

impl Engine for Savehold {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Player { players: self.players.clone() }))
    }

    fn replayed(&self) -> Option<u64> {
        Some(self.store.recovery().replayed_records)
    }

    fn tidy(&self) -> Result<()> {
        self.store.set_retention(PLAYERS, Retention::NewestOnly)?;
        let compacted = self.store.compact(|_| ControlFlow::Continue(()))?;
        if compacted.segments > 0 { Ok(()) } else { Err("nothing was packed: the store is too small".into()) }
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.store.close()?)
    }
}

struct Player {
    players: Collection<Bytes>,
}

impl Session for Player {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let value = Bytes::copy_from_slice(value);
        self.players.set(key, &value)?;
        Ok(())
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        self.flow(UNDER_WAY, items, &mut |_| {})
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let entry = self.players.get(key)?;
        Ok(entry.map(|entry| {
            std::hint::black_box(entry.value.first());
            entry.value.len()
        }))
    }

    fn list(&mut self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        for key in self.players.keys(std::str::from_utf8(prefix)?) {
            std::hint::black_box(key?);
            count += 1;
        }
        Ok(count)
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        self.players.update(key, |now| {
            let mut value = now.map(|entry| entry.value.to_vec()).unwrap_or_default();
            change(&mut value);
            Change::write(Bytes::from(value))
        })?;
        Ok(())
    }

    fn flow(
        &mut self,
        window: usize,
        items: &mut dyn Iterator<Item = (Key, &[u8])>,
        done: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let (mut under_way, mut answered) = (VecDeque::<Ticket<Version>>::with_capacity(window), 0);
        let mut wait = |under_way: &mut VecDeque<Ticket<Version>>| -> Result<()> {
            if let Some(first) = under_way.pop_front() {
                first.wait()?;
                done(answered);
                answered += 1;
            }
            Ok(())
        };
        for (key, value) in items {
            if under_way.len() == window {
                wait(&mut under_way)?;
            }
            let value = Bytes::copy_from_slice(value);
            under_way.push_back(self.players.set_async(&key, &value));
        }
        while !under_way.is_empty() {
            wait(&mut under_way)?;
        }
        Ok(())
    }
}
