use super::*;

const STORE: StoreId = StoreId([0x11; 16]);

/// CRC-32 as the standard defines it, bit by bit.
fn by_hand(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn function_is_the_crc_32_of_the_standard() {
    assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
    assert_eq!(by_hand(b"123456789"), 0xCBF4_3926);
}

#[test]
fn frame_is_covered_first_then_its_place_then_its_file() {
    let (lsn, binding) = (Lsn::new(7, 0x1234), Binding::new(STORE, 0xFEED));
    let mut all = b"frame".to_vec();
    all.extend_from_slice(&lsn.raw().to_le_bytes());
    all.extend_from_slice(&binding.0.to_le_bytes());
    assert_eq!(Unplaced::of(b"frame").frame_at(lsn, binding), by_hand(&all));
}

#[test]
fn part_is_covered_first_then_its_record_then_its_offset() {
    let lsn = Lsn::new(7, 0x1234);
    let mut all = b"part".to_vec();
    all.extend_from_slice(&lsn.raw().to_le_bytes());
    all.extend_from_slice(&99_u32.to_le_bytes());
    assert_eq!(Unplaced::of(b"part").part_at(lsn, 99), by_hand(&all));
}

#[test]
fn every_bit_of_place_and_file_counts() {
    let (lsn, number) = (Lsn::new(3, 4096), 42);
    let unplaced = Unplaced::of(b"the same bytes");
    let here = unplaced.frame_at(lsn, Binding::new(STORE, number));
    for bit in 0..64 {
        let elsewhere = Lsn::from_raw(lsn.raw() ^ 1 << bit);
        assert_ne!(unplaced.frame_at(elsewhere, Binding::new(STORE, number)), here, "bit {bit} of the place");
        assert_ne!(
            unplaced.frame_at(lsn, Binding::new(STORE, number ^ 1 << bit)),
            here,
            "bit {bit} of the number"
        );
        assert_ne!(unplaced.part_at(elsewhere, 16), unplaced.part_at(lsn, 16));
    }
    for bit in 0..128_usize {
        let mut store = STORE;
        store.0[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(unplaced.frame_at(lsn, Binding::new(store, number)), here, "bit {bit} of the store");
    }
    for bit in 0..32 {
        assert_ne!(
            unplaced.part_at(lsn, 16 ^ 1 << bit),
            unplaced.part_at(lsn, 16),
            "bit {bit} of the offset"
        );
    }
}

#[test]
fn stores_that_differ_in_the_order_of_their_bytes_bind_differently() {
    let (mut one, mut two) = ([0; 16], [0; 16]);
    (one[0], two[8]) = (1, 1);
    assert_ne!(Binding::new(StoreId(one), 0), Binding::new(StoreId(two), 0));
}

#[test]
fn few_bytes_have_the_checksum_that_crc32fast_gives_them() {
    let bytes: Vec<u8> = (0..400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let binding = Binding::new(STORE, 5);
    for len in 0..300 {
        for (from, before) in [(0, 0), (1, 1), (7, 0xDEAD_BEEF), (100, u32::MAX)] {
            let bytes = &bytes[from..from + len];
            let mut hasher = crc32fast::Hasher::new_with_initial(before);
            hasher.update(bytes);
            assert_eq!(Unplaced(before).then(bytes).0, hasher.finalize(), "{len} bytes behind {before}");
            let lsn = Lsn::new(3, from as u64);
            assert_eq!(frame(bytes, lsn, binding), Unplaced::of(bytes).frame_at(lsn, binding), "{len} bytes");
        }
    }
}
