use super::*;

fn lsn(blocks: u64) -> Lsn {
    Lsn::new(2517, blocks * 4096)
}

fn inventory() -> Inventory {
    let piece = |from, to| Piece { from: lsn(from), to: lsn(to), crc: 0xC0FE, form: Form::Plain };
    let held = |base: u64, end, pieces: Vec<Piece>| Held {
        base: lsn(base),
        capacity: 16 * 4096,
        number: base + 7,
        generation: 1,
        kind: SegmentKind::Log,
        end,
        judged: Lsn::NONE,
        judgement: 4,
        records: 5,
        first_us: 10 + base,
        last_us: 20 + base,
        pieces,
    };
    Inventory {
        sequence: 3,
        store: StoreId([9; 16]),
        through: lsn(20),
        time_us: 36,
        made_us: 40,
        frontier: lsn(48),
        lanes: crate::lane::Lanes(6),
        timelines: vec![Timeline { number: 2517, offset: 0, branch: Lsn::NONE, begun_us: 5 }],
        segments: vec![
            held(0, Some(lsn(12)), vec![piece(0, 5), piece(5, 12)]),
            held(16, None, vec![piece(16, 21)]),
        ],
        attachment: b"pins".to_vec(),
    }
}

#[test]
fn what_is_encoded_is_decoded_and_every_changed_byte_is_refused() {
    let (inventory, bytes) = (inventory(), inventory().encode());
    assert_eq!(Inventory::decode(&bytes), Ok(inventory));
    for at in 0..bytes.len() {
        let mut hurt = bytes.clone();
        hurt[at] ^= 1 << (at % 8);
        assert!(Inventory::decode(&hurt).is_err(), "byte {at}");
        assert!(Inventory::decode(&bytes[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn what_no_backup_could_be_is_refused_though_its_checksum_is_right() {
    type Lie = (&'static str, fn(&mut Inventory));
    let lies: [Lie; 13] = [
        ("a gap between pieces", |i| i.segments[0].pieces[1].from = lsn(6)),
        ("a piece beyond its segment", |i| i.segments[1].pieces[0].to = lsn(40)),
        ("no piece", |i| i.segments[0].pieces.clear()),
        ("an end behind what is there", |i| i.segments[0].end = Some(lsn(13))),
        ("two segments at one place", |i| i.segments[1].base = lsn(8)),
        ("an open segment before another", |i| i.segments[0].end = None),
        ("less than it says", |i| i.through = lsn(22)),
        ("a segment of no timeline", |i| i.timelines[0].number = 2516),
        ("no timeline", |i| i.timelines.clear()),
        ("places handed out past the frontier", |i| i.frontier = lsn(19)),
        ("more records than places", |i| i.segments[0].records = 16 * 4096 + 1),
        ("the last of all generations", |i| i.segments[1].generation = u32::MAX),
        ("time that runs backwards", |i| i.segments[0].last_us = 0),
    ];
    for (what, lie) in lies {
        let mut inventory = inventory();
        lie(&mut inventory);
        assert_eq!(Inventory::decode(&inventory.encode()), Err(Bad::Kind), "{what}");
    }
}

#[test]
fn more_bytes_than_there_can_be_are_as_many_as_can_be_said() {
    let mut inventory = inventory();
    let mut held = Held { kind: SegmentKind::Packed, ..inventory.segments[0].clone() };
    held.pieces = vec![Piece { to: Lsn::new(2517, Lsn::OFFSET_MAX), ..held.pieces[0] }];
    inventory.segments = vec![held; 1 << 17];
    assert_eq!(inventory.bytes(), u64::MAX);
}

#[test]
fn names_of_pieces_are_made_of_numbers() {
    let held = &inventory().segments[0];
    assert_eq!(
        held.name(&held.pieces[1]),
        "09d5000000000000-1-0000000000000007-09d5000000005000-09d500000000c000.piece"
    );
}
