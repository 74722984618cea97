//! Corridor: packing what is worth it: in the background, and all of it when somebody asks.
//!
//! 1. Look: files that are sealed, whose versions all stand in tables, that the archive has, and that lie before the time of
//!    which every moment is kept; what of each is dead.
//! 2. Plan: which neighbours become one (`plan`); those too for which endings wait.
//! 3. Pack them: of every record what the index lists stays (`cull`). A crash, an error or a close before MANIFEST names the
//!    packed file leaves everything as it was; after it the new file, whole.
//! 4. Again, until nothing is worth it.
//!
//! In the background it goes slowly, and the more slowly the less is dead.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::{Judged, Lsn, Packed, Packing, Progress, Sealed, schedule};

use super::cull::cull;
use super::plan::{self, File};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Layers;
use crate::pace::STEP_BYTES;
use crate::planted::{self, Fault};
use crate::stats::OldestFile;

/// What failed is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// It is looked at least so often.
pub(super) const QUARTER_US: u64 = 15 * 60 * 1_000_000;
/// Bytes of a packed file besides its records, and for each of its records besides what the index counts, about.
const FILE_BYTES: u64 = 16 << 10;
const RECORD_BYTES: u64 = 72;
/// What is prepared for more to come, and may stay however little lives.
const PREPARED_BYTES: u64 = 1 << 20;
/// Less than this of what is being written is left as it is.
const OPEN_BYTES: u64 = 256 << 10;
/// Rounds of packing everything that somebody asked for: endings go once the files of what they ended were packed, and their
/// files after that.
const ROUNDS_MAX: usize = 5;

/// What packing all that is dead came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Bytes that the files of the log had.
    pub bytes_before: u64,
    /// Bytes that they have.
    pub bytes_after: u64,
    /// Files that were packed.
    pub segments: u64,
    /// Records that are gone whole.
    pub dropped: u64,
}

/// Which files may be packed, as they lie to the place from which on everything is kept.
#[derive(Clone, Copy)]
enum Reach {
    /// Those before it: a feed that is no further behind misses nothing.
    Before,
    /// The one too that it lies in, where somebody asks.
    Into,
}

/// The files of the log, as the plan sees them, and the index by which they are judged.
struct Look {
    layers: Arc<Layers>,
    sealed: Vec<Sealed>,
    files: Vec<File>,
}

impl Core {
    /// Sees to it that the log is packed if anything about the index changed; says when to look again.
    pub(crate) fn see_to_packing(&self) -> Option<Duration> {
        let layers = self.index.layers();
        let now = (layers.judged, layers.floor, self.wal.time_us() / QUARTER_US); // time alone gives files up too
        let changed = std::mem::replace(&mut *self.packer.seen.lock(), now) != now;
        if self.wal.env().threads == Threads::None {
            let again = changed || self.packer.failure.lock().is_some();
            return if again { self.pack_due() } else { None };
        }
        if changed {
            self.packer.bell.ring();
        }
        None
    }

    /// Packs what is worth it, as long as anything is; says after what time to try again what failed.
    pub(crate) fn pack_due(&self) -> Option<Duration> {
        let mut left = self.packer.work.try_lock()?;
        loop {
            if self.packer.is_ending() || self.wal.failure().is_some() || self.wal.read_only().is_some() {
                return None;
            }
            let packed = self.look(&mut left, Reach::Before).and_then(|look| {
                let (dead, filed) =
                    look.files.iter().fold((0, 0), |(d, l), file| (d + file.dead, l + file.live()));
                self.waste.note_dead(dead, filed);
                let settling =
                    || self.packer.is_waited_for().then(|| plan::settling_due(&look.files)).flatten();
                match plan::due(&look.files).or_else(settling) {
                    Some(run) => self.pack_in_background(&mut left, &look, run).map(|_| true),
                    None => Ok(self.reach_further(&mut left, &look)? || self.roll_if_wasteful(&look)?),
                }
            });
            let failure = match packed {
                Ok(true) => continue,
                Ok(false) => None,
                Err(e) if e.kind() == ErrorKind::Closed => return None,
                Err(e) => Some(e),
            };
            let again = failure.is_some().then_some(RETRY_AFTER);
            failure.iter().for_each(|_| self.waste.note_packing_stuck());
            *self.packer.failure.lock() = failure;
            return again;
        }
    }

    /// Drops what has lapsed and packs all files of which anything is dead, as far as that gains something.
    pub(crate) fn compact(&self, mut progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Compacted> {
        let mut left = self.packer.work.lock();
        let mut done = Compacted { bytes_before: self.wal.stats().capacity, ..Compacted::default() };
        let sealed: u64 = self.wal.sealed()?.iter().map(|file| file.bytes).sum();
        if done.bytes_before.saturating_sub(sealed) > OPEN_BYTES {
            self.roll_now()?;
        }
        for _ in 0..ROUNDS_MAX {
            self.thin_now()?;
            let look = self.look(&mut left, Reach::Into)?;
            let mut runs = plan::all_due(&look.files);
            if runs.is_empty() && self.endings_wait()? {
                runs = plan::settling(&look.files, 0);
            }
            let bytes =
                |run: &Range<usize>| look.files[run.clone()].iter().map(|file| file.bytes).sum::<u64>();
            let mut meter = Meter::new(self, runs.iter().map(bytes).sum());
            let before = done.segments;
            for run in runs {
                let packed =
                    self.pack_run(&mut left, &look, run, |bytes| meter.tell(bytes, &mut progress))?;
                done.segments += packed.segments;
                done.dropped += packed.dropped;
            }
            if before == done.segments {
                break;
            }
        }
        done.bytes_after = self.wal.stats().capacity;
        Ok(done)
    }

    /// What the files of the log hold that is dead, about; `None`: nobody can tell.
    pub(crate) fn dead_bytes(&self) -> Option<u64> {
        let sealed = self.wal.sealed().ok()?;
        Some(self.files(&sealed).iter().map(|file| file.dead).sum())
    }

    /// The oldest file of the log, and what holds it.
    pub(crate) fn oldest_file(&self) -> Option<OldestFile> {
        let layers = self.index.layers();
        let sealed = self.wal.sealed().ok()?;
        let Some(oldest) = sealed.first() else {
            let span = self.wal.span();
            let held_by = "new commits: it is being written".to_owned();
            return Some(OldestFile { version: span.start.into(), bytes: 0, dead_bytes: 0, held_by });
        };
        let file = self.files(&sealed).first().copied()?;
        let archived = self.archived();
        let held_by = match () {
            () if oldest.end > self.floor(&layers) => {
                "a checkpoint that is to come: not all of it is in an index table".to_owned()
            }
            () if oldest.end > self.given_up() => {
                "retention: it reaches into the time of which every moment is kept".to_owned()
            }
            () if oldest.end > archived => "the archive: it has only what is older".to_owned(),
            () if file.bytes > file.dead => format!("{} bytes of what is kept", file.bytes - file.dead),
            () => "nothing: it is packed when enough is dead".to_owned(),
        };
        Some(OldestFile { version: oldest.base.into(), bytes: file.bytes, dead_bytes: file.dead, held_by })
    }

    fn look(&self, left: &mut crate::packer::Left, reach: Reach) -> Result<Look> {
        let layers = self.index.layers();
        let (limit, whole) = (self.floor(&layers).min(self.archived()), self.given_up());
        let before = |file: &Sealed| match reach {
            Reach::Before => file.end <= whole,
            Reach::Into => file.base < whole,
        };
        let mut sealed = self.wal.sealed()?;
        sealed.retain(|file| file.end <= limit && before(file) && !left.has(file.base, layers.judged));
        let files = self.files(&sealed);
        Ok(Look { layers, sealed, files })
    }

    pub(super) fn files(&self, sealed: &[Sealed]) -> Vec<File> {
        let manifest = self.shelf.manifest.lock();
        let listed = |file: &Sealed| -> u64 {
            let own = |(base, _): &&(Lsn, u64)| (file.base..file.space_end).contains(base);
            manifest
                .tables
                .iter()
                .flat_map(|table| table.listed.iter().filter(own))
                .map(|(_, bytes)| bytes)
                .sum()
        };
        let accepted = self.wal.accepted();
        let of = |file: &Sealed| {
            let settled = file.judged >= manifest.newest_drop(&(file.base..file.space_end));
            let since = || accepted.bytes_since(file.judged_at).unwrap_or(u64::MAX);
            let own = file.packed.map_or(0, |records| FILE_BYTES + records * RECORD_BYTES);
            let dead = file.bytes.saturating_sub(listed(file) + own);
            File {
                base: file.base,
                first: file.first,
                bytes: file.bytes,
                dead,
                packed: file.packed.is_some(),
                unsettled: (!settled).then(since),
            }
        };
        sealed.iter().map(of).collect()
    }

    /// Has the terms in force where they would let files be packed that hold much that is dead: else they move on with
    /// merges alone, and there may be nothing left to merge. False: they do not.
    fn reach_further(&self, left: &mut crate::packer::Left, look: &Look) -> Result<bool> {
        let (limit, whole) = (self.floor(&look.layers).min(self.archived()), self.given_up());
        let mut sealed = self.wal.sealed()?;
        sealed.retain(|file| file.end > whole && file.end <= limit);
        if self.files(&sealed).iter().map(|file| file.dead).sum::<u64>() < OPEN_BYTES {
            return Ok(false);
        }
        let Some(_work) = self.shelf.work.try_lock() else { return Ok(false) };
        let Some(next) = self.next_terms(&self.index.layers())? else { return Ok(false) };
        self.enforce(next)?;
        Ok(self.look(left, Reach::Before)?.files.len() > look.files.len())
    }

    /// Of what lies before it not every moment is kept; where that is all there is, everything lies before it.
    fn given_up(&self) -> Lsn {
        let (accepted, whole) = (self.wal.accepted(), self.whole());
        if whole >= self.sequenced() { accepted } else { whole }
    }

    /// Every version before it is in a table.
    pub(super) fn floor(&self, layers: &Layers) -> Lsn {
        let _order = self.order.lock();
        match layers.frozen.is_empty() && self.index.layers().tail.is_empty() && layers.tail.is_empty() {
            true => self.wal.accepted(), // nothing was placed that no table has
            false => layers.floor,
        }
    }

    /// From here on everything is kept, whatever is listed: a feed that begins here misses nothing, so no file that reaches
    /// behind it is packed for its padding alone.
    pub(super) fn whole(&self) -> Lsn {
        let manifest = self.shelf.manifest.lock();
        manifest.terms.partial.values().copied().fold(manifest.terms.every, Lsn::max)
    }

    /// A file that ends at or before it is in the archive, where there is one, with its end: so the archive ends behind that.
    fn archived(&self) -> Lsn {
        self.archive
            .get()
            .map_or(Lsn::MAX, |archive| Lsn::from_raw(archive.through().raw().saturating_sub(1)))
    }

    fn pack_in_background(
        &self,
        left: &mut crate::packer::Left,
        look: &Look,
        run: Range<usize>,
    ) -> Result<Packed> {
        let mut since = 0;
        self.packer.pace.lock().rested(self.commits.felt());
        self.pack_run(left, look, run, |bytes| {
            since += bytes;
            if since >= STEP_BYTES && self.wal.env().threads == Threads::Own {
                since = 0;
                self.rest();
            }
            ControlFlow::Continue(())
        })
    }

    /// Rests after a step, for as long as what could go allows, and longer where commits feel it.
    fn rest(&self) {
        let urgency = self.waste.urgency(self.wal.accepted());
        let rest = self.packer.pace.lock().rest(self.commits.felt(), urgency);
        if let Some(rest) = rest {
            schedule::pause(rest);
            self.packer.pace.lock().rested(self.commits.felt());
        }
    }

    /// Packs neighbours into one file.
    fn pack_run(
        &self,
        left: &mut crate::packer::Left,
        look: &Look,
        run: Range<usize>,
        mut pace: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Packed> {
        let (base, last) = (look.sealed[run.start].base, look.sealed[run.end - 1].base);
        let note = self.shelf.note()?;
        let judged =
            Judged { at: self.whole().min(self.wal.durable()), number: look.layers.judged, note: &note };
        let packing = Packing { from: base, to: Lsn::from_raw(last.raw() + 1), judged };
        let mut failed = None;
        let packed = self.wal.pack(
            packing,
            |record| {
                let lists = |collection: crate::ids::CollectionId, key: &[u8], _: bool| {
                    if planted::has(Fault::PackNewest) {
                        return Ok(self
                            .index
                            .newest(collection.0, key)?
                            .is_some_and(|v| v.lsn == record.lsn));
                    }
                    look.layers.lists(collection.0, key, record.lsn)
                };
                cull(record, lists).map_err(|e| {
                    failed = Some(e);
                    savehold_wal::Error::new(savehold_wal::ErrorKind::Aborted, "a record could not be judged")
                })
            },
            |bytes| if self.packer.is_ending() { ControlFlow::Break(()) } else { pace(bytes) },
        );
        let packed = match packed {
            Ok(packed) => packed.unwrap_or_default(),
            Err(e) if e.kind() == savehold_wal::ErrorKind::Aborted => {
                let closed = || Error::new(ErrorKind::Closed, "the store is being closed");
                let closing = self.packer.is_ending();
                return Err(failed.unwrap_or_else(|| if closing { closed() } else { Error::from(e) }));
            }
            Err(e) => {
                if e.kind() == savehold_wal::ErrorKind::Corrupt {
                    look.sealed[run].iter().for_each(|file| left.leave_damaged(file.base));
                }
                return Err(Error::from(e));
            }
        };
        if packed.bytes_before.saturating_sub(packed.bytes_after) < packed.bytes_before / 16 {
            left.leave(base); // what was counted as dead is not
        }
        self.packer.note(&packed);
        Ok(packed)
    }

    /// Goes on in a small segment where the one that is written takes far more than what lives, and nothing waits.
    fn roll_if_wasteful(&self, look: &Look) -> Result<bool> {
        let live: u64 = look.files.iter().map(|file| file.bytes.saturating_sub(file.dead)).sum();
        let sealed: u64 = look.files.iter().map(|file| file.bytes).sum();
        let open = self.wal.stats().capacity.saturating_sub(sealed);
        let idle = self.floor(&look.layers) >= self.wal.accepted();
        if !idle
            || open < PREPARED_BYTES.max(live / 2)
            || look.files.is_empty() && self.index.versions_total() > 0
        {
            return Ok(false);
        }
        self.roll_now()?;
        Ok(self.wal.stats().capacity < open + sealed)
    }

    /// Seals what is written, so that it can be packed; where there is no space for that, it stays open.
    fn roll_now(&self) -> Result<()> {
        match self.wal.roll() {
            Err(e) if e.kind() != savehold_wal::ErrorKind::Full => Err(e.into()),
            _ => Ok(()),
        }
    }
}

/// How far packing has come.
struct Meter<'a> {
    core: &'a Core,
    begun: Duration,
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    fn new(core: &'a Core, total: u64) -> Self {
        Self { core, begun: core.wal.env().clock.monotonic(), done: 0, total }
    }

    fn tell(&mut self, bytes: u64, to: &mut impl FnMut(Progress) -> ControlFlow<()>) -> ControlFlow<()> {
        self.done += bytes;
        let elapsed = self.core.wal.env().clock.monotonic().saturating_sub(self.begun);
        let left = self.total.saturating_sub(self.done) as f64 / self.done.max(1) as f64;
        to(Progress {
            done_bytes: self.done,
            total_bytes: self.total.max(self.done),
            elapsed,
            remaining: elapsed.mul_f64(left.min(1e6)),
        })
    }
}
