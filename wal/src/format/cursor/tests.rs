use super::*;

fn put() -> Vec<u8> {
    let mut put = Put::default();
    put.u8(0x01).u16(0x0203).u32(0x0405_0607).u64(0x0809_0A0B_0C0D_0E0F).bytes(b"raw").counted(b"counted");
    put.0
}

#[test]
fn fields_are_little_endian_behind_one_another() {
    let expected: &[&[u8]] =
        &[&[1], &[3, 2], &[7, 6, 5, 4], &[15, 14, 13, 12, 11, 10, 9, 8], b"raw", &[7, 0, 0, 0], b"counted"];
    assert_eq!(put(), expected.concat());
}

#[test]
fn what_was_put_is_taken_and_nothing_is_left() {
    let bytes = put();
    let mut take = Take(&bytes);
    assert_eq!(take.u8(), Some(1));
    assert_eq!(take.u16(), Some(0x0203));
    assert_eq!(take.u32(), Some(0x0405_0607));
    assert_eq!(take.u64(), Some(0x0809_0A0B_0C0D_0E0F));
    assert_eq!(take.array(), Some(*b"raw"));
    assert_eq!(take.counted(7), Some(&b"counted"[..]));
    assert!(take.0.is_empty());
}

#[test]
fn too_few_bytes_are_none_and_stay_where_they_are() {
    for have in 0..8_usize {
        let bytes = vec![9; have];
        let mut take = Take(&bytes);
        assert_eq!(take.u64(), None);
        assert_eq!(take.array::<8>(), None);
        assert_eq!(take.bytes(have + 1), None);
        assert_eq!(take.u32().is_some(), have >= 4);
        assert_eq!(take.0.len(), if have >= 4 { have - 4 } else { have });
    }
}

#[test]
fn counted_bytes_keep_the_readers_bound_whatever_they_say() {
    let counted = |says: u32, have: usize, max: usize| {
        let bytes = [&says.to_le_bytes()[..], &vec![7; have]].concat();
        Take(&bytes).counted(max).map(<[u8]>::len)
    };
    assert_eq!(counted(3, 3, 3), Some(3));
    assert_eq!(counted(3, 9, 3), Some(3));
    assert_eq!(counted(4, 4, 3), None, "over the bound");
    assert_eq!(counted(4, 3, 9), None, "over what is there");
    assert_eq!(counted(u32::MAX, 9, usize::MAX), None);
    assert_eq!(counted(0, 0, 0), Some(0));
}
