//! Pure: a segment laid anew up to a cut: the same frames at the same places, bound to another file, the group in which
//! the cut lies ending there.

use super::chain::Link;
use super::window::Cut;
use crate::format::checksum::Binding;
use crate::format::frame::{FrameKind, put_own, rebind};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::lsn::Lsn;

/// A segment in the making; holds one group at a time.
#[derive(Debug)]
pub(super) struct Relay {
    binding: Binding,
    cut: Cut,
    /// Where `group` begins, and what its own frame will say.
    head: Option<(Lsn, GroupHead)>,
    group: Vec<u8>,
    /// Behind the last group handed out, its padding included.
    end: Lsn,
    over: bool,
}

impl Relay {
    /// Nothing yet, from `base` on, for the file that `binding` names.
    pub(super) fn new(base: Lsn, binding: Binding, cut: Cut) -> Self {
        Self { binding, cut, head: None, group: Vec::new(), end: base, over: false }
    }

    /// Takes the next thing of the chain; hands a group to `out` that is complete, its padding with it. Says whether it
    /// was kept.
    pub(super) fn take<E>(
        &mut self,
        link: &Link<'_>,
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        match link {
            Link::Group(lsn, head) if !self.over && self.cut.keeps(*lsn, head.time_us) => {
                self.head = Some((*lsn, GroupHead { frames: 0, ..*head }));
                self.group.clear();
                self.group.resize(GROUP_FRAME_BYTES, 0);
            }
            Link::Frame { lsn, frame, bytes, time_us } if !self.over && self.cut.keeps(*lsn, *time_us) => {
                let start = self.group.len();
                self.group.extend_from_slice(bytes);
                rebind(&mut self.group[start..], frame.head.len(), *lsn, self.binding);
                if let Some((_, head)) = &mut self.head {
                    head.frames += 1;
                }
            }
            Link::Complete => {
                if !self.over {
                    self.close(&mut out)?;
                }
            }
            Link::Packed(_) => {} // of another kind of segment
            Link::Group(..) | Link::Frame { .. } => {
                // Ends where the cut is, without padding: behind it lie places of records that are undone.
                if let Some((_, head)) = &mut self.head {
                    head.padded = false;
                }
                if !self.over {
                    self.close(&mut out)?;
                }
                self.over = true;
            }
        }
        Ok(!self.over)
    }

    /// Behind the last group handed out.
    pub(super) fn end(&self) -> Lsn {
        self.end
    }

    fn close<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Some((lsn, head)) = self.head.take() else { return Ok(()) };
        if head.frames == 0 && !head.mark {
            return Ok(()); // the cut lies before its first record
        }
        let (mark, bytes) = (head.mark && head.frames == 0, self.group.len());
        let head = GroupHead { bytes: u32::try_from(bytes).unwrap_or(u32::MAX), mark, ..head };
        put_own(&mut self.group, FrameKind::Group, &head.encode(), lsn, self.binding);
        let end = lsn.plus(bytes as u64);
        self.end = if head.padded { align(end).unwrap_or(end) } else { end };
        let padding = self.end.bytes_since(end).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        self.group.resize(bytes + padding, 0);
        out(&self.group)
    }
}
