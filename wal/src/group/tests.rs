use std::path::Path;

use super::*;
use crate::format::checksum::{Binding, StoreId};
use crate::format::frame::{FRAME_HEADER_BYTES, decode};
use crate::format::group::decode_ends;
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::options::Durability::{Buffered, Synced};
use crate::segment::file::Access;
use crate::segment::fill::Fill;
use crate::segment::name::LOG_DIR;
use crate::sim::SimDisk;
use crate::vfs::Vfs as _;

const BLOCK: u64 = BLOCK_BYTES;

fn segment(base: u64, blocks: u64) -> Arc<Segment> {
    let disk = SimDisk::memory();
    let root = Path::new("/store");
    disk.create_dir(&root.join(LOG_DIR)).unwrap();
    let header = SegmentHeader {
        kind: SegmentKind::Log,
        store: StoreId([6; 16]),
        base: Lsn::new(1, base * BLOCK),
        capacity: blocks * BLOCK,
        number: base + 100,
        created_us: 0,
        generation: 0,
        end: Lsn::NONE,
    };
    Arc::new(Segment::prepare(&disk, root, &header, Fill::Allocate, Access::Pread, &mut || ()).unwrap())
}

fn binding(base: u64) -> Binding {
    Binding::new(StoreId([6; 16]), base + 100)
}

fn block(n: u64) -> Lsn {
    Lsn::new(1, n * BLOCK)
}

/// A record that takes `bytes` bytes in the log.
fn frame(bytes: u64) -> Frame {
    let head = vec![7; bytes as usize - FRAME_HEADER_BYTES];
    Frame::record(&head, &[]).unwrap()
}

fn active(blocks: u64) -> Sequencer {
    Sequencer::new(block(0), Some(segment(0, blocks)), Vec::new())
}

const GROUP: u64 = GROUP_FRAME_BYTES as u64;

#[test]
fn records_of_one_group_stand_behind_one_another_and_share_one_frame_of_the_group() {
    let mut log = active(16);
    let one = log.push(&mut frame(100), Synced).unwrap();
    let two = log.push(&mut frame(50), Synced).unwrap();
    assert_eq!((one.lsn, one.end), (Lsn::new(1, GROUP), Lsn::new(1, GROUP + 100)));
    assert_eq!((two.lsn, two.end), (one.end, Lsn::new(1, GROUP + 150)));
    assert_eq!(log.tail(), two.end);
    let group = log.take().unwrap();
    assert_eq!((group.start, group.end, group.padded_end()), (block(0), two.end, block(1)));
    assert_eq!((group.frames, group.records, group.record_bytes), (2, 2, 150));
    assert!(group.synced && group.padded && !group.is_mark() && group.predecessor.is_none());
    assert!(!log.has_work() && log.take().is_none());
    assert_eq!(log.tail(), block(1));
}

#[test]
fn frames_are_complete_when_they_are_placed() {
    let mut log = active(64);
    let placed: Vec<_> =
        [20, 40_000, 30, 50_000, 60].map(|bytes| log.push(&mut frame(bytes), Buffered).unwrap()).into();
    let group = log.take().unwrap();
    assert_eq!(
        group.chunks().count(),
        5,
        "large frames are written from where they are, small ones are copied"
    );
    let bytes = group.chunks().collect::<Vec<_>>().concat();
    assert_eq!(bytes.len() as u64, group.end.bytes_since(group.start).unwrap());
    for place in placed {
        let at = place.lsn.bytes_since(group.start).unwrap() as usize;
        let frame = decode(&bytes[at..], place.lsn, binding(0)).unwrap();
        assert_eq!(place.lsn.plus(frame.bytes() as u64), place.end);
    }
}

#[test]
fn synced_group_ends_at_a_boundary_and_a_buffered_one_right_behind_its_last_frame() {
    for (durability, next) in [(Synced, block(1)), (Buffered, Lsn::new(1, GROUP + 100))] {
        let mut log = active(16);
        log.push(&mut frame(100), durability).unwrap();
        assert_eq!(log.take().unwrap().padded_end(), next);
        let behind = log.push(&mut frame(100), durability).unwrap();
        assert_eq!(behind.lsn, next.plus(GROUP));
    }
}

#[test]
fn buffered_records_that_share_a_group_with_a_synced_one_are_synced_and_padded_with_it() {
    let mut log = active(16);
    log.push(&mut frame(100), Buffered).unwrap();
    log.push(&mut frame(100), Synced).unwrap();
    log.push(&mut frame(100), Buffered).unwrap();
    let group = log.take().unwrap();
    assert!(group.synced && group.padded && group.records == 3);
}

#[test]
fn long_run_without_a_boundary_gets_one() {
    let mut log = active(256);
    let mut boundaries = 0;
    for _ in 0..60 {
        log.push(&mut frame(10_000), Buffered).unwrap();
        let group = log.take().unwrap();
        assert!(!group.synced);
        boundaries += u64::from(group.padded);
        assert_eq!(group.padded, group.padded_end().offset().is_multiple_of(BLOCK));
    }
    assert_eq!(boundaries, 600_000 / RUN_BYTES_MAX);
}

#[test]
fn group_that_is_full_is_closed_and_a_larger_record_goes_alone() {
    let mut log = active(4096);
    let half = GROUP_BYTES_MAX / 2;
    log.push(&mut frame(half), Synced).unwrap();
    let second = log.push(&mut frame(half), Synced).unwrap();
    assert_eq!(second.lsn.offset() % BLOCK, GROUP, "a group of its own, at a boundary");
    let alone = log.push(&mut frame(GROUP_BYTES_MAX + 1), Synced).unwrap();
    let after = log.push(&mut frame(20), Synced).unwrap();
    let groups: Vec<_> = std::iter::from_fn(|| log.take()).collect();
    assert_eq!(groups.iter().map(|g| g.records).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert_eq!(groups[2].start.plus(GROUP), alone.lsn);
    assert_eq!(groups[3].start.plus(GROUP), after.lsn);
    for pair in groups.windows(2) {
        assert_eq!(pair[0].padded_end(), pair[1].start, "no gap, no overlap");
    }
}

#[test]
fn next_segment_begins_with_how_the_one_before_it_ended() {
    let mut log = active(4);
    let kept = log.push(&mut frame(2 * BLOCK), Synced).unwrap();
    let first = log.active().unwrap().clone();
    log.set_next(segment(4, 8));
    let placed = log.push(&mut frame(2 * BLOCK), Buffered).unwrap();
    assert!(placed.lsn > block(4) && log.next().is_none());
    assert_eq!(first.end(), Some(block(3)));
    let (before, group) = (log.take().unwrap(), log.take().unwrap());
    assert_eq!(before.padded_end(), block(3));
    assert!(before.end == kept.end && group.start == block(4) && group.frames == 2 && group.records == 1);
    assert_eq!(group.predecessor.as_ref().map(|s| s.base), Some(block(0)));
    let bytes = group.chunks().collect::<Vec<_>>().concat();
    let ends = decode(&bytes[GROUP_FRAME_BYTES..], block(4).plus(GROUP), binding(4)).unwrap();
    assert_eq!(ends.kind, FrameKind::Ends);
    let stated = StatedEnd { base: block(0), generation: 0, end: block(3) };
    assert_eq!(decode_ends(ends.head), Some(vec![stated]));
}

#[test]
fn ends_that_nothing_states_yet_are_stated_once_by_the_first_group_of_the_next_segment() {
    let unstated: Vec<_> =
        (0..3_u32).map(|generation| StatedEnd { base: block(0), generation, end: block(1) }).collect();
    let mut log = Sequencer::new(block(8), None, unstated.clone());
    assert_eq!((log.cut().is_none(), log.mark().is_none(), log.tail()), (true, true, block(8)));
    log.set_next(segment(8, 4));
    log.push(&mut frame(100), Synced).unwrap();
    let group = log.take().unwrap();
    let bytes = group.chunks().collect::<Vec<_>>().concat();
    let ends = decode(&bytes[GROUP_FRAME_BYTES..], block(8).plus(GROUP), binding(8)).unwrap();
    assert_eq!(decode_ends(ends.head), Some(unstated));
    assert!(group.predecessor.is_none());

    log.set_next(segment(12, 4));
    log.push(&mut frame(3 * BLOCK - 200), Synced).unwrap();
    let group = log.take().unwrap();
    let bytes = group.chunks().collect::<Vec<_>>().concat();
    let ends = decode(&bytes[GROUP_FRAME_BYTES..], block(12).plus(GROUP), binding(12)).unwrap();
    let stated = StatedEnd { base: block(8), generation: 0, end: block(9) };
    assert_eq!(decode_ends(ends.head), Some(vec![stated]));
}

/// All that may not change where there is no room.
fn state(log: &Sequencer) -> (Lsn, [Vec<Lsn>; 2], Vec<StatedEnd>) {
    let places =
        |s: Option<&Arc<Segment>>| s.into_iter().flat_map(|s| [Some(s.base), s.end()]).flatten().collect();
    (log.tail(), [places(log.active()), places(log.next())], log.unstated.clone())
}

#[test]
fn no_room_changes_nothing_and_the_frame_is_placed_once_there_is_room() {
    for next in [None, Some(2)] {
        for open in [false, true] {
            let mut log = active(4);
            log.push(&mut frame(100), Synced).unwrap();
            if !open {
                log.take().unwrap();
            }
            if let Some(blocks) = next {
                log.set_next(segment(4, blocks));
            }
            let mut large = frame(3 * BLOCK);
            let before = state(&log);
            let needed = log.room_for(large.len() as u64);
            assert!(!log.has_room(large.len() as u64));
            assert_eq!(log.push(&mut large, Synced), Err(NoRoom));
            assert_eq!(large.len() as u64, 3 * BLOCK, "the frame still has its bytes");
            assert_eq!(state(&log), before);
            assert_eq!(
                log.push(&mut frame(20), Synced).unwrap().lsn,
                if open { before.0 } else { block(1).plus(GROUP) }
            );
            log.take_next();
            log.set_next(segment(4, needed / BLOCK));
            let ends = FRAME_HEADER_BYTES as u64 + 8 + 24;
            assert_eq!(log.push(&mut large, Synced).unwrap().end, block(4).plus(GROUP + ends + 3 * BLOCK));
        }
    }
}

#[test]
fn room_that_is_said_to_be_there_is_there_for_every_size() {
    for next in [0, 2, 3, 5] {
        for used in [0, 1, 2] {
            for open in [false, true] {
                for bytes in
                    (16..6 * BLOCK).step_by(97).chain((1..6).flat_map(|n| n * BLOCK - 60..n * BLOCK + 60))
                {
                    let mut log = active(4);
                    for _ in 0..used {
                        log.push(&mut frame(100), Synced).unwrap();
                        log.take().unwrap();
                    }
                    if open {
                        log.push(&mut frame(30), Buffered).unwrap();
                    }
                    if next > 0 {
                        log.next = Some(prepared(next));
                    }
                    let said = log.has_room(bytes);
                    let done = log.push(&mut frame(bytes), Buffered);
                    assert!(!said || done.is_ok(), "{bytes} bytes, {used} blocks used, next of {next}");
                    if let Ok(placed) = done {
                        let segment = log.active().unwrap();
                        assert!(placed.end <= segment.capacity_end().checked_add(0).unwrap());
                        assert!(
                            placed.end.bytes_since(segment.base).unwrap() <= segment.capacity - BLOCK,
                            "the mark's"
                        );
                    }
                }
            }
        }
    }
}

/// Segments behind the first, made once: each case only reads what they say of themselves.
fn prepared(blocks: u64) -> Arc<Segment> {
    use std::sync::OnceLock;
    static MADE: [OnceLock<Arc<Segment>>; 8] = [const { OnceLock::new() }; 8];
    MADE[blocks as usize].get_or_init(|| segment(4, blocks)).clone()
}

#[test]
fn cut_ends_an_open_group_at_a_boundary_and_needs_nothing_where_there_is_one() {
    let mut log = active(16);
    assert_eq!(log.cut().map(|(at, _)| at), Some(block(0)), "at a boundary already");
    assert!(!log.has_work());
    log.push(&mut frame(100), Buffered).unwrap();
    assert_eq!(log.cut().map(|(at, _)| at), Some(block(1)));
    let group = log.take().unwrap();
    assert!(group.padded && !group.synced && group.records == 1);
}

#[test]
fn cut_puts_a_mark_behind_a_buffered_group_that_is_closed() {
    let mut log = active(16);
    log.push(&mut frame(100), Buffered).unwrap();
    log.take().unwrap();
    assert_eq!(log.cut().map(|(at, _)| at), Some(block(1)));
    let mark = log.take().unwrap();
    assert!(mark.is_mark() && mark.padded && mark.start == Lsn::new(1, GROUP + 100));
    assert_eq!(log.tail(), block(1));
}

#[test]
fn mark_takes_a_block_of_its_own_only_where_nothing_waits() {
    let mut log = active(4);
    log.push(&mut frame(100), Synced).unwrap();
    assert!(log.mark().is_none(), "something waits");
    log.take().unwrap();
    assert_eq!(log.mark().map(|(end, _)| end), Some(block(2)));
    let mark = log.take().unwrap();
    assert_eq!((mark.start, mark.end, mark.frames), (block(1), block(1).plus(GROUP), 0));
    log.push(&mut frame(100), Buffered).unwrap();
    log.take().unwrap();
    assert!(log.mark().is_none(), "not at a boundary");
}

#[test]
fn last_block_of_a_segment_is_kept_for_a_mark_and_used_once() {
    let mut log = active(2);
    log.push(&mut frame(BLOCK - GROUP), Synced).unwrap();
    assert_eq!(log.push(&mut frame(20), Synced), Err(NoRoom));
    log.take().unwrap();
    assert_eq!(log.mark().map(|(end, _)| end), Some(block(2)));
    log.take().unwrap();
    assert!(log.mark().is_none());
    log.set_next(segment(2, 4));
    log.push(&mut frame(20), Synced).unwrap();
    assert_eq!(log.take().unwrap().start, block(2));
}

#[test]
fn buffer_of_a_written_group_is_used_for_the_next() {
    let mut log = active(64);
    log.push(&mut frame(5000), Synced).unwrap();
    let buffer = log.take().unwrap().first;
    let place = buffer.as_ptr();
    log.reuse(buffer);
    log.push(&mut frame(1000), Synced).unwrap();
    let group = log.take().unwrap();
    assert_eq!(group.first.as_ptr(), place);
    assert!(group.first[..GROUP_FRAME_BYTES].iter().all(|&b| b == 0), "nothing of the former group is left");
    assert_eq!(group.first.len() as u64, GROUP + 1000);
}

#[test]
fn bytes_of_a_placed_record_are_found_whatever_stands_beside_it() {
    let sizes = [100, 5_000, 40 << 10, 200, 50 << 10, 60 << 10, 30];
    let mut log = active(1 << 10);
    let placed: Vec<(Lsn, Vec<u8>)> = sizes
        .into_iter()
        .map(|bytes| {
            let mut frame = frame(bytes);
            let lsn = log.push(&mut frame, Synced).unwrap().lsn;
            (lsn, frame.bytes().to_vec())
        })
        .collect();
    let mut group = log.take().unwrap();
    for what in ["without its padding", "padded"] {
        if what == "padded" {
            group.pad();
        }
        for (lsn, bytes) in &placed {
            for (from, len) in [(0, bytes.len()), (0, 1), (7, 16), (bytes.len() - 1, 1), (bytes.len(), 0)] {
                let found = group.bytes_at(lsn.plus(from as u64), len).unwrap();
                assert_eq!(found, bytes[from..from + len], "{len} from {from} of {}, {what}", bytes.len());
            }
        }
        for (at, len) in
            [(group.start.plus(group.padded_end().raw() - group.start.raw()), 1), (block(2_000), 1)]
        {
            assert_eq!(group.bytes_at(at, len), None, "{what}");
        }
        assert_eq!(group.bytes_at(placed[2].0, (40 << 10) + 1), None, "another record follows");
        assert_eq!(group.bytes_at(placed[6].0, usize::MAX), None);
    }
    assert_eq!(group.chunks().map(<[u8]>::len).sum::<usize>() as u64 % BLOCK, 0);
}
