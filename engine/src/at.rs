//! Pure: moments as callers name them.

use std::time::{Duration, SystemTime};

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

/// A time of the system's clock, to the microsecond. What lies outside of [`At::Time`] is its nearest end: before 1970 no store
/// held anything, so the moment is the same.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = savehold::Store::in_memory()?;
/// use std::time::{Duration, SystemTime};
///
/// let coins = store.collection::<u64>("coins")?;
/// coins.set("42", &100)?;
/// let then = SystemTime::now() - Duration::from_secs(3600);
/// assert!(coins.get_at("42", then)?.is_none());
/// # Ok(())
/// # }
/// ```
impl From<SystemTime> for At {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_system_is_a_moment_to_the_microsecond() {
        let epoch = SystemTime::UNIX_EPOCH;
        let cases = [
            (epoch, 0),
            (epoch + Duration::from_nanos(1_999), 1),
            (epoch + Duration::from_secs(1_577_836_800), 1_577_836_800_000_000),
            (epoch - Duration::from_nanos(1), 0),
            (epoch - Duration::from_secs(1 << 32), 0),
        ];
        for (time, us) in cases {
            assert_eq!(At::from(time), At::Time(us), "{time:?}");
        }
        if let Some(far) = epoch.checked_add(Duration::from_secs(1 << 45)) {
            assert_eq!(At::from(far), At::Time(u64::MAX));
        }
    }
}
