//! A packed segment: the same records as in `closed`, packed but for what went, read as they were written and drawn anew,
//! by the picture of `wal/README.md`, to the last byte.

use std::ops::ControlFlow;
use std::path::Path;

use savehold_wal::format::checksum::{Binding, Unplaced};
use savehold_wal::format::header::{SegmentHeader, SegmentKind};
use savehold_wal::format::packed::{DirectoryEntry, Footer, PackedRef, decode_directory};
use savehold_wal::segment::file::Access;
use savehold_wal::sim::Sim;
use savehold_wal::{Judged, Lsn, Options, Packing, Stay, Wal};

use crate::opening::held_by;
use crate::{copy, golden, script, segments, table};

const NOTE: &[u8] = b"the note of the layer above";

/// `closed` without one record, and one part of another under a shorter head.
fn held() -> Vec<table::Held> {
    let mut held = table::closed();
    held.retain(|record| record.head != b"no body");
    let parts = held.iter_mut().find(|record| record.head == b"three parts").expect("it is there");
    (parts.head, parts.parts) = (b"one part".to_vec(), vec![b"three".to_vec()]);
    held
}

fn packed(sim: &mut Sim) {
    script::closed(sim);
    let log = script::open(sim);
    let judged = Judged { at: log.durable(), number: 7, note: NOTE };
    let packing = Packing { from: Lsn::NONE, to: Lsn::MAX, judged };
    let done = log.pack(
        packing,
        |record| match record.head {
            b"no body" => Ok(Stay::Nothing),
            b"three parts" => Ok(Stay::Parts { head: b"one part".to_vec(), parts: vec![record.parts[2].0] }),
            _ => Ok(Stay::Whole),
        },
        |_| ControlFlow::Continue(()),
    );
    assert_eq!(done.expect("the machine is healthy").map(|done| done.dropped), Some(1));
    log.close().expect("the machine is healthy");
}

#[test]
fn script_writes_what_the_table_says() {
    let mut sim = Sim::new(3);
    packed(&mut sim);
    script::write(&mut sim, "packed");
    assert_eq!(held_by(&script::open(&mut sim)), held());
}

#[test]
fn packed_log_holds_exactly_its_records_with_their_addresses() {
    for access in [Access::Mapped, Access::Pread] {
        let (_dir, root) = copy("packed");
        let log = Wal::open_with(root, Options { access, ..Options::default() }).expect("a golden log opens");
        assert!(log.report().clean, "{}", log.report());
        assert_eq!(held_by(&log), held());
        assert_eq!(log.judgement().expect("not damaged"), Some((7, NOTE.to_vec())));
        let three: Lsn = "2192.16480".parse().expect("a place");
        let offset = 16 + 11 + (8 + 3) + 8; // its header, its head as first written, the parts before it
        assert_eq!(log.read_part(three, offset, 5).expect("not damaged"), &b"three"[..]);
        let gone: Lsn = "2192.4144".parse().expect("a place");
        assert_eq!(log.read_head(gone).unwrap_err().kind(), savehold_wal::ErrorKind::Gone);
    }
}

#[test]
fn packed_segment_is_drawn_anew_from_its_values_to_the_last_byte() {
    let packed = |path: &Path| {
        let file = std::fs::read(path).expect("golden files are committed");
        let header = SegmentHeader::decode(&file).expect("a good header");
        (header.kind == SegmentKind::Packed).then_some((header, file))
    };
    let (header, file) = segments("packed").iter().find_map(|path| packed(path)).expect("it is there");
    let (binding, last) = (header.binding(), file.len() - 4096);
    let footer = Footer::decode(&file[last..], last as u64, binding).expect("a good footer");
    let (mut drawn, mut entries) = (header.encode(), Vec::new());
    while (drawn.len() as u64) < footer.frames_end {
        let record = PackedRef::decode(&file[drawn.len()..], binding).expect("a good record");
        entries.push(DirectoryEntry { lsn: record.lsn, at: drawn.len() as u64 });
        drawn.extend(frame(&record, binding));
    }
    drawn.resize(drawn.len().next_multiple_of(4096), 0);
    let at = drawn.len();
    assert_eq!(decode_directory(&file[at..at + 4096], at as u64, binding), Ok(entries.clone()));
    drawn.extend(block(&directory(&entries), at, binding));
    drawn.extend_from_slice(NOTE);
    drawn.resize(drawn.len().next_multiple_of(4096), 0);
    let mut end = b"SAVEPACK".to_vec();
    end.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    let words = [footer.judged.raw(), 7, entries.len() as u64, 1, footer.frames_end, 1];
    words.iter().for_each(|word| end.extend_from_slice(&word.to_le_bytes()));
    end.extend_from_slice(&u32::try_from(NOTE.len()).expect("small").to_le_bytes());
    end.extend_from_slice(&crc32fast::hash(NOTE).to_le_bytes());
    let newest = entries.last().expect("it was kept").lsn;
    end.extend_from_slice(&(newest.raw() + 1).to_le_bytes());
    drawn.extend(block(&end, drawn.len(), binding));
    assert!(drawn == file, "the file differs from what its values draw");
    assert!(golden("packed").join("MANIFEST").is_file());
}

/// What stays of a record, field by field.
fn frame(record: &PackedRef<'_>, binding: Binding) -> Vec<u8> {
    let (mut places, mut body) = (Vec::new(), Vec::new());
    for (offset, part) in record.parts() {
        let part = part.expect("not damaged");
        places.extend_from_slice(&offset.to_le_bytes());
        places.extend_from_slice(&u32::try_from(body.len()).expect("small").to_le_bytes());
        body.extend_from_slice(&Unplaced::of(part).part_at(record.lsn, offset).to_le_bytes());
        body.extend_from_slice(&u32::try_from(part.len()).expect("small").to_le_bytes());
        body.extend_from_slice(part);
    }
    let mut head = record.lsn.raw().to_le_bytes().to_vec();
    head.extend_from_slice(&record.time_us.to_le_bytes());
    head.extend_from_slice(&record.body_offset.to_le_bytes());
    head.extend_from_slice(&u32::try_from(places.len() / 8).expect("small").to_le_bytes());
    head.extend_from_slice(&places);
    head.extend_from_slice(record.head);
    let mut covered = u32::try_from(head.len()).expect("small").to_le_bytes().to_vec();
    covered.extend_from_slice(&u32::try_from(body.len()).expect("small").to_le_bytes());
    covered.extend_from_slice(&[5, 0, 0, 0]);
    covered.extend_from_slice(&head);
    let crc = Unplaced::of(&covered).frame_at(record.lsn, binding);
    [&crc.to_le_bytes()[..], &covered, &body].concat()
}

fn directory(entries: &[DirectoryEntry]) -> Vec<u8> {
    let mut bytes = u64::try_from(entries.len()).expect("small").to_le_bytes().to_vec();
    for entry in entries {
        bytes.extend_from_slice(&entry.lsn.raw().to_le_bytes());
        bytes.extend_from_slice(&entry.at.to_le_bytes());
    }
    bytes
}

/// A block at an offset of the file, with its checksum.
fn block(bytes: &[u8], offset: usize, binding: Binding) -> Vec<u8> {
    let mut block = bytes.to_vec();
    block.resize(4092, 0);
    let crc = Unplaced::of(&block).frame_at(Lsn::from_raw(offset as u64), binding);
    block.extend_from_slice(&crc.to_le_bytes());
    block
}
