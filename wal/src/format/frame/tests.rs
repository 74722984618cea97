use super::*;
use crate::format::checksum::StoreId;

const LSN: Lsn = Lsn::new(2, 8192);

fn binding() -> Binding {
    Binding::new(StoreId(*b"identity of one!"), 77)
}

fn placed(head: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut frame = Frame::record(head, parts).unwrap();
    frame.place(LSN, binding());
    frame.bytes().to_vec()
}

/// Header and checksum written by hand around whatever stands behind.
fn forged(head_len: u32, body_len: u32, kind: u8, zeros: [u8; 3], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&head_len.to_le_bytes());
    bytes.extend_from_slice(&body_len.to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&zeros);
    bytes.extend_from_slice(rest);
    let covered = bytes.len().min(FRAME_HEADER_BYTES + head_len as usize);
    let crc = Unplaced::of(&bytes[4..covered]).frame_at(LSN, binding());
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn parts_of(frame: &FrameRef<'_>) -> Vec<Vec<u8>> {
    frame.parts(LSN).map(|part| part.unwrap().1.to_vec()).collect()
}

#[test]
fn what_was_encoded_is_decoded() {
    let cases: &[(&[u8], &[&[u8]])] = &[
        (b"", &[]),
        (b"", &[b""]),
        (b"h", &[]),
        (b"head", &[b"body"]),
        (b"head", &[b"", b""]),
        (b"head", &[b"one", b"", b"three"]),
        (&[0; 300], &[&[0; 5000], &[255; 1]]),
    ];
    for (head, parts) in cases {
        let bytes = placed(head, parts);
        let frame = decode(&bytes, LSN, binding()).unwrap();
        assert_eq!((frame.kind, frame.head, frame.bytes()), (FrameKind::Record, *head, bytes.len()));
        assert!(frame.body_is_good(LSN));
        assert_eq!(parts_of(&frame), *parts);
        let longer = [&bytes[..], b"what follows"].concat();
        assert_eq!(decode(&longer, LSN, binding()), Ok(frame), "what follows is not its business");
    }
}

#[test]
fn part_is_found_by_the_offset_that_the_frame_gave() {
    let frame = Frame::record(b"head", &[b"one", b"", b"three"]).unwrap();
    let offsets: Vec<_> = (0..4).map(|n| frame.part_offset(n)).collect();
    assert_eq!(offsets, [Some(20), Some(31), Some(39), None]);
    let bytes = placed(b"head", &[b"one", b"", b"three"]);
    for (offset, part) in [(20_u32, &b"one"[..]), (31, b""), (39, b"three")] {
        assert_eq!(decode_part(&bytes[offset as usize..], LSN, offset), Ok(part));
        assert_eq!(decode_part(&bytes[offset as usize..], LSN, offset + 1), Err(Bad::Checksum));
    }
}

#[test]
fn every_flipped_bit_is_noticed_by_the_frame_or_by_the_part_it_is_in() {
    let bytes = placed(b"a head", &[b"first part", b"", b"second part"]);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let good = decode(&bad, LSN, binding()).is_ok_and(|frame| frame.body_is_good(LSN));
        assert!(!good, "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = placed(b"a head", &[b"first part", b"second part"]);
    for len in 0..bytes.len() {
        let expected = if len < FRAME_HEADER_BYTES { Bad::Nothing } else { Bad::Length };
        assert_eq!(decode(&bytes[..len], LSN, binding()), Err(expected), "{len} bytes");
    }
}

#[test]
fn frame_at_another_place_or_of_another_file_is_none() {
    let bytes = placed(b"head", &[b"body"]);
    assert_eq!(decode(&bytes, Lsn::new(2, 8193), binding()), Err(Bad::Checksum));
    assert_eq!(decode(&bytes, Lsn::new(3, 8192), binding()), Err(Bad::Checksum));
    assert_eq!(decode(&bytes, LSN, Binding::new(StoreId(*b"identity of one!"), 78)), Err(Bad::Checksum));
    assert_eq!(decode(&bytes, LSN, Binding::new(StoreId(*b"identity of two!"), 77)), Err(Bad::Checksum));
}

#[test]
fn zeros_are_nothing_and_lengths_are_bounded_before_anything_is_read() {
    let over_head = u32::try_from(HEAD_BYTES_MAX + 1).unwrap();
    let over_body = u32::try_from(BODY_BYTES_MAX + 1).unwrap();
    let cases = [
        ("zeros", vec![0; 64], Bad::Nothing),
        ("no room for a header", vec![1; 15], Bad::Nothing),
        ("head over its limit", forged(over_head, 0, 2, [0; 3], b""), Bad::Length),
        ("body over its limit", forged(0, over_body, 2, [0; 3], b""), Bad::Length),
        ("both at the largest number", forged(u32::MAX, u32::MAX, 2, [0; 3], b""), Bad::Length),
        ("body longer than what is there", forged(0, 9, 2, [0; 3], b"12345678"), Bad::Length),
        ("kind of a newer format", forged(2, 0, 6, [0; 3], b"hd"), Bad::Kind),
        ("kind zero", forged(2, 0, 0, [0; 3], b"hd"), Bad::Kind),
        ("reserved field of a newer format", forged(2, 0, 2, [0, 1, 0], b"hd"), Bad::Kind),
    ];
    for (what, bytes, bad) in cases {
        assert_eq!(decode(&bytes, LSN, binding()), Err(bad), "{what}");
    }
}

#[test]
fn head_alone_is_read_just_as_with_the_whole_frame() {
    let bytes = placed(b"a head", &[b"a body"]);
    let until_head = FRAME_HEADER_BYTES + 6;
    assert_eq!(decode_head(&bytes[..until_head], LSN, binding()), Ok((FrameKind::Record, &b"a head"[..])));
    for len in 0..until_head {
        assert!(decode_head(&bytes[..len], LSN, binding()).is_err(), "{len} bytes");
    }
    for bit in 0..until_head * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_head(&bad, LSN, binding()).is_err(), "bit {bit}");
    }
    for bytes in [
        forged(2, 0, 4, [0; 3], b"hd"),
        forged(2, 0, 2, [0, 0, 1], b"hd"),
        forged(2, u32::MAX, 2, [0; 3], b"hd"),
        vec![0; 64],
    ] {
        let whole = decode(&bytes, LSN, binding()).map(|frame| (frame.kind, frame.head));
        assert_eq!(decode_head(&bytes, LSN, binding()), whole);
    }
}

#[test]
fn parts_that_do_not_fill_the_body_are_bad_and_end_the_body() {
    for body in [&b"1234567"[..], &[0, 0, 0, 0, 9, 0, 0, 0, 1], &[0xFF; 8]] {
        let bytes = forged(0, u32::try_from(body.len()).unwrap(), 2, [0; 3], body);
        let frame = decode(&bytes, LSN, binding()).unwrap();
        assert!(!frame.body_is_good(LSN));
        assert_eq!(frame.parts(LSN).count(), 1);
    }
}

#[test]
fn parts_swapped_or_taken_from_another_record_are_bad() {
    let mut bytes = placed(b"head", &[b"same", b"same"]);
    let (one, two) = (20, 32);
    let first: Vec<u8> = bytes[one..two].to_vec();
    bytes[two..two + 12].copy_from_slice(&first);
    assert!(!decode(&bytes, LSN, binding()).unwrap().body_is_good(LSN), "the same bytes at another offset");
    let frame = decode(&bytes, LSN, binding()).unwrap();
    assert_eq!(frame.parts(Lsn::new(2, 4096)).next(), Some(Err(Bad::Checksum)), "of another record");
}

#[test]
fn records_over_the_limits_are_refused_and_those_at_the_limits_are_not() {
    let zeros = vec![0; HEAD_BYTES_MAX + 1];
    assert_eq!(Frame::record(&zeros, &[]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(Frame::record(&zeros[1..], &[]).unwrap().len(), FRAME_HEADER_BYTES + HEAD_BYTES_MAX);
    let parts = |n: usize| vec![&zeros[1 + PART_HEADER_BYTES..]; n];
    let fitting = BODY_BYTES_MAX / HEAD_BYTES_MAX;
    assert_eq!(Frame::record(b"", &parts(fitting)).unwrap().len(), FRAME_HEADER_BYTES + BODY_BYTES_MAX);
    let mut over = parts(fitting);
    over.push(b"");
    assert_eq!(Frame::record(b"", &over).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn frame_rebound_to_another_file_is_good_there_and_nowhere_else() {
    let (mut bytes, other) = (placed(b"head", &[b"body"]), Binding::new(StoreId(*b"identity of one!"), 78));
    rebind(&mut bytes, 4, LSN, other);
    assert!(decode(&bytes, LSN, other).unwrap().body_is_good(LSN));
    assert_eq!(decode(&bytes, LSN, binding()), Err(Bad::Checksum));
}

#[test]
fn kinds_keep_their_numbers() {
    for (n, kind) in [
        (1, FrameKind::Group),
        (2, FrameKind::Record),
        (3, FrameKind::Ends),
        (4, FrameKind::Lost),
        (5, FrameKind::Packed),
    ] {
        assert_eq!((FrameKind::from_u8(n), kind as u8), (Some(kind), n));
    }
    assert!((6..=u8::MAX).chain([0]).all(|n| FrameKind::from_u8(n).is_none()));
}
