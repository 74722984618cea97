//! Corridor: what an open log answers about its past: following it, and what of it is whole.

use std::ops::{ControlFlow, Range};

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::follow::Follower;
use crate::format::header::SegmentKind;
use crate::lsn::Lsn;
use crate::pack::{Candidate, Packed, Packing, Sealed, Stay};
use crate::segment::catalog::Timeline;
use crate::wal::Wal;

impl Wal {
    /// The first place of the timeline in which the log is being written.
    #[must_use]
    pub fn timeline_first(&self) -> Lsn {
        self.log.catalog.lock().timelines.last().map_or(Lsn::NONE, Timeline::first)
    }

    /// Hands out the records at and behind `from` as they become durable, and goes on when more do.
    ///
    /// ```
    /// # use savehold_wal::Wal;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let log = Wal::open(dir.path().join("log"))?;
    /// let lsn = log.append(b"one", b"body")?.wait()?;
    /// let mut follower = log.follow(lsn);
    /// assert_eq!(follower.try_next()?.map(|record| record.lsn), Some(lsn));
    /// assert_eq!(follower.try_next()?, None); // nothing more yet: `wait` sleeps until there is
    /// # Ok::<(), savehold_wal::Error>(())
    /// ```
    #[must_use]
    pub fn follow(&self, from: Lsn) -> Follower {
        Follower::new(self.log.clone(), from)
    }

    /// No record at or behind it was ever given up.
    #[must_use]
    pub fn complete(&self) -> Lsn {
        self.log.complete.get()
    }

    /// Whether a record that stood at `lsn` may have been given up: it lies before everything that the log has, in a segment
    /// that was packed without some of its records, or where a repair found what stood there lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Io`]: of a segment that cannot be read.
    pub fn may_be_given_up(&self, lsn: Lsn) -> Result<bool> {
        let segment = self.log.segments.read().iter().rfind(|segment| segment.base <= lsn).cloned();
        match segment {
            Some(segment) if segment.kind != SegmentKind::Packed => self.log.is_lost(&segment, lsn),
            _ if lsn >= self.complete() => Ok(false),
            Some(segment) => Ok(segment.footer()?.dropped > 0),
            None => Ok(true),
        }
    }

    /// Packs the sealed segments of a range of places into one file that holds only what `judge` keeps, each part with the
    /// address that it has; `None` where there is nothing to pack. `pace` is told the bytes gone through since it was told
    /// last, may wait, and may stop it. Durable on return; commits and readers go on meanwhile.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Corrupt`]: something there is damaged. [`ErrorKind::Full`], [`ErrorKind::Io`].
    ///   [`ErrorKind::Aborted`]: `pace` stopped it. What `judge` answers. Nothing was changed.
    /// - [`ErrorKind::TooLarge`]: the note is too long; nothing was read.
    /// - [`ErrorKind::Halted`]: the catalog could not be replaced.
    pub fn pack(
        &self,
        packing: Packing<'_>,
        mut judge: impl FnMut(&Candidate<'_>) -> Result<Stay>,
        mut pace: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Packed>> {
        self.log.pack(packing, &mut judge, &mut pace)
    }

    /// Where the first segment begins that was not judged by the number that `least` says of its places, or a larger one:
    /// before it nothing stands in any file that was not kept by such a judgement. A segment as it was written counts as
    /// judged by 0. Its places go up to where the next one begins.
    #[must_use]
    pub fn settled(&self, least: impl Fn(Range<Lsn>) -> u64) -> Lsn {
        let segments = self.log.segments.read();
        let places = |at: usize| {
            let base = segments[at].base;
            let next = segments[at..].iter().map(|segment| segment.base).find(|next| *next > base);
            base..next.unwrap_or(Lsn::MAX)
        };
        let open = (0..segments.len()).find(|at| segments[*at].judged() < least(places(*at)));
        open.map_or(self.log.accepted.get(), |at| segments[at].base)
    }

    /// The largest number by which a packed file was judged, with the note that its judge left in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: the note is damaged. [`ErrorKind::Io`].
    pub fn judgement(&self) -> Result<Option<(u64, Vec<u8>)>> {
        let segments = self.log.segments.read();
        let packed = segments.iter().filter(|segment| segment.kind == SegmentKind::Packed);
        let last = packed.max_by_key(|segment| segment.judged());
        last.map(|segment| Ok((segment.judged(), segment.note()?))).transpose()
    }

    /// Ends the segment that is being written and goes on in a small one, so that all that was written can be packed, and
    /// the space that was prepared for more comes free. Everything placed so far is durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`]: nothing changed. [`ErrorKind::Halted`], [`ErrorKind::Unknown`].
    pub fn roll(&self) -> Result<()> {
        self.log.roll()
    }

    /// The segments that [`Wal::pack`] may pack, oldest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Io`]: of a packed one that cannot be read.
    pub fn sealed(&self) -> Result<Vec<Sealed>> {
        self.log.sealed()
    }
}
