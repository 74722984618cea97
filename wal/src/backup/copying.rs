//! Pure: how a log is copied.

use super::form::Form;
use super::take::Damaged;
use crate::error::{Error, ErrorKind, Result};

/// How bytes lie in a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Packing {
    /// As they are.
    #[default]
    Plain,
    /// Compressed. Reading them wants a program with the feature `compression`, too.
    Lz4,
}

impl Packing {
    /// How what is copied lies there.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Plain => Form::Plain,
            Self::Lz4 => Form::Lz4,
        }
    }
}

/// What becomes of sealed segments where log and destination lie on one file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Linking {
    /// They are cloned, or get a second name: no byte is copied.
    #[default]
    Allowed,
    /// They are copied all the same: what harms the log's own files later does not reach the backup.
    Never,
}

/// How a log is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Copying {
    /// What becomes of values that are damaged in the log.
    pub damaged: Damaged,
    /// How the bytes lie in the destination.
    pub packing: Packing,
    /// Whether sealed segments are linked.
    pub linking: Linking,
}

impl Copying {
    /// What this program can do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: it was built without what is asked for.
    pub(super) fn check(self) -> Result<Self> {
        if self.packing == Packing::Lz4 && !cfg!(feature = "compression") {
            let say =
                "this program cannot compress: build it with the feature `compression`, or back up as it is";
            return Err(Error::new(ErrorKind::Invalid, say));
        }
        Ok(self)
    }
}
