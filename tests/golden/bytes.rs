//! Golden files are drawn anew from what was read of them, by the pictures of `wal/README.md`, and must come out the
//! same to the last byte. Only the checksum function is the library's.

use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, Unplaced};
use savehold_wal::format::frame::FrameKind;
use savehold_wal::format::group::{decode_ends, encode_ends};
use savehold_wal::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use savehold_wal::scan::{Span, Verify, first_bad};
use savehold_wal::segment::catalog::Catalog;

use crate::{golden, segments};

/// A frame, field by field.
fn frame(kind: u8, head: &[u8], parts: &[&[u8]], lsn: u64, binding: Binding) -> Vec<u8> {
    let body: usize = parts.iter().map(|part| 8 + part.len()).sum();
    let mut covered = Vec::new();
    covered.extend_from_slice(&u32::try_from(head.len()).expect("small").to_le_bytes());
    covered.extend_from_slice(&u32::try_from(body).expect("small").to_le_bytes());
    covered.extend_from_slice(&[kind, 0, 0, 0]);
    covered.extend_from_slice(head);
    let crc = Unplaced::of(&covered).frame_at(Lsn::from_raw(lsn), binding);
    let mut frame = [&crc.to_le_bytes()[..], &covered].concat();
    for part in parts {
        let offset = u32::try_from(frame.len()).expect("small");
        let crc = Unplaced::of(part).part_at(Lsn::from_raw(lsn), offset);
        frame.extend_from_slice(&crc.to_le_bytes());
        frame.extend_from_slice(&u32::try_from(part.len()).expect("small").to_le_bytes());
        frame.extend_from_slice(part);
    }
    frame
}

/// The head of a group's own frame, field by field.
fn group_head(head: &savehold_wal::format::group::GroupHead) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&head.durable_through.raw().to_le_bytes());
    bytes.extend_from_slice(&head.time_us.to_le_bytes());
    bytes.extend_from_slice(&head.bytes.to_le_bytes());
    bytes.extend_from_slice(&head.frames.to_le_bytes());
    bytes.extend_from_slice(&(u32::from(head.padded) | u32::from(head.mark) << 1).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// The data of a segment, drawn anew from its groups and frames.
fn drawn(span: &Span<'_>) -> Vec<u8> {
    let mut data = Vec::new();
    for group in span.groups(span.base) {
        assert_eq!(group.lsn.raw(), span.base.raw() + data.len() as u64, "groups stand behind one another");
        let start = data.len();
        data.extend(frame(1, &group_head(&group.head), &[], group.lsn.raw(), span.binding));
        let mut frames = 0;
        let walked = span.walk(group, Verify::Bodies, |lsn, found| {
            let parts: Vec<&[u8]> = found.parts(lsn).map(|part| part.expect("verified").1).collect();
            assert_eq!(lsn.raw(), span.base.raw() + data.len() as u64);
            assert_ne!(found.kind, FrameKind::Group);
            data.extend(frame(found.kind as u8, found.head, &parts, lsn.raw(), span.binding));
            frames += 1;
        });
        assert_eq!(walked, Ok(()));
        assert_eq!((group.head.bytes as usize, group.head.frames), (data.len() - start, frames));
        if group.head.padded {
            data.resize(data.len().next_multiple_of(4096), 0);
        }
    }
    data
}

#[test]
fn every_segment_is_drawn_anew_from_its_values_to_the_last_byte() {
    let mut kinds = Vec::new();
    for name in ["closed", "recovered"] {
        for path in segments(name) {
            let file = std::fs::read(&path).expect("golden files are committed");
            let header = SegmentHeader::decode(&file).expect("a good header");
            assert_eq!(header.encode(), file[..8192], "{}", path.display());
            let span = Span { base: header.base, binding: header.binding(), data: &file[8192..] };
            let mut data = drawn(&span);
            let used = data.len();
            assert_eq!(first_bad(&span, span.base).raw(), span.base.raw() + used as u64);
            data.resize(file.len() - 8192, 0);
            assert!(data == file[8192..], "{} differs from what its values draw", path.display());
            kinds.push((header.kind, used > 0));
            assert_eq!(DATA_OFFSET, 8192);
        }
    }
    for kind in [(SegmentKind::Log, true), (SegmentKind::Log, false), (SegmentKind::Rest, true)] {
        assert!(kinds.contains(&kind), "no golden file is {kind:?}");
    }
}

#[test]
fn header_is_drawn_anew_field_by_field() {
    for path in segments("closed").into_iter().chain(segments("recovered")) {
        let file = std::fs::read(&path).expect("golden files are committed");
        let header = SegmentHeader::decode(&file).expect("a good header");
        let mut block = b"SAVEHOLD".to_vec();
        block.extend_from_slice(&1_u32.to_le_bytes());
        block.extend_from_slice(&[header.kind as u8, 0, 0, 0]);
        block.extend_from_slice(&[0; 8]);
        block.extend_from_slice(&header.store.0);
        for word in [header.base.raw(), header.capacity, header.number, header.created_us] {
            block.extend_from_slice(&word.to_le_bytes());
        }
        block.extend_from_slice(&u64::from(header.generation).to_le_bytes());
        block.extend_from_slice(&header.end.raw().to_le_bytes());
        block.resize(4092, 0);
        assert_eq!(block, file[..4092], "{}", path.display());
        assert_eq!(block, file[4096..8188], "{}", path.display());
    }
}

#[test]
fn stated_ends_are_drawn_anew() {
    for path in segments("closed").into_iter().chain(segments("recovered")) {
        let file = std::fs::read(&path).expect("golden files are committed");
        let header = SegmentHeader::decode(&file).expect("a good header");
        let span = Span { base: header.base, binding: header.binding(), data: &file[8192..] };
        let Ok(group) = span.group(span.base) else { continue };
        _ = span.walk(group, Verify::Heads, |_, found| {
            if found.kind == FrameKind::Ends {
                assert_eq!(encode_ends(&decode_ends(found.head).expect("ours")), found.head);
            }
        });
    }
}

#[test]
fn every_catalog_is_drawn_anew_from_its_values_to_the_last_byte() {
    for name in ["closed", "recovered"] {
        for file in ["MANIFEST", "MANIFEST.prev"] {
            let bytes = std::fs::read(golden(name).join(file)).expect("golden files are committed");
            let catalog = Catalog::decode(&bytes).expect("a good catalog");
            assert!(catalog.encode() == bytes, "{name}/{file}");
            assert_eq!(catalog.store, store_of(name));
        }
    }
}

fn store_of(name: &str) -> savehold_wal::format::checksum::StoreId {
    let first = std::fs::read(&segments(name)[0]).expect("golden files are committed");
    SegmentHeader::decode(&first).expect("a good header").store
}
