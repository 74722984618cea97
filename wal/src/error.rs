//! Pure: the one error of the log. Its kind is chosen by the caller's next move.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::lsn::Lsn;

/// What the log answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process, or another handle of this one, has the log. The message names the process where known.
    Locked,
    /// There is no log here, and the options forbid making one.
    Missing,
    /// The directory holds something that is not a log of ours; nothing was touched.
    Foreign,
    /// The files are of a newer format than this program knows; nothing was touched.
    Format,
    /// Bytes that were promised durable are missing or changed.
    Corrupt,
    /// The system refused an operation that changes nothing: a read, a listing.
    Io,
    /// No disk space was left to prepare; nothing was written, and writing resumes by itself.
    Full,
    /// Too much is in flight, too many files are open, or something else holds what is needed; nothing was written.
    Busy,
    /// Over a limit; nothing was written.
    TooLarge,
    /// An earlier write or sync failed, or panicked: this handle writes no more.
    Halted,
    /// The write was sequenced and then failed: it may or may not be durable.
    Unknown,
    /// The handle was closed.
    Closed,
    /// This place in the log was retired, or never held a record.
    Gone,
    /// The handle was made in another process, before a fork.
    Forked,
    /// The call makes no sense as it stands.
    Invalid,
    /// The caller's progress callback asked to stop; nothing was changed.
    Aborted,
    /// The handle only reads: recovery had no space to write what it decided. The message says how much it needs.
    ReadOnly,
    /// A newer timeline of the log keeps its backups there, or the one that this is an older copy of; nothing was written.
    Superseded,
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// Nothing was written: the same call may succeed later.
    Retry,
    /// The call itself must change.
    FixCall,
    /// Close this handle and open again; only then is known what survived.
    Reopen,
    /// The bytes on disk need a person: the message names the command.
    Restore,
}

impl ErrorKind {
    /// What the caller does next.
    #[must_use]
    pub const fn next(self) -> Next {
        match self {
            Self::Locked | Self::Full | Self::Busy | Self::Aborted | Self::Io => Next::Retry,
            Self::Missing | Self::Foreign | Self::Format | Self::TooLarge => Next::FixCall,
            Self::Gone | Self::Invalid | Self::Superseded => Next::FixCall,
            Self::Halted | Self::Unknown | Self::Closed | Self::Forked | Self::ReadOnly => Next::Reopen,
            Self::Corrupt => Next::Restore,
        }
    }

    /// What is needed to write is not to be had now, space or another open file: nothing was changed, and it is tried again.
    pub(crate) const fn is_short(self) -> bool {
        matches!(self, Self::Full | Self::Busy)
    }
}

/// Why a call failed: a kind to decide by, a sentence to read, and the system's own error where there was one.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    lsn: Option<Lsn>,
    source: Option<io::Error>,
}

impl Error {
    /// An error of `kind` with a sentence that says what to do next.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), lsn: None, source: None }))
    }

    /// An error of `kind` that the system caused while `doing` something to `path`.
    #[must_use]
    pub fn io(kind: ErrorKind, doing: &str, path: &Path, source: io::Error) -> Self {
        let message = format!("{doing} {}: {source}", path.display());
        Self(Arc::new(Inner { kind, message, lsn: None, source: Some(source) }))
    }

    /// The same error, naming the record in doubt.
    #[must_use]
    pub fn at(self, lsn: Lsn) -> Self {
        let source = self.0.source.as_ref().map(|e| io::Error::new(e.kind(), e.to_string()));
        Self(Arc::new(Inner { kind: self.0.kind, message: self.0.message.clone(), lsn: Some(lsn), source }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the caller does next.
    #[must_use]
    pub fn next(&self) -> Next {
        self.0.kind.next()
    }

    /// True for [`ErrorKind::Unknown`] only: the effect may or may not be there after reopening.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.0.kind == ErrorKind::Unknown
    }

    /// True where the disk, or the user's share of it, was full: the system's word, or ours.
    pub(crate) fn lacks_space(&self) -> bool {
        let full =
            |e: &io::Error| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        self.0.kind == ErrorKind::Full || self.0.source.as_ref().is_some_and(full)
    }

    /// The place in the log that the error is about, where there is one.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        self.0.lsn
    }

    /// The sentence, without the system's error chain.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}
