//! Every decoder of the log's formats, on any bytes: as they are, and with the checksums made good.

#![no_main]

use libfuzzer_sys::fuzz_target;
use savehold_wal::format::checksum::{Binding, StoreId, Unplaced};
use savehold_wal::format::frame::{FrameKind, decode, decode_head, decode_part};
use savehold_wal::format::group::{GroupHead, decode_ends, encode_ends};
use savehold_wal::format::header::{DATA_OFFSET, SegmentHeader, is_ours};
use savehold_wal::scan::{Span, Verify, first_bad, skim};
use savehold_wal::segment::catalog::Catalog;
use savehold_wal::segment::name::{parse_segment_name, segment_name};
use savehold_wal::{Lsn, RecoveryReport};

const LSN: Lsn = Lsn::new(2192, 65_536);

fuzz_target!(|data: &[u8]| {
    frame(data);
    frame(&forged_frame(data));
    heads(data);
    header(data);
    header(&forged_header(data));
    catalog(data);
    catalog(&forged_catalog(data));
    texts(data);
});

fn binding() -> Binding {
    Binding::new(StoreId(*b"identity of one!"), 4711)
}

fn frame(bytes: &[u8]) {
    let whole = decode(bytes, LSN, binding());
    if let Ok(frame) = whole {
        assert!(frame.bytes() <= bytes.len());
        assert_eq!(decode_head(bytes, LSN, binding()), Ok((frame.kind, frame.head)));
        let covered: usize = frame.parts(LSN).map(|part| part.map_or(0, |(_, part)| 8 + part.len())).sum();
        assert_eq!(frame.body_is_good(LSN), covered == frame.body.len());
        let longer = [&bytes[..frame.bytes()], &[0; 9]].concat();
        assert_eq!(decode(&longer, LSN, binding()), Ok(frame));
        assert!(decode(&bytes[..frame.bytes() - 1], LSN, binding()).is_err());
        assert!(decode(bytes, Lsn::new(2192, 65_537), binding()).is_err());
    }
    _ = decode_part(bytes, LSN, 16);
}

/// A header of the input's first bytes, its checksum made good, around the rest.
fn forged_frame(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(16), 0);
    let head = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    let covered = bytes.len().min(head.saturating_add(16));
    let crc = Unplaced::of(&bytes[4..covered]).frame_at(LSN, binding());
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn heads(bytes: &[u8]) {
    if let Some(head) = GroupHead::decode(bytes) {
        assert_eq!(head.encode()[..], *bytes);
        _ = head.next(LSN);
    }
    if let Some(ends) = decode_ends(bytes) {
        assert_eq!(encode_ends(&ends), bytes);
    }
    if let Some(report) = RecoveryReport::decode(bytes) {
        assert_eq!(report.encode(), bytes);
        _ = report.to_string();
    }
}

/// A header; with it, the segment behind it.
fn header(bytes: &[u8]) {
    _ = is_ours(bytes);
    let Ok(header) = SegmentHeader::decode(bytes) else { return };
    assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    let data = bytes.get(DATA_OFFSET as usize..).unwrap_or_default();
    let span = Span { base: header.base, binding: header.binding(), data };
    let skimmed = skim(&span);
    assert!(skimmed.chain_end >= span.base);
    for group in span.groups(span.base).chain(span.probe(span.base)) {
        let whole = span.walk(group, Verify::Bodies, |lsn, frame| {
            if frame.kind == FrameKind::Ends {
                heads(frame.head);
            }
            assert!(lsn >= group.lsn);
        });
        assert!(whole.is_ok() || whole.is_err_and(|bad| bad > group.lsn));
    }
    assert!(first_bad(&span, span.base) <= skimmed.chain_end.max(span.end()));
    _ = span.stated_ends();
}

/// Two blocks of the input's bytes, magic and checksum made good.
fn forged_header(data: &[u8]) -> Vec<u8> {
    let mut block = b"SAVEHOLD".to_vec();
    block.extend_from_slice(&data[..data.len().min(4084)]);
    block.resize(4092, 0);
    let crc = crc32fast::hash(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    let mut bytes = block.repeat(2);
    bytes.extend_from_slice(data.get(4084..).unwrap_or_default());
    bytes
}

fn catalog(bytes: &[u8]) {
    let Ok(catalog) = Catalog::decode(bytes) else { return };
    for entry in &catalog.segments {
        assert!(entry.capacity_end() > entry.base);
        assert!(entry.end.is_none_or(|end| end >= entry.base && end <= entry.capacity_end()));
    }
    assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
}

fn forged_catalog(data: &[u8]) -> Vec<u8> {
    let mut bytes = b"SAVEMANI\x01\0\0\0".to_vec();
    bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
    bytes.extend_from_slice(data);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(lsn) = text.parse::<Lsn>() {
        assert_eq!(lsn.to_string().parse(), Ok(lsn));
    }
    if let Some((base, generation)) = parse_segment_name(&text) {
        assert_eq!(segment_name(base, generation), text);
    }
}
