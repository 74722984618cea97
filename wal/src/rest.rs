//! Corridor: the rest segment: good records behind the proven end, written anew, as recovery's step 5.
//!
//! It is built under a temporary name, synced, renamed, the directory synced: its name exists only when all of it is
//! durable.

use std::io::IoSlice;

use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::Binding;
use crate::format::frame::{FrameKind, put_own, rebind};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::recover::Recovery;
use crate::scan::tail::Facts;
use crate::scan::{Span, Verify};
use crate::segment::catalog::generation_behind;
use crate::segment::file::{Segment, entry_of};
use crate::segment::name::{LOG_DIR, UNFINISHED, segment_name};
use crate::vfs::OpenMode;

impl Recovery<'_> {
    pub(crate) fn rest_header(&self, segment: &Segment, facts: Facts) -> Result<SegmentHeader> {
        let same_base = self.catalog.segments.iter().filter(|e| e.base == facts.proven);
        let newest = same_base.map(|e| e.generation).max();
        Ok(SegmentHeader {
            kind: SegmentKind::Rest,
            store: self.catalog.store,
            base: facts.proven,
            capacity: segment.capacity_end().bytes_since(facts.proven).expect("inside the segment"),
            number: self.env.entropy.next_u64(),
            created_us: self.env.clock.wall_us(),
            generation: newest.map_or(Ok(0), generation_behind)?,
            end: facts.first_bad,
        })
    }

    /// Space that the rest segment takes.
    pub(crate) fn rest_bytes(header: &SegmentHeader) -> u64 {
        let whole = align(header.end).and_then(|end| end.bytes_since(header.base));
        DATA_OFFSET + whole.map_or(header.capacity, |whole| whole.min(header.capacity))
    }

    /// Writes the records behind P anew, which `data` has as the medium has them: under a temporary name, synced, renamed, the directory synced. `None` where
    /// there is no space for it.
    pub(crate) fn write_rest(
        &mut self,
        old: &Segment,
        header: &SegmentHeader,
        mut data: Vec<u8>,
    ) -> Result<Option<Segment>> {
        if self.shortage.is_some() {
            return Ok(None);
        }
        rewrite(&mut data, header, old.binding)?;
        data.resize(usize::try_from(Self::rest_bytes(header) - DATA_OFFSET).expect("inside a segment"), 0);
        let dir = self.root.join(LOG_DIR);
        let name = segment_name(header.base, header.generation);
        let (path, unfinished) = (dir.join(&name), dir.join(format!("{name}{UNFINISHED}")));
        let write = || {
            let file = self.env.vfs.open(&unfinished, OpenMode::Truncate)?;
            file.write_at(&mut [IoSlice::new(&header.encode()), IoSlice::new(&data)], 0)?;
            #[cfg(feature = "planted")]
            if planted::is(Planted::SkipRestSync) {
                return self.env.vfs.rename(&unfinished, &path).and_then(|()| self.env.vfs.sync_dir(&dir));
            }
            file.sync()?;
            self.env.vfs.rename(&unfinished, &path)?;
            self.env.vfs.sync_dir(&dir)
        };
        let written = write().map_err(|e| {
            _ = self.env.vfs.remove(&unfinished); // if it stays, the next open removes it
            Error::io(ErrorKind::Io, "writing", &path, e)
        });
        if !self.goes_on(written)? {
            return Ok(None); // if it got its name all the same, the next open finds it and takes it over
        }
        let entry = entry_of(header);
        let rest =
            Segment::open(&*self.env.vfs, self.root, &entry, header.store, self.access, OpenMode::Write)?;
        Ok(Some(rest))
    }
}

/// Binds the frames in `data` to another file, and shortens the last group to what is there.
fn rewrite(data: &mut [u8], header: &SegmentHeader, old: Binding) -> Result<()> {
    let changed =
        || Error::new(ErrorKind::Io, "the log's tail changed while it was being recovered: open again");
    let (binding, mut at) = (header.binding(), 0);
    while at < data.len() {
        let lsn = header.base.plus(at as u64);
        let rest = &data[at..];
        let Some(mut head) = group_head(rest, lsn, old) else {
            return if rest.len() < GROUP_FRAME_BYTES { Ok(()) } else { Err(changed()) };
        };
        let whole = head.bytes as usize <= rest.len();
        let span = Span { base: lsn, binding: old, data: rest };
        let held = (head.bytes as usize).min(rest.len());
        let mut frames = Vec::new();
        let group = crate::scan::GroupAt { lsn, head };
        _ = span.walk(group, Verify::Heads, |lsn, frame| frames.push((lsn, frame.head.len())));
        let next = if whole { head.next(lsn) } else { None };
        if !whole {
            head.bytes = u32::try_from(held).expect("shorter than before");
            head.frames = u32::try_from(frames.len()).expect("fewer than before");
            head.padded = false;
        }
        put_own(&mut data[at..], FrameKind::Group, &head.encode(), lsn, binding);
        for (frame, head_len) in frames {
            let start =
                at + usize::try_from(frame.bytes_since(lsn).expect("in the group")).expect("in the group");
            rebind(&mut data[start..], head_len, frame, binding);
        }
        match next.and_then(|next| next.bytes_since(header.base)) {
            Some(next) => at = usize::try_from(next).expect("inside a segment"),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The head of a group whose frames may be cut off.
fn group_head(bytes: &[u8], lsn: Lsn, binding: Binding) -> Option<GroupHead> {
    let frame = crate::format::frame::decode(bytes, lsn, binding).ok()?;
    if frame.kind == FrameKind::Group { GroupHead::decode(frame.head) } else { None }
}
