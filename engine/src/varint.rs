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
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes that `number` takes.
#[inline]
pub(crate) fn bytes(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// The number at the front of `bytes` and what follows it; `None` where there is none.
#[inline]
pub(crate) fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [low, rest @ ..] if *low < 0x80 => Some((u64::from(*low), rest)),
        [low, high, rest @ ..] if *high < 0x80 && *high > 0 => {
            Some((u64::from(*low & 0x7f) | u64::from(*high) << 7, rest))
        }
        _ => take_long(bytes),
    }
}

/// As [`take`], for a number that fits `u32`.
#[inline]
pub(crate) fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = take(bytes)?;
    Some((u32::try_from(number).ok()?, rest))
}

#[inline(never)]
fn take_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
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
}
