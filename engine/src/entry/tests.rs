use super::*;
use crate::limits::ENTRY_HEAD_BYTES_MAX;
use crate::tests::Dice;

fn entry(created_us: u64, attributes: Attributes, format: Format, value: &[u8]) -> Entry {
    with_schema(created_us, attributes, b"", format, value)
}

fn with_schema(
    created_us: u64,
    attributes: Attributes,
    schema: &[u8],
    format: Format,
    value: &[u8],
) -> Entry {
    let schema = Bytes::copy_from_slice(schema);
    Entry { head: EntryHead { created_us, attributes, schema, format }, value: Bytes::copy_from_slice(value) }
}

fn encode(entry: &Entry) -> Bytes {
    let mut out = Vec::new();
    entry.encode(&mut out).unwrap();
    assert_eq!(out.len(), entry.bytes());
    out.into()
}

#[test]
fn bytes_are_as_drawn() {
    let plain = entry(300, Attributes::NONE, Format::Raw, b"value");
    assert_eq!(encode(&plain), b"\x00\x00\xac\x02value"[..]);

    let attributes = Attributes::NONE.with_user_ids([42, -1]).with_meta("why", "gift").with_meta("by", "");
    let full = with_schema(0, attributes, b"s1", Format::MessagePack, &[0x07]);
    #[rustfmt::skip]
    let drawn: &[u8] = &[
        7, 1, 0,                              // user ids, metadata and schema, MessagePack, created at 0
        2, 2, b'4', b'2', 2, b'-', b'1',      // user ids
        2, 2, b'b', b'y', 0,                  // metadata, by name
        3, b'w', b'h', b'y', 4, b'g', b'i', b'f', b't',
        2, b's', b'1',                        // schema
        7,                                    // value
    ];
    assert_eq!(encode(&full), drawn);
}

#[test]
fn every_entry_reads_back_as_written_and_shares_the_memory_of_its_part() {
    let mut dice = Dice::new(3);
    for _ in 0..3_000 {
        let mut attributes = Attributes::NONE;
        if dice.coin() {
            let ids: Vec<u64> = (0..dice.below(USER_IDS_MAX + 1)).map(|_| dice.number()).collect();
            attributes = attributes.with_user_ids(ids);
        }
        for _ in 0..dice.below(5) {
            attributes = attributes.with_meta(format!("n{}", dice.below(9)), "é".repeat(dice.below(200)));
        }
        let format = if dice.coin() { Format::Raw } else { Format::MessagePack };
        let schema = if dice.coin() { dice.bytes(0, 300) } else { Vec::new() };
        let entry = with_schema(dice.number(), attributes, &schema, format, &dice.bytes(0, 50));
        let part = encode(&entry);
        let read = Entry::decode(part.clone()).unwrap();
        assert_eq!(read, entry);
        assert!(read.value.is_empty() || read.value.as_ptr_range().end == part.as_ptr_range().end);
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_answer_and_what_is_accepted_is_canonical() {
    let attributes = Attributes::NONE.with_user_ids([42, 43]).with_meta("a", "1").with_meta("b", "2");
    let part = encode(&with_schema(1 << 50, attributes, b"schema", Format::MessagePack, b"v"));
    for len in 0..part.len() {
        assert_canonical_or_refused(part.slice(..len));
    }
    for bit in 0..part.len() * 8 {
        let mut flipped = part.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_canonical_or_refused(flipped.into());
    }
    let mut dice = Dice::new(4);
    for _ in 0..50_000 {
        let mut random = dice.bytes(0, 24);
        for byte in random.iter_mut().take(2) {
            *byte &= 7; // mostly flags and formats that exist
        }
        assert_canonical_or_refused(random.into());
    }
}

fn assert_canonical_or_refused(part: Bytes) {
    match Entry::decode(part.clone()) {
        Ok(entry) => assert_eq!(encode(&entry), part),
        Err(e) => assert!(matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Format), "{e:?}"),
    }
}

#[test]
fn what_only_a_newer_program_knows_is_a_newer_format() {
    for flags in [8u8, 16, 32, 64, 128] {
        assert_eq!(EntryHead::decode(&[flags, 0, 0]).unwrap_err().kind(), ErrorKind::Format);
    }
    assert_eq!(EntryHead::decode(&[0, 2, 0]).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn counts_and_lengths_out_of_bounds_are_refused() {
    let wrong: [&[u8]; 11] = [
        &[1, 0, 0, 0],                                  // flag, yet no user id
        &[2, 0, 0, 0],                                  // flag, yet no metadata
        &[1, 0, 0, 33],                                 // 33 user ids
        &[1, 0, 0, 1, 65],                              // user id of 65 bytes
        &[1, 0, 0, 2, 1, b'4', 1, b'4'],                // the same user twice
        &[2, 0, 0, 2, 1, b'b', 0, 1, b'a', 0],          // names descend
        &[2, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // a length of 34 GB
        &[1, 0, 0, 1, 1, 0xff],                         // not UTF-8
        &[4, 0, 0, 0],                                  // flag, yet no schema
        &[4, 0, 0, 0x81, 0x20],                         // a schema of 4097 bytes
        &[4, 0, 0, 2, b's'],                            // a schema that is cut short
    ];
    for part in wrong {
        assert_eq!(EntryHead::decode(part).unwrap_err().kind(), ErrorKind::Damaged, "{part:?}");
    }
    assert_eq!(EntryHead::decode(&[]).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_refused_entry_leaves_the_buffer_as_it_was() {
    let mut out = vec![9];
    let overlong = entry(0, Attributes::NONE.with_user_ids(["u".repeat(65)]), Format::Raw, b"");
    assert_eq!(overlong.encode(&mut out).unwrap_err().kind(), ErrorKind::TooLarge);
    let noted = with_schema(0, Attributes::NONE, &[1; SCHEMA_BYTES_MAX + 1], Format::Raw, b"");
    assert_eq!(noted.encode(&mut out).unwrap_err().kind(), ErrorKind::TooLarge);
    let value = Bytes::from(vec![0; VALUE_BYTES_MAX + 1]);
    let too_large = Entry { value, ..entry(0, Attributes::NONE, Format::Raw, b"") };
    assert_eq!(too_large.encode(&mut out).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(out, [9]);
}

#[test]
fn the_largest_head_of_an_entry_is_within_its_limit() {
    let ids = (0..USER_IDS_MAX).map(|i| format!("{i:0>USER_ID_BYTES_MAX$}"));
    let text = "t".repeat(META_BYTES_MAX / META_MAX - 2);
    let attributes =
        (0..META_MAX).fold(Attributes::NONE.with_user_ids(ids), |a, i| a.with_meta(format!("{i:02}"), &text));
    let part = encode(&with_schema(u64::MAX, attributes, &[1; SCHEMA_BYTES_MAX], Format::Raw, b""));
    assert!(part.len() <= ENTRY_HEAD_BYTES_MAX && part.len() > ENTRY_HEAD_BYTES_MAX / 2, "{}", part.len());
    assert!(Entry::decode(part.clone()).is_ok());
}
