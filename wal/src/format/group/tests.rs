use super::*;

fn head() -> GroupHead {
    GroupHead {
        durable_through: Lsn::new(2, 4096),
        time_us: 0x0001_0203_0405_0607,
        bytes: 48 + 100,
        frames: 3,
        padded: true,
        mark: false,
    }
}

#[test]
fn every_flag_and_every_extreme_is_reversible() {
    for padded in [false, true] {
        for mark in [false, true] {
            for (bytes, frames) in [(48, 0), (49, 1), (u32::MAX, u32::MAX)] {
                for durable_through in [Lsn::NONE, Lsn::new(1, 0), Lsn::MAX] {
                    let head = GroupHead { durable_through, time_us: u64::MAX, bytes, frames, padded, mark };
                    assert_eq!(GroupHead::decode(&head.encode()), Some(head));
                }
            }
        }
    }
}

#[test]
fn length_that_does_not_hold_the_groups_own_frame_is_refused() {
    for bytes in [0, 1, 47] {
        assert_eq!(GroupHead::decode(&GroupHead { bytes, ..head() }.encode()), None, "{bytes}");
    }
}

#[test]
fn any_other_length_and_any_reserved_bit_is_a_newer_format() {
    let bytes = head().encode();
    for len in 0..bytes.len() {
        assert_eq!(GroupHead::decode(&bytes[..len]), None);
    }
    assert_eq!(GroupHead::decode(&[&bytes[..], &[0]].concat()), None);
    for bit in (24 * 8 + 2)..(32 * 8) {
        let mut newer = bytes;
        newer[bit / 8] |= 1 << (bit % 8);
        assert_eq!(GroupHead::decode(&newer), None, "bit {bit}");
    }
}

#[test]
fn next_group_begins_right_behind_or_at_the_next_boundary() {
    let next = |at: u64, bytes: u32, padded| GroupHead { bytes, padded, ..head() }.next(Lsn::new(2, at));
    assert_eq!(next(0, 48, false), Some(Lsn::new(2, 48)));
    assert_eq!(next(100, 48, false), Some(Lsn::new(2, 148)));
    assert_eq!(next(0, 48, true), Some(Lsn::new(2, 4096)));
    assert_eq!(next(0, 4096, true), Some(Lsn::new(2, 4096)));
    assert_eq!(next(0, 4097, true), Some(Lsn::new(2, 8192)));
    assert_eq!(next(Lsn::OFFSET_MAX - 47, 48, false), None);
    assert_eq!(next(Lsn::OFFSET_MAX - 100, 48, true), None);
}

#[test]
fn aligning_moves_forward_by_less_than_a_block() {
    for offset in [0, 1, 4095, 4096, 4097, 12_288] {
        let aligned = align(Lsn::new(9, offset)).unwrap();
        assert!(aligned.offset().is_multiple_of(BLOCK_BYTES));
        assert!(aligned.offset() >= offset && aligned.offset() - offset < BLOCK_BYTES);
    }
    assert_eq!(align(Lsn::new(9, Lsn::OFFSET_MAX)), None);
}

#[test]
fn stated_ends_are_reversible() {
    let end = |n: u64| StatedEnd {
        base: Lsn::new(2, n << 16),
        generation: n as u32,
        end: Lsn::new(2, (n << 16) + 99),
    };
    for count in 0..20 {
        let ends: Vec<_> = (0..count).map(end).collect();
        let bytes = encode_ends(&ends);
        assert_eq!(bytes.len(), 8 + 24 * ends.len());
        assert_eq!(decode_ends(&bytes), Some(ends));
    }
}

#[test]
fn count_that_does_not_fit_the_bytes_is_refused_whatever_it_says() {
    let bytes = encode_ends(&[StatedEnd { base: Lsn::new(1, 0), generation: 0, end: Lsn::new(1, 48) }; 2]);
    for len in 0..bytes.len() {
        assert_eq!(decode_ends(&bytes[..len]), None, "{len} bytes");
    }
    for count in [0_u32, 1, 3, u32::MAX, u32::MAX / 24 + 1] {
        let lie = [&count.to_le_bytes()[..], &bytes[4..]].concat();
        assert_eq!(decode_ends(&lie), None, "{count}");
    }
    for at in [4, 8 + 20, 8 + 24 + 20] {
        let mut newer = bytes.clone();
        newer[at] = 1;
        assert_eq!(decode_ends(&newer), None, "reserved byte {at}");
    }
}
