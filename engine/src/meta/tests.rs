use super::*;
use crate::tests::Dice;

#[derive(Clone, Debug, PartialEq)]
struct Note {
    name: String,
    number: u64,
    maybe: Option<u32>,
    list: Vec<String>,
}

impl Encode for Note {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.name.encode(encoder)?;
        self.number.encode(encoder)?;
        self.maybe.encode(encoder)?;
        self.list.encode(encoder)
    }
}

impl<C> Decode<C> for Note {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            name: Decode::decode(decoder)?,
            number: Decode::decode(decoder)?,
            maybe: Decode::decode(decoder)?,
            list: Decode::decode(decoder)?,
        })
    }
}

impl Meta for Note {
    const FORMAT: u8 = 7;
    const WHAT: &'static str = "a note";
}

fn note(dice: &mut Dice) -> Note {
    let text = |dice: &mut Dice| "é".repeat(dice.below(40));
    Note {
        name: text(dice),
        number: dice.number(),
        maybe: dice.coin().then(|| dice.number() as u32),
        list: (0..dice.below(5)).map(|_| text(dice)).collect(),
    }
}

#[test]
fn bytes_are_as_drawn() {
    let note = Note { name: "ab".into(), number: 300, maybe: Some(1), list: vec!["c".into()] };
    let drawn: &[u8] = &[7, 2, b'a', b'b', 251, 44, 1, 1, 1, 1, 1, b'c'];
    assert_eq!(encode(&note).unwrap(), drawn);
}

#[test]
fn every_record_reads_back_as_written() {
    let mut dice = Dice::new(11);
    for _ in 0..2_000 {
        let note = note(&mut dice);
        assert_eq!(decode::<Note>(&encode(&note).unwrap()).unwrap(), note);
    }
}

#[test]
fn every_cut_every_flipped_bit_and_any_bytes_are_an_answer() {
    let mut dice = Dice::new(12);
    let bytes = encode(&note(&mut dice)).unwrap();
    for len in 0..bytes.len() {
        assert!(decode::<Note>(&bytes[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_answered(&flipped);
    }
    for _ in 0..50_000 {
        let mut random = dice.bytes(1, 30);
        random[0] = 7;
        assert_answered(&random);
    }
}

fn assert_answered(bytes: &[u8]) {
    if let Err(e) = decode::<Note>(bytes) {
        assert!(matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Format), "{e:?}");
    }
}

#[test]
fn what_is_behind_the_last_field_is_refused() {
    let mut dice = Dice::new(13);
    let mut bytes = encode(&note(&mut dice)).unwrap();
    bytes.push(0);
    assert_eq!(decode::<Note>(&bytes).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_format_of_a_newer_program_is_told_apart_from_damage() {
    let e = decode::<Note>(&[8, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Format);
    assert!(e.message().contains("a note has format 8"), "{e}");
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_allocated() {
    let huge = [7, 253, 255, 255, 255, 255, 255, 255, 255, 127];
    assert_eq!(decode::<Note>(&huge).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_record_over_the_limit_is_refused_when_written_too() {
    let text = |bytes| Note { name: "n".repeat(bytes), number: 0, maybe: None, list: Vec::new() };
    let around = 1 + 5 + 1 + 1 + 1; // format, length of the name, and the other fields
    let most = text(BYTES_MAX - around);
    let bytes = encode(&most).unwrap();
    assert_eq!(bytes.len(), BYTES_MAX);
    assert!(decode::<Note>(&bytes).unwrap() == most);
    assert_eq!(encode(&text(BYTES_MAX - around + 1)).unwrap_err().kind(), ErrorKind::TooLarge);
    let many = Note { list: vec![String::new(); BYTES_MAX - 9], ..text(0) };
    assert!(decode::<Note>(&encode(&many).unwrap()).unwrap() == many, "many small things");
}
