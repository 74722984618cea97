//! Pure: the one error of the store. Its kind is chosen by the caller's next move.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::lsn::ParseLsnError;

use crate::ids::{Token, Version};

/// What the store answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process, or another handle of this one, has the store. The message names the process where known.
    Locked,
    /// There is no store, backup or collection here, and the call may not make one.
    Missing,
    /// The directory holds something that is not a store of ours; nothing was touched.
    Foreign,
    /// The bytes are of a newer format than this program knows; nothing was touched.
    Format,
    /// Bytes that were promised durable are missing or changed: the store does not open.
    Corrupt,
    /// One stored version cannot be read; all else goes on. [`Error::older`] names a version that may serve.
    Damaged,
    /// The system refused an operation that changes nothing: a read, a listing.
    Io,
    /// No disk space was left to prepare; nothing was written, and writing resumes by itself. What removes, releases or unpins,
    /// and settings of history, still have a reserve.
    Full,
    /// Too much is in flight, too many files are open, or something else holds what is needed; nothing was written.
    Busy,
    /// Over a limit; nothing was written.
    TooLarge,
    /// An earlier write or sync failed, or panicked: this handle writes no more.
    Halted,
    /// The commit took its place in the log and then failed: it may or may not be durable. [`Error::version`]
    /// names it.
    Unknown,
    /// The handle was closed.
    Closed,
    /// What was asked for is no longer kept.
    Gone,
    /// The handle was made in another process, before a fork.
    Forked,
    /// The call makes no sense as it stands.
    Invalid,
    /// The caller's own callback asked to stop; nothing was changed.
    Aborted,
    /// The handle only reads.
    ReadOnly,
    /// The key is not in the state that the call expected: another version, or present where it should be
    /// absent. Nothing was written.
    Conflict,
    /// A call of the store from inside a closure that the store is running; nothing was written.
    Reentrant,
    /// The caller's closure panicked; nothing was written and nothing is poisoned.
    Panicked,
    /// `increment` met a value that is not a whole number; nothing was written.
    NotANumber,
    /// `increment` would leave the range of an `i64`; nothing was written.
    Overflow,
    /// Stored or given bytes are no value of the type that was asked for; they stay as they are.
    Decode,
    /// The value cannot be stored: its type does not serialize to a document; nothing was written.
    Encode,
    /// The collection, or the value in it, is of another kind than the call works on.
    WrongType,
    /// The version belongs to a future that a restore or a repair undid.
    Undone,
    /// Another holder has a lease on the key; nothing was written.
    Leased,
    /// The token that came with the write is no longer the current one; nothing was written.
    Fenced,
    /// The session is over; the message says why. Nothing was written.
    Ended,
    /// This very holder has the key already; use the session that it has.
    AlreadyActive,
    /// The mailbox holds as much as it may; nothing was sent.
    MailboxFull,
    /// The caller's own check refused the value; nothing was written, in memory neither.
    Refused,
    /// A newer timeline of the store keeps its backups in that destination, or the one that this is an older copy of; nothing
    /// was written there.
    Superseded,
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// Nothing was written: the same call may succeed later.
    Retry,
    /// Somebody else plays this key now: stop, and write nothing more for it.
    EndSession,
    /// The call itself must change; the same call would fail again.
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
            Self::Locked | Self::Io | Self::Full | Self::Busy | Self::Aborted => Next::Retry,
            Self::Leased | Self::MailboxFull => Next::Retry,
            Self::Fenced | Self::Ended => Next::EndSession,
            Self::Missing | Self::Foreign | Self::Format | Self::TooLarge | Self::Gone => Next::FixCall,
            Self::Invalid | Self::Conflict | Self::Reentrant | Self::Panicked | Self::Undone => Next::FixCall,
            Self::NotANumber | Self::Overflow | Self::Decode | Self::Encode => Next::FixCall,
            Self::WrongType | Self::Refused | Self::AlreadyActive | Self::Superseded => Next::FixCall,
            Self::Halted | Self::Unknown | Self::Closed | Self::Forked | Self::ReadOnly => Next::Reopen,
            Self::Corrupt | Self::Damaged => Next::Restore,
        }
    }
}

/// Why a call failed: a kind to decide by, a sentence to read, and what caused it where there was a cause.
///
/// Cheap to clone: every waiter of one failed group gets the same error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    version: Option<Version>,
    /// Another version that serves in place of the one asked for.
    instead: Option<Version>,
    lease: Option<Box<Facts>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What an error knows of the lease that it met.
#[derive(Clone, Debug, Default)]
struct Facts {
    holder: Option<String>,
    time_left: Option<Duration>,
    held: Option<Token>,
    current: Option<Token>,
}

impl Error {
    /// An error of `kind` with a sentence that says what to do next.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Arc::new(Inner { kind, message, version: None, instead: None, lease: None, source: None }))
    }

    #[cold]
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store was closed: open it again")
    }

    /// The same error, naming the version it is about: of [`ErrorKind::Unknown`] the commit in doubt.
    #[must_use]
    pub fn at(mut self, version: Version) -> Self {
        Arc::make_mut(&mut self.0).version = Some(version);
        self
    }

    /// The same error, naming the newest readable version before the damaged one.
    #[must_use]
    pub fn or_older(mut self, version: Version) -> Self {
        Arc::make_mut(&mut self.0).instead = Some(version);
        self
    }

    /// The same error, naming the holder that has the key, and how long it may still be silent.
    pub(crate) fn held_by(mut self, holder: &str, time_left: Option<Duration>) -> Self {
        let facts = Arc::make_mut(&mut self.0).lease.get_or_insert_default();
        (facts.holder, facts.time_left) = (Some(holder.to_owned()), time_left);
        self
    }

    /// The same error, naming the token that was brought and that of the lease which stands there.
    pub(crate) fn fenced(mut self, held: Token, current: Option<Token>) -> Self {
        let facts = Arc::make_mut(&mut self.0).lease.get_or_insert_default();
        (facts.held, facts.current) = (Some(held), current);
        self
    }

    /// The same error, naming the token of the lease that the caller has already.
    pub(crate) fn already(mut self, current: Token) -> Self {
        Arc::make_mut(&mut self.0).lease.get_or_insert_default().current = Some(current);
        self
    }

    /// The same error, naming a version to go on from: of [`ErrorKind::Gone`] the oldest that is kept, of
    /// [`ErrorKind::Undone`] the last before the branch.
    #[must_use]
    pub fn or_from(self, version: Version) -> Self {
        self.or_older(version)
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    /// The same error, its sentence preceded by where it happened: `players/42: …`.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.message = format!("{place}: {}", inner.message);
        self
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

    /// The version that the error is about, where there is one: of [`ErrorKind::Unknown`] the commit in doubt,
    /// of [`ErrorKind::Damaged`] the one that cannot be read.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.0.version
    }

    /// Of [`ErrorKind::Damaged`]: the newest version of the key before it that can be read, where there is one.
    #[must_use]
    pub fn older(&self) -> Option<Version> {
        self.0.instead.filter(|_| self.kind() == ErrorKind::Damaged)
    }

    /// Of [`ErrorKind::Gone`]: the version from which on what was asked for is kept, where that is known.
    #[must_use]
    pub fn oldest(&self) -> Option<Version> {
        self.0.instead.filter(|_| self.kind() == ErrorKind::Gone)
    }

    /// Of [`ErrorKind::Undone`]: the last version that the undone future and the present one share.
    #[must_use]
    pub fn branched_at(&self) -> Option<Version> {
        self.0.instead.filter(|_| self.kind() == ErrorKind::Undone)
    }

    /// Of [`ErrorKind::Leased`], and of [`ErrorKind::Fenced`] where somebody has the key: the holder.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.0.lease.as_ref()?.holder.as_deref()
    }

    /// Of [`ErrorKind::Leased`]: how long the holder may still be silent before it loses the key; `None` where its
    /// handle keeps it alive.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.0.lease.as_ref()?.time_left
    }

    /// Of [`ErrorKind::Fenced`]: the token that was brought.
    #[must_use]
    pub fn held(&self) -> Option<Token> {
        self.0.lease.as_ref()?.held
    }

    /// Of [`ErrorKind::Fenced`]: the token of the lease that stands on the key, where there is one; of
    /// [`ErrorKind::AlreadyActive`] that of the session that the holder has.
    #[must_use]
    pub fn current(&self) -> Option<Token> {
        self.0.lease.as_ref()?.current
    }

    /// The sentence, without the chain of causes.
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

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|e| e.as_ref() as _)
    }
}

impl From<savehold_wal::Error> for Error {
    #[cold]
    fn from(e: savehold_wal::Error) -> Self {
        let error = Self::new(kind_of_log(&e), e.message());
        let error = match e.lsn() {
            Some(lsn) => error.at(Version::from(lsn)),
            None => error,
        };
        error.caused_by(e)
    }
}

impl From<ParseLsnError> for Error {
    #[cold]
    fn from(e: ParseLsnError) -> Self {
        Self::new(ErrorKind::Invalid, format!("not a version or token: {e}"))
    }
}

/// The kind that asks for the same next move as the log's.
fn kind_of_log(e: &savehold_wal::Error) -> ErrorKind {
    use savehold_wal::ErrorKind as Log;
    match e.kind() {
        Log::Locked => ErrorKind::Locked,
        Log::Missing => ErrorKind::Missing,
        Log::Foreign => ErrorKind::Foreign,
        Log::Format => ErrorKind::Format,
        Log::Corrupt => ErrorKind::Corrupt,
        Log::Io => ErrorKind::Io,
        Log::Full => ErrorKind::Full,
        Log::Busy => ErrorKind::Busy,
        Log::TooLarge => ErrorKind::TooLarge,
        Log::Halted => ErrorKind::Halted,
        Log::Unknown => ErrorKind::Unknown,
        Log::Closed => ErrorKind::Closed,
        Log::Gone => ErrorKind::Gone,
        Log::Forked => ErrorKind::Forked,
        Log::Invalid => ErrorKind::Invalid,
        Log::Aborted => ErrorKind::Aborted,
        Log::ReadOnly => ErrorKind::ReadOnly,
        Log::Superseded => ErrorKind::Superseded,
        // A kind that the log gained later: what the caller does next is the same, and that is what counts.
        _ => match e.next() {
            savehold_wal::Next::Retry => ErrorKind::Busy,
            savehold_wal::Next::FixCall => ErrorKind::Invalid,
            savehold_wal::Next::Restore => ErrorKind::Corrupt,
            _ => ErrorKind::Halted,
        },
    }
}

#[cfg(test)]
mod tests;
