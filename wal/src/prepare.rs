//! Corridor: the next segment, made and named before any place in it is handed out.
//!
//! Steps: lock the catalog, decide the size, make the file (space, header, syncs), name it in MANIFEST, with the ends that
//! are facts by then, hand it to the sequencer. Commits go on meanwhile in the segment before.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::env::Threads;
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::lane::drawn_lane;
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_LIMIT};
use crate::log::{Log, closed};
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::segment::catalog::{Catalog, generation_behind};
use crate::segment::file::{Segment, entry_of};
use crate::segment::fill::{Fill, Steps};
use crate::segment::manifest::{self, NotReplaced};
use crate::sync::MutexGuard;

/// A full disk, or a system that opens no more files, is asked again after this time.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Largest capacity that is zero-written before the first group shows what groups are like.
const ZEROS_UNSEEN_BYTES_MAX: u64 = 1 << 20;

/// How large the next segment is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Twice as large as the active one, or as a record of so many bytes needs.
    For(u64),
    /// As small as the first one, in place of a larger one that is prepared.
    Smallest,
}

impl Log {
    /// Ends the active segment where it is, durably, and goes on in one as small as the first: what is sealed can be packed
    /// and given up, and the space that was prepared comes free.
    pub(crate) fn roll(&self) -> Result<()> {
        let mut catalog = self.catalog.lock();
        self.check()?;
        if self.order.lock().frames.active().is_none() {
            return Ok(()); // what comes next begins small by itself
        }
        self.prepare_next(&mut catalog, Size::Smallest)?;
        let mut order = self.order.lock();
        if self.closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        let begun = order.frames.roll();
        drop((order, catalog));
        if begun.is_err() {
            return Ok(()); // somebody began it meanwhile, by an append
        }
        self.sync_placed().map(drop)
    }

    /// Makes room for a frame of `bytes`, or says why there is none. May take as long as preparing a segment takes.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<()> {
        let mut catalog = self.catalog.lock();
        self.check()?;
        let order = self.order.lock();
        if order.begun && order.refusal().is_none() && order.frames.has_room(bytes) {
            return Ok(()); // somebody else was faster
        }
        if let Some((full, tried)) = &order.full
            && self.env.threads == Threads::Own
            && self.env.clock.boot() < *tried + RETRY_AFTER
        {
            return Err(full.clone());
        }
        drop(order);
        self.prepare_next(&mut catalog, Size::For(bytes))
    }

    /// Prepares the segment behind the active one, if there is none.
    pub(crate) fn prepare_ahead(&self) -> Result<()> {
        if !self.lacks_next() {
            return Ok(()); // without a wait for whoever has the catalog
        }
        let mut catalog = self.catalog.lock();
        self.check()?;
        if self.lacks_next() { self.prepare_next(&mut catalog, Size::For(0)) } else { Ok(()) }
    }

    /// There is an active segment, and none prepared behind it.
    fn lacks_next(&self) -> bool {
        let order = self.order.lock();
        order.begun && order.frames.active().is_some() && order.frames.next().is_none()
    }

    fn prepare_next(&self, catalog: &mut MutexGuard<'_, Catalog>, size: Size) -> Result<()> {
        let mut done = self.try_prepare_next(catalog, size);
        if done.as_ref().is_err_and(|e| e.kind().is_short()) && self.let_removed_go() {
            done = self.try_prepare_next(catalog, size); // there may be space now, and files are closed
        }
        let mut order = self.order.lock();
        match &done {
            Ok(()) => order.full = None,
            Err(e) if e.kind().is_short() => {
                order.full = Some((e.clone(), self.env.clock.boot()));
            }
            Err(_) => {}
        }
        drop(order);
        self.keeper.ring_before(Duration::ZERO); // it is the keeper that tries again
        done
    }

    fn try_prepare_next(&self, catalog: &mut MutexGuard<'_, Catalog>, size: Size) -> Result<()> {
        let (plan, too_small) = self.plan_next(catalog, size)?;
        let mut named = Catalog::clone(catalog);
        named.clean_end = None;
        #[cfg(feature = "planted")]
        if planted::is(Planted::KeepCleanEnd) {
            named.clean_end = catalog.clean_end;
        }
        let Some(header) = plan else {
            self.note_ends(&mut named);
            let done = self.name(catalog, named); // room enough, but the catalog still said that the log was closed
            let mut order = self.order.lock();
            if let Some(next) = too_small {
                order.frames.set_next(next);
            }
            order.begun |= done.is_ok();
            return done;
        };
        let fill = self.fill_for(header.capacity);
        // on a slow disk zeros take many seconds: what is to be durable before does not wait for them
        let mut between = || _ = self.tend_buffered();
        let access = self.options.access;
        let mut prepare =
            || Segment::prepare(&*self.env.vfs, &self.root, &header, fill, access, &mut between);
        let segment = match self.held_directory().and_then(|_held| prepare()) {
            Ok(segment) => Arc::new(segment),
            Err(e) => return Err(self.not_prepared(e, too_small, header.capacity)),
        };
        if let Some(small) = &too_small {
            named.segments.retain(|s| (s.base, s.generation) != (small.base, small.generation));
        }
        named.name(entry_of(&header));
        self.note_ends(&mut named); // while that was made, what stands before may have become durable
        if let Err(e) = self.name(catalog, named) {
            if e.kind().is_short() {
                self.remove_own(&segment.path); // else the catalog on the disk may name it
            }
            return Err(self.not_prepared(e, too_small, header.capacity));
        }
        if let Some(small) = too_small {
            self.drop_segment(small.base, small.generation);
            self.remove_own(&small.path); // unnamed and empty
        }
        if self.order.lock().turns.most() > 1 && segment.beside.open(&*self.env.vfs, &segment.path).is_err() {
            self.order.lock().turns.reduce(); // no more files are to be had: one sync at a time will do
        }
        self.add_segment(&segment);
        self.counters.segments.fetch_add(1, Ordering::Relaxed);
        let mut order = self.order.lock();
        order.frames.set_next(segment);
        order.begun = true;
        Ok(())
    }

    /// The header of the segment to make, if one is needed, and the prepared one that it replaces.
    fn plan_next(
        &self,
        catalog: &Catalog,
        size: Size,
    ) -> Result<(Option<SegmentHeader>, Option<Arc<Segment>>)> {
        let mut order = self.order.lock();
        let smallest = self.options.segment_bytes_min;
        let (needed, room) = match size {
            Size::For(bytes) => (order.frames.room_for(bytes), order.frames.has_room(bytes)),
            Size::Smallest => {
                let small = order.frames.next().is_some_and(|next| next.capacity <= smallest);
                (order.frames.room_for(0), small)
            }
        };
        if room && (order.frames.active().is_some() && (!order.begun || size == Size::Smallest)) {
            return Ok((None, None));
        }
        let doubled = match order.frames.active() {
            Some(active) if size != Size::Smallest => active.capacity * 2,
            _ => smallest,
        };
        let capacity = doubled.min(self.options.segment_bytes_max).max(needed).next_multiple_of(BLOCK_BYTES);
        debug_assert!(capacity <= SEGMENT_BYTES_LIMIT, "records are bounded");
        let (base, generation) = match order.frames.next() {
            Some(small) => (small.base, generation_behind(small.generation)?),
            None => (catalog.frontier, 0),
        };
        if base.checked_add(capacity).is_none_or(|end| end.offset() >= Lsn::OFFSET_MAX) {
            let say = "this timeline of the log is used up: back up the store and restore it, which begins a new one";
            return Err(Error::new(ErrorKind::Full, say));
        }
        let too_small = order.frames.take_next();
        drop(order);
        let header = SegmentHeader {
            kind: SegmentKind::Log,
            store: self.store,
            base,
            capacity,
            number: self.env.entropy.next_u64(),
            created_us: self.env.clock.wall_us(),
            generation,
            end: Lsn::NONE,
        };
        Ok((Some(header), too_small))
    }

    /// Ends that became facts since the catalog was written.
    pub(crate) fn note_ends(&self, named: &mut Catalog) {
        let durable = self.durable.get();
        for segment in self.segments.read().iter() {
            if let (Some(end), Some(entry)) =
                (segment.end(), named.entry_mut(segment.base, segment.generation))
                && entry.end.is_none()
                && end <= durable
            {
                entry.end = Some(end);
            }
        }
    }

    /// Replaces the catalog on disk, then here. Meanwhile the directory is not given up; once it was, the catalog there may be
    /// somebody else's.
    pub(crate) fn name(&self, catalog: &mut Catalog, mut named: Catalog) -> Result<()> {
        #[cfg(feature = "planted")]
        if planted::is(Planted::NameLate) && !self.closed.load(Ordering::Acquire) {
            *catalog = named;
            return Ok(());
        }
        let _held = self.held_directory()?;
        named.generation = named.next_generation()?;
        named.time_us = self.time.now_us(&*self.env.clock);
        match manifest::replace(&*self.env.vfs, &self.root, &named) {
            Ok(()) => {
                *catalog = named;
                Ok(())
            }
            Err(NotReplaced::Short(e)) => Err(e),
            Err(NotReplaced::Failed(e)) => Err(self.halt(&e)),
        }
    }

    /// Gives a lane to a destination of backups, durably; one that is drawn where there is no space to note it.
    pub(crate) fn give_lane(&self, draw: u64) -> Result<u8> {
        let mut catalog = self.catalog.lock();
        self.check()?; // whoever asks may have hung on a slow disk, and the log was closed meanwhile
        let mut named = Catalog::clone(&catalog);
        self.note_ends(&mut named);
        let (lane, lanes) = catalog.lanes.give(catalog.timelines.len() == 1, draw);
        named.lanes = lanes;
        match self.name(&mut catalog, named) {
            Err(e) if e.kind().is_short() => Ok(drawn_lane(draw)),
            other => other.map(|()| lane),
        }
    }

    /// Replaces the catalog by what it says already, so that the one before names nothing else either. Where there is no space
    /// for that, the one before goes: space is what whoever asks is about to give back.
    pub(crate) fn name_again(&self, catalog: &mut Catalog) -> Result<()> {
        let again = Catalog::clone(catalog);
        match self.name(catalog, again) {
            Err(e) if e.kind() == ErrorKind::Full => {
                let _held = self.held_directory()?;
                manifest::forget_previous(&*self.env.vfs, &self.root)
            }
            done => done,
        }
    }

    fn not_prepared(&self, e: Error, too_small: Option<Arc<Segment>>, capacity: u64) -> Error {
        if e.kind() == ErrorKind::Closed {
            return e; // somebody closed the log meanwhile: nothing is wrong, and the next open takes the file away
        }
        if !e.kind().is_short() {
            return if self.failure.get().is_some() { e } else { self.halt(&e) };
        }
        if let Some(small) = too_small {
            self.order.lock().frames.set_next(small);
        }
        if e.kind() == ErrorKind::Busy {
            let say = format!(
                "too many files are open to go on in the next file of the log: nothing was written; raise the limit \
                 (`ulimit -n`, `LimitNOFILE`) or close some, writing resumes by itself ({})",
                e.message()
            );
            return Error::new(ErrorKind::Busy, say);
        }
        let free = self.env.vfs.free_bytes(&self.root).unwrap_or(0);
        let say = format!(
            "no space for the next {capacity} bytes of log ({free} free): nothing was written; free some space, writing \
             resumes by itself ({})",
            e.message()
        );
        Error::new(ErrorKind::Full, say)
    }

    fn fill_for(&self, capacity: u64) -> Fill {
        let (habit, full) = {
            let order = self.order.lock();
            (order.habit, order.full.is_some())
        };
        let wanted = habit.wants_zeros().unwrap_or(capacity <= ZEROS_UNSEEN_BYTES_MAX);
        // where space is short, or was, the system is asked for all of it at once: zeros would take what there is until they fail
        let short = || full || self.env.vfs.free_bytes(&self.root).is_ok_and(|free| free < capacity);
        if wanted && !short() {
            Fill::Zeros(Steps::beside(self.company.load(Ordering::Acquire)))
        } else {
            Fill::Allocate
        }
    }
}

#[cfg(test)]
mod tests;
