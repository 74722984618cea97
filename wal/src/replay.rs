//! Corridor: every record from a place on, in one pass over the log, on as many threads as are useful.
//!
//! The log is cut into stretches of 4 MiB. A thread enters a stretch at the first group that begins at a block
//! boundary in it and leaves at the first such group behind it. Nothing is read before the group that holds the first
//! record wanted. That a thread entered at a true group and not inside
//! a record's body is proved afterwards: each stretch must have been left just where the next was entered. A forged
//! entry would need the file's secret number; if one ever passes, the replay says so and is done again by one thread.
//! Where a few in a row take as long as only a disk does, the system is told to fetch the next ones meanwhile (`ahead`).
//! Where there are no maps each thread reads through a window of its own, no longer than a stretch (`window`).

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::ahead;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind};
use crate::format::header::SegmentKind;
use crate::limits::BLOCK_BYTES;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::options::Progress;
use crate::scan::Verify;
use crate::schedule;
use crate::segment::file::Segment;
use crate::sync::Mutex;
use crate::window::{GLANCE_BYTES, WINDOW_BYTES, Window};

/// Bytes of log that one thread takes at a time.
pub(crate) const STRETCH_BYTES: u64 = ahead::STEP_BYTES;

/// Who replays. Each thread has one of its own; records come in log order within a stretch, stretches in any order.
pub trait Replayer: Send {
    /// A record: its place, the engine time of its group, its verified head and the offset of its body in it.
    ///
    /// # Errors
    ///
    /// Any error ends the replay.
    fn record(&mut self, lsn: Lsn, time_us: u64, head: &[u8], body_offset: u32) -> Result<()>;

    /// What comes next does not follow what came before: a stretch begins.
    fn leap(&mut self) {}

    /// There are no more records for this one. Called on its thread, while others may still be at work; not where the
    /// replay failed on it.
    fn finish(&mut self) {}
}

/// What a replay went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records handed out.
    pub records: u64,
    /// Bytes of log covered.
    pub bytes: u64,
    /// Groups.
    pub groups: u64,
}

/// One stretch of one segment.
struct Stretch {
    segment: usize,
    from: Lsn,
    to: Lsn,
    /// A group begins at `from`: the first stretch of a segment that is read, and each of a packed one.
    first: bool,
}

/// How one stretch was gone through.
#[derive(Clone, Copy, Debug)]
struct Passage {
    entered: Option<Lsn>,
    left: Lsn,
}

/// What all threads of one replay share.
struct Shared<'a> {
    log: &'a Log,
    segments: Vec<(Arc<Segment>, Lsn)>,
    stretches: Vec<Stretch>,
    range: Range<Lsn>,
    verify: Verify,
    next: AtomicUsize,
    /// Stretches are slow, as so many were, one after the other.
    slow: AtomicBool,
    slow_ones: AtomicUsize,
    /// The system was told to fetch all before this one.
    fetched: AtomicUsize,
    done_bytes: AtomicU64,
    begun: Duration,
    told: Mutex<Duration>,
}

const TELL_EVERY: Duration = Duration::from_millis(100);

impl Log {
    /// Replays every record in `range` into `replayers`, one a thread.
    pub(crate) fn replay_into<R: Replayer>(
        &self,
        range: Range<Lsn>,
        verify: Verify,
        replayers: Vec<R>,
    ) -> Result<(Replayed, Vec<R>)> {
        let shared = Shared::plan(self, range, verify)?;
        let threads = replayers.len();
        let replayers: Vec<Mutex<Option<R>>> = replayers.into_iter().map(|r| Mutex::new(Some(r))).collect();
        let answers = schedule::share(threads, |n| {
            let mut replayer = replayers[n].lock().take().expect("each thread has its own");
            let passed = shared.run(&mut replayer);
            passed.map(|(passages, counted)| (passages, counted, replayer))
        });
        let mut passages: Vec<Option<Passage>> = shared.stretches.iter().map(|_| None).collect();
        let (mut total, mut back) = (Replayed::default(), Vec::new());
        let mut failed: Option<Error> = None;
        for answer in answers {
            match answer {
                Ok((passed, counted, replayer)) => {
                    passed.into_iter().for_each(|(n, passage)| passages[n] = Some(passage));
                    total.records += counted.records;
                    total.bytes += counted.bytes;
                    total.groups += counted.groups;
                    back.push(replayer);
                }
                Err(e) if failed.as_ref().is_none_or(|f| e.lsn() < f.lsn()) => failed = Some(e),
                Err(_) => {}
            }
        }
        match failed {
            Some(e) => Err(e),
            None => shared.prove(&passages).map(|()| (total, back)),
        }
    }
}

impl<'a> Shared<'a> {
    fn plan(log: &'a Log, range: Range<Lsn>, verify: Verify) -> Result<Self> {
        let through = log.accepted.get().min(range.end);
        let segments: Vec<(Arc<Segment>, Lsn)> = log
            .segments
            .read()
            .iter()
            .map(|s| (s.clone(), s.end().unwrap_or(s.capacity_end()).min(through)))
            .filter(|(s, end)| *end > s.base && *end > range.start)
            .collect();
        let mut stretches = Vec::new();
        for (n, (segment, end)) in segments.iter().enumerate() {
            if segment.kind == SegmentKind::Packed {
                packed_stretches(n, segment, range.start, *end, &mut stretches)?;
                continue;
            }
            let begin =
                if range.start > segment.base { entry_of(segment, *end, range.start)? } else { segment.base };
            let mut at = begin;
            while at < *end {
                let to = at.checked_add(STRETCH_BYTES).map_or(*end, |to| to.min(*end));
                stretches.push(Stretch { segment: n, from: at, to, first: at == begin });
                at = to;
            }
        }
        Ok(Self {
            log,
            segments,
            stretches,
            range,
            verify,
            next: AtomicUsize::new(0),
            slow: AtomicBool::new(false),
            slow_ones: AtomicUsize::new(0),
            fetched: AtomicUsize::new(0),
            done_bytes: AtomicU64::new(0),
            begun: log.env.clock.monotonic(),
            told: Mutex::new(log.env.clock.monotonic()),
        })
    }

    fn run(&self, replayer: &mut impl Replayer) -> Result<(Vec<(usize, Passage)>, Replayed)> {
        let (mut passages, mut counted) = (Vec::new(), Replayed::default());
        let mut buf = Vec::new();
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(stretch) = self.stretches.get(n) else {
                replayer.finish();
                return Ok((passages, counted));
            };
            if self.slow.load(Ordering::Relaxed) {
                self.fetch_behind(n);
            }
            let (begun, before) = (self.log.env.clock.monotonic(), counted.records);
            let passed = self.pass(stretch, &mut buf, replayer, &mut counted);
            let took = self.log.env.clock.monotonic().saturating_sub(begun);
            if took < slow(counted.records - before) {
                self.slow_ones.store(0, Ordering::Relaxed);
            } else if self.slow_ones.fetch_add(1, Ordering::Relaxed) + 1 >= SLOW_ONES {
                self.slow.store(true, Ordering::Relaxed);
            }
            match passed.and_then(|passage| self.tell(stretch).map(|()| passage)) {
                Ok(passage) => passages.push((n, passage)),
                Err(e) => {
                    self.next.store(self.stretches.len(), Ordering::Relaxed); // the others stop too
                    return Err(e);
                }
            }
        }
    }

    /// Tells the system to fetch what comes behind stretch `n`, each stretch once.
    fn fetch_behind(&self, n: usize) {
        let until = (n + 1 + ahead::STEPS).min(self.stretches.len());
        let from = self.fetched.fetch_max(until, Ordering::Relaxed).max(n + 1);
        for stretch in self.stretches.get(from..until).unwrap_or(&[]) {
            let (segment, _) = &self.segments[stretch.segment];
            if segment.kind != SegmentKind::Packed {
                ahead::fetch(segment, stretch.from, stretch.to);
            }
        }
    }

    fn pass(
        &self,
        stretch: &Stretch,
        buf: &mut Vec<u8>,
        replayer: &mut impl Replayer,
        counted: &mut Replayed,
    ) -> Result<Passage> {
        let (segment, end) = &self.segments[stretch.segment];
        replayer.leap();
        if segment.kind == SegmentKind::Packed {
            return self.pass_packed(stretch, segment, replayer, counted);
        }
        let mut window = Window::new(segment, *end, WINDOW_BYTES, std::mem::take(buf))?;
        let entered = match stretch.first {
            true => Some(stretch.from),
            false => window.probe(stretch.from, stretch.to)?.map(|group| group.lsn),
        };
        let left = match entered {
            None => stretch.to,
            Some(at) => self.follow(&mut window, segment, at..*end, stretch.to, replayer, counted)?,
        };
        counted.bytes += stretch.to.bytes_since(stretch.from).unwrap_or(0);
        *buf = window.into_buf();
        Ok(Passage { entered, left })
    }

    /// Every record of the blocks of the directory that begin in the stretch.
    fn pass_packed(
        &self,
        stretch: &Stretch,
        segment: &Segment,
        replayer: &mut impl Replayer,
        counted: &mut Replayed,
    ) -> Result<Passage> {
        let directory = segment.directory()?;
        let inside = |block: &usize| (stretch.from..stretch.to).contains(&directory.fence(*block));
        for block in (0..directory.blocks()).filter(inside) {
            for entry in segment.entries(block)? {
                let bytes = segment.packed_frame(entry.at)?;
                let packed = segment.packed_record(&bytes, entry.at, entry.lsn)?;
                if self.verify == Verify::Bodies && !packed.body_is_good() {
                    return Err(missing_at(segment, entry.at, entry.lsn));
                }
                counted.bytes += packed.bytes() as u64;
                if self.range.contains(&entry.lsn) {
                    counted.records += 1;
                    replayer.record(entry.lsn, packed.time_us, packed.head, packed.body_offset)?;
                }
            }
        }
        Ok(Passage { entered: Some(stretch.from), left: stretch.to })
    }

    /// Goes from group to group through `range`, and answers where it left: at the end, or at the first block boundary at
    /// or behind `to`.
    fn follow(
        &self,
        window: &mut Window<'_>,
        segment: &Segment,
        range: Range<Lsn>,
        to: Lsn,
        replayer: &mut impl Replayer,
        counted: &mut Replayed,
    ) -> Result<Lsn> {
        let is_left = |at: Lsn| at >= range.end || at >= to && at.offset().is_multiple_of(BLOCK_BYTES);
        let mut at = range.start;
        if let Some(span) = window.whole() {
            // the same as below without a look, at each step, at where the bytes are
            let mut groups = span.groups(at);
            while !is_left(at) {
                let group = groups.next().ok_or_else(|| missing(segment, at))?;
                let mut taker = Taker { range: &self.range, time_us: group.head.time_us, failed: Ok(()) };
                let walked = span.walk(group, self.verify, |lsn, frame| {
                    taker.take(lsn, frame.kind, frame.head, replayer, counted);
                });
                taker.end(segment, walked, counted)?;
                at = groups.at();
            }
            return Ok(at);
        }
        while !is_left(at) {
            let group = window.group(at)?.ok_or_else(|| missing(segment, at))?;
            let mut taker = Taker { range: &self.range, time_us: group.head.time_us, failed: Ok(()) };
            let walked = window.walk(group, self.verify, |lsn, kind, head| {
                taker.take(lsn, kind, head, replayer, counted);
            })?;
            taker.end(segment, walked, counted)?;
            at = group.head.next(at).ok_or_else(|| missing(segment, at))?;
        }
        Ok(at)
    }

    fn tell(&self, stretch: &Stretch) -> Result<()> {
        let bytes = stretch.to.bytes_since(stretch.from).unwrap_or(0);
        let done_bytes = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let Some(on_progress) = &self.log.options.progress else { return Ok(()) };
        let now = self.log.env.clock.monotonic();
        let total_bytes = self.stretches.iter().filter_map(|s| s.to.bytes_since(s.from)).sum();
        let mut told = self.told.lock();
        if now.saturating_sub(*told) < TELL_EVERY && done_bytes < total_bytes {
            return Ok(());
        }
        *told = now;
        drop(told);
        let elapsed = now.saturating_sub(self.begun);
        let left = total_bytes.saturating_sub(done_bytes) as f64 / done_bytes.max(1) as f64;
        let remaining = elapsed.mul_f64(left);
        match (on_progress.0)(Progress { done_bytes, total_bytes, elapsed, remaining }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::new(
                ErrorKind::Aborted,
                "opening was stopped by the progress callback: nothing was changed, open again to go on",
            )),
        }
    }

    /// Each stretch was left where the next was entered, and each segment at its end.
    fn prove(&self, passages: &[Option<Passage>]) -> Result<()> {
        let mut at = Lsn::NONE;
        for (n, (stretch, passage)) in self.stretches.iter().zip(passages).enumerate() {
            let (segment, end) = &self.segments[stretch.segment];
            if stretch.first {
                at = stretch.from;
            }
            let Some(passage) = passage else { return Err(missing(segment, stretch.from)) };
            match passage.entered {
                Some(entered) if entered == at => at = passage.left,
                None if at >= stretch.to => {}
                _ => return Err(missing(segment, at)),
            }
            let last = self.stretches.get(n + 1).is_none_or(|next| next.segment != stretch.segment);
            if last && at != *end {
                return Err(missing(segment, at));
            }
        }
        Ok(())
    }
}

/// So many slow stretches, with none between that is not, are the disk's doing: one may be that of who makes room for what comes,
/// and one that of who waits for that.
const SLOW_ONES: usize = 3;

/// A stretch of so many records takes less where it is in the page cache: what they cost by themselves is no disk's.
fn slow(records: u64) -> Duration {
    const RECORD: Duration = Duration::from_nanos(100);
    ahead::SLOW + RECORD * u32::try_from(records).unwrap_or(u32::MAX)
}

/// What takes the frames of one group.
struct Taker<'a> {
    range: &'a Range<Lsn>,
    time_us: u64,
    failed: Result<()>,
}

impl Taker<'_> {
    #[inline(always)]
    fn take(
        &mut self,
        lsn: Lsn,
        kind: FrameKind,
        head: &[u8],
        replayer: &mut impl Replayer,
        counted: &mut Replayed,
    ) {
        if kind == FrameKind::Record && self.range.contains(&lsn) && self.failed.is_ok() {
            counted.records += 1;
            let body = u32::try_from(FRAME_HEADER_BYTES + head.len()).expect("bounded by HEAD_BYTES_MAX");
            self.failed = replayer.record(lsn, self.time_us, head, body);
        }
    }

    /// The group is passed; `walked` says where it is damaged.
    #[inline(always)]
    fn end(self, segment: &Segment, walked: Result<(), Lsn>, counted: &mut Replayed) -> Result<()> {
        counted.groups += 1;
        walked.map_err(|bad| missing(segment, bad))?;
        self.failed
    }
}

/// The group at a block boundary from which on everything at or behind `from` is met.
fn entry_of(segment: &Segment, end: Lsn, from: Lsn) -> Result<Lsn> {
    Window::new(segment, end, GLANCE_BYTES, Vec::new())?.entry_before(from)
}

/// Cuts a packed segment where blocks of its directory begin, from the block on that may hold `start`.
fn packed_stretches(
    n: usize,
    segment: &Segment,
    start: Lsn,
    end: Lsn,
    stretches: &mut Vec<Stretch>,
) -> Result<()> {
    let directory = segment.directory()?;
    let wanted = usize::try_from(segment.disk_bytes().div_ceil(STRETCH_BYTES)).unwrap_or(usize::MAX);
    let step = directory.blocks().div_ceil(wanted).max(1);
    let entered = directory.block_of(start).unwrap_or(0);
    let mut from = if entered == 0 { segment.base } else { directory.fence(entered) };
    for block in (entered + step..directory.blocks()).step_by(step) {
        let to = directory.fence(block);
        if to >= end {
            break;
        }
        stretches.push(Stretch { segment: n, from, to, first: true });
        from = to;
    }
    stretches.push(Stretch { segment: n, from, to: end, first: true });
    Ok(())
}

fn missing(segment: &Segment, at: Lsn) -> Error {
    missing_at(segment, segment.file_offset(at.max(segment.base)), at)
}

fn missing_at(segment: &Segment, offset: u64, at: Lsn) -> Error {
    let say = format!(
        "acknowledged data are damaged at {at} ({}, offset {}): nothing was changed; restore a backup, or run `savehold \
         repair --to NEW_DIR --report FILE`",
        segment.path.display(),
        offset
    );
    Error::new(ErrorKind::Corrupt, say).at(at)
}
