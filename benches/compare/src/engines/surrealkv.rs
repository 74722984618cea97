//! Door: surrealkv.
//!
//! Durable: `Durability::Immediate`, and zeros written ahead in the log, which is off as it comes. Buffered:
//! `Durability::Eventual`. In the log: a memtable of 8 GiB. Commits are futures: a thread waits for its own, 1,024 in
//! flight are that many tasks. The runtime has two workers. A commit that met another of the same key is begun again.

use std::collections::VecDeque;
use std::sync::Arc;

use surrealkv::{Durability, Mode, Options, Tree, TreeBuilder};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const HUGE: usize = 8 << 30;

/// An open tree.
pub struct Surrealkv {
    tree: Arc<Tree>,
    durability: Durability,
    runtime: Runtime,
}

impl Surrealkv {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let inside = runtime.enter();
        let durable = opening.setting.is_durable();
        let mut options = Options::new().with_path(opening.dir.clone()).with_wal_preallocation(durable);
        if opening.setting.keeps_the_log() {
            options = options.with_max_memtable_size(HUGE);
        }
        let tree = Arc::new(TreeBuilder::with_options(options).build()?);
        drop(inside);
        let durability = if durable { Durability::Immediate } else { Durability::Eventual };
        Ok(Self { tree, durability, runtime })
    }
}

impl Engine for Surrealkv {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.tree.flush_wal(true)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.runtime.block_on(self.tree.close())?)
    }
}

impl Session for &Surrealkv {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let items: Vec<(Key, &[u8])> = items.collect();
        Ok(self.runtime.block_on(committed(&self.tree, self.durability, &items))?)
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let tx = self.tree.begin_with_mode(Mode::ReadOnly)?;
        Ok(tx.get(key)?.map(|value| {
            std::hint::black_box(value.first());
            value.len()
        }))
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        loop {
            let mut tx = self.tree.begin()?;
            tx.set_durability(self.durability);
            let mut value = tx.get_for_update(key)?.map(|value| value.to_vec()).unwrap_or_default();
            change(&mut value);
            tx.set(key, value)?;
            let done = self.runtime.block_on(tx.commit());
            if !is_conflict(&done) {
                return Ok(done?);
            }
        }
    }

    fn flow(
        &mut self,
        window: usize,
        items: &mut dyn Iterator<Item = (Key, &[u8])>,
        done: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let mut under_way = VecDeque::<JoinHandle<surrealkv::Result<()>>>::with_capacity(window);
        let mut answered = 0;
        let mut wait = |under_way: &mut VecDeque<JoinHandle<surrealkv::Result<()>>>| -> Result<()> {
            if let Some(first) = under_way.pop_front() {
                self.runtime.block_on(first)??;
                done(answered);
                answered += 1;
            }
            Ok(())
        };
        for (key, value) in items {
            if under_way.len() == window {
                wait(&mut under_way)?;
            }
            let (tree, durability, value) = (self.tree.clone(), self.durability, value.to_vec());
            under_way.push_back(
                self.runtime.spawn(async move { committed(&tree, durability, &[(key, &value)]).await }),
            );
        }
        while !under_way.is_empty() {
            wait(&mut under_way)?;
        }
        Ok(())
    }
}

/// Writes values in one commit, begun again where another of the same key came between.
async fn committed(tree: &Tree, durability: Durability, items: &[(Key, &[u8])]) -> surrealkv::Result<()> {
    loop {
        let mut tx = tree.begin_with_mode(Mode::WriteOnly)?;
        tx.set_durability(durability);
        for (key, value) in items {
            tx.set(key, *value)?;
        }
        let done = tx.commit().await;
        if !is_conflict(&done) {
            return done;
        }
    }
}

fn is_conflict(done: &surrealkv::Result<()>) -> bool {
    use surrealkv::Error::{TransactionRetry, TransactionWriteConflict};
    matches!(done, Err(TransactionWriteConflict | TransactionRetry))
}
