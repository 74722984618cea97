//! Corridor: thinning the archive, by the plan by which the log is packed: one file of it at a time, between two steps.
//!
//! Of each record what the index lists stays, as in the log. The archive is judged apart from the log, though: an ending that
//! no index lists any more goes only where everything before it in the archive was judged by the same index; until then
//! it stays, lest what it ended begin again.

use std::ops::ControlFlow;
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::{Judged, Lsn, Packing, schedule};

use super::cull::cull;
use super::plan;
use super::run::QUARTER_US;
use crate::archiving::Archiving;
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::pace::{STEP_BYTES, rest_for};
use crate::packer::Left;

/// What failed is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(60);

impl Core {
    /// Thins the file of the archive that is most worth it, if any is. Its owner calls it behind each step.
    pub(crate) fn thin_archive(&self) {
        let Some(archive) = self.archive.get() else { return };
        if self.packer.is_ending() || self.wal.failure().is_some() || archive.is_superseded() {
            return;
        }
        let Some(mut thinner) = archive.thinner.try_lock() else { return };
        let (layers, now) = (self.index.layers(), self.wal.env().clock.boot());
        let looks_as = (layers.judged, layers.floor, self.wal.time_us() / QUARTER_US); // time alone gives files up too
        if now < thinner.retry_at || thinner.seen == looks_as {
            return;
        }
        drop(layers);
        match self.thin_once(archive, &mut thinner.left) {
            Ok(more) => {
                archive.note_thinning(None);
                if !more {
                    thinner.seen = looks_as;
                }
            }
            Err(e) if e.kind() == ErrorKind::Closed => {}
            Err(e) => {
                archive.note_thinning(Some(e));
                thinner.retry_at = now + RETRY_AFTER;
            }
        }
    }

    /// False: nothing is worth it.
    fn thin_once(&self, archive: &Archiving, left: &mut Left) -> Result<bool> {
        let layers = self.index.layers();
        let (limit, whole) = (self.floor(&layers).min(archive.through()), self.whole());
        let mut sealed = archive.sealed();
        sealed.retain(|file| file.end <= limit && file.end <= whole && !left.has(file.base, layers.judged));
        let files = self.files(&sealed);
        let Some(run) = plan::due(&files) else { return Ok(false) };
        let (base, last) = (sealed[run.start].base, sealed[run.end - 1].base);
        let note = self.shelf.note()?;
        let judged = Judged { at: whole.min(self.wal.durable()), number: layers.judged, note: &note };
        let packing = Packing { from: base, to: Lsn::from_raw(last.raw() + 1), judged };
        let Some(thinning) = archive.thinning(packing)? else { return Ok(true) };
        let settled = thinning.is_settled();
        let dead: u64 = files[run.clone()].iter().map(|file| file.dead).sum();
        let bytes: u64 = files[run.clone()].iter().map(|file| file.bytes).sum();
        let rest = rest_for(dead, bytes - dead).filter(|_| self.wal.env().threads == Threads::Own);
        let (mut failed, mut since) = (None, 0);
        let written = thinning.write(
            packing,
            &mut |record| {
                let lists = |collection: crate::ids::CollectionId, key: &[u8], ending: bool| {
                    Ok(ending && !settled || layers.lists(collection.0, key, record.lsn)?)
                };
                cull(record, lists).map_err(|e| {
                    failed = Some(e);
                    savehold_wal::Error::new(savehold_wal::ErrorKind::Aborted, "a record could not be judged")
                })
            },
            &mut |bytes| {
                since += bytes;
                if since >= STEP_BYTES {
                    since = 0;
                    rest.into_iter().for_each(schedule::pause);
                    archive.step_if_due(&self.wal); // it stays current meanwhile
                }
                if self.packer.is_ending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        let thinned = match written {
            Ok(thinned) => thinned,
            Err(e) => {
                return Err(self.not_thinned(failed, e, left, sealed[run].iter().map(|file| file.base)));
            }
        };
        if thinned.packed.bytes_before.saturating_sub(thinned.packed.bytes_after)
            < thinned.packed.bytes_before / 16
        {
            left.leave(base); // what was counted as dead is not
        }
        archive.put_in_place(thinned)?;
        Ok(true)
    }

    fn not_thinned(
        &self,
        judged: Option<Error>,
        e: savehold_wal::Error,
        left: &mut Left,
        bases: impl Iterator<Item = Lsn>,
    ) -> Error {
        if e.kind() == savehold_wal::ErrorKind::Corrupt {
            bases.for_each(|base| left.leave_damaged(base));
        }
        match (judged, self.packer.is_ending()) {
            (Some(e), _) => e,
            (None, true) => Error::new(ErrorKind::Closed, "the store is being closed"),
            (None, false) => Error::from(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use savehold_wal::clock::SimClock;
    use savehold_wal::env::{Env, Threads};
    use savehold_wal::sim::memory;

    use super::*;
    use crate::{Error, Options};

    #[test]
    fn an_archive_is_looked_at_again_with_time_and_says_meanwhile_what_failed() {
        let clock = Arc::new(SimClock::default());
        let env = Env { clock: clock.clone(), threads: Threads::None, ..memory() };
        let store = Options::new().archive("/archive").open_in(env, Path::new("/store")).unwrap();
        let archive = store.core.archive.get().unwrap();
        let seen = || {
            store.core.tick();
            archive.thinner.lock().seen
        };
        let before = seen();
        clock.advance(Duration::from_secs(60));
        let (minute, quarter) = (seen(), {
            clock.advance(Duration::from_secs(15 * 60));
            seen()
        });
        assert_eq!(minute, before, "nothing has changed");
        assert_ne!(quarter, before, "time alone gives files up too");
        archive.note_thinning(Some(Error::new(ErrorKind::Io, "no such disk")));
        let _thinning = archive.thinner.lock();
        assert!(archive.stats(&store.core.wal).thinning_failure.is_some());
    }
}
