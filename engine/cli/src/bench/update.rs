//! Corridor: read-modify-write of stored values, against a bare write and sync of a prepared file.

use bytes::Bytes;
use savehold::{Change, Options};
use savehold_wal::env::Env;

use super::commit::rounds;
use super::figure::Figure;
use super::keys::{self, Numbers};
use super::place::Place;
use crate::args::Workload;
use crate::exit::Failure;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let dir = place.join("store");
    keys::filled(&dir, work, keys::BUDGET)?.close()?;
    let store = Options::new().durability(keys::durability(work)).open(dir)?;
    let what = if work.hot { "updates/s of one key" } else { "updates/s" };
    let figure = rounds(env, place, work, &store, what, |thread, runner| {
        let (players, mut numbers) = (keys::players(&store)?, Numbers::new(thread, work));
        while let Some(begun) = runner.go_on() {
            players.update(&numbers.key(), |now| Change::write(next(now.map(|entry| entry.value))))?;
            runner.done(begun);
        }
        Ok(())
    })?;
    store.close()?;
    Ok(figure)
}

/// What an update makes of a value: the same with one bit of its first byte turned.
fn next(value: Option<Bytes>) -> Bytes {
    let mut value = value.unwrap_or_default().to_vec();
    if let Some(first) = value.first_mut() {
        *first ^= 1;
    }
    value.into()
}
