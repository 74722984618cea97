//! Corridor: what a layer above needs that keeps the log's content in another form too: to end the log at a place, to say
//! that what lies before need not be replayed, and to replay the rest.

use std::ops::Range;

use super::Wal;
use crate::error::{Error, ErrorKind, Result};
use crate::lsn::Lsn;
use crate::replay::{Replayed, Replayer};
use crate::scan::Verify;
use crate::segment::catalog::Catalog;
use crate::segment::file::{Access, Segment};

impl Wal {
    /// As [`Wal::replay_into`], the records in `range` alone. Nothing is read but the segments that hold some of them,
    /// from the first one on. The range ends where a group begins, or behind the last record.
    ///
    /// # Errors
    ///
    /// As [`Wal::replay_into`].
    pub fn replay_range<R: Replayer>(
        &self,
        range: Range<Lsn>,
        verify: Verify,
        replayers: Vec<R>,
    ) -> Result<(Replayed, Vec<R>)> {
        self.log.replay_into(range, verify, replayers)
    }

    /// Where each segment begins and where what is written in it ends, in order; a prepared one is empty.
    #[must_use]
    pub fn spans(&self) -> Vec<Range<Lsn>> {
        let (segments, accepted) = (self.log.segments.read(), self.log.accepted.get());
        let end = |segment: &Segment| segment.end().unwrap_or(segment.capacity_end()).min(accepted);
        segments.iter().map(|segment| segment.base..end(segment).max(segment.base)).collect()
    }

    /// Ends the group that is being filled, and says where the next one begins: every record placed so far stands
    /// before it, every later one at it or behind it. Makes nothing durable.
    #[must_use]
    pub fn cut(&self) -> Lsn {
        match self.log.order.lock().frames.cut() {
            Some((at, _)) => at,
            None => self.log.accepted.get(), // nothing was placed since the log was opened in a new segment
        }
    }

    /// What the layer above keeps in MANIFEST.
    #[must_use]
    pub fn attachment(&self) -> Vec<u8> {
        self.log.catalog.lock().attachment.clone()
    }

    /// Replaces what the layer above keeps in MANIFEST, and says that nothing before `checkpoint`, where a group
    /// begins, need be replayed. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: `checkpoint` is not durable yet. [`ErrorKind::Full`]: nothing changed. Any other: the
    /// handle writes no more, and which MANIFEST there is shows the next opening.
    pub fn note_checkpoint(&self, checkpoint: Lsn, attachment: Vec<u8>) -> Result<()> {
        self.log.check()?;
        if checkpoint > self.durable() {
            let say = format!("a checkpoint at {checkpoint} is not durable yet: sync the log first");
            return Err(Error::new(ErrorKind::Invalid, say));
        }
        let mut catalog = self.log.catalog.lock();
        let mut named = Catalog::clone(&catalog);
        self.log.note_ends(&mut named);
        (named.checkpoint, named.attachment) = (checkpoint, attachment);
        self.log.name(&mut catalog, named)
    }

    /// Whether its files are read through maps.
    #[must_use]
    pub fn access(&self) -> Access {
        self.log.options.access
    }
}
