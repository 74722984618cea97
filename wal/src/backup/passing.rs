//! Pure: a record as it goes by, out of a segment of either kind.

use super::chain::Link;
use super::window::Cut;
use crate::error::Result;
use crate::format::frame::{Frame, FrameKind, FrameRef, decode_part};
use crate::format::packed::PackedRef;
use crate::lsn::Lsn;

/// A record as it goes by.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Whether the restored log has it.
    pub kept: bool,
    record: Record<'a>,
}

/// A record as it stands in a segment.
#[derive(Clone, Copy, Debug)]
enum Record<'a> {
    /// As it was written: its frame, and all bytes of it.
    Written(FrameRef<'a>, &'a [u8]),
    /// What compaction left of it.
    Packed(PackedRef<'a>),
}

impl<'a> Passing<'a> {
    /// Its head.
    #[must_use]
    pub fn head(&self) -> &'a [u8] {
        match self.record {
            Record::Written(frame, _) => frame.head,
            Record::Packed(packed) => packed.head,
        }
    }

    /// The part that stands `offset` bytes into its body; `None` where it is damaged, or where none stands there.
    #[must_use]
    pub fn part(&self, offset: u32, bytes: u32) -> Option<&'a [u8]> {
        let part = match self.record {
            Record::Written(frame, bytes) => {
                let at = u32::try_from(bytes.len() - frame.body.len()).ok()?.checked_add(offset)?;
                decode_part(bytes.get(at as usize..)?, self.lsn, at).ok()?
            }
            Record::Packed(packed) => {
                let at = packed.body_offset.checked_add(offset)?;
                packed.parts().find(|(stood, _)| *stood == at)?.1.ok()?
            }
        };
        (part.len() == bytes as usize).then_some(part)
    }
}

/// What the layer above sees and adds.
pub trait Carry {
    /// Told of every record of the backup, in order.
    ///
    /// # Errors
    ///
    /// Whatever ends the restore.
    fn record(&mut self, passing: &Passing<'_>) -> Result<()>;

    /// What the restored log begins its new timeline with.
    ///
    /// # Errors
    ///
    /// Whatever ends the restore.
    fn first_records(&mut self) -> Result<Vec<Frame>>;
}

/// The record that a link is, if it is one.
pub(super) fn passing<'a>(link: &Link<'a>, cut: Cut) -> Option<Passing<'a>> {
    let (lsn, time_us, record) = match *link {
        Link::Frame { lsn, frame, bytes, time_us } if frame.kind == FrameKind::Record => {
            (lsn, time_us, Record::Written(frame, bytes))
        }
        Link::Packed(packed) => (packed.lsn, packed.time_us, Record::Packed(packed)),
        _ => return None,
    };
    Some(Passing { lsn, time_us, kept: cut.keeps(lsn, time_us), record })
}
