//! Corridor: going through the last segments, and through files without a header, on as many threads as are useful.
//!
//! Many threads cut them into pieces and take these one after the other. Where the pieces of a segment do not tell what it holds,
//! as behind damage, or where one cannot be read, it is skimmed once more as a whole: a skim from the front looks at less.

use std::ops::Range;
use std::sync::Arc;

use super::stock::Headless;
use super::{Candidate, Recovery};
use crate::ahead::Passer;
use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::group::StatedEnd;
use crate::format::header::DATA_OFFSET;
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::scan::Skim;
use crate::scan::pieces::{Piece, join};
use crate::schedule;
use crate::segment::file::{Access, Segment};
use crate::window::{GLANCE_BYTES, WINDOW_BYTES, Window};

/// Bytes to look through for which other threads are started.
pub(super) const SHARED_BYTES: u64 = 16 << 20;

/// Bytes that a thread takes at a time: long beside the groups in it, and short beside what there is for a thread.
const PIECE_BYTES: u64 = 4 << 20;

/// Most pieces of one file, whatever length it claims: one without a header may have any.
const PIECES_MAX: u64 = 1024;

impl Recovery<'_> {
    /// Step 3, and what is left of step 1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: a file without a header is evidence. [`ErrorKind::Io`].
    pub(super) fn look_through(
        &self,
        open: &[Arc<Segment>],
        headless: &[Headless],
    ) -> Result<Vec<Candidate>> {
        let stated = open.iter().map(|s| stated_ends(s)).collect::<Result<Vec<_>>>()?;
        let tail = stated.iter().rposition(Option::is_some).unwrap_or(0);
        let (env, access) = (self.env, self.access);
        let lookers = open.iter().enumerate();
        let lookers: Vec<Looker<'_>> =
            lookers.map(|(n, segment)| Looker { env, segment, access, is_kept: n < tail }).collect();
        let lengths = open.iter().map(|s| s.there()).chain(headless.iter().map(|file| file.bytes));
        let bytes = lengths.fold(0, u64::saturating_add);
        let skims = if bytes < SHARED_BYTES || env.threads == Threads::None {
            headless.iter().try_for_each(|file| file.is_spent(DATA_OFFSET..file.bytes))?;
            lookers.iter().map(Looker::whole).collect::<Result<Vec<_>>>()?
        } else {
            look_in_pieces(&lookers, headless)?
        };
        let found = open.iter().zip(stated).zip(skims);
        Ok(found.map(|((s, stated), skim)| Candidate { segment: s.clone(), skim, stated }).collect())
    }
}

/// What a thread takes.
enum Part<'a> {
    Segment(&'a Looker<'a>, Range<Lsn>),
    File(&'a Headless, Range<u64>),
}

/// What each segment holds; files without a header may go.
fn look_in_pieces(lookers: &[Looker<'_>], headless: &[Headless]) -> Result<Vec<Skim>> {
    let segments = lookers.iter().flat_map(|l| l.pieces().map(move |piece| Part::Segment(l, piece)));
    let files = headless
        .iter()
        .flat_map(|file| pieces(DATA_OFFSET..file.bytes).map(move |piece| Part::File(file, piece)));
    let parts: Vec<Part<'_>> = segments.chain(files).collect();
    let found = schedule::share_out(schedule::cores(), &parts, |part| match part {
        Part::Segment(looker, piece) => Ok(looker.piece(piece.clone()).ok()),
        Part::File(file, piece) => file.is_spent(piece.clone()).map(|()| None),
    });
    let found = found.into_iter().collect::<Result<Vec<Option<Piece>>>>()?;
    let (mut at, mut joined) = (0, Vec::new());
    for looker in lookers {
        let own = &found[at..at + looker.pieces().count()];
        let own: Option<Vec<Piece>> = own.iter().cloned().collect();
        joined.push((looker, own.and_then(|own| join(looker.segment.base, &own))));
        at += looker.pieces().count();
    }
    let untold = joined.iter().filter(|(_, skim)| skim.is_none()).count();
    let skims = schedule::share_out(schedule::cores().min(untold.max(1)), &joined, |(looker, skim)| {
        skim.map_or_else(|| looker.whole(), Ok)
    });
    skims.into_iter().collect()
}

/// Who looks at one segment.
struct Looker<'a> {
    env: &'a Env,
    segment: &'a Segment,
    access: Access,
    /// The map stays for the replay; else it goes at the end, if there is one: mapped pages cannot be dropped from the cache, and
    /// of the last begun segment some will be.
    is_kept: bool,
}

impl Looker<'_> {
    fn pieces(&self) -> impl Iterator<Item = Range<Lsn>> + use<> {
        let base = self.segment.base;
        pieces(0..self.segment.there()).map(move |piece| base.plus(piece.start)..base.plus(piece.end))
    }

    fn whole(&self) -> Result<Skim> {
        let mut passer = Passer::from(self.env, self.segment, self.segment.base);
        self.window()?.skim(|at| passer.pass(at))
    }

    fn piece(&self, range: Range<Lsn>) -> Result<Piece> {
        let mut passer = Passer::from(self.env, self.segment, range.start);
        self.window()?.skim_piece(range, |at| passer.pass(at))
    }

    fn window(&self) -> Result<Window<'_>> {
        let segment = self.segment;
        let bytes = segment.file_len()?.min(DATA_OFFSET + segment.capacity);
        let io = |e| Error::io(ErrorKind::Io, "mapping", &segment.path, e);
        let map = match self.access {
            Access::Mapped if self.is_kept => segment.map()?,
            Access::Mapped => segment.file.map(bytes).map_err(io)?,
            Access::Pread => None,
        };
        Ok(Window::over(segment, segment.capacity_end(), map, WINDOW_BYTES, Vec::new()))
    }
}

/// A range in pieces of whole blocks.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = range;
    let least = end.saturating_sub(start).div_ceil(PIECES_MAX).next_multiple_of(BLOCK_BYTES);
    let step = least.max(PIECE_BYTES);
    let begin = move |at: &u64| at.checked_add(step).filter(|next| *next < end);
    let first = Some(start).filter(|start| *start < end);
    std::iter::successors(first, begin).map(move |at| at..at.saturating_add(step).min(end))
}

/// The ends that a segment states, if it was begun.
pub(super) fn stated_ends(segment: &Segment) -> Result<Option<Vec<StatedEnd>>> {
    Window::over(segment, segment.capacity_end(), None, GLANCE_BYTES, Vec::new()).stated_ends()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::draw::Draw;
    use crate::format::frame::Frame;
    use crate::format::group::GROUP_FRAME_BYTES;
    use crate::options::{Durability, Options};
    use crate::report::RecoveryReport;
    use crate::segment::name::{LOG_DIR, segment_name};
    use crate::sim::{SimDisk, alone};
    use crate::wal::{Append, Wal};

    const STORE: &str = "/store";

    /// A log of three pieces in its one segment, with small records, long ones, and some that are not proven.
    fn written() -> SimDisk {
        let disk = SimDisk::memory();
        let bytes = 3 * PIECE_BYTES + SHARED_BYTES;
        let options = Options { segment_bytes_min: bytes, segment_bytes_max: bytes, ..Options::default() };
        let log = Wal::open_in(alone(&disk), Path::new(STORE), options).unwrap();
        let mut draw = Draw::from_seed(1);
        while log.stats().bytes < 3 * PIECE_BYTES - (64 << 10) {
            let bytes = [300, 20_000, 300_000][draw.below(3) as usize];
            let syncs = draw.below(4) == 0 && log.stats().bytes < 2 * PIECE_BYTES;
            let durability = if syncs { Durability::Synced } else { Durability::Buffered };
            let body = vec![7; draw.below(bytes) as usize];
            let frame = Frame::record(b"head", &[&body]).unwrap();
            log.commit(frame, Append { durability, ..Append::default() }).unwrap();
        }
        disk.kill();
        disk.restart()
    }

    /// What an opening finds or says, on so many threads.
    fn opened(disk: &SimDisk, threads: Threads) -> std::result::Result<(RecoveryReport, Vec<Lsn>), String> {
        let env = Env { threads, ..alone(disk) };
        let opened = Wal::open_in(env, Path::new(STORE), Options::default());
        let log = opened.map_err(|e| e.to_string())?;
        let records = log.replay(Lsn::NONE).unwrap().map(|record| record.unwrap().lsn).collect();
        let report = RecoveryReport { judging: Duration::ZERO, ..log.report() };
        disk.kill();
        Ok((report, records))
    }

    #[test]
    fn pieces_cover_a_range_and_are_few_whatever_length_a_file_claims() {
        let long = i64::MAX as u64;
        for (start, end, count) in [
            (DATA_OFFSET, 0, 0),
            (0, 0, 0),
            (0, 1, 1),
            (0, PIECE_BYTES, 1),
            (DATA_OFFSET, PIECE_BYTES + DATA_OFFSET + 1, 2),
            (0, 256 * PIECE_BYTES, 256),
            (DATA_OFFSET, long, PIECES_MAX),
        ] {
            let range = start..end;
            let pieces: Vec<_> = pieces(range.clone()).collect();
            assert_eq!(pieces.len() as u64, count, "{range:?}");
            assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            assert!(pieces.iter().all(|piece| piece.start.is_multiple_of(BLOCK_BYTES) && !piece.is_empty()));
            assert!(pieces.first().is_none_or(|first| first.start == range.start));
            assert!(pieces.last().is_none_or(|last| last.end == range.end));
        }
    }

    #[test]
    fn many_threads_find_what_one_does_behind_damage_too() {
        let whole = written();
        let (all, records) = opened(&whole.restart(), Threads::None).unwrap();
        assert_eq!(opened(&whole.restart(), Threads::Own), Ok((all, records.clone())));
        let first = segment_name(Lsn::new(all.proven.timeline(), 0), 0);
        let path = Path::new(STORE).join(LOG_DIR).join(first);
        let mut draw = Draw::from_seed(2);
        let (mut torn, mut refused) = (0, 0);
        for n in 0..12 {
            let of = if n < 4 { records.len() } else { records.len() / 4 };
            let record = records[records.len() - 1 - draw.below(of as u64) as usize];
            let damaged = || {
                let disk = whole.restart();
                let head = DATA_OFFSET + record.offset() - GROUP_FRAME_BYTES as u64;
                disk.flip_bit(&path, head + n, 3).unwrap(); // of its group, which has no other
                disk
            };
            let one = opened(&damaged(), Threads::None);
            assert_eq!(opened(&damaged(), Threads::Own), one, "damage in front of {record}");
            match one {
                Ok((report, found)) => {
                    torn += usize::from(found.len() < records.len() && report.groups_dropped > 0)
                }
                Err(_) => refused += 1,
            }
        }
        assert!(torn > 0 && refused > 0, "{torn}, {refused}");
    }
}
