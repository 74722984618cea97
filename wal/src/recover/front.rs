//! Corridor: what was given up in front of the oldest segment, by an earlier run: the catalog does not name it any more.

use std::sync::Arc;

use super::look::stated_ends;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, Timeline};
use crate::segment::file::Segment;

/// Behind the newest record that may have been given up in front of what is there; [`Lsn::NONE`] where none was.
///
/// That the oldest segment does not begin where the log did says little: one that nothing was written in leaves its places
/// behind. The oldest one states how what stood before it ended. Where it states nothing, for it was written by a recovery or
/// packed, or cannot be read, all before it counts, as far as the timeline before its own went. Where no segment was left
/// before it, a recovery had ended the last one, and a report says where.
pub(crate) fn given_up(catalog: &Catalog, segments: &[Arc<Segment>]) -> Lsn {
    let first = catalog.timelines.first().map_or(Lsn::NONE, Timeline::first);
    let begins = segments.first().map_or(catalog.frontier, |oldest| oldest.base);
    let stated = match segments.first() {
        _ if begins <= first => return Lsn::NONE,
        None => None,
        Some(oldest) => match stated_ends(oldest) {
            Ok(Some(ends)) => ends.iter().map(|end| end.end).max(),
            _ => Some(left_at(catalog, begins).unwrap_or(begins)),
        },
    };
    let reported = catalog.reports.iter().map(|report| report.end).filter(|end| *end <= begins);
    reported.chain(stated).max().filter(|end| *end > first).unwrap_or(Lsn::NONE)
}

/// Where the log left the timeline before the one that begins at `base`, if one does.
fn left_at(catalog: &Catalog, base: Lsn) -> Option<Lsn> {
    catalog.timelines.iter().find(|timeline| timeline.first() == base).map(|timeline| timeline.branch)
}
