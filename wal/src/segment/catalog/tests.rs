use super::*;
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_LIMIT};

const STORE: StoreId = StoreId([5; 16]);

fn segment(base: u64, generation: u32) -> SegmentEntry {
    SegmentEntry {
        base: Lsn::new(2, base),
        capacity: 65_536,
        number: base + 1,
        generation,
        kind: SegmentKind::Log,
        end: None,
        damaged: false,
    }
}

fn full() -> Catalog {
    let mut catalog = Catalog::new(STORE, Timeline { number: 2, offset: 0, branch: Lsn::NONE, begun_us: 11 });
    catalog.timelines.push(Timeline { number: 3, offset: 3 << 43, branch: Lsn::new(2, 99), begun_us: 12 });
    catalog.generation = 7;
    catalog.lanes = Lanes(2);
    catalog.checkpoint = Lsn::new(2, 4096);
    catalog.clean_end = Some(Lsn::new(2, 70_000));
    catalog.name(SegmentEntry { end: Some(Lsn::new(2, 4096)), damaged: true, ..segment(0, 0) });
    catalog.name(SegmentEntry { kind: SegmentKind::Rest, end: Some(Lsn::new(2, 5000)), ..segment(4096, 1) });
    catalog.name(SegmentEntry { end: Some(Lsn::new(2, 65_536)), ..segment(65_536, 0) });
    catalog.name(segment(131_072, 0));
    catalog.keep_report(RecoveryReport { at_us: 5, ..RecoveryReport::default() });
    catalog.attachment = b"of the layer above".to_vec();
    catalog
}

/// The body written over at an offset, the checksum made good again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = full().encode();
    file[16 + at..16 + at + bytes.len()].copy_from_slice(bytes);
    sealed(file)
}

fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let covered = file.len() - 4;
    let crc = crc32fast::hash(&file[..covered]);
    file[covered..].copy_from_slice(&crc.to_le_bytes());
    file
}

/// Where the lists of the body begin.
const TIMELINES_AT: usize = 60;
const SEGMENTS_AT: usize = TIMELINES_AT + 4 + 2 * 24;
const REPORTS_AT: usize = SEGMENTS_AT + 4 + 4 * 40;

#[test]
fn every_field_is_reversible() {
    for catalog in
        [full(), Catalog::new(STORE, Timeline { number: 1, offset: 0, branch: Lsn::NONE, begun_us: 0 })]
    {
        assert_eq!(Catalog::decode(&catalog.encode()), Ok(catalog));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = full().encode();
    for bit in 0..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Catalog::decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed_and_so_is_a_byte_more() {
    let file = full().encode();
    assert_eq!(Catalog::decode(&[]), Err(Bad::Nothing));
    for len in 1..file.len() {
        assert_eq!(Catalog::decode(&file[..len]), Err(Bad::Length), "{len} bytes");
    }
    assert!(Catalog::decode(&[&file[..], &[0]].concat()).is_err());
}

#[test]
fn length_over_the_bound_is_refused_before_anything_is_read() {
    let mut file = full().encode();
    file[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Catalog::decode(&file), Err(Bad::Length));
}

#[test]
fn version_of_another_program_is_a_newer_format_and_not_damage() {
    let mut file = full().encode();
    file[8] = 2;
    assert_eq!(Catalog::decode(&sealed(file)), Err(Bad::Kind));
}

#[test]
fn what_this_program_could_not_have_written_is_a_newer_format() {
    let segment_at = |field: usize| SEGMENTS_AT + 4 + field;
    let cases: [(&str, usize, &[u8]); 19] = [
        ("frontier in no timeline", 40, &[0; 8]),
        ("frontier between blocks", 40, &Lsn::new(3, (3 << 43) + 1).raw().to_le_bytes()),
        ("frontier inside a segment", 40, &Lsn::new(2, 131_072 + 4096).raw().to_le_bytes()),
        ("feature", 56, &[1]),
        ("more timelines than bytes", TIMELINES_AT, &u32::MAX.to_le_bytes()),
        ("a timeline that begins inside a block", TIMELINES_AT + 4 + 2, &[1]),
        ("fewer segments", SEGMENTS_AT, &[3]),
        ("more segments than bytes", SEGMENTS_AT, &u32::MAX.to_le_bytes()),
        ("base between blocks", segment_at(0), &[1]),
        ("base in no timeline", segment_at(0), &[0; 8]),
        ("no capacity", segment_at(8), &[0; 8]),
        ("capacity over the limit", segment_at(8), &(SEGMENT_BYTES_LIMIT + BLOCK_BYTES).to_le_bytes()),
        ("capacity past every number", segment_at(8), &[0xFF; 8]),
        ("end before the base", segment_at(24), &Lsn::new(1, 0).raw().to_le_bytes()),
        ("end behind the capacity", segment_at(24), &Lsn::new(2, 65_537).raw().to_le_bytes()),
        ("kind", segment_at(36), &[9]),
        ("flag", segment_at(37), &[4]),
        ("reserved bytes of a segment", segment_at(38), &[1]),
        ("more reports than bytes", REPORTS_AT, &u32::MAX.to_le_bytes()),
    ];
    for (what, at, bytes) in cases {
        assert_eq!(Catalog::decode(&with(at, bytes)), Err(Bad::Kind), "{what}");
    }
}

#[test]
fn there_is_a_generation_behind_each_but_the_last() {
    let of = |generation| Catalog { generation, ..full() }.next_generation();
    assert_eq!((of(1).unwrap(), of(u64::MAX - 1).unwrap()), (2, u64::MAX));
    assert_eq!(of(u64::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(generation_behind(u32::MAX - 1).unwrap(), u32::MAX);
    assert_eq!(generation_behind(u32::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn segments_out_of_order_or_named_twice_are_refused() {
    for second in [segment(0, 0), segment(65_536, 1)] {
        let mut catalog = full();
        catalog.segments = vec![segment(65_536, 1), second];
        assert_eq!(Catalog::decode(&catalog.encode()), Err(Bad::Kind));
    }
}

#[test]
fn naming_keeps_the_order_and_never_lowers_the_frontier() {
    let mut catalog = Catalog::new(STORE, Timeline { number: 2, offset: 0, branch: Lsn::NONE, begun_us: 0 });
    assert_eq!(catalog.frontier, Lsn::new(2, 0));
    for (entry, frontier) in [
        (segment(65_536, 0), 131_072),
        (segment(0, 1), 131_072),
        (segment(0, 0), 131_072),
        (segment(131_072, 0), 196_608),
    ] {
        catalog.name(entry);
        assert_eq!(catalog.frontier, Lsn::new(2, frontier));
    }
    let order: Vec<_> = catalog.segments.iter().map(|e| (e.base.offset(), e.generation)).collect();
    assert_eq!(order, [(0, 0), (0, 1), (65_536, 0), (131_072, 0)]);
    assert_eq!(catalog.entry_mut(Lsn::new(2, 0), 1).map(|e| e.generation), Some(1));
    assert!(catalog.entry_mut(Lsn::new(2, 0), 2).is_none());
}

#[test]
fn newest_reports_are_kept() {
    let mut catalog = full();
    for at_us in 0..50 {
        catalog.keep_report(RecoveryReport { at_us, ..RecoveryReport::default() });
    }
    let kept: Vec<_> = catalog.reports.iter().map(|r| r.at_us).collect();
    assert_eq!(kept, (50 - REPORTS_MAX as u64..50).collect::<Vec<_>>());
}
