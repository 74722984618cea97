//! Pure: CRC-32 of a few bytes, sixteen at a time by multiplication without carries, after Gopal and others, *Fast CRC
//! Computation for Generic Polynomials Using PCLMULQDQ Instruction* (Intel, 2009): for heads of records, small values and
//! places, for which `crc32fast` takes tables. More bytes than [`FEW_BYTES`] are better off there.
//!
//! Zeros in front change no remainder. So the odd bytes come first, behind zeros, and whole blocks of sixteen follow.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_clmulepi64_si128, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_shuffle_epi8, _mm_srli_si128, _mm_xor_si128,
};

/// Fewer bytes than this are folded here.
pub(crate) const FEW_BYTES: usize = 128;

/// Fewer bytes than this are too few: a checksum is four long.
pub(crate) const LEAST_BYTES: usize = 4;

const BLOCK_BYTES: usize = 16;

/// Remainders of x^160, x^96, x^64, the polynomial, and x^64 divided by it, their bits reversed, as the paper names them.
const K3: i64 = 0x1_7519_97d0;
const K4: i64 = 0x0_ccaa_009e;
const K5: i64 = 0x1_63cd_6124;
const P: i64 = 0x1_db71_0641;
const U: i64 = 0x1_f701_1641;

/// The checksum of what has the checksum `crc` and of `bytes`, at least [`LEAST_BYTES`], behind it.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(crate) fn update(crc: u32, bytes: &[u8]) -> u32 {
    debug_assert!(bytes.len() >= LEAST_BYTES);
    match folded(crc, bytes) {
        (Some(all), _) => reduce(all),
        (None, _) => crc,
    }
}

/// The checksum of `bytes` and the sixteen of `behind` behind them, little-endian. A number travels in registers, and
/// bytes that were just written in smaller parts would have to be waited for.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(crate) fn of_both(bytes: &[u8], behind: u128) -> u32 {
    let (before, left) = folded(0, bytes);
    let last = _mm_xor_si128(vector(behind), word(left));
    match before {
        Some(before) => reduce(fold(before, last)),
        None => reduce(last),
    }
}

/// The checksum of what has the checksum `crc` and of the first `BYTES` of `number`, little-endian, behind it: four to
/// sixteen.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(crate) fn number<const BYTES: usize>(crc: u32, number: u128) -> u32 {
    const { assert!(BYTES >= LEAST_BYTES && BYTES <= BLOCK_BYTES) };
    reduce(vector((number ^ u128::from(!crc)) << (8 * (BLOCK_BYTES - BYTES))))
}

/// Sixteen bytes that have the same checksum as all, and what of the state has to go with what follows.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn folded(crc: u32, bytes: &[u8]) -> (Option<__m128i>, u32) {
    let odd = bytes.len() % BLOCK_BYTES;
    // The state goes with the first four bytes, wherever these stand.
    let (mut folded, mut left) = match bytes.first_chunk() {
        _ if odd == 0 => (None, !crc),
        Some(first) => {
            let first = _mm_xor_si128(vector(u128::from_le_bytes(*first)), word(!crc));
            (Some(moved_up(first, odd)), rest_of(!crc, odd))
        }
        None => {
            let front = (few(bytes) ^ u128::from(!crc)) << (8 * (BLOCK_BYTES - odd));
            (Some(vector(front)), rest_of(!crc, odd))
        }
    };
    for block in bytes[odd..].as_chunks::<BLOCK_BYTES>().0 {
        let next = _mm_xor_si128(vector(u128::from_le_bytes(*block)), word(left));
        folded = match folded {
            None => Some(next),
            Some(before) => Some(fold(before, next)),
        };
        left = 0;
    }
    (folded, left)
}

/// What of a state does not go with its first bytes.
#[inline]
fn rest_of(state: u32, bytes: usize) -> u32 {
    if bytes < LEAST_BYTES { state >> (8 * bytes) } else { 0 }
}

/// The first `len` bytes of sixteen behind zeros.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn moved_up(bytes: __m128i, len: usize) -> __m128i {
    const ZERO: u8 = 0x80;
    const MOVES: [u8; 2 * BLOCK_BYTES] = {
        let (mut moves, mut n) = ([ZERO; 2 * BLOCK_BYTES], 0);
        while n < BLOCK_BYTES {
            moves[BLOCK_BYTES + n] = n as u8;
            n += 1;
        }
        moves
    };
    let moves = MOVES[len..].first_chunk().map_or(0, |moves| u128::from_le_bytes(*moves));
    _mm_shuffle_epi8(bytes, vector(moves))
}

/// Up to fifteen bytes as a number.
#[inline]
fn few(bytes: &[u8]) -> u128 {
    let word = |at: usize| bytes[at..].first_chunk().map(|four| u32::from_le_bytes(*four));
    match bytes.len() {
        8.. => {
            let (first, last) = (bytes.first_chunk(), bytes.last_chunk());
            let number =
                |eight: Option<&[u8; 8]>| eight.map_or(0, |eight| u128::from(u64::from_le_bytes(*eight)));
            number(first) | number(last) << (8 * (bytes.len() - 8))
        }
        4.. => {
            u128::from(word(0).unwrap_or(0))
                | u128::from(word(bytes.len() - 4).unwrap_or(0)) << (8 * (bytes.len() - 4))
        }
        _ => bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
    }
}

#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn vector(number: u128) -> __m128i {
    _mm_set_epi64x((number >> 64) as i64, number as i64)
}

#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn word(number: u32) -> __m128i {
    _mm_set_epi32(0, 0, 0, number as i32)
}

/// `before`, moved sixteen bytes up, and `next`.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn fold(before: __m128i, next: __m128i) -> __m128i {
    let keys = _mm_set_epi64x(K4, K3);
    let (low, high) =
        (_mm_clmulepi64_si128::<0x00>(before, keys), _mm_clmulepi64_si128::<0x11>(before, keys));
    _mm_xor_si128(_mm_xor_si128(low, high), next)
}

/// The checksum of sixteen bytes.
#[inline]
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
fn reduce(x: __m128i) -> u32 {
    let word = word(u32::MAX);
    let x = _mm_xor_si128(_mm_clmulepi64_si128::<0x10>(x, _mm_set_epi64x(K4, K3)), _mm_srli_si128::<8>(x));
    let low = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(x, word), _mm_set_epi64x(0, K5));
    let x = _mm_xor_si128(low, _mm_srli_si128::<4>(x));
    let barrett = _mm_set_epi64x(U, P);
    let quotient = _mm_clmulepi64_si128::<0x10>(_mm_and_si128(x, word), barrett);
    let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(quotient, word), barrett);
    !(_mm_extract_epi32::<1>(_mm_xor_si128(product, x)) as u32)
}
