//! Corridor: how long history is kept: settings that live in the store.

use std::time::Duration;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::ids::Version;
use crate::name::CollectionName;
use crate::retention::{Moments, Retention};
use crate::store::Store;

impl Store {
    /// What is kept of the history of a collection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no name for a collection. [`ErrorKind::Damaged`]: everything of it is
    /// kept until it is set again. [`ErrorKind::Format`]: a newer program set it; as damaged. [`ErrorKind::Io`].
    pub fn retention(&self, collection: &str) -> Result<Retention> {
        self.core.retention(&CollectionName::new(collection)?, self.core.visible())
    }

    /// Says what is kept of the history of a collection from now on. What is given up goes in the background, and what is
    /// gone does not come back where a later setting keeps more. Mends a setting that cannot be read. Durable on return.
    ///
    /// [`Retention::NewestOnly`] says what it means for restores to a moment of the past, and for feeds.
    ///
    /// ```
    /// # fn main() -> savehold::Result<()> {
    /// # let store = savehold::Store::in_memory()?;
    /// use savehold::{Retention, VersionsKept};
    /// use std::time::Duration;
    ///
    /// let month = Duration::from_secs(30 * 24 * 3600);
    /// store.set_retention("guilds", Retention::History(VersionsKept { explicit: month, ..VersionsKept::default() }))?;
    /// store.set_retention("cache", Retention::NewestOnly)?;
    /// assert_eq!(store.retention("cache")?, Retention::NewestOnly);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no name for a collection. [`ErrorKind::TooLarge`] too where
    /// [`RETENTIONS_MAX`](crate::limits::RETENTIONS_MAX) others have a setting of their own: nothing was changed. Otherwise as
    /// [`Collection::set`](crate::Collection::set).
    pub fn set_retention(&self, collection: &str, retention: Retention) -> Result<()> {
        self.core.set_retention(&CollectionName::new(collection)?, retention).map(drop)
    }

    /// Which moments of the past are kept, for all keys.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`]: no moment is given up until they are set again. [`ErrorKind::Io`].
    pub fn moments(&self) -> Result<Moments> {
        Ok(self.core.keeping(self.core.visible())?.moments)
    }

    /// Says which moments of the past are kept from now on. What is given up goes in the background, and does not come
    /// back. Durable on return.
    ///
    /// Mends settings that cannot be read. Outcomes of ids stand beside them: set those too, for they are kept from then on as
    /// the newest older settings say that can be read, or where there are none for ever.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: full minutes and full hours for so long would be more than
    /// [`MOMENTS_MAX`](crate::limits::MOMENTS_MAX) single moments; nothing was changed. Otherwise as
    /// [`Collection::set`](crate::Collection::set).
    pub fn set_moments(&self, moments: Moments) -> Result<()> {
        moments.check()?;
        self.core.change_keeping(|keeping| keeping.moments = moments).map(drop)
    }

    /// How long outcomes of idempotency ids are kept; default 7 days.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`], [`ErrorKind::Io`].
    pub fn outcomes_kept(&self) -> Result<Duration> {
        Ok(self.core.keeping(self.core.visible())?.outcomes)
    }

    /// The newest commit whose idempotency id was forgotten, or may have been lost before a repair; `None`: none was. For who first used an id behind that
    /// commit `Forgotten` means `NotCommitted`: ids of newer commits are all known.
    #[must_use]
    pub fn forgotten_through(&self) -> Option<Version> {
        self.core.forgotten().map(Version::from)
    }

    /// Says how long outcomes of idempotency ids are kept from now on; afterwards [`Store::outcome`] answers `Forgotten`, and
    /// a call that is repeated is done again. Mends settings that cannot be read, as [`Store::set_moments`] does: moments are
    /// kept from then on as the newest older settings say, or where there are none all of them. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`](crate::Collection::set).
    pub fn set_outcomes_kept(&self, time: Duration) -> Result<()> {
        self.core.change_keeping(|keeping| keeping.outcomes = time).map(drop)
    }

    /// Drops from the index what is no longer kept, now and not when it falls due. False: nothing is dropped for now,
    /// because the clock stood more than a day ahead of the log when the store was opened; see
    /// [`Store::nothing_goes_until`]. What a setting gives up that cannot be read stays
    /// ([`Stats::thinning_failure`](crate::Stats::thinning_failure)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`], [`ErrorKind::Halted`]: nothing was dropped.
    pub fn thin(&self) -> Result<bool> {
        self.core.thin_now()
    }

    /// Engine time, microseconds since 1970, before which nothing is dropped: when the store was opened the clock stood
    /// more than a day ahead of the log. After a long pause that is right, and [`Store::trust_clock`] says so. `None`: the
    /// clock had not leapt.
    #[must_use]
    pub fn nothing_goes_until(&self) -> Option<u64> {
        self.core.nothing_goes_until()
    }

    /// Takes it that the clock is right after a leap: what is no longer kept may be dropped at once. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Halted`].
    pub fn trust_clock(&self) -> Result<()> {
        self.core.trust_clock()
    }
}
