//! Corridor: a restore under way: segment by segment into the directory of the new log, and its new timeline.

use super::chain::Link;
use super::destination::Destination;
use super::inventory::{Held, Inventory};
use super::meter::Meter;
use super::passing::{Carry, Passing, passing};
use super::read::{Frames, bytes_of, end_of};
use super::relay::Relay;
use super::restore::{Restored, used_up};
use super::site::Site;
use super::window::Cut;
use crate::env::Env;
use crate::error::Result;
use crate::format::frame::{Frame, FrameKind};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, Timeline, generation_behind};
use crate::segment::file::entry_of;
use crate::segment::packing::Judged;

/// A restore under way.
pub(super) struct Making<'a> {
    pub(super) env: &'a Env,
    pub(super) destination: &'a dyn Destination,
    pub(super) inventory: &'a Inventory,
    pub(super) cut: Cut,
    pub(super) site: Site,
    pub(super) catalog: Catalog,
    pub(super) done: Restored,
}

impl Making<'_> {
    /// One segment: whole, cut, or only looked at.
    pub(super) fn segment(
        &mut self,
        held: &Held,
        carry: &mut dyn Carry,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        if held.is_packed() && !self.keeps_all(held) {
            return self.packed(held, carry, meter);
        }
        let limit = self.inventory.limit(held);
        let whole = self.keeps_all(held);
        let nothing = !self.cut.keeps(held.base, held.first_us);
        let destination = self.destination;
        let mut header = self.header(held, limit);
        if !whole {
            header.number = self.env.entropy.next_u64(); // other bytes than those that the backup knows by this number
            header.generation = generation_behind(header.generation)?;
        }
        let mut relay = Relay::new(held.base, header.binding(), self.cut);
        let mut filling = if nothing { None } else { Some(self.site.begin(&header)?) };
        let mut frames = Frames::new(destination, self.inventory, held)?;
        bytes_of(destination, held, limit, &mut |chunk| {
            if let (true, Some(filling)) = (whole, &mut filling) {
                filling.write(chunk)?;
            }
            frames.feed(chunk, |link| {
                if let Some(passing) = passing(&link, self.cut) {
                    self.note(&passing);
                    carry.record(&passing)?;
                }
                if let (false, Some(filling)) = (whole, &mut filling) {
                    relay.take(&link, |group| filling.write(group))?;
                }
                Ok(())
            })?;
            meter.advance(chunk.len() as u64)
        })?;
        frames.finish()?;
        let Some(filling) = filling else { return Ok(()) };
        header.end = if whole { limit } else { relay.end() };
        if header.end <= held.base {
            return self.site.abandon(&header);
        }
        let bytes = align(header.end).and_then(|end| end.bytes_since(header.base));
        header.capacity = bytes.unwrap_or(held.capacity);
        self.site.finish(filling, &header)?;
        self.catalog.name(entry_of(&header));
        self.done.end = header.end;
        self.done.bytes += header.capacity;
        Ok(())
    }

    /// Whether nothing of a segment lies behind the cut.
    fn keeps_all(&self, held: &Held) -> bool {
        let limit = self.inventory.limit(held);
        held.last_us <= self.cut.time_us && limit.raw() - 1 <= self.cut.last.raw()
    }

    /// A packed segment in which the cut lies, or which lies behind it: packed again with the records that are kept.
    fn packed(&mut self, held: &Held, carry: &mut dyn Carry, meter: &mut Meter<'_>) -> Result<()> {
        let destination = self.destination;
        let (footer, note) = end_of(destination, held, self.inventory.store)?;
        let mut header = self.header(held, held.capacity_end());
        header.number = self.env.entropy.next_u64();
        header.generation = generation_behind(header.generation)?;
        let mut file = self.site.begin_packed(&header)?;
        let mut gone = self.cut.last.checked_add(1).unwrap_or(Lsn::MAX).min(held.capacity_end());
        let (mut kept, behind) = (0_u64, self.done.undone > 0); // the cut lies in a segment before
        let mut frames = Frames::new(destination, self.inventory, held)?;
        bytes_of(destination, held, held.covered(), &mut |chunk| {
            frames.feed(chunk, |link| {
                let (Link::Packed(packed), Some(passing)) = (&link, passing(&link, self.cut)) else {
                    return Ok(());
                };
                self.note(&passing);
                carry.record(&passing)?;
                if !passing.kept {
                    gone = gone.min(packed.lsn);
                    return Ok(());
                }
                kept += 1;
                let parts: Vec<(u32, &[u8])> = packed.raw_parts().collect();
                file.put(&packed.survivor(&parts))
            })?;
            meter.advance(chunk.len() as u64)
        })?;
        frames.finish()?;
        // What was dropped may have stood before the cut: a file of which nothing else stays says so still, to feeds.
        let complete = footer.complete_in(held.base..held.capacity_end()).min(gone);
        if kept == 0 && (behind || complete <= held.base) {
            return self.site.abandon(&header);
        }
        let judged = Judged { at: footer.judged, number: footer.judgement, note: &note };
        let bytes = file.finish(judged, footer.dropped, complete)?;
        self.site.finish_packed(&header)?;
        self.catalog.name(entry_of(&header));
        self.done.end = gone;
        self.done.bytes += bytes;
        Ok(())
    }

    fn note(&mut self, passing: &Passing<'_>) {
        if passing.kept {
            self.done.records += 1;
            self.done.time_us = self.done.time_us.max(passing.time_us);
        } else {
            self.done.undone += 1;
        }
    }

    fn header(&self, held: &Held, end: Lsn) -> SegmentHeader {
        SegmentHeader {
            kind: if held.is_packed() { SegmentKind::Packed } else { SegmentKind::Rest },
            store: self.inventory.store,
            base: held.base,
            capacity: held.capacity,
            number: held.number,
            created_us: self.env.clock.wall_us(),
            generation: held.generation,
            end,
        }
    }

    /// The first segment of the new timeline, with what the layer above begins it with.
    pub(super) fn begin_timeline(&mut self, frames: &mut [Frame]) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let base = self.catalog.timelines.last().map_or(Lsn::new(self.done.timeline, 0), Timeline::first);
        let mut header = SegmentHeader {
            kind: SegmentKind::Rest,
            store: self.inventory.store,
            base,
            capacity: 0,
            number: self.env.entropy.next_u64(),
            created_us: self.env.clock.wall_us(),
            generation: 0,
            end: base,
        };
        let mut filling = self.site.begin(&header)?;
        for frame in frames {
            let (lsn, bytes) = (header.end, GROUP_FRAME_BYTES + frame.len());
            let head = GroupHead {
                durable_through: Lsn::NONE,
                time_us: self.catalog.time_us.max(self.inventory.time_us),
                bytes: u32::try_from(bytes).expect("bounded by the limits of a record"),
                frames: 1,
                padded: false,
                mark: false,
            };
            let mut own = [0; GROUP_FRAME_BYTES];
            crate::format::frame::put_own(&mut own, FrameKind::Group, &head.encode(), lsn, header.binding());
            frame.place(lsn.plus(GROUP_FRAME_BYTES as u64), header.binding());
            filling.write(&own)?;
            filling.write(frame.bytes())?;
            header.end = lsn.plus(bytes as u64);
        }
        let bytes = align(header.end).and_then(|end| end.bytes_since(base));
        header.capacity = bytes.ok_or_else(used_up)?;
        self.site.finish(filling, &header)?;
        self.catalog.name(entry_of(&header));
        self.done.bytes += header.capacity;
        Ok(())
    }

    pub(super) fn publish(mut self) -> Result<Restored> {
        let own = self.catalog.timelines.pop();
        let kept = self.inventory.timelines.iter().filter(|t| t.number <= self.done.end.timeline());
        self.catalog.timelines = kept.copied().collect();
        if self.catalog.timelines.is_empty() {
            self.catalog.timelines.extend(self.inventory.timelines.first());
        }
        self.catalog.timelines.extend(own.map(|own| Timeline { branch: self.done.end, ..own }));
        self.catalog.time_us = self.inventory.time_us.max(self.catalog.time_us);
        self.catalog.generation = 1;
        self.catalog.lanes = self.inventory.lanes;
        self.site.publish(&self.catalog)?;
        Ok(self.done)
    }
}
