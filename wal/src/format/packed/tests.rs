use super::*;
use crate::format::checksum::StoreId;
use crate::format::frame::Frame;

const STORE: StoreId = StoreId([7; 16]);

fn binding(number: u64) -> Binding {
    Binding::new(STORE, number)
}

/// Each with its header and the offset in its record.
type Parts = Vec<(u32, Vec<u8>)>;

/// A record of three parts as first written, at `lsn`: its bytes, where its body begins, and its parts.
fn record(lsn: Lsn) -> (Vec<u8>, u32, Parts) {
    let mut frame = Frame::record(b"a head of twenty one.", &[b"one", b"", b"three"]).unwrap();
    frame.place(lsn, binding(1));
    let (bytes, body) = (frame.bytes().to_vec(), u32::try_from(frame.body_offset()).unwrap());
    let parts = [3, 0, 5].iter().scan(body, |at, len| {
        let offset = *at;
        *at += PART_HEADER_BYTES as u32 + len;
        Some((offset, bytes[offset as usize..*at as usize].to_vec()))
    });
    let parts = parts.collect();
    (bytes, body, parts)
}

fn packed(lsn: Lsn, keep: &[usize], head: &[u8]) -> Vec<u8> {
    let (_, body_offset, parts) = record(lsn);
    let parts: Vec<(u32, &[u8])> = keep.iter().map(|n| (parts[*n].0, &parts[*n].1[..])).collect();
    let mut out = b"before".to_vec();
    Survivor { lsn, time_us: 99, body_offset, head, parts: &parts }.encode(binding(2), &mut out).unwrap();
    out.split_off(6)
}

#[test]
fn what_stays_keeps_its_place_its_time_and_the_checksums_of_its_parts() {
    let lsn = Lsn::new(3, 8192);
    for keep in [&[][..], &[0], &[2], &[0, 2], &[1], &[0, 1, 2]] {
        let bytes = packed(lsn, keep, b"shorter");
        let found = PackedRef::decode(&bytes, binding(2)).unwrap();
        assert_eq!((found.lsn, found.time_us, found.head), (lsn, 99, &b"shorter"[..]));
        assert_eq!((found.bytes(), lengths(&bytes).unwrap().1), (bytes.len(), bytes.len()));
        let (_, body_offset, all) = record(lsn);
        assert_eq!(found.body_offset, body_offset);
        let texts = [&b"one"[..], b"", b"three"];
        let expected: Vec<(u32, Result<&[u8], Bad>)> =
            keep.iter().map(|n| (all[*n].0, Ok(texts[*n]))).collect();
        assert_eq!(found.parts().collect::<Vec<_>>(), expected);
        assert!(found.body_is_good());
        for (n, (offset, _)) in all.iter().enumerate() {
            let place = find_part(&bytes, *offset).map(|at| &found.body[at as usize..]);
            let part = place.map(|bytes| decode_part(bytes, lsn, *offset).unwrap());
            assert_eq!(part, keep.contains(&n).then_some(texts[n]), "part {n} of {keep:?}");
        }
        assert_eq!(find_part(&bytes, body_offset + 1), None);
    }
}

#[test]
fn a_changed_byte_is_found_and_another_file_is_not_this_one() {
    let bytes = packed(Lsn::new(3, 8192), &[0, 2], b"head");
    assert_eq!(PackedRef::decode(&bytes, binding(1)).unwrap_err(), Bad::Checksum);
    for at in 0..bytes.len() {
        let mut hurt = bytes.clone();
        hurt[at] ^= 4;
        let good = PackedRef::decode(&hurt, binding(2)).is_ok_and(|found| found.body_is_good());
        assert!(!good, "byte {at}");
    }
    for len in 0..bytes.len() {
        assert!(PackedRef::decode(&bytes[..len], binding(2)).is_err(), "{len} bytes");
        _ = find_part(&bytes[..len], 50);
    }
}

#[test]
fn a_part_that_has_no_room_for_its_own_header_is_none_of_ours() {
    for (lens, good) in [(&[8][..], true), (&[8, 9], true), (&[3], false), (&[3, 9], false), (&[9, 7], false)]
    {
        let parts: Vec<(u32, &[u8])> = (0..).zip(lens).map(|(n, len)| (99 + n, &[0; 9][..*len])).collect();
        let survivor =
            Survivor { lsn: Lsn::new(3, 8192), time_us: 9, body_offset: 99, head: b"", parts: &parts };
        let mut bytes = Vec::new();
        survivor.encode(binding(2), &mut bytes).unwrap();
        let found = PackedRef::decode(&bytes, binding(2));
        assert_eq!(
            found.map(|found| found.raw_parts().count()),
            if good { Ok(lens.len()) } else { Err(Bad::Kind) }
        );
    }
}

const EMPTY: Footer = Footer {
    judged: Lsn::NONE,
    judgement: 0,
    records: 0,
    dropped: 0,
    frames_end: DATA_OFFSET,
    blocks: 0,
    note_bytes: 0,
    note_crc: 0,
    complete: Lsn::NONE,
};

#[test]
fn directory_and_footer_are_bound_to_their_file_and_their_place() {
    let entry = |n: u64| DirectoryEntry { lsn: Lsn::new(1, 100 * n), at: DATA_OFFSET + 60 * n };
    for count in [1, 2, ENTRIES_MAX as u64] {
        let entries: Vec<DirectoryEntry> = (0..count).map(entry).collect();
        let block = encode_directory(&entries, 12_288, binding(5));
        assert_eq!(block.len() as u64, BLOCK_BYTES);
        assert_eq!(decode_directory(&block, 12_288, binding(5)), Ok(entries.clone()));
        for n in 0..count {
            for lsn in [entry(n).lsn, entry(n).lsn.plus(99)] {
                for range in [entry(0).lsn..entry(count).lsn, Lsn::NONE..Lsn::MAX, lsn..lsn] {
                    assert_eq!(find_entry(&block, lsn, range), Some(entry(n)), "{lsn} of {count}");
                }
            }
        }
        let none = |block: &[u8], lsn| assert_eq!(find_entry(block, lsn, entry(0).lsn..Lsn::MAX), None);
        none(&block, Lsn::NONE);
        (0..24).for_each(|bytes| none(&block[..bytes], entry(0).lsn));
        assert_eq!(decode_directory(&block, 16_384, binding(5)), Err(Bad::Checksum));
        assert_eq!(decode_directory(&block, 12_288, binding(6)), Err(Bad::Checksum));
        assert_eq!(decode_directory(&block[1..], 12_288, binding(5)), Err(Bad::Length));
    }
    let wrong = [entry(2), entry(1)];
    assert_eq!(decode_directory(&encode_directory(&wrong, 0, binding(5)), 0, binding(5)), Err(Bad::Kind));
    let judged = Lsn::new(2, 5);
    for (records, frames_end) in [(0, DATA_OFFSET), (1, DATA_OFFSET + 17), (700, DATA_OFFSET + 60_000)] {
        let blocks = u64::div_ceil(records, ENTRIES_MAX as u64);
        let (note_bytes, note_crc) = (records as u32 * 9, 77);
        let (dropped, complete) = (3, judged.plus(records));
        let footer = Footer {
            judged,
            judgement: 9,
            records,
            dropped,
            frames_end,
            blocks,
            note_bytes,
            note_crc,
            complete,
        };
        let block = footer.encode(binding(5));
        assert_eq!(Footer::decode(&block, footer.offset(), binding(5)), Ok(footer));
        assert_eq!(Footer::decode(&block, footer.offset() + BLOCK_BYTES, binding(5)), Err(Bad::Checksum));
    }
    let records = Footer { records: u64::MAX, blocks: 1, ..EMPTY };
    let note = Footer { note_bytes: NOTE_BYTES_MAX as u32 + 1, ..EMPTY };
    for lies in [records, note] {
        assert_eq!(Footer::decode(&lies.encode(binding(5)), lies.offset(), binding(5)), Err(Bad::Kind));
    }
}

#[test]
fn where_a_footer_cannot_be_right_any_record_may_have_stood_there() {
    let (base, end) = (Lsn::new(3, 4096), Lsn::new(3, 12_288));
    let said = |complete| Footer { complete, ..EMPTY }.complete_in(base..end);
    let places = [4097, 5000, 12_288].map(|at| Lsn::new(3, at));
    assert_eq!(places.map(said), places);
    assert_eq!(said(base), Lsn::NONE, "none did");
    assert_eq!([Lsn::NONE, Lsn::new(3, 4095), Lsn::new(3, 12_289), Lsn::MAX].map(said), [end; 4]);
}

#[test]
fn a_record_of_too_many_parts_is_refused() {
    let part = [0; PART_HEADER_BYTES];
    let parts: Vec<(u32, &[u8])> =
        (0..(HEAD_BYTES_MAX / PLACE_BYTES) as u32).map(|n| (n * 8 + 16, &part[..])).collect();
    let survivor = Survivor { lsn: Lsn::new(1, 0), time_us: 0, body_offset: 16, head: b"", parts: &parts };
    assert_eq!(survivor.encode(binding(1), &mut Vec::new()).unwrap_err().kind(), ErrorKind::TooLarge);
}
