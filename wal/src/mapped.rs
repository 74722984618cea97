//! Corridor: groups that no sync follows, stored into a map of their segment, where a call of the system for each would cost as
//! much as all the rest of a commit.
//!
//! - *Many*: a stretch is mapped once so many groups came since the last sync that it pays. The first behind a sync is short,
//!   unless much was stored between that and the one before: then it is made at once, and long.
//! - *Ready*: a writer thread maps a stretch and makes it ready before anybody stores to it, beside those who commit. What the system
//!   cannot give it says then, by an error: touched without that, it would be a signal. Once a sync begins, what was ready is not any more.
//! - *Zeros first*: what is made ready is written as zeros before, 64 KiB at a time: many systems get its memory in one piece then, which
//!   costs less than page by page, and less to sync. Nothing was placed there when that begins, and nothing is written there until it
//!   is done. Where it takes long, for there is no memory at hand, it is left out for a while: no other write to the file goes on beside
//!   it.
//! - *Else written*: what lies in no stretch that is ready is written by a call, which says itself what is wrong.
//! - *Apart*: a stretch begins behind what was placed when it was asked for, at a boundary over which a system keeps nothing in one
//!   piece, as a rule. Where it does, it may write durable blocks in front of what is stored once more, as they are.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::format::header::DATA_OFFSET;
use crate::group::Sequencer;
use crate::lsn::Lsn;
use crate::segment::file::{Access, Segment};
use crate::segment::fill::write_zeros;
use crate::vfs::{Stores, WriteMap};

/// Bytes of the first stretch behind a sync, which writes back all that is ready. Each one behind it is twice as long; all are as
/// long as can be where much was stored before that sync.
const FIRST_BYTES: u64 = 64 << 10;

/// Bytes of a stretch, at most.
const STRETCH_BYTES_MAX: u64 = 512 << 10;

/// So many bytes stored between two syncs are a load that syncs seldom.
const GOES_ON_BYTES: u64 = 2 * STRETCH_BYTES_MAX;

/// Bytes that are made ready before it is looked whether there is something more urgent.
const STEP_BYTES: u64 = 64 << 10;

/// Zeros of a part that take longer than this hold up who writes a group by a call.
const SLOW: Duration = Duration::from_micros(60);

/// Parts that are made ready without them then.
const PLAIN_PARTS: u32 = 8;

/// Larger groups are written by a call: what they cost is their bytes.
const STORED_BYTES_MAX: u64 = 4 << 10;

/// What may be stored to. Under the lock of the order.
#[derive(Debug)]
pub(crate) struct MappedWrites {
    /// When a map pays; `None`: nothing is mapped.
    stores: Option<Stores>,
    /// Groups that were written by a call since the last sync began, or as many as it takes where that is expected.
    groups: u32,
    /// Bytes of the next stretch.
    bytes: u64,
    /// Bytes that were stored since the last sync began.
    used: u64,
    /// Syncs that began.
    syncs: u64,
    /// Used now.
    now: Option<Stretch>,
    /// Behind it.
    next: Option<Stretch>,
    want: Want,
    /// Through where there are stretches since the last sync began.
    through: Lsn,
    /// In the segment that begins there no more is wanted before this place of the file is reached, or a sync begins.
    enough: Option<(Lsn, u64)>,
    /// To be unmapped, by whoever makes the next one ready, or syncs.
    spent: Vec<Stretch>,
    /// Where zeros are being written.
    zeroed: Option<(Arc<Segment>, Range<u64>)>,
    /// Parts to be made ready without zeros first.
    plain: u32,
}

/// How a part of a stretch is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    /// Behind zeros, of which it is said when they are there.
    Zeros,
    Plain,
}

/// Whether another stretch is to be made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Nothing,
    /// No writer thread was told yet.
    Untold,
    Told,
    UnderWay,
}

/// A range of a segment's file that is mapped and ready.
#[derive(Debug)]
pub(crate) struct Stretch {
    segment: Arc<Segment>,
    range: Range<u64>,
    map: Box<dyn WriteMap>,
    /// Syncs that had begun when it was asked for.
    syncs: u64,
}

/// A stretch to be made ready.
#[derive(Debug)]
pub(crate) struct Wanted {
    segment: Arc<Segment>,
    range: Range<u64>,
    syncs: u64,
}

impl MappedWrites {
    /// For files that are reached by `access`, on a disk on which it pays so.
    pub(crate) const fn new(access: Access, stores: Option<Stores>) -> Self {
        let stores = if matches!(access, Access::Mapped) { stores } else { None };
        Self {
            stores,
            groups: 0,
            bytes: FIRST_BYTES,
            used: 0,
            syncs: 0,
            now: None,
            next: None,
            want: Want::Nothing,
            through: Lsn::NONE,
            enough: None,
            spent: Vec::new(),
            zeroed: None,
            plain: 0,
        }
    }

    /// Takes note of a group that is written, without a sync, at this place.
    pub(crate) fn note_written(&mut self, segment: &Arc<Segment>, place: &Range<u64>) {
        self.groups = self.groups.saturating_add(1);
        self.reach(segment, place);
    }

    /// Goes on to the stretch that has the place, and sees to it that one is made ready behind it; true where this much may be
    /// stored there.
    pub(crate) fn reach(&mut self, segment: &Arc<Segment>, place: &Range<u64>) -> bool {
        if self.stores.is_none_or(|stores| self.groups < stores.after) {
            return false;
        }
        if !self.now.as_ref().is_some_and(|now| now.reaches_to(segment, place)) {
            self.spent.extend(self.now.take());
            self.now = self.next.take();
        }
        let wants = |now: &Stretch| now.wants_next(place);
        let enough = self.enough.is_some_and(|(base, to)| base == segment.base && place.end < to);
        if self.want == Want::Nothing && !enough && self.next.is_none() && self.now.as_ref().is_none_or(wants)
        {
            self.want = Want::Untold;
        }
        self.has(segment, place)
    }

    /// True where this much may be stored at this place.
    pub(crate) fn has(&self, segment: &Arc<Segment>, place: &Range<u64>) -> bool {
        let small = place.end - place.start <= STORED_BYTES_MAX;
        small && self.now.as_ref().is_some_and(|now| now.has(segment, place))
    }

    /// Stores parts, one behind the other, at a place of the file that [may be stored to](MappedWrites::has).
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) fn store(&mut self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.used += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.now.as_ref().map_or(Err(io::ErrorKind::InvalidInput.into()), |now| now.map.store(parts, offset))
    }

    /// Takes note that a sync begins: what it writes back is not ready behind it. Where much was stored since the one before, as
    /// much is expected behind it: a stretch is made at once, and a long one.
    pub(crate) fn begin_sync(&mut self) {
        let goes_on = std::mem::take(&mut self.used) >= GOES_ON_BYTES;
        let after = self.stores.map_or(0, |stores| stores.after);
        (self.groups, self.bytes) = if goes_on { (after, STRETCH_BYTES_MAX) } else { (0, FIRST_BYTES) };
        (self.through, self.enough) = (Lsn::NONE, None);
        self.syncs += 1;
        if self.want != Want::UnderWay {
            self.want = Want::Nothing;
        }
        self.spent.extend(self.now.take().into_iter().chain(self.next.take()));
    }

    /// True where a stretch is to be made ready.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.want, Want::Untold | Want::Told)
    }

    /// True, once, where a writer thread is to be told so.
    pub(crate) fn tells(&mut self) -> bool {
        let tells = self.want == Want::Untold;
        if tells {
            self.want = Want::Told;
        }
        tells
    }

    /// What is used no more.
    pub(crate) fn take_spent(&mut self) -> Vec<Stretch> {
        std::mem::take(&mut self.spent)
    }

    /// True where something is used no more, and still mapped.
    pub(crate) const fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// How a part of a stretch is made ready; `None` where it is not: a sync began since it was asked for, or something was placed
    /// there.
    pub(crate) fn begin_part(
        &mut self,
        wanted: &Wanted,
        part: &Range<u64>,
        frames: &Sequencer,
    ) -> Option<Making> {
        let Wanted { segment, syncs, .. } = wanted;
        let is_active = frames.active().is_some_and(|active| Arc::ptr_eq(active, segment));
        let is_free = is_active && segment.file_offset(frames.tail()) <= part.start;
        if !is_free || *syncs != self.syncs {
            return None;
        }
        if let Some(left) = self.plain.checked_sub(1) {
            self.plain = left;
            return Some(Making::Plain);
        }
        self.zeroed = Some((segment.clone(), part.clone()));
        Some(Making::Zeros)
    }

    /// Says that zeros are there, or failed, after so long.
    pub(crate) fn end_zeros(&mut self, took: Duration) {
        self.zeroed = None;
        if took > SLOW {
            self.plain = PLAIN_PARTS;
        }
    }

    /// True where zeros are being written anywhere.
    pub(crate) const fn is_zeroing(&self) -> bool {
        self.zeroed.is_some()
    }

    /// True where zeros are being written to this place.
    pub(crate) fn is_zeroed(&self, segment: &Arc<Segment>, place: &Range<u64>) -> bool {
        let meets = |part: &Range<u64>| part.start < place.end && place.start < part.end;
        self.zeroed.as_ref().is_some_and(|(of, part)| Arc::ptr_eq(of, segment) && meets(part))
    }

    /// The stretch to be made ready, behind those that there are, or from what was placed last, which goes hardly beyond where a
    /// sync is due, so many bytes from there: what is ready then is written back for nothing. Whoever takes it brings it back.
    pub(crate) fn wanted(&mut self, frames: &Sequencer, due_bytes: u64) -> Option<Wanted> {
        if !self.is_wanted() {
            return None;
        }
        self.want = Want::Nothing;
        let segment = frames.active()?.clone();
        let tail = segment.file_offset(frames.tail());
        let boundary = self.stores?.boundary;
        let start = match self.through > segment.base {
            true => segment.file_offset(self.through).max(tail.next_multiple_of(boundary.min(STEP_BYTES))),
            false => tail.next_multiple_of(boundary),
        };
        let due = tail + due_bytes.min(segment.capacity); // it may be further than any file is long
        let due = due.next_multiple_of(STEP_BYTES) + STEP_BYTES;
        let end = (start + self.bytes).min(file_end(&segment)).min(due);
        if start >= end {
            let to = if start < file_end(&segment) { start - STEP_BYTES } else { u64::MAX };
            self.enough = Some((segment.base, to)); // not each group asks again
            return None;
        }
        self.want = Want::UnderWay;
        Some(Wanted { segment, range: start..end, syncs: self.syncs })
    }

    /// Takes a stretch that was made ready, or the system's word why it was not; `None`: it never is.
    pub(crate) fn add(&mut self, made: io::Result<Option<Stretch>>) {
        self.want = Want::Nothing;
        match made {
            Ok(Some(stretch)) if stretch.syncs == self.syncs && !stretch.range.is_empty() => {
                self.bytes = (2 * self.bytes).min(STRETCH_BYTES_MAX);
                self.through = stretch.segment.base.plus(stretch.range.end - DATA_OFFSET);
                self.next = Some(stretch);
            }
            Ok(Some(stretch)) => self.spent.push(stretch),
            Ok(None) => self.stores = None,
            Err(e) if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
                self.stores = None;
            }
            Err(_) => self.groups = 0, // it is tried again after as many
        }
    }
}

impl Wanted {
    /// Maps it and makes it ready, as far as it `begins` a part; `ends` is told when zeros are there. `None` where there are no such
    /// maps.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub(crate) fn make(
        self,
        begins: impl Fn(&Self, &Range<u64>) -> Option<Making>,
        ends: impl Fn(),
    ) -> io::Result<Option<Stretch>> {
        let Some(map) = self.segment.file.map_to_write(self.range.clone())? else { return Ok(None) };
        let mut ready = self.range.start;
        while ready < self.range.end {
            let part = ready..(ready + STEP_BYTES).min(self.range.end);
            let Some(making) = begins(&self, &part) else { break };
            if making == Making::Zeros {
                let _ends = Ends(&ends);
                write_zeros(&*self.segment.file, part.clone())?;
            }
            map.prepare(part.clone())?;
            ready = part.end;
        }
        let Self { segment, range, syncs } = self;
        Ok(Some(Stretch { segment, range: range.start..ready, map, syncs }))
    }
}

/// Says at its end that something is done, however that ended.
struct Ends<'a, F: Fn()>(&'a F);

impl<F: Fn()> Drop for Ends<'_, F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Stretch {
    fn has(&self, segment: &Arc<Segment>, place: &Range<u64>) -> bool {
        self.reaches_to(segment, place) && self.range.start <= place.start
    }

    /// It has the place, or begins behind it.
    fn reaches_to(&self, segment: &Arc<Segment>, place: &Range<u64>) -> bool {
        Arc::ptr_eq(&self.segment, segment) && place.end <= self.range.end
    }

    /// Half of it is used, and more follows.
    fn wants_next(&self, place: &Range<u64>) -> bool {
        let half = (self.range.end - self.range.start) / 2;
        place.start + half >= self.range.end && self.range.end < file_end(&self.segment)
    }
}

fn file_end(segment: &Segment) -> u64 {
    DATA_OFFSET + segment.capacity
}

#[cfg(test)]
mod tests;
