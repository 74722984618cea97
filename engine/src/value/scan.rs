//! Pure: whether bytes are one MessagePack value of the kinds that the store keeps, without reading it.
//!
//! What is written is looked at once more before it is stored, and what was stored before it is read: so nothing is
//! ever stored that cannot be read back, and no type that reads it sees a nesting or a length that is not there.
//! Walks with a stack of its own, never recursing, and allocates nothing.
//!
//! That text is UTF-8 is not looked at: what serde writes always is, and who reads it as text checks it then.

use crate::limits::VALUE_DEPTH_MAX;

/// Why bytes are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They end before the value does.
    CutShort,
    /// They go on after the value.
    Trailing,
    /// Lists and maps are nested deeper than [`VALUE_DEPTH_MAX`].
    TooDeep,
    /// A key of a map is neither text nor a whole number.
    Key,
    /// A kind that the store does not keep: MessagePack's extensions and its reserved byte.
    Kind,
}

/// Looks at all of `bytes`.
pub(super) fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let mut outer = [Level::TOP; VALUE_DEPTH_MAX];
    let mut depth = 0;
    let mut level = Level::TOP;
    let mut at = 0;
    while depth > 0 || level.left > 0 {
        if level.left == 0 {
            depth -= 1;
            level = outer[depth];
            continue;
        }
        let marker = *bytes.get(at).ok_or(Flaw::CutShort)?;
        let class = CLASSES[usize::from(marker)];
        if level.awaits_key() && class & KEY == 0 {
            return Err(Flaw::Key);
        }
        level.left -= 1;
        at += 1 + usize::from(class & SKIP);
        if class & LONG != 0 {
            let (entered, after) = take_long(marker, bytes, at)?;
            at = after;
            if let Some(inner) = entered {
                *outer.get_mut(depth).ok_or(Flaw::TooDeep)? = level;
                depth += 1;
                level = inner;
            }
        }
    }
    match at.cmp(&bytes.len()) {
        std::cmp::Ordering::Less => Err(Flaw::Trailing),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Flaw::CutShort),
    }
}

/// A list or a map that is being walked.
#[derive(Clone, Copy)]
struct Level {
    /// Items still to come, of a map keys and values alike.
    left: u64,
    map: bool,
}

impl Level {
    /// What holds the value itself.
    const TOP: Self = Self { left: 1, map: false };

    fn list(len: usize) -> Self {
        Self { left: len as u64, map: false }
    }

    fn map(len: usize) -> Self {
        Self { left: 2 * len as u64, map: true }
    }

    fn awaits_key(self) -> bool {
        self.map && self.left.is_multiple_of(2)
    }
}

/// Bytes that follow the marker: of numbers, of short text.
const SKIP: u8 = 0x1f;
/// The marker may begin the key of a map.
const KEY: u8 = 0x20;
/// What follows is no fixed number of bytes, see [`take_long`].
const LONG: u8 = 0x40;

/// What each marker announces.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        classes[marker] = class_of(marker as u8);
        marker += 1;
    }
    classes
};

const fn class_of(marker: u8) -> u8 {
    match marker {
        0x00..=0x7f | 0xe0..=0xff => KEY,                // small whole numbers
        0xa0..=0xbf => KEY | (marker & 0x1f),            // short text
        0xcc..=0xcf => KEY | 1 << (marker & 3),          // u8 … u64
        0xd0..=0xd3 => KEY | 1 << (marker & 3),          // i8 … i64
        0xd9..=0xdb => KEY | LONG,                       // text
        0xc0 | 0xc2 | 0xc3 => 0,                         // nil, false, true
        0xca => 4,                                       // f32
        0xcb => 8,                                       // f64
        0x80..=0x9f | 0xc4..=0xc6 | 0xdc..=0xdf => LONG, // maps, lists, bytes
        0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => LONG,        // what the store does not keep
    }
}

/// What begins with `marker` and goes on at `at`: a level to walk or bytes to skip, and where it goes on from there.
fn take_long(marker: u8, bytes: &[u8], at: usize) -> Result<(Option<Level>, usize), Flaw> {
    let low = usize::from(marker & 0x0f);
    match marker {
        0x80..=0x8f => Ok((Some(Level::map(low)), at)),
        0x90..=0x9f => Ok((Some(Level::list(low)), at)),
        0xdc | 0xdd => take_len(2 << (marker & 1), bytes, at).map(|(len, at)| (Some(Level::list(len)), at)),
        0xde | 0xdf => take_len(2 << (marker & 1), bytes, at).map(|(len, at)| (Some(Level::map(len)), at)),
        0xc4..=0xc6 => {
            take_len(1 << (marker - 0xc4), bytes, at).map(|(len, at)| (None, at.saturating_add(len)))
        }
        0xd9..=0xdb => {
            take_len(1 << (marker - 0xd9), bytes, at).map(|(len, at)| (None, at.saturating_add(len)))
        }
        _ => Err(Flaw::Kind),
    }
}

/// A length of `width` bytes, big-endian as MessagePack has it.
fn take_len(width: usize, bytes: &[u8], at: usize) -> Result<(usize, usize), Flaw> {
    let len = bytes.get(at..at + width).ok_or(Flaw::CutShort)?;
    Ok((len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), at + width))
}
