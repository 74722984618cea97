//! Pure: a file that is replaced whole: what MANIFEST and the inventories of backups have in common.
//!
//! ```text
//! offset  0        8         12      16           16+len
//!         +--------+---------+-------+------------+--------+
//!         | magic  | version | len   | body       | crc32  |
//!         +--------+---------+-------+------------+--------+
//! ```
//!
//! crc32 covers everything before itself; nothing follows it. len is checked against the caller's limit before anything
//! is read. Little-endian, for ever.

use super::cursor::{Put, Take};
use super::frame::Bad;

/// Bytes around the body.
pub const ENVELOPE_BYTES: usize = 20;

/// The whole file.
#[must_use]
pub fn close(magic: &[u8; 8], version: u32, body: &Put) -> Vec<u8> {
    let mut file = Put::default();
    file.bytes(magic).u32(version).counted(&body.0);
    let crc = crc32fast::hash(&file.0);
    file.u32(crc);
    file.0
}

/// The body of a whole file, which is at most `bytes_max` long.
///
/// # Errors
///
/// [`Bad::Kind`]: another version. Otherwise why it is unreadable.
pub fn open<'a>(file: &'a [u8], magic: &[u8; 8], version: u32, bytes_max: usize) -> Result<Take<'a>, Bad> {
    if file.is_empty() {
        return Err(Bad::Nothing);
    }
    let mut take = Take(file);
    let found = take.bytes(magic.len()).ok_or(Bad::Length)?;
    let number = take.u32().ok_or(Bad::Length)?;
    let body = take.counted(bytes_max).ok_or(Bad::Length)?;
    let crc = take.u32().ok_or(Bad::Length)?;
    if !take.0.is_empty() {
        return Err(Bad::Length);
    }
    if found != magic || crc32fast::hash(&file[..ENVELOPE_BYTES - 4 + body.len()]) != crc {
        return Err(Bad::Checksum);
    }
    if number == version { Ok(Take(body)) } else { Err(Bad::Kind) }
}

/// A list, its count in front; no item is shorter than `least` bytes, so that nothing is allocated for a lie.
pub fn list<T>(
    take: &mut Take<'_>,
    least: usize,
    item: impl Fn(&mut Take<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = take.u32()? as usize;
    if count > take.0.len() / least {
        return None;
    }
    (0..count).map(|_| item(take)).collect()
}
