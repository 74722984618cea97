//! Pure: moments as callers name them.

use std::time::Duration;

use crate::ids::Version;

/// A moment in the life of a store, wherever one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// The newest that readers see.
    Now,
    /// Right behind the commit of this version. A read of one key reads exactly that version of it.
    Version(Version),
    /// A time: microseconds since 1970. What was newest then; where that moment is no longer kept, at the kept one before.
    Time(u64),
    /// This long before now, as a time.
    Ago(Duration),
    /// The moment that was pinned under this name.
    Pin(String),
}

impl At {
    /// The moment `time` before now.
    #[must_use]
    pub const fn ago(time: Duration) -> Self {
        Self::Ago(time)
    }
}

impl From<Version> for At {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}
