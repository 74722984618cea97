//! Door: the adapters, one file for each peer. Each says above its code which of the peer's options it sets and why.

mod bare;
mod fjall;
mod lmdb;
mod okaywal;
mod raft_engine;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod savehold;
mod sqlite;
mod surrealkv;

use crate::engine::{Engine, Kind, Opening, Result};

/// Opens an engine.
pub fn open(kind: Kind, opening: &Opening) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(&opening.dir)?;
    Ok(match kind {
        Kind::Savehold => Box::new(savehold::Savehold::open(opening)?),
        Kind::Fjall => fjall::open(opening)?,
        Kind::Redb => Box::new(redb::Redb::open(opening)?),
        Kind::Lmdb => Box::new(lmdb::Lmdb::open(opening)?),
        Kind::Sqlite => Box::new(sqlite::Sqlite::open(opening)?),
        #[cfg(feature = "rocksdb")]
        Kind::Rocksdb => rocksdb::open(opening)?,
        #[cfg(not(feature = "rocksdb"))]
        Kind::Rocksdb => return Err("build with `--features rocksdb` to measure RocksDB".into()),
        Kind::Surrealkv => Box::new(surrealkv::Surrealkv::open(opening)?),
        Kind::RaftEngine => Box::new(raft_engine::RaftEngine::open(opening)?),
        Kind::Okaywal => Box::new(okaywal::Okaywal::open(opening)?),
        Kind::Bare => bare::open(opening, bare::Way::Plain)?,
        Kind::BareAgain => bare::open(opening, bare::Way::BlocksAgain)?,
        Kind::BareTwo => bare::open(opening, bare::Way::TwoAtOnce)?,
    })
}
