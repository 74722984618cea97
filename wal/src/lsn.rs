//! Pure: the log sequence number, the one number of the whole engine.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A place in the log: the timeline in the high 16 bits, the byte offset within it in the low 48.
///
/// Never reused and never lowered: a record keeps its `Lsn` through compaction, backup and restore. Shown and
/// parsed as `timeline.offset`. Zero is no place at all ([`Lsn::NONE`]); timelines begin at 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

/// Bits of an [`Lsn`] that hold the offset; the rest hold the timeline.
const OFFSET_BITS: u32 = 48;

impl Lsn {
    /// No place: smaller than every place in any log.
    pub const NONE: Self = Self(0);
    /// Larger than every place in any log.
    pub const MAX: Self = Self(u64::MAX);
    /// The largest offset a timeline can hold; a timeline that reaches it is used up.
    pub const OFFSET_MAX: u64 = (1 << OFFSET_BITS) - 1;

    /// The place at `offset` bytes in `timeline`. Offsets past [`Lsn::OFFSET_MAX`] are our own mistake.
    #[must_use]
    #[inline]
    pub const fn new(timeline: u16, offset: u64) -> Self {
        assert!(offset <= Self::OFFSET_MAX);
        Self(((timeline as u64) << OFFSET_BITS) | offset)
    }

    /// The place whose stored form is `raw`.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The stored form: what stands in files and indexes.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The timeline: grows with each restore, repair and new store.
    #[must_use]
    #[inline]
    pub const fn timeline(self) -> u16 {
        (self.0 >> OFFSET_BITS) as u16
    }

    /// The byte offset within the timeline.
    #[must_use]
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 & Self::OFFSET_MAX
    }

    /// The place `bytes` further in the same timeline, or `None` where the timeline is used up.
    #[must_use]
    #[inline]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.offset().checked_add(bytes) {
            Some(offset) if offset <= Self::OFFSET_MAX => Some(Self::new(self.timeline(), offset)),
            _ => None,
        }
    }

    /// The place `bytes` further; staying inside the timeline is the caller's promise.
    #[must_use]
    #[inline]
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        match self.checked_add(bytes) {
            Some(lsn) => lsn,
            None => panic!("a segment never reaches past its timeline"),
        }
    }

    /// The place `bytes` further, where one further still is known to be a place of the same timeline.
    #[must_use]
    #[inline]
    pub(crate) const fn within(self, bytes: usize) -> Self {
        debug_assert!(self.offset() + bytes as u64 <= Self::OFFSET_MAX);
        Self(self.0 + bytes as u64)
    }

    /// Bytes from `earlier` to `self`, or `None` where `earlier` is later or in another timeline.
    #[must_use]
    #[inline]
    pub const fn bytes_since(self, earlier: Self) -> Option<u64> {
        if self.timeline() == earlier.timeline() && self.0 >= earlier.0 {
            Some(self.0 - earlier.0)
        } else {
            None
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.timeline(), self.offset())
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`Lsn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLsnError(());

impl fmt::Display for ParseLsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a place in a log: write it as timeline.offset, for example 2517.40960")
    }
}

impl std::error::Error for ParseLsnError {}

impl From<ParseIntError> for ParseLsnError {
    fn from(_: ParseIntError) -> Self {
        Self(())
    }
}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let (timeline, offset) = text.split_once('.').ok_or(ParseLsnError(()))?;
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if !digits(timeline) || !digits(offset) {
            return Err(ParseLsnError(()));
        }
        let (timeline, offset) = (timeline.parse()?, offset.parse()?);
        if offset > Self::OFFSET_MAX {
            return Err(ParseLsnError(()));
        }
        Ok(Self::new(timeline, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_reversible_and_strict() {
        for lsn in [Lsn::new(1, 0), Lsn::new(2517, 40960), Lsn::new(u16::MAX, Lsn::OFFSET_MAX)] {
            assert_eq!(lsn.to_string().parse(), Ok(lsn));
            assert_eq!(Lsn::from_raw(lsn.raw()), lsn);
        }
        for bad in ["", "1", "1.", ".1", "1.2.3", "+1.2", "1.+2", "65536.0", "1.281474976710656", "a.b"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn order_is_timeline_then_offset() {
        assert!(Lsn::new(2, 0) > Lsn::new(1, Lsn::OFFSET_MAX));
        assert!(Lsn::new(2, 1) > Lsn::new(2, 0));
        assert_eq!(Lsn::new(2, 9).bytes_since(Lsn::new(2, 4)), Some(5));
        assert_eq!(Lsn::new(3, 9).bytes_since(Lsn::new(2, 4)), None);
        assert_eq!(Lsn::new(1, Lsn::OFFSET_MAX).checked_add(1), None);
    }
}
