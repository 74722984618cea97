use savehold_wal::Lsn;
use savehold_wal::limits::HEAD_BYTES_MAX;

use super::*;
use crate::error::Result;
use crate::limits::{KEY_BYTES_MAX, ONCE_ID_BYTES_MAX, RESERVED_KEY_BYTES_MAX};
use crate::tests::Dice;
use crate::varint;

fn part(offset: u32, bytes: u32) -> Part {
    Part { offset, bytes }
}

fn encode(author: &Author<'_>, entries: &[HeadEntry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut head = HeadWriter::begin(&mut out, author).unwrap();
    for e in entries {
        match e.effect {
            Effect::Put(part) => head.put(e.collection, e.key, part).unwrap(),
            Effect::Remove => head.remove(e.collection, e.key).unwrap(),
        }
    }
    out
}

fn decode(bytes: &[u8]) -> Result<(Author<'_>, Vec<HeadEntry<'_>>)> {
    let head = Head::decode(bytes)?;
    Ok((head.author, head.entries().collect::<Result<_>>()?))
}

fn entry(collection: u32, key: &[u8], effect: Effect) -> HeadEntry<'_> {
    HeadEntry { collection: CollectionId(collection), key, effect }
}

#[test]
fn bytes_are_as_drawn() {
    let plain = encode(&Author::NOBODY, &[entry(16, b"oak-1", Effect::Put(part(0, 100)))]);
    assert_eq!(plain, [b"\x00\x00\x10\x01\x05oak-1".as_slice(), &[0, 100]].concat());

    let token = Some(Token::from(Lsn::new(0x0102, 0x0304_0506_0708)));
    let author = Author { cause: Cause::Autosave, origin: 300, token, id: Some(b"r-1") };
    let full = encode(
        &author,
        &[entry(16, b"42", Effect::Put(part(128, 70_000))), entry(300, b"43", Effect::Remove)],
    );
    #[rustfmt::skip]
    let drawn: &[u8] = &[
        0b111, 0xac, 0x02,                                  // autosave, token, id; origin 300
        0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,     // token 258.3315799033608
        3, b'r', b'-', b'1',                                // id
        16, 1, 2, b'4', b'2', 0x80, 0x01, 0xf0, 0xa2, 0x04, // put 16/42 at 128, 70,000 bytes
        0xac, 0x02, 2, 2, b'4', b'3',                       // remove 300/43
    ];
    assert_eq!(full, drawn);
}

#[test]
fn every_head_reads_back_as_written() {
    let mut dice = Dice::new(1);
    for _ in 0..3_000 {
        let id: Vec<u8> = dice.bytes(1, ONCE_ID_BYTES_MAX);
        let author = Author {
            cause: if dice.coin() { Cause::Explicit } else { Cause::Autosave },
            origin: dice.number() as u32,
            token: dice.coin().then(|| Token::from(Lsn::from_raw(dice.number()))),
            id: dice.coin().then_some(id.as_slice()),
        };
        let keys: Vec<Vec<u8>> = (0..dice.below(5)).map(|_| dice.bytes(1, 40)).collect();
        let entries: Vec<HeadEntry<'_>> = keys
            .iter()
            .map(|key| {
                let bytes = dice.number() as u32 % (1 << 20);
                let put = Effect::Put(part(dice.number() as u32 % (200 << 20), bytes));
                entry(dice.number() as u32, key, if dice.coin() { put } else { Effect::Remove })
            })
            .collect();
        let bytes = encode(&author, &entries);
        assert_eq!(decode(&bytes).unwrap(), (author, entries));
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_answer_and_what_is_accepted_is_canonical() {
    let author =
        Author { cause: Cause::Autosave, origin: 300, token: Some(Lsn::new(1, 5).into()), id: Some(b"id") };
    let longest = [7; KEY_BYTES_MAX];
    let heads = [
        encode(&Author::NOBODY, &[entry(16, b"oak-1", Effect::Put(part(0, 100)))]),
        encode(
            &author,
            &[entry(1 << 20, &longest, Effect::Put(part(1 << 20, 1 << 20))), entry(3, b"k", Effect::Remove)],
        ),
    ];
    for bytes in heads {
        for len in 0..bytes.len() {
            assert_canonical_or_refused(&bytes[..len]);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_canonical_or_refused(&flipped);
        }
    }
}

#[test]
fn random_bytes_are_an_answer() {
    let mut dice = Dice::new(2);
    for _ in 0..50_000 {
        assert_canonical_or_refused(&dice.bytes(0, 30));
    }
}

fn assert_canonical_or_refused(bytes: &[u8]) {
    match decode(bytes) {
        Ok((author, entries)) => assert_eq!(encode(&author, &entries), bytes),
        Err(e) => assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Format), "{e:?}"),
    }
}

#[test]
fn what_only_a_newer_program_knows_is_a_newer_format() {
    for flags in [8u8, 16, 32, 64, 128, 0xff] {
        assert_eq!(Head::decode(&[flags, 0]).unwrap_err().kind(), ErrorKind::Format, "{flags}");
    }
    for kind in [0u8, 3, 255] {
        let error = decode(&[0, 0, 16, kind, 1, b'k']).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{kind}");
        assert!(error.message().contains(&format!("kind {kind}")));
    }
}

#[test]
fn lengths_out_of_bounds_are_refused_on_both_sides() {
    let over = BODY_BYTES_MAX as u32;
    let wrong: [&[u8]; 6] = [
        &[0, 0, 16, 1, 0, 0, 0],                                // key of no bytes
        &[0, 0, 16, 2, 0x81, 0x08],                             // key of 1025 bytes
        &[4, 0, 0],                                             // id of no bytes
        &[4, 0, 65],                                            // id of 65 bytes
        &[0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 2, 1, b'k'],      // collection above u32
        &[0, 0, 16, 1, 1, b'k', 0xff, 0xff, 0xff, 0xff, 15, 1], // part past every body
    ];
    for bytes in wrong {
        assert_eq!(decode(bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
    }
    let mut out = vec![9];
    let overlong = [7; ONCE_ID_BYTES_MAX + 1];
    for (id, kind) in [(&[][..], ErrorKind::Invalid), (&overlong[..], ErrorKind::TooLarge)] {
        let author = Author { id: Some(id), ..Author::NOBODY };
        assert_eq!(HeadWriter::begin(&mut out, &author).unwrap_err().kind(), kind);
    }
    assert_eq!(out, [9], "a refused call leaves the buffer as it was");
    let mut head = HeadWriter::begin(&mut out, &Author::NOBODY).unwrap();
    let before = head.bytes();
    assert_eq!(head.put(CollectionId(16), b"k", part(over, 1)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(head.put(CollectionId(16), b"", part(0, 1)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(head.remove(CollectionId(16), &[7; 1025]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(head.bytes(), before);
    head.put(CollectionId(16), b"k", part(over - 1, 1)).unwrap();
}

#[test]
fn keys_of_reserved_collections_may_be_longer_because_they_carry_one_of_the_user() {
    let longest = [7; RESERVED_KEY_BYTES_MAX + 1];
    let table = [(CollectionId::USER, RESERVED_KEY_BYTES_MAX), (CollectionId::FIRST, KEY_BYTES_MAX)];
    for (collection, most) in table {
        let bytes = encode(&Author::NOBODY, &[entry(collection.0, &longest[..most], Effect::Remove)]);
        assert_eq!(decode(&bytes).unwrap().1[0].key.len(), most);
        let mut out = Vec::new();
        let mut head = HeadWriter::begin(&mut out, &Author::NOBODY).unwrap();
        let refused = head.remove(collection, &longest[..=most]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge, "{collection}");
        let mut over = vec![0, 0];
        varint::put(&mut over, u64::from(collection.0));
        over.push(2);
        varint::put(&mut over, most as u64 + 1);
        over.extend_from_slice(&longest[..=most]);
        assert_eq!(decode(&over).unwrap_err().kind(), ErrorKind::Corrupt, "{collection}");
    }
}

#[test]
fn a_head_never_grows_past_what_the_log_takes() {
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX);
    let mut head = HeadWriter::begin(&mut out, &Author::NOBODY).unwrap();
    let key = [7; KEY_BYTES_MAX];
    let refused = loop {
        if let Err(e) = head.remove(CollectionId(16), &key) {
            break e;
        }
    };
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(head.bytes() <= HEAD_BYTES_MAX);
    assert_eq!(Head::decode(&out).unwrap().entries().count(), (out.len() - 2) / (1 + 1 + 2 + KEY_BYTES_MAX));
}
