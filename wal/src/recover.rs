//! Corridor: where the log ends, and making that a fact. Modifies no segment.
//!
//! 1. Take stock (`stock`): named segments are there, a finished rest segment counts, what says nothing is noted.
//! 2. Sync the last segments: what is read from here on will still be there after another crash.
//! 3. Skim them: the proven end P.
//! 4. Drop the cached pages past P and read those bytes again from the medium.
//! 5. Judge. Corrupt: refuse. Else what says nothing goes. Torn with good records past P: write them anew, as a rest segment.
//! 6. Write down how every segment ended.
//!
//! A crash at any of these leaves what was there, or the finished rest segment, of which step 1 takes note. Where a step
//! finds no space, nothing more is changed, and the good records behind P are read where they stand (`shortage`).

use std::path::Path;
use std::sync::Arc;

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::group::StatedEnd;
use crate::format::header::SegmentKind;
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::scan::tail::{Facts, Verdict, judge};
use crate::scan::{self, Skim, Span, last_whole};
use crate::segment::catalog::{Catalog, SegmentEntry};
use crate::segment::file::{Access, Segment, corrupt, entry_of};
use crate::shortage::Shortage;
use crate::vfs::{OpenMode, VfsFile};

mod look;
mod stock;
mod front;

pub(crate) use front::given_up;

/// Where the log ends, as a fact.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Nothing needed judging, or a clean close was confirmed.
    pub(crate) clean: bool,
    /// P.
    pub(crate) proven: Lsn,
    /// Behind the last record.
    pub(crate) end: Lsn,
    /// The segment that goes on, after a clean close.
    pub(crate) active: Option<Arc<Segment>>,
    /// The prepared segment behind it.
    pub(crate) next: Option<Arc<Segment>>,
    /// All segments that hold records.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Ends that no segment states yet.
    pub(crate) unstated: Vec<StatedEnd>,
    /// The newest engine time seen.
    pub(crate) time_us: u64,
    /// Groups that could not be kept.
    pub(crate) groups_dropped: u64,
    /// Bytes looked at.
    pub(crate) scanned_bytes: u64,
    /// The catalog changed and must be replaced before anything is served.
    pub(crate) changed: bool,
    /// A step found no space: the log may be served to read.
    pub(crate) shortage: Option<Shortage>,
    /// Bytes of a rest segment that there was no space for.
    pub(crate) unwritten: u64,
    /// Files that were removed and are open still.
    pub(crate) removed: Vec<Arc<dyn VfsFile>>,
}

/// What recovery works with.
pub(crate) struct Recovery<'a> {
    pub(crate) env: &'a Env,
    pub(crate) root: &'a Path,
    pub(crate) access: Access,
    pub(crate) catalog: &'a mut Catalog,
    /// A step before, or one of these, found no space: nothing more is changed.
    pub(crate) shortage: Option<Shortage>,
}

/// A segment without a stated end, and what a skim found in it.
struct Candidate {
    segment: Arc<Segment>,
    skim: Skim,
    stated: Option<Vec<StatedEnd>>,
}

impl Recovery<'_> {
    /// Finds the end of the log and makes it a fact, in the catalog given; replacing it on disk is the caller's.
    pub(crate) fn run(mut self) -> Result<Recovered> {
        let stock = self.take_stock()?;
        let mut segments = self.open_segments()?;
        let open: Vec<Arc<Segment>> = segments.iter().filter(|s| s.end().is_none()).cloned().collect();
        let clean_end = self.catalog.clean_end;
        if clean_end.is_none() {
            self.sync_all(&open)?;
        }
        let mut candidates = self.look_through(&open, &stock.headless)?;
        self.settle_stated(&candidates)?;
        let scanned_bytes = candidates.iter().map(|c| c.segment.capacity).sum();
        let time_us = candidates.iter().map(|c| c.skim.time_us).fold(self.catalog.time_us, u64::max);

        let last = candidates.iter().rposition(|c| c.stated.is_some());
        let unbegun = candidates.split_off(last.map_or(0, |n| n + 1));
        let tail = candidates.pop();
        let (facts, reread) = self.gather(tail.as_ref(), &unbegun)?;
        let verdict = judge(&facts);
        if let Verdict::Corrupt { at, proven } = verdict {
            let place = tail.as_ref().or(unbegun.first()).map(|c| c.segment.clone());
            return Err(self.refuse(at, proven, place));
        }
        let mut changed = stock.changed;
        let removed = self.clear_away(stock)?;
        let mut recovered = Recovered {
            clean: tail.is_none() && unbegun.is_empty(),
            proven: facts.proven,
            end: facts.first_bad,
            active: None,
            next: None,
            segments: Vec::new(),
            unstated: Vec::new(),
            time_us,
            groups_dropped: facts.groups_behind,
            scanned_bytes,
            changed: false,
            shortage: None,
            unwritten: 0,
            removed,
        };
        match (verdict, tail) {
            #[cfg(feature = "planted")]
            (Verdict::Torn { .. }, Some(tail)) if planted::is(Planted::AppendBehindTorn) => {
                recovered.active = Some(tail.segment);
                recovered.next = unbegun.into_iter().next().map(|c| c.segment);
            }
            (Verdict::Clean { .. }, Some(tail)) => {
                recovered.clean = true;
                recovered.active = Some(tail.segment);
                recovered.next = unbegun.into_iter().next().map(|c| c.segment);
            }
            (_, tail) => {
                changed |= tail.is_some() || !unbegun.is_empty();
                recovered.unwritten = self.close_tail(tail, facts, reread, &mut segments)?;
                self.close_unbegun(&unbegun, &mut segments);
            }
        }
        if recovered.active.is_none() {
            recovered.unstated = self.unstated();
            recovered.end = recovered
                .end
                .max(self.catalog.segments.iter().filter_map(|e| e.end).max().unwrap_or(Lsn::NONE));
            recovered.proven = recovered.proven.min(recovered.end);
        }
        #[cfg(feature = "planted")]
        if planted::is(Planted::ReusePlaces) && recovered.active.is_none() {
            self.catalog.frontier = self
                .catalog
                .frontier
                .min(crate::format::group::align(recovered.end).unwrap_or(recovered.end))
                .max(Lsn::new(self.catalog.frontier.timeline(), 0));
        }
        let prepared = recovered.next.as_ref().map(|next| (next.base, next.generation));
        recovered.segments = segments;
        debug_assert!(
            prepared.is_none_or(|p| recovered.segments.iter().any(|s| (s.base, s.generation) == p))
        );
        recovered.changed = changed;
        recovered.shortage = self.shortage;
        Ok(recovered)
    }

    /// Whether a change was made; one that found no space is the last that is tried.
    pub(crate) fn goes_on(&mut self, changed: Result<()>) -> Result<bool> {
        let shortage = Shortage::of(changed)?;
        let goes_on = shortage.is_none();
        self.shortage = self.shortage.take().or(shortage);
        Ok(goes_on)
    }

    /// How files are opened that may be written: to read, where nothing can be.
    fn mode(&self) -> OpenMode {
        let unwritable = self.shortage.as_ref().is_some_and(|shortage| !shortage.is_of_space());
        if unwritable { OpenMode::Read } else { OpenMode::Write }
    }

    fn open_segments(&self) -> Result<Vec<Arc<Segment>>> {
        let open = |entry: &SegmentEntry| {
            let (vfs, store) = (&*self.env.vfs, self.catalog.store);
            let segment = Segment::open(vfs, self.root, entry, store, self.access, self.mode())?;
            if entry.kind == SegmentKind::Log && entry.end.is_none() {
                segment.find_filled(); // the log may go on in it, and nothing of it was read yet
            }
            Ok(Arc::new(segment))
        };
        self.catalog.segments.iter().map(open).collect()
    }

    /// Step 2.
    fn sync_all(&self, open: &[Arc<Segment>]) -> Result<()> {
        for segment in open {
            segment
                .file
                .sync()
                .map_err(|e| Error::io(ErrorKind::Io, "syncing before reading", &segment.path, e))?;
        }
        Ok(())
    }

    /// Ends that a begun successor states are facts, and what lies before them was synced: its groups must be there.
    fn settle_stated(&mut self, candidates: &[Candidate]) -> Result<()> {
        let begun = candidates.iter().rposition(|c| c.stated.is_some()).map_or(0, |n| n + 1);
        for pair in candidates[..begun].windows(2) {
            let [before, after] = pair else { continue };
            let Some(stated) = &after.stated else {
                let base = after.segment.base;
                return Err(self.refuse(base, after.segment.capacity_end(), Some(after.segment.clone())));
            };
            let (base, generation) = (before.segment.base, before.segment.generation);
            let own = stated.iter().find(|end| (end.base, end.generation) == (base, generation));
            let Some(own) = own.filter(|end| end.end >= base && end.end <= before.segment.capacity_end())
            else {
                return Err(corrupt(&after.segment.path, "does not state how the segment before it ended"));
            };
            if before.skim.chain_end < own.end {
                return Err(self.refuse(before.skim.chain_end, own.end, Some(before.segment.clone())));
            }
            before.segment.set_end(own.end);
            if let Some(entry) = self.catalog.entry_mut(base, generation) {
                entry.end = Some(own.end);
            }
        }
        Ok(())
    }

    /// Steps 3 and 4: P from every statement, X from the bytes past P as the medium has them, which come along: they are
    /// read once, and all that follows goes by what was judged.
    fn gather(&self, tail: Option<&Candidate>, unbegun: &[Candidate]) -> Result<(Facts, Vec<u8>)> {
        let clean_end = self.catalog.clean_end;
        // a statement that reaches just to where an unbegun segment begins says that the one before it is complete:
        // nothing more, for where that one ended was stated in the group that is lost
        let begins = |lsn: Lsn| unbegun.iter().any(|c| c.segment.base == lsn);
        let stated = tail.iter().copied().chain(unbegun).map(|c| c.skim.durable_through);
        let complete = stated.clone().any(begins);
        let stated = stated.filter(|lsn| !begins(*lsn)).max().unwrap_or(Lsn::NONE);
        let floor = stated.max(self.catalog.checkpoint).max(clean_end.unwrap_or(Lsn::NONE));
        let behind: u64 = unbegun.iter().map(|c| c.skim.groups + c.skim.groups_behind).sum();
        let Some(tail) = tail else {
            let settled = self.catalog.segments.iter().filter_map(|e| e.end).max();
            let first_bad = match unbegun.first() {
                // everything before an unbegun segment has a stated end, and ends before its base
                Some(first) if floor > first.segment.base => first.segment.base,
                _ => floor.max(settled.unwrap_or(Lsn::NONE)),
            };
            let facts = Facts { proven: floor, first_bad, clean_end, groups_behind: behind };
            return Ok((facts, Vec::new()));
        };
        let mut proven = floor.max(tail.segment.base); // it was begun, so everything before it was synced
        if complete {
            let torn = tail.skim.groups_behind > 0;
            proven = proven.max(if torn { tail.segment.capacity_end() } else { tail.skim.chain_end });
        }
        let behind_proven = tail.skim.chain_end.bytes_since(proven).unwrap_or(0);
        let mut data = Vec::new();
        let mut first_bad = tail.skim.chain_end;
        if behind_proven > 0 {
            data = tail.segment.reread(proven, behind_proven)?;
            let span = Span { base: proven, binding: tail.segment.binding, data: &data };
            first_bad = scan::first_bad(&span, proven);
        }
        let kept = |lsn: Lsn| lsn <= first_bad;
        let lost = u64::from(!kept(tail.skim.chain_end)) + tail.skim.groups_behind + behind;
        Ok((Facts { proven, first_bad, clean_end, groups_behind: lost }, data))
    }

    /// Steps 5 and 6 for the last begun segment. Says how many bytes of a rest segment found no space: the old one then
    /// ends where its last good group does, in this handle alone. A group is answered when all of it was written, so
    /// none of one that is cut was.
    fn close_tail(
        &mut self,
        tail: Option<Candidate>,
        facts: Facts,
        mut reread: Vec<u8>,
        segments: &mut Vec<Arc<Segment>>,
    ) -> Result<u64> {
        let Some(tail) = tail else { return Ok(0) };
        let segment = &tail.segment;
        #[cfg(feature = "planted")]
        if planted::is(Planted::TrustCache) || planted::is(Planted::SkipRest) {
            let ends = if planted::is(Planted::SkipRest) { facts.proven } else { facts.first_bad };
            segment.set_end(ends);
            if let Some(entry) = self.catalog.entry_mut(segment.base, segment.generation) {
                entry.end = Some(ends);
            }
            return Ok(0);
        }
        let (mut ends, mut unwritten) = (facts.proven, 0);
        if facts.first_bad > facts.proven {
            let header = self.rest_header(segment, facts)?;
            let kept = facts.first_bad.bytes_since(facts.proven).expect("behind P");
            reread.truncate(usize::try_from(kept).expect("inside a segment"));
            if let Some(rest) = self.write_rest(segment, &header, reread)? {
                self.catalog.name(entry_of(&header));
                let at =
                    segments.partition_point(|s| (s.base, s.generation) < (header.base, header.generation));
                segments.insert(at, Arc::new(rest));
            } else {
                (ends, unwritten) = (last_whole_group(segment, facts)?, Self::rest_bytes(&header));
            }
        }
        segment.set_end(ends);
        let damaged = facts.groups_behind > 0 || facts.first_bad > facts.proven;
        if let Some(entry) = self.catalog.entry_mut(segment.base, segment.generation) {
            entry.end = Some(ends);
            entry.damaged = damaged;
        }
        Ok(unwritten)
    }

    /// Prepared segments that nothing was written in are given up, and their places with them; where something stands
    /// in one, it stays as evidence.
    fn close_unbegun(&mut self, unbegun: &[Candidate], segments: &mut Vec<Arc<Segment>>) {
        for candidate in unbegun {
            let segment = &candidate.segment;
            let same = |base, generation| (base, generation) == (segment.base, segment.generation);
            if candidate.skim.groups + candidate.skim.groups_behind == 0 {
                self.catalog.segments.retain(|e| !same(e.base, e.generation));
                segments.retain(|s| !same(s.base, s.generation));
                continue;
            }
            segment.set_end(segment.base);
            if let Some(entry) = self.catalog.entry_mut(segment.base, segment.generation) {
                entry.end = Some(segment.base);
                entry.damaged = true;
            }
        }
    }

    /// The ends that the next segment to begin will state: of the last begun segment and all behind it.
    fn unstated(&self) -> Vec<StatedEnd> {
        let begun = |e: &SegmentEntry| e.kind == SegmentKind::Log && e.end != Some(e.base);
        let from = self.catalog.segments.iter().rposition(begun).unwrap_or(0);
        let stated =
            |e: &SegmentEntry| e.end.map(|end| StatedEnd { base: e.base, generation: e.generation, end });
        self.catalog.segments[from..].iter().filter_map(stated).collect()
    }

    fn refuse(&self, at: Lsn, proven: Lsn, segment: Option<Arc<Segment>>) -> Error {
        let place = segment.map_or_else(String::new, |s| {
            format!(" ({}, offset {})", s.path.display(), s.file_offset(at.max(s.base)))
        });
        let say = format!(
            "acknowledged data are missing: the log is proven through {proven} and ends at {at}{place}. Everything before \
             {at} is readable. Nothing was changed; restore a backup, or run `savehold repair --to NEW_DIR --report FILE`"
        );
        Error::new(ErrorKind::Corrupt, say).at(at)
    }
}

fn last_whole_group(segment: &Segment, facts: Facts) -> Result<Lsn> {
    let bytes = facts.first_bad.bytes_since(facts.proven).unwrap_or(0);
    let data = segment.reread(facts.proven, bytes)?;
    Ok(last_whole(&Span { base: facts.proven, binding: segment.binding, data: &data }, facts.proven))
}
