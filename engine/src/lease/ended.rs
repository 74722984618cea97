//! Pure: why a session ended, and who wants it.

use std::fmt;
use std::time::Duration;

use crate::key::Key;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its holder released it, and nobody was asking for it.
    Released,
    /// Its holder released it for another, who had asked.
    HandedOver(String),
    /// Another took it, or a forced write or a person broke it: the name of the holder, or the reason given.
    Stolen(String),
    /// Its holder gave no sign of life for too long.
    Expired,
    /// What it was about was erased.
    Erased,
    /// An earlier state of what it was about was restored.
    Restored,
    /// Its holder is gone: the process ended, the last handle was dropped, or another life began.
    Closed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released => f.write_str("released"),
            Self::HandedOver(to) => write!(f, "handed over to {to}"),
            Self::Stolen(by) => write!(f, "taken by {by}"),
            Self::Expired => f.write_str("expired"),
            Self::Erased => f.write_str("erased"),
            Self::Restored => f.write_str("restored"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// Somebody asks for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// The holder that asks.
    pub by: String,
    /// It takes the session by force after this time.
    pub after: Duration,
}

/// A leased key: its collection and itself. Shown as `collection/key`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldKey {
    /// The name of the collection.
    pub collection: String,
    /// The key in it.
    pub key: Key,
}

impl fmt::Display for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.key)
    }
}
