//! Corridor: what was given up in front of the oldest segment, by an earlier run: the catalog does not name it any more.

use std::sync::Arc;

use super::look::stated_ends;
use crate::format::header::SegmentKind;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, Timeline};
use crate::segment::file::Segment;

/// Behind the newest record that may have been given up in front of what is there; [`Lsn::NONE`] where none was.
///
/// That the oldest segment does not begin where the log did says little: one that nothing was written in leaves its places
/// behind. The oldest one states how what stood before it ended. Where it states nothing, for it was written by a recovery or
/// packed, or cannot be read, all before it counts, as far as the timeline before its own went. Where no segment was left
/// before it, a recovery had ended the last one, and a report says where.
///
/// Segments in which nothing was ever answered, kept because something stands in them, are passed over: they begin where they
/// end, and no end there is one of a record.
pub(crate) fn given_up(catalog: &Catalog, segments: &[Arc<Segment>]) -> Lsn {
    let first = catalog.timelines.first().map_or(Lsn::NONE, Timeline::first);
    let begins = segments.first().map_or(catalog.frontier, |oldest| oldest.base);
    if begins <= first {
        return Lsn::NONE;
    }
    let is_empty =
        |segment: &Segment| segment.kind == SegmentKind::Log && segment.end() == Some(segment.base);
    let empty = segments.iter().take_while(|segment| is_empty(segment)).count();
    let (empty, others) = segments.split_at(empty);
    let stated = others.first().map_or_else(Vec::new, |oldest| match stated_ends(oldest) {
        Ok(Some(ends)) => ends.iter().map(|end| end.end).collect(),
        _ => vec![left_at(catalog, oldest.base).unwrap_or(oldest.base)],
    });
    let reported = catalog.reports.iter().map(|report| report.end).filter(|end| *end <= begins);
    let of_records = |end: &Lsn| *end > first && empty.iter().all(|segment| segment.base != *end);
    reported.chain(stated).filter(of_records).max().unwrap_or(Lsn::NONE)
}

/// Where the log left the timeline before the one that begins at `base`, if one does.
fn left_at(catalog: &Catalog, base: Lsn) -> Option<Lsn> {
    catalog.timelines.iter().find(|timeline| timeline.first() == base).map(|timeline| timeline.branch)
}
