use super::*;

const BLOCK: usize = BLOCK_BYTES as usize;

fn header() -> SegmentHeader {
    SegmentHeader {
        kind: SegmentKind::Log,
        store: StoreId(*b"identity of one!"),
        base: Lsn::new(2517, 65_536),
        capacity: 131_072,
        number: 0x0123_4567_89AB_CDEF,
        created_us: 1_767_225_600_000_000,
        generation: 3,
        end: Lsn::NONE,
    }
}

/// One field written over in both blocks, their checksums made good again.
fn with(at: usize, field: &[u8]) -> Vec<u8> {
    let mut block = header().encode();
    block.truncate(BLOCK);
    block[at..at + field.len()].copy_from_slice(field);
    let crc = crc32fast::hash(&block[..CRC_AT]);
    block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    block.repeat(2)
}

#[test]
fn both_kinds_are_reversible_and_two_blocks_long() {
    let rest = SegmentHeader { kind: SegmentKind::Rest, end: Lsn::new(2517, 70_000), ..header() };
    for header in [header(), rest] {
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, DATA_OFFSET);
        assert_eq!(bytes[..BLOCK], bytes[BLOCK..]);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    }
}

#[test]
fn either_block_alone_is_enough() {
    let bytes = header().encode();
    for bad in [vec![0; BLOCK], vec![0xFF; BLOCK], vec![7; BLOCK]] {
        assert_eq!(SegmentHeader::decode(&[&bad, &bytes[BLOCK..]].concat()), Ok(header()));
        assert_eq!(SegmentHeader::decode(&[&bytes[..BLOCK], &bad].concat()), Ok(header()));
        assert!(SegmentHeader::decode(&[&bad[..], &bad].concat()).is_err());
    }
}

#[test]
fn a_bit_flipped_in_both_blocks_is_noticed_wherever_it_is() {
    let block = &header().encode()[..BLOCK];
    for bit in 0..BLOCK * 8 {
        let mut bad = block.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&bad.repeat(2)), Err(Bad::Checksum), "bit {bit}");
    }
}

#[test]
fn a_file_cut_short_keeps_its_header_as_long_as_one_block_is_whole() {
    let bytes = header().encode();
    for len in (0..bytes.len()).step_by(64).chain([BLOCK - 1, BLOCK, bytes.len() - 1]) {
        let read = SegmentHeader::decode(&bytes[..len]);
        assert_eq!(read.is_ok(), len >= BLOCK, "{len} bytes");
    }
    assert_eq!(SegmentHeader::decode(&[]), Err(Bad::Nothing));
    assert_eq!(SegmentHeader::decode(&[0; 8192]), Err(Bad::Nothing));
}

#[test]
fn what_this_program_could_not_have_written_is_a_newer_format() {
    let cases: [(&str, usize, &[u8]); 13] = [
        ("version", 8, &2_u32.to_le_bytes()),
        ("version zero", 8, &0_u32.to_le_bytes()),
        ("kind", 12, &[4]),
        ("kind zero", 12, &[0]),
        ("reserved byte", 13, &[1]),
        ("feature", 16, &(1_u64 << 63).to_le_bytes()),
        ("base between blocks", 40, &Lsn::new(1, 4095).raw().to_le_bytes()),
        ("base in no timeline", 40, &4096_u64.to_le_bytes()),
        ("no capacity", 48, &0_u64.to_le_bytes()),
        ("capacity over the limit", 48, &(SEGMENT_BYTES_LIMIT + BLOCK_BYTES).to_le_bytes()),
        ("capacity of part of a block", 48, &4095_u64.to_le_bytes()),
        ("reserved word", 76, &[1]),
        ("end of what is written on", 80, &Lsn::new(2517, 70_000).raw().to_le_bytes()),
    ];
    for (what, at, field) in cases {
        assert_eq!(SegmentHeader::decode(&with(at, field)), Err(Bad::Kind), "{what}");
    }
    let last = Lsn::new(1, (Lsn::OFFSET_MAX / BLOCK_BYTES) * BLOCK_BYTES);
    assert_eq!(
        SegmentHeader::decode(&with(40, &last.raw().to_le_bytes())),
        Err(Bad::Kind),
        "past its timeline"
    );
}

#[test]
fn what_is_written_whole_ends_in_its_own_space() {
    for kind in [SegmentKind::Rest, SegmentKind::Packed] {
        let (first, last) = (header().base, header().base.plus(header().capacity));
        let before = Lsn::from_raw(first.raw() - 1);
        let ends = [(Lsn::NONE, false), (before, false), (first, true), (last, true), (last.plus(1), false)];
        for (end, fits) in ends {
            let header = SegmentHeader { kind, end, ..header() };
            let expected = if fits { Ok(header) } else { Err(Bad::Kind) };
            assert_eq!(SegmentHeader::decode(&header.encode()), expected, "{kind:?} that ends at {end}");
        }
    }
}

#[test]
fn capacities_at_the_limits_are_taken() {
    for capacity in [BLOCK_BYTES, SEGMENT_BYTES_LIMIT] {
        let header = SegmentHeader { capacity, ..header() };
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
}

#[test]
fn magic_is_known_in_either_block_and_in_no_other_file() {
    let bytes = header().encode();
    assert!(is_ours(&bytes) && is_ours(&bytes[..BLOCK]));
    assert!(is_ours(&[&[0; BLOCK], &bytes[BLOCK..]].concat()));
    assert!(!is_ours(b"") && !is_ours(b"SAVEHOL") && !is_ours(&[0; 8192]));
}
