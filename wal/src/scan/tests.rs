use super::*;
use crate::format::checksum::StoreId;
use crate::format::frame::{FRAME_HEADER_BYTES, Frame, put_own};
use crate::format::group::encode_ends;

const BASE: Lsn = Lsn::new(2, 65_536);

fn binding() -> Binding {
    Binding::new(StoreId([8; 16]), 4711)
}

/// A small segment's data, written group by group as the log does.
struct Written {
    data: Vec<u8>,
    /// Every record: its place and its bytes.
    records: Vec<(Lsn, Vec<u8>)>,
    /// Every group: its place and the place behind it.
    groups: Vec<(Lsn, Lsn)>,
    durable: Lsn,
}

impl Written {
    fn new() -> Self {
        Self { data: Vec::new(), records: Vec::new(), groups: Vec::new(), durable: BASE }
    }

    fn at(&self) -> Lsn {
        BASE.plus(self.data.len() as u64)
    }

    fn group(&mut self, frames: Vec<Frame>, padded: bool) {
        self.group_after(None, frames, padded);
    }

    fn own(&mut self, kind: FrameKind, head: &[u8]) {
        let (lsn, start) = (self.at(), self.data.len());
        self.data.resize(start + FRAME_HEADER_BYTES + head.len(), 0);
        put_own(&mut self.data[start..], kind, head, lsn, binding());
    }

    fn group_after(&mut self, ends: Option<&[StatedEnd]>, frames: Vec<Frame>, padded: bool) {
        let start = self.at();
        let stated = ends.map_or(0, |ends| FRAME_HEADER_BYTES + encode_ends(ends).len());
        let bytes = GROUP_FRAME_BYTES + stated + frames.iter().map(Frame::len).sum::<usize>();
        let head = GroupHead {
            durable_through: self.durable,
            time_us: 100 + self.groups.len() as u64,
            bytes: bytes as u32,
            frames: frames.len() as u32 + u32::from(ends.is_some()),
            padded,
            mark: frames.is_empty(),
        };
        self.own(FrameKind::Group, &head.encode());
        if let Some(ends) = ends {
            self.own(FrameKind::Ends, &encode_ends(ends));
        }
        for mut frame in frames {
            let lsn = self.at();
            frame.place(lsn, binding());
            self.records.push((lsn, frame.bytes().to_vec()));
            self.data.extend_from_slice(frame.bytes());
        }
        if padded {
            self.data.resize(self.data.len().next_multiple_of(BLOCK_BYTES as usize), 0);
            self.durable = self.at();
        }
        self.groups.push((start, self.at()));
    }

    fn span<'a>(&self, data: &'a [u8]) -> Span<'a> {
        Span { base: BASE, binding: binding(), data }
    }
}

fn record(head: &[u8], parts: &[&[u8]]) -> Frame {
    Frame::record(head, parts).unwrap()
}

/// Ends and two records, synced; two buffered groups without padding; a synced group; a mark; then nothing.
fn small() -> Written {
    let mut log = Written::new();
    log.group_after(
        Some(&[StatedEnd { base: Lsn::new(2, 0), generation: 1, end: BASE }]),
        vec![record(b"one", &[b"body of one"]), record(b"two", &[])],
        true,
    );
    log.group(vec![record(b"three", &[b"", b"second part"])], false);
    log.group(vec![record(b"four", &[b"x"])], false);
    log.group(vec![record(b"five", &[b"the last body"])], true);
    log.group(vec![], true);
    log.data.resize(5 * BLOCK_BYTES as usize, 0);
    log
}

/// Everything that reading front to back and behind damage hands out.
fn read(span: &Span<'_>, verify: Verify) -> Vec<(Lsn, Vec<u8>)> {
    let mut records = Vec::new();
    let mut walk = |group| {
        _ = span.walk(group, verify, |lsn, frame| {
            if frame.kind == FrameKind::Record {
                let bytes = frame.bytes();
                records.push((lsn, span.from(lsn)[..bytes].to_vec()));
            }
        });
    };
    let mut chain = span.groups(span.base);
    chain.by_ref().for_each(&mut walk);
    span.probe(chain.at()).for_each(walk);
    records
}

#[test]
fn undamaged_span_is_read_as_it_was_written() {
    let log = small();
    let span = log.span(&log.data);
    assert_eq!(read(&span, Verify::Bodies), log.records);
    assert_eq!(
        span.groups(BASE).map(|g| g.lsn).collect::<Vec<_>>(),
        log.groups.iter().map(|g| g.0).collect::<Vec<_>>()
    );
    let end = log.groups.last().unwrap().1;
    assert_eq!(first_bad(&span, BASE), end);
    let expected = Skim {
        groups: 5,
        chain_end: end,
        groups_behind: 0,
        durable_through: BASE.plus(2 * BLOCK_BYTES),
        time_us: 104,
    };
    assert_eq!(skim(&span), expected);
    let stated = StatedEnd { base: Lsn::new(2, 0), generation: 1, end: BASE };
    assert_eq!(span.stated_ends(), Some(vec![stated]));
}

#[test]
fn nothing_written_is_nothing_found() {
    for data in [&[][..], &[0; 10], &[0; 8192]] {
        let span = Span { base: BASE, binding: binding(), data };
        let nothing =
            Skim { groups: 0, chain_end: BASE, groups_behind: 0, durable_through: Lsn::NONE, time_us: 0 };
        assert_eq!(skim(&span), nothing);
        assert_eq!(first_bad(&span, BASE), BASE);
        assert_eq!(span.stated_ends(), None);
        assert_eq!(span.group(BASE), Err(Bad::Nothing));
    }
}

#[test]
fn places_outside_the_span_hold_nothing() {
    let log = small();
    let span = log.span(&log.data);
    for lsn in [Lsn::NONE, Lsn::new(2, 0), BASE.plus(span.data.len() as u64), Lsn::new(3, 65_536), Lsn::MAX] {
        assert!(span.from(lsn).is_empty(), "{lsn}");
        assert_eq!(span.group(lsn), Err(Bad::Nothing), "{lsn}");
        assert_eq!(span.probe(lsn).count(), if lsn < BASE && lsn.timeline() == 2 { 3 } else { 0 }, "{lsn}");
    }
}

#[test]
fn no_flipped_bit_makes_anything_be_read_that_was_not_written() {
    let log = small();
    let written = |(lsn, bytes): &(Lsn, Vec<u8>)| log.records.contains(&(*lsn, bytes.clone()));
    let used = (log.groups.last().unwrap().1.bytes_since(BASE).unwrap() - BLOCK_BYTES + 64) as usize;
    let mut data = log.data.clone();
    for bit in 0..used * 8 {
        data[bit / 8] ^= 1 << (bit % 8);
        let (span, at) = (log.span(&data), BASE.plus(bit as u64 / 8));
        let found = read(&span, Verify::Bodies);
        assert!(found.iter().all(written), "bit {bit}");
        let before = log.records.iter().take_while(|(lsn, bytes)| lsn.plus(bytes.len() as u64) <= at);
        assert!(before.clone().all(|record| found.contains(record)), "bit {bit} took a record before it");
        let hit = log.records.iter().any(|(lsn, bytes)| *lsn <= at && at < lsn.plus(bytes.len() as u64));
        let bad = first_bad(&span, BASE);
        assert!(bad <= log.groups.last().unwrap().1);
        if hit {
            let start = log.records.iter().rev().find(|(lsn, _)| *lsn <= at).unwrap().0;
            assert_eq!(bad, start, "bit {bit}: the record that it is in is the first bad place");
        }
        let skim = skim(&span);
        assert!(skim.durable_through <= BASE.plus(2 * BLOCK_BYTES) && skim.time_us <= 104, "bit {bit}");
        data[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn no_truncation_makes_anything_be_read_that_was_not_written() {
    let log = small();
    for len in 0..log.data.len() {
        let span = log.span(&log.data[..len]);
        let end = BASE.plus(len as u64);
        let expected: Vec<_> = {
            let whole = |(start, next): &&(Lsn, Lsn)| {
                let head = log.span(&log.data).group(*start).unwrap().head;
                start.plus(u64::from(head.bytes)) <= end && *start < *next
            };
            let last = log.groups.iter().take_while(whole).last().map_or(BASE, |g| g.1);
            log.records.iter().filter(|(lsn, _)| *lsn < last).cloned().collect()
        };
        assert_eq!(read(&span, Verify::Bodies), expected, "{len} bytes");
        assert!(first_bad(&span, BASE) <= log.groups.last().unwrap().1);
    }
}

#[test]
fn groups_behind_damage_are_found_where_a_sync_ended_and_speak() {
    let log = small();
    let mut data = log.data.clone();
    data[..512].fill(0); // the first sector is gone
    let span = log.span(&data);
    let skim = skim(&span);
    assert_eq!((skim.groups, skim.chain_end), (0, BASE));
    assert_eq!(skim.groups_behind, 2, "the group after the first sync, and the mark; not those in between");
    assert_eq!(skim.durable_through, BASE.plus(2 * BLOCK_BYTES));
    assert_eq!(span.stated_ends(), None);
}

#[test]
fn bad_body_is_passed_by_where_heads_are_enough_and_found_where_they_are_not() {
    let log = small();
    let (lsn, bytes) = &log.records[0];
    let mut data = log.data.clone();
    data[lsn.bytes_since(BASE).unwrap() as usize + bytes.len() - 1] ^= 1;
    let span = log.span(&data);
    let group = span.group(BASE).unwrap();
    let mut heads = Vec::new();
    assert_eq!(span.walk(group, Verify::Heads, |_, frame| heads.push(frame.head.to_vec())), Ok(()));
    assert_eq!(heads[1..], [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(span.walk(group, Verify::Bodies, |_, _| {}), Err(*lsn));
    assert_eq!(first_bad(&span, BASE), *lsn);
}

#[test]
fn group_that_says_it_is_longer_than_the_span_is_no_group() {
    let log = small();
    let head = log.span(&log.data).group(BASE).unwrap().head;
    let span = log.span(&log.data[..head.bytes as usize - 1]);
    assert_eq!(span.group(BASE), Err(Bad::Length));
}

#[test]
fn records_own_bytes_are_never_taken_for_groups() {
    let mut inner = Written::new();
    inner.group(vec![record(b"forged", &[])], true);
    let mut log = Written::new();
    let body = inner.data.repeat(4); // whole blocks of another log, inside a record
    log.group(vec![record(b"outer", &[&vec![0; BLOCK_BYTES as usize - 48 - 16 - 5 - 8 - 8], &body])], true);
    let mut data = log.data.clone();
    data[0] ^= 1;
    let span = log.span(&data);
    assert_eq!(span.from(BASE.plus(BLOCK_BYTES))[..4096], inner.data[..4096], "they stand at boundaries");
    assert_eq!(skim(&span).groups_behind, 0);
    assert!(read(&span, Verify::Heads).is_empty());
}

#[test]
fn span_up_to_the_end_of_its_timeline_is_read_without_overflow() {
    let base = Lsn::new(u16::MAX, (Lsn::OFFSET_MAX / BLOCK_BYTES - 1) * BLOCK_BYTES);
    for bytes in [0, 4096, 8192, 12_288] {
        let data = vec![0; bytes];
        let span = Span { base, binding: binding(), data: &data };
        assert_eq!(skim(&span).groups_behind, 0);
        assert_eq!(first_bad(&span, base), base);
    }
}
