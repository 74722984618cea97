//! Pure: whole numbers in as few bytes as they need, for records and entries.
//!
//! ```text
//! 0..=127              1 byte   | 0 nnnnnnn |
//! 128..=16383          2 bytes  | 1 nnnnnnn | 0 nnnnnnn |      low seven bits first
//! up to u64::MAX      10 bytes  | 1 …       | … | 0 nnnnnnn |
//! ```
//!
//! Each number has one form only, the shortest; a longer one is refused, so that equal things are equal bytes.

/// Longest form of a `u64`.
const BYTES_MAX: usize = 10;

/// Appends `number` to `out`.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        out.push(number as u8);
    } else if number <= EIGHT_MAX {
        let (len, all) = (out.len(), bytes(number));
        // eight at once, of which those behind the last are taken back
        let more = MORE >> (u64::BITS as usize - 8 * (all - 1));
        out.extend_from_slice(&(spread(number) | more).to_le_bytes());
        out.truncate(len + all);
    } else {
        put_long(out, number);
    }
}

#[cold]
fn put_long(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Largest number of eight bytes.
const EIGHT_MAX: u64 = (1 << 56) - 1;

/// Seven bits each in eight bytes, the low ones first: undoes [`gather`].
#[inline]
fn spread(number: u64) -> u64 {
    let fours = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let pairs = fours & 0x0000_3fff_0000_3fff | (fours & 0x0fff_c000_0fff_c000) << 2;
    pairs & 0x007f_007f_007f_007f | (pairs & 0x3f80_3f80_3f80_3f80) << 1
}

/// Bytes that `number` takes.
#[inline]
pub(crate) fn bytes(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// The number at the front of `bytes` and what follows it; `None` where there is none.
#[inline(always)]
pub(crate) fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [low, rest @ ..] if *low < 0x80 => Some((u64::from(*low), rest)),
        _ => take_long(bytes),
    }
}

/// As [`take`], for a number that fits `u32`.
#[inline]
pub(crate) fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = take(bytes)?;
    Some((u32::try_from(number).ok()?, rest))
}

/// Of eight bytes: those that say that more follow, and the seven bits of each that are the number's.
const MORE: u64 = 0x8080_8080_8080_8080;

#[inline(never)]
fn take_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some(eight) = bytes.first_chunk() else { return take_slowly(bytes) };
    let eight = u64::from_le_bytes(*eight);
    let ends = !eight & MORE;
    if ends == 0 {
        return take_slowly(bytes);
    }
    let bits = ends.trailing_zeros(); // of the last byte, the highest
    let last = eight >> (bits - 7) & 0x7f;
    let number = gather(eight & !MORE & (u64::MAX >> (63 - bits)));
    (last > 0 || bits == 7).then(|| (number, &bytes[bits as usize / 8 + 1..]))
}

/// The seven low bits of each of eight bytes behind one another.
#[inline]
fn gather(eight: u64) -> u64 {
    let pairs = eight & 0x007f_007f_007f_007f | (eight & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// Where the last of `COUNT` numbers, one to eight, ends, if it does in these bytes.
#[inline(always)]
pub(crate) fn end<const COUNT: u32>(eight: [u8; 8]) -> Option<usize> {
    const { assert!(COUNT >= 1 && COUNT <= 8) };
    let mut ends = !u64::from_le_bytes(eight) & MORE;
    for _ in 1..COUNT {
        ends &= ends.wrapping_sub(1);
    }
    (ends != 0).then(|| ends.trailing_zeros() as usize / 8 + 1)
}

/// `COUNT` numbers, one to eight, and how many bytes they take, if they end in these; `None` where they do not, or one of them
/// is not in its shortest form.
#[inline(always)]
pub(crate) fn several<const COUNT: usize>(eight: [u8; 8]) -> Option<([u64; COUNT], usize)> {
    const { assert!(COUNT >= 1 && COUNT <= 8) };
    let (mut rest, mut passed, mut numbers) = (u64::from_le_bytes(eight), 0, [0; COUNT]);
    for number in &mut numbers {
        let ends = !rest & MORE;
        if ends == 0 {
            return None;
        }
        let bits = ends.trailing_zeros() + 1; // up to the end of its last byte
        let own = rest & (u64::MAX >> (u64::BITS - bits));
        if own >> (bits - 8) == 0 && bits > 8 {
            return None;
        }
        *number = gather(own & !MORE);
        rest = rest >> (bits - 1) >> 1;
        passed += bits; // zeros move up from behind the eighth byte: they count as bytes that were not there
    }
    (passed <= u64::BITS).then_some((numbers, passed as usize / 8))
}

/// What follows `COUNT` numbers, one to eight, that are not looked at; `None` where there are not so many.
#[inline(always)]
pub(crate) fn skip<const COUNT: u32>(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first_chunk().and_then(|eight| end::<COUNT>(*eight)) {
        Some(end) => bytes.get(end..),
        None => skip_slowly(bytes, COUNT),
    }
}

#[cold]
fn skip_slowly(mut bytes: &[u8], count: u32) -> Option<&[u8]> {
    for _ in 0..count {
        let end = bytes.iter().position(|byte| *byte < 0x80)?;
        bytes = &bytes[end + 1..];
    }
    Some(bytes)
}

#[cold]
fn take_slowly(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (i, byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        number |= bits << (7 * i);
        if *byte < 0x80 {
            let shortest = bits > 0 || i == 0;
            let fits = i < BYTES_MAX - 1 || bits <= 1;
            return (shortest && fits).then(|| (number, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, number);
        out
    }

    #[test]
    fn every_number_comes_back_and_takes_no_more_than_it_needs() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1 << shift) - 1, (1 << shift) + 1, u64::MAX >> shift] {
                let bytes = bytes_of(number);
                assert_eq!(bytes.len(), (64 - number.leading_zeros()).div_ceil(7).max(1) as usize);
                assert_eq!(bytes.len(), super::bytes(number));
                let followed = [bytes.as_slice(), &[0xff]].concat();
                assert_eq!(take(&followed), Some((number, &[0xffu8][..])));
                assert_eq!(
                    take_u32(&followed).map(|n| u64::from(n.0)),
                    u32::try_from(number).ok().map(u64::from)
                );
            }
        }
    }

    #[test]
    fn numbers_at_the_end_and_before_others_are_read_alike() {
        let mut number = 1_u64;
        for n in 0..10_000_u64 {
            number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(n);
            let number = number >> (n % 64);
            let bytes = bytes_of(number);
            assert_eq!(take_slowly(&bytes), Some((number, &[][..])));
            assert_eq!(take(&bytes), Some((number, &[][..])));
            for behind in [0, 0x7f, 0x80, 0xff] {
                let followed = [bytes.as_slice(), &[behind; 9]].concat();
                assert_eq!(take(&followed), Some((number, &[behind; 9][..])));
                let (last, front) = bytes.split_last().unwrap();
                let padded = [front, &[last | 0x80, 0], &[behind; 9]].concat();
                assert_eq!(take(&padded), None, "{padded:?}");
            }
        }
    }

    #[test]
    fn skipped_numbers_end_where_taken_ones_do() {
        for (a, b, c) in [(0, 0, 0), (1 << 40, 1, 300), (u64::MAX, 1 << 13, 5), (127, 128, u64::MAX)] {
            let mut bytes = Vec::new();
            [a, b, c].into_iter().for_each(|number| put(&mut bytes, number));
            for behind in [&[][..], &[0xff; 3], &[0; 12]] {
                let followed = [bytes.as_slice(), behind].concat();
                assert_eq!(skip::<3>(&followed), Some(behind));
                let (_, rest) = take(&followed).unwrap();
                assert_eq!(skip::<1>(&followed), Some(rest));
                assert_eq!(skip::<2>(rest), Some(behind));
            }
            for len in 0..bytes.len() {
                assert_eq!(skip::<3>(&bytes[..len]), None);
            }
        }
    }

    #[test]
    fn what_is_cut_short_overlong_or_too_large_is_no_number() {
        for shift in [0, 6, 7, 13, 14, 20, 34, 62, 63] {
            let bytes = bytes_of(1 << shift);
            for len in 0..bytes.len() {
                assert_eq!(take(&bytes[..len]), None, "{bytes:?} cut to {len}");
            }
            let (last, front) = bytes.split_last().unwrap();
            let padded = [front, &[last | 0x80, 0]].concat();
            assert_eq!(take(&padded), None, "{padded:?}");
        }
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(take(&too_large), None);
        assert_eq!(take(&[0xff; 11]), None);
    }

    #[test]
    fn several_numbers_are_what_one_after_the_other_are() {
        let numbers =
            [0, 1, 127, 128, 16_383, 16_384, (1 << 21) - 1, 1 << 21, 1 << 35, (1 << 42) - 1, 1 << 49];
        for (a, b, c) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b, (a ^ b) % 1000))) {
            let mut out = [a, b, c].map(bytes_of).concat();
            let taken = out.len();
            out.extend([0xff, 0x01, 0x80, 0, 0, 0, 0, 0]); // what follows is not looked at
            let expected = (taken <= 8).then_some(([a, b, c], taken));
            assert_eq!(several(*out.first_chunk().unwrap()), expected, "{a} {b} {c}");
        }
        assert_eq!(several::<3>([0x80, 0, 1, 1, 0, 0, 0, 0]), None, "the first is longer than it need be");
        assert_eq!(several::<3>([1, 0x81, 0x80, 0, 1, 0, 0, 0]), None, "the second is");
        assert_eq!(several::<3>([1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), None, "the third is");
        assert_eq!(several::<3>([0x80; 8]), None);
        assert_eq!(several::<8>([1, 2, 3, 4, 5, 6, 7, 8]), Some(([1, 2, 3, 4, 5, 6, 7, 8], 8)));
    }
}
