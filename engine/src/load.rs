//! Corridor: from the log to the index. `apply` does the entering, as for live commits.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use savehold_wal::env::{Env, Threads};
use savehold_wal::schedule;
use savehold_wal::sync::Mutex;
use savehold_wal::{Lsn, Replayed, Replayer, Verify, Wal};

use crate::apply::apply;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Judge, Loader, Staging, TailIndex};
use crate::shelf::{Made, Shelf};

/// Threads that replay unless the options say otherwise.
const THREADS_MAX: usize = 4;

/// Bytes of log that are made into a table at a time, where the memory allows it.
const REMAKE_BYTES_MAX: u64 = 64 << 20;

/// How the log is replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaying {
    /// What is verified of each record.
    pub(crate) verify: Verify,
    /// On how many threads, if the options say so.
    pub(crate) threads: Option<NonZeroUsize>,
    /// How much memory the index may take.
    pub(crate) memory_bytes: u64,
}

impl Replaying {
    /// The parts in which the log is replayed from `from` on at open. The index of a log takes no more than its bytes: one
    /// that has no more than memory may take is replayed at once; else memory is looked at behind each part.
    fn tail_parts(self, spans: &[Range<Lsn>], from: Lsn) -> Vec<(Lsn, Lsn)> {
        let tail = from..Lsn::MAX;
        let bytes: u64 = spans.iter().map(|span| bytes_in(span, &tail)).sum();
        if bytes <= self.memory_bytes {
            vec![(from, Lsn::MAX)]
        } else {
            parts(spans, tail, self.memory_bytes / 4)
        }
    }

    /// Memory that the index of a tail may take before a table is made of it, while the next one grows.
    fn tail_memory(self) -> u64 {
        self.memory_bytes / 8
    }

    /// Bytes of log that are made into a table at a time.
    fn remake_bytes(self) -> u64 {
        REMAKE_BYTES_MAX.min(self.memory_bytes / 4)
    }
}

/// What was entered into an index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loaded {
    /// What the log was gone through for it.
    pub(crate) replayed: Replayed,
    /// Versions that its records gave keys.
    pub(crate) versions: u64,
}

impl Loaded {
    fn add(&mut self, more: Self) {
        self.replayed.records += more.replayed.records;
        self.replayed.bytes += more.replayed.bytes;
        self.replayed.groups += more.replayed.groups;
        self.versions += more.versions;
    }
}

struct Load<'i> {
    loader: Loader<'i>,
    versions: u64,
    sample: Sample<'i>,
}

impl Replayer for Load<'_> {
    #[inline]
    fn record(&mut self, lsn: Lsn, _time_us: u64, head: &[u8], body_offset: u32) -> savehold_wal::Result<()> {
        match apply(&mut self.loader, lsn, body_offset, head) {
            Ok(entries) => {
                self.versions += u64::from(entries);
                if self.sample.left > 0 && self.sample.take(lsn) && self.sample.is_first() {
                    self.loader.flush();
                    self.sample.tell();
                }
                Ok(())
            }
            Err(e) => Err(unreadable(lsn, &e)),
        }
    }

    fn leap(&mut self) {
        self.sample.last = None;
    }

    /// What waits in batches is entered by each thread for itself.
    fn finish(&mut self) {
        self.loader.flush();
    }
}

/// What the first records say of how many keys there will be: tables that double until all have room cost a tenth of a
/// replay.
struct Sample<'i> {
    index: &'i TailIndex,
    /// A thread has seen enough: what it saw is told, and the others go on.
    enough: &'i AtomicBool,
    /// Bytes of log that are replayed.
    of_bytes: u64,
    /// More keys than that are not made room for, whatever it says: a packed segment may have room for far more than it holds.
    keys_max: u64,
    /// Records to look at still.
    left: u32,
    /// The record before, unless it lies in another stretch.
    last: Option<Lsn>,
    /// Steps from one record to the next, and how far they went.
    steps: u64,
    bytes: u64,
}

impl<'i> Sample<'i> {
    const RECORDS: u32 = 32 << 10;
    /// A sixteenth more is made room for: to double nearly full tables of all costs more than to have made them so.
    const MORE: u64 = 16;

    fn new(index: &'i TailIndex, enough: &'i AtomicBool, of_bytes: u64, memory_bytes: u64) -> Self {
        // a key takes 20 bytes of a table at most, so this is a sixth of the memory at most
        let keys_max = memory_bytes / 128;
        Self { index, enough, of_bytes, keys_max, left: Self::RECORDS, last: None, steps: 0, bytes: 0 }
    }

    /// Looks at a record; says whether it was the last.
    #[inline]
    fn take(&mut self, lsn: Lsn) -> bool {
        if let Some(step) = self.last.and_then(|last| lsn.bytes_since(last)) {
            self.steps += 1;
            self.bytes += step;
        }
        (self.last, self.left) = (Some(lsn), self.left - 1);
        self.left == 0
    }

    /// Whether no other thread saw enough before: whoever is second would wait for one partition after the other.
    fn is_first(&self) -> bool {
        !self.enough.swap(true, Ordering::Relaxed)
    }

    /// Makes room for what will come, where nearly every record had a key of its own. What was looked at is in the index.
    fn tell(&self) {
        let (keys, versions) = (self.index.keys() as u64, self.index.versions_total() as u64);
        let Some(record_bytes) = self.bytes.checked_div(self.steps).filter(|bytes| *bytes > 0) else {
            return;
        };
        if keys > 0 && keys >= versions - versions / 64 {
            let records = self.of_bytes / record_bytes;
            let records = (records + records / Self::MORE).min(self.keys_max);
            self.index.reserve(usize::try_from(records.saturating_sub(keys)).unwrap_or(0));
        }
    }
}

/// An error about what a record says, for the log's callback.
#[cold]
pub(crate) fn unreadable(lsn: Lsn, e: &crate::error::Error) -> savehold_wal::Error {
    let kind = match e.kind() {
        crate::error::ErrorKind::Format => savehold_wal::ErrorKind::Format,
        _ => savehold_wal::ErrorKind::Corrupt,
    };
    savehold_wal::Error::new(kind, format!("the record at {lsn}: {}", e.message())).at(lsn)
}

/// Fills `index` with the records in `range`, which ends where a segment begins, at a checkpoint, or behind the log.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), naming the place; the index is then of no use.
pub(crate) fn load(
    wal: &Wal,
    index: &TailIndex,
    range: Range<Lsn>,
    how: Replaying,
    spare: &Spare,
) -> Result<Loaded> {
    let bytes = wal.spans().iter().map(|span| bytes_in(span, &range)).sum();
    let enough = AtomicBool::new(false);
    let new = |_| Load {
        loader: index.loader(spare.lock().pop().unwrap_or_default()),
        versions: 0,
        sample: Sample::new(index, &enough, bytes, how.memory_bytes),
    };
    let loaders = (0..threads_for(wal.env(), how.threads)).map(new).collect();
    let (replayed, loaders) = wal.replay_range(range, how.verify, loaders)?;
    let versions = loaders.iter().map(|load| load.versions).sum();
    let finished: Vec<Staging> = loaders.into_iter().map(|load| load.loader.finish()).collect();
    spare.lock().extend(finished);
    Ok(Loaded { replayed, versions })
}

/// Memory that loaders of one part of a log hand on to those of the next.
pub(crate) type Spare = Mutex<Vec<Staging>>;

/// Tables of what the log says in `range`, made from the log, oldest first; nothing names them yet. Takes as much memory
/// as the index of a few segments. They pass `judge`: what was dropped by the terms in force does not come back.
///
/// # Errors
///
/// As [`load`]; [`ErrorKind::Full`](crate::ErrorKind::Full), [`ErrorKind::Io`](crate::ErrorKind::Io).
pub(crate) fn remake(
    wal: &Wal,
    shelf: &Shelf,
    range: Range<Lsn>,
    how: Replaying,
    judge: &mut dyn Judge,
) -> Result<Vec<Made>> {
    let (mut made, spare) = (Vec::new(), Spare::default());
    for (low, high) in parts(&wal.spans(), range, how.remake_bytes()) {
        let index = TailIndex::new(wal.env().entropy.next_u64());
        load(wal, &index, low..high, how, &spare)?;
        made.push(shelf.write_tail(wal, (low, high), &index, judge, &mut || ())?);
    }
    Ok(made)
}

/// A range of the log in parts that begin and end where segments begin, each a few segments long. `spans` are the
/// segments, in order; the log's places may leap from one to the next.
fn parts(spans: &[Range<Lsn>], range: Range<Lsn>, part_bytes: u64) -> Vec<(Lsn, Lsn)> {
    let (mut parts, mut low, mut bytes) = (Vec::new(), range.start, 0);
    for span in spans {
        if bytes >= part_bytes && span.start < range.end {
            parts.push((low, span.start));
            (low, bytes) = (span.start, 0);
        }
        bytes += bytes_in(span, &range);
    }
    parts.push((low, range.end));
    parts
}

/// A log from a place on, in memory as far as it may take memory.
pub(crate) struct Tail {
    /// What is in memory.
    pub(crate) index: TailIndex,
    /// What of the log that is.
    pub(crate) loaded: Loaded,
    /// All that was replayed.
    pub(crate) all: Loaded,
    /// Tables of what lies before, oldest first; nothing names them yet.
    pub(crate) made: Vec<Made>,
}

/// Replays the log from `from` on. Where its index takes more memory than it may, tables are made on the way, each while the
/// log is replayed on, which pass `judge`; where they cannot be written, or `judge` is missing, all of it stays in memory.
///
/// # Errors
///
/// As [`load`]; what writing a table meets but a full or failing disk.
pub(crate) fn load_tail(
    wal: &Wal,
    shelf: &Shelf,
    from: Lsn,
    how: Replaying,
    judge: Option<&mut (dyn Judge + Send)>,
) -> Result<Tail> {
    let new = || TailIndex::new(wal.env().entropy.next_u64());
    let (all, loaded) = (Loaded::default(), Loaded::default());
    let (mut tail, mut low) = (Tail { index: new(), loaded, all, made: Vec::new() }, from);
    let judge = judge.map(Mutex::new);
    let write = |full: &Full| {
        let mut judge = judge.as_ref().expect("without one nothing is full").lock();
        shelf.write_tail(wal, full.range, &full.index, &mut **judge, &mut || ())
    };
    let (mut full, spare): (Option<Full>, _) = (None, Spare::default());
    for (begin, end) in how.tail_parts(&wal.spans(), from) {
        let read = || load(wal, &tail.index, begin..end, how, &spare);
        let (loaded, made) = match &full {
            None => (read()?, None),
            Some(full) => both(wal.env(), &read, &|| write(full))?,
        };
        match made {
            None => {}
            Some(Ok(made)) => tail.made.push(made),
            Some(Err(e)) if is_no_space(&e) => return load_tail(wal, shelf, from, how, None),
            Some(Err(e)) => return Err(e),
        }
        full = None;
        tail.loaded.add(loaded);
        tail.all.add(loaded);
        let much = tail.index.memory_bytes() as u64 >= how.tail_memory();
        if much && judge.is_some() && end < Lsn::MAX && end <= wal.durable() {
            // a table holds nothing that is not durable
            full = Some(Full { range: (low, end), index: std::mem::replace(&mut tail.index, new()) });
            (tail.loaded, low) = (Loaded::default(), end);
        }
    }
    Ok(tail)
}

/// An index of which a table is made.
struct Full {
    range: (Lsn, Lsn),
    index: TailIndex,
}

/// What both answer, at once where there are threads.
fn both(
    env: &Env,
    read: &(dyn Fn() -> Result<Loaded> + Sync),
    write: &(dyn Fn() -> Result<Made> + Sync),
) -> Result<(Loaded, Option<Result<Made>>)> {
    if env.threads == Threads::None {
        return Ok((read()?, Some(write())));
    }
    let answers = schedule::share(2, |n| if n == 0 { (Some(read()), None) } else { (None, Some(write())) });
    let (mut loaded, mut made) = (Loaded::default(), None);
    for (read, written) in answers {
        loaded = read.unwrap_or(Ok(loaded))?;
        made = made.or(written);
    }
    Ok((loaded, made))
}

/// Whether an error says that nothing can be written: what is in the log is read all the same.
pub(crate) fn is_no_space(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Full | ErrorKind::Io | ErrorKind::ReadOnly)
}

/// Bytes of a segment that lie in `range`.
fn bytes_in(span: &Range<Lsn>, range: &Range<Lsn>) -> u64 {
    let (low, high) = (span.start.max(range.start), span.end.min(range.end));
    high.bytes_since(low).unwrap_or(0)
}

/// Verifies what a checkpoint spares the replay, and enters none of it.
pub(crate) fn verify_before(wal: &Wal, end: Lsn, how: Replaying) -> Result<()> {
    struct Nobody;
    impl Replayer for Nobody {
        fn record(&mut self, _: Lsn, _: u64, _: &[u8], _: u32) -> savehold_wal::Result<()> {
            Ok(())
        }
    }
    let threads = (0..threads_for(wal.env(), how.threads)).map(|_| Nobody).collect();
    wal.replay_range(Lsn::NONE..end, how.verify, threads)?;
    Ok(())
}

fn threads_for(env: &Env, wanted: Option<NonZeroUsize>) -> usize {
    if env.threads == Threads::None {
        return 1;
    }
    wanted.map_or_else(|| savehold_wal::schedule::cores().min(THREADS_MAX), NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CollectionId;
    use crate::index::{Entry, Kind, Place, VersionRef};
    use crate::record::{Author, Cause, HeadWriter, Part};

    const MIB: u64 = 1 << 20;
    const HOW: Replaying = Replaying { verify: Verify::Heads, threads: None, memory_bytes: 512 * MIB };

    /// Segments of 64 MiB, the n-th with `bytes[n]` in it; each in the timeline that `timeline` says.
    fn segments(bytes: &[u64], timeline: impl Fn(u64) -> u16) -> Vec<Range<Lsn>> {
        let span = |(n, bytes): (usize, &u64)| {
            let base = Lsn::new(timeline(n as u64), (n as u64) << 26);
            base..Lsn::from_raw(base.raw() + bytes)
        };
        bytes.iter().enumerate().map(span).collect()
    }

    #[test]
    fn a_short_tail_is_replayed_at_once_however_far_its_places_leap() {
        let once = |from| vec![(from, Lsn::MAX)];
        let full = segments(&[64 * MIB; 8], |_| 1);
        assert_eq!(HOW.tail_parts(&full, Lsn::NONE), once(Lsn::NONE));
        let leaping = segments(&[10; 100], |n| n as u16 + 1);
        assert_eq!(HOW.tail_parts(&leaping, Lsn::NONE), once(Lsn::NONE));
        assert_eq!(HOW.tail_parts(&[], Lsn::NONE), once(Lsn::NONE));
        let long = segments(&[64 * MIB; 10], |n| n as u16 + 1);
        let cuts =
            [0, 2, 4, 6, 8].map(|n| (long[n].start, long.get(n + 2).map_or(Lsn::MAX, |next| next.start)));
        assert_eq!(HOW.tail_parts(&long, long[0].start), cuts);
        assert_eq!(
            HOW.tail_parts(&long, long[2].start),
            once(long[2].start),
            "what tables hold is not counted"
        );
    }

    #[test]
    fn parts_follow_each_other_and_take_whole_segments() {
        let spans = segments(&[40 * MIB; 5], |n| n as u16 + 1);
        let through = Lsn::from_raw(spans[4].start.raw() + MIB);
        let cuts = [(Lsn::NONE, spans[2].start), (spans[2].start, spans[4].start), (spans[4].start, through)];
        assert_eq!(parts(&spans, Lsn::NONE..through, HOW.remake_bytes()), cuts);
        let inside = Lsn::from_raw(spans[0].start.raw() + MIB)..spans[1].start;
        assert_eq!(parts(&spans, inside.clone(), HOW.remake_bytes()), [(inside.start, inside.end)]);
        assert_eq!(parts(&[], Lsn::NONE..Lsn::MAX, MIB), [(Lsn::NONE, Lsn::MAX)]);
    }

    /// Bytes of the index of the first records of a log of 100 MB, 100 bytes each, so many of each key, once it was told how
    /// many will come, with so much memory for it; and without that.
    fn sampled(records_each: u64, memory_bytes: u64) -> (usize, usize) {
        sampled_in(records_each, memory_bytes, u64::MAX)
    }

    /// As [`sampled`], in stretches of so many records, between which as much of the log lies that others replay.
    fn sampled_in(records_each: u64, memory_bytes: u64, stretch: u64) -> (usize, usize) {
        let (index, plain) = (TailIndex::new(3), TailIndex::new(3));
        let enough = AtomicBool::new(false);
        let sample = Sample::new(&index, &enough, 100_000_000, memory_bytes);
        let mut load = Load { loader: index.loader(Staging::default()), versions: 0, sample };
        for n in 0..u64::from(Sample::RECORDS) {
            if n.is_multiple_of(stretch) {
                load.leap();
            }
            let between = n / stretch * stretch.min(1 << 20);
            let lsn = Lsn::new(1, 4096 + (n + between) * 100);
            let key = (n / records_each).to_be_bytes();
            let mut head = Vec::new();
            let mut writer = HeadWriter::begin(&mut head, &Author::NOBODY).unwrap();
            writer.put(CollectionId::FIRST, &key, Part { offset: 0, bytes: 9 }).unwrap();
            load.record(lsn, 0, &head, 40).unwrap();
            let (place, kind, cause) = (Place { offset: 40, bytes: 9 }, Kind::Put, Cause::Explicit);
            let version = VersionRef { lsn, place, kind, cause };
            plain.insert(Entry { collection: CollectionId::FIRST.0, key: &key, version });
        }
        assert_eq!((load.sample.left, load.versions), (0, u64::from(Sample::RECORDS)));
        drop(load);
        assert_eq!(index.keys(), plain.keys());
        (index.memory_bytes(), plain.memory_bytes())
    }

    #[test]
    fn a_sample_of_new_keys_makes_room_for_all_and_one_of_known_keys_for_none() {
        let (told, plain) = sampled(1, 1 << 30);
        assert!(
            (8_000_000..20_000_000).contains(&(told - plain)),
            "a million keys, 8 bytes a slot: {told}, {plain}"
        );
        for known in [2, 33, 1000] {
            let (told, plain) = sampled(known, 1 << 30);
            assert!(told <= plain + (1 << 20), "{known} records of each key: {told} bytes, {plain}");
        }
    }

    #[test]
    fn a_sample_counts_no_step_from_one_stretch_to_another() {
        let at_once = sampled(1, 1 << 30);
        for stretch in [100, 1000, 10_000] {
            assert_eq!(sampled_in(1, 1 << 30, stretch), at_once, "stretches of {stretch} records");
        }
    }

    #[test]
    fn one_thread_makes_room_for_all() {
        let (index, enough) = (TailIndex::new(3), AtomicBool::new(false));
        let samples = [(); 3].map(|()| Sample::new(&index, &enough, 1, 1));
        assert_eq!(samples.map(|sample| sample.is_first()), [true, false, false]);
    }

    #[test]
    fn a_sample_makes_no_more_room_than_a_sixth_of_the_memory() {
        let (told, plain) = sampled(1, 8 << 20);
        assert!(told - plain <= (8 << 20) / 6, "{told}, {plain}");
        assert!(told - plain > 0, "{told}");
    }
}
