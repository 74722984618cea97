use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::draw::Draw;
use crate::env::{Env, SimEntropy, Threads};
use crate::format::frame::Frame;
use crate::log::Log;
use crate::open::open;
use crate::options::{Durability, Options};
use crate::place::Urgency;
use crate::scan::pieces::join;
use crate::scan::skim;
use crate::segment::file::Access;
use crate::sim::{SimClock, SimDisk};

/// A log of records of all sizes, with heads and parts longer than the windows below.
fn written(seed: u64) -> (SimDisk, Arc<Log>) {
    let disk = SimDisk::new(seed);
    let env = Env {
        vfs: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::default()),
        entropy: Arc::new(SimEntropy::new(seed)),
        threads: Threads::None,
    };
    let options = Options {
        access: Access::Pread,
        segment_bytes_min: 64 << 10,
        segment_bytes_max: 128 << 10,
        ..Options::default()
    };
    let (log, _) = open(env, Path::new("/store"), options).unwrap();
    let mut draw = Draw::from_seed(seed);
    for _ in 0..60 {
        let mut bytes = || {
            let most = [90, 3_000, 30_000][draw.below(3) as usize];
            vec![7; draw.below(most) as usize]
        };
        let (head, one, two) = (bytes(), bytes(), bytes());
        let parts: &[&[u8]] = &[&one, &two];
        let mut frame = Frame::record(&head, &parts[..draw.below(3) as usize]).unwrap();
        let durability = if draw.below(2) == 0 { Durability::Synced } else { Durability::Buffered };
        let placed = log.append(&mut frame, durability, Urgency::Ordinary).unwrap();
        if draw.below(4) > 0 {
            log.wait(placed).unwrap();
        }
    }
    log.sync_placed().unwrap();
    (disk, log)
}

/// Frames as a walk hands them out: place, kind, bytes of head.
type Frames = Vec<(Lsn, FrameKind, Vec<u8>)>;

fn walked(window: &mut Window<'_>, group: GroupAt, verify: Verify) -> (Frames, Result<(), Lsn>) {
    let mut frames = Vec::new();
    let end = window.walk(group, verify, |lsn, kind, head| frames.push((lsn, kind, head.to_vec()))).unwrap();
    (frames, end)
}

/// What a segment says that is skimmed in pieces of `bytes`.
fn in_pieces(window: &mut Window<'_>, segment: &Segment, bytes: u64) -> Option<Skim> {
    let (mut pieces, end) = (Vec::new(), segment.capacity_end());
    let mut at = segment.base;
    while at < end {
        let to = at.plus(bytes).min(end);
        pieces.push(window.skim_piece(at..to, |_| {}).unwrap());
        at = to;
    }
    join(segment.base, &pieces)
}

/// What a window shows is what the whole segment shows.
fn compare(segment: &Segment, step: usize) {
    let mut data = vec![0; segment.there() as usize];
    segment.read_into(&mut data, segment.base).unwrap();
    let span = Span { base: segment.base, binding: segment.binding, data: &data };
    let mut window = Window::over(segment, segment.capacity_end(), None, step, Vec::new());
    let whole = skim(&span);
    assert_eq!(window.skim(|_| {}).unwrap(), whole);
    for blocks in [1, 2, 3, 7] {
        let joined = in_pieces(&mut window, segment, blocks * BLOCK_BYTES);
        assert_eq!(joined.unwrap_or(whole), whole, "in pieces of {blocks} blocks");
        assert!(joined.is_some() || whole.groups_behind > 0, "in pieces of {blocks} blocks");
    }
    assert_eq!(window.stated_ends().unwrap(), span.stated_ends());
    for block in 0..segment.there() / BLOCK_BYTES {
        let at = segment.base.plus(block * BLOCK_BYTES);
        assert_eq!(window.group(at).unwrap(), span.group(at).ok());
    }
    for group in span.groups(segment.base) {
        for verify in [Verify::Heads, Verify::Bodies] {
            let mut frames = Frames::new();
            let end =
                span.walk(group, verify, |lsn, frame| frames.push((lsn, frame.kind, frame.head.to_vec())));
            assert_eq!(walked(&mut window, group, verify), (frames, end), "{group:?}");
        }
    }
    let longest = 30_000 + FRAME_HEADER_BYTES; // a head is handed out whole
    assert!(window.into_buf().len() <= step.max(longest));
}

#[test]
fn a_window_shows_what_the_whole_segment_shows() {
    for seed in 0..4 {
        let (_, log) = written(seed);
        for segment in log.segments.read().iter() {
            for step in [GLANCE_BYTES, 5_000, 33_333, WINDOW_BYTES] {
                compare(segment, step);
            }
        }
    }
}

#[test]
fn damage_shows_at_the_same_place_through_a_window() {
    let (disk, log) = written(9);
    let mut draw = Draw::from_seed(9);
    let mut behind = 0;
    for segment in log.segments.read().iter() {
        for n in 0..8 {
            let mut byte = segment.file_offset(segment.base) + draw.below(segment.there());
            let mut data = vec![0; segment.there() as usize];
            segment.read_into(&mut data, segment.base).unwrap();
            let span = Span { base: segment.base, binding: segment.binding, data: &data };
            let groups: Vec<_> = span.groups(segment.base).collect();
            if n % 2 == 1 && !groups.is_empty() {
                // where a skim looks
                byte = segment.file_offset(groups[draw.below(groups.len() as u64) as usize].lsn)
                    + draw.below(24);
            }
            disk.flip_bit(&segment.path, byte, draw.below(8) as u8).unwrap();
            compare(segment, 5_000);
            let mut window = Window::over(segment, segment.capacity_end(), None, 5_000, Vec::new());
            behind += window.skim(|_| {}).unwrap().groups_behind;
        }
    }
    assert!(behind > 0, "groups behind the end of a chain were met");
}

#[test]
fn pieces_of_a_mapped_segment_tell_what_the_whole_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(Env::os(), dir.path(), Options::default()).unwrap();
    let mut draw = Draw::from_seed(1);
    for _ in 0..2_000 {
        let head = vec![7; draw.below(600) as usize];
        let durability = if draw.below(50) == 0 { Durability::Synced } else { Durability::Buffered };
        let placed = log.append(&mut Frame::record(&head, &[]).unwrap(), durability, Urgency::Ordinary);
        log.wait(placed.unwrap()).unwrap();
    }
    let mut groups = 0;
    for segment in log.segments.read().iter() {
        let mut window = Window::new(segment, segment.capacity_end(), WINDOW_BYTES, Vec::new()).unwrap();
        assert!(window.whole().is_some());
        let whole = window.skim(|_| {}).unwrap();
        for blocks in [1, 5, 16] {
            assert_eq!(in_pieces(&mut window, segment, blocks * BLOCK_BYTES), Some(whole), "{blocks} blocks");
        }
        groups += whole.groups;
    }
    assert!(groups > 1_900, "{groups}");
}

#[test]
fn bytes_behind_the_end_are_not_looked_at() {
    let (_, log) = written(3);
    let segment = log.segments.read()[0].clone();
    let span_end = segment.base.plus(2 * BLOCK_BYTES);
    let mut window = Window::over(&segment, span_end, None, GLANCE_BYTES, Vec::new());
    assert_eq!(window.span(segment.base, usize::MAX).unwrap().data.len() as u64, 2 * BLOCK_BYTES);
    assert!(window.span(span_end, 100).unwrap().from(span_end).is_empty());
    assert_eq!(window.group(span_end).unwrap(), None);
}
