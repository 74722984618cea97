//! Pure: how a call ends: the exit codes, and the one line that an error is.

use std::fmt;
use std::process::ExitCode;

use savehold::ErrorKind;

use crate::escape;

/// How a call ended. The numbers are for scripts: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done.
    Fine,
    /// It failed, for a reason that has no number of its own.
    Failed,
    /// The call itself is wrong; nothing was changed.
    Usage,
    /// No store to work on; nothing was changed.
    NoStore,
    /// Bytes that were promised durable are missing or changed.
    Damaged,
    /// Nothing was written; the same call may succeed later.
    Busy,
    /// The change may or may not have happened.
    Unknown,
    /// The answer is no: no such key, or not at that moment, or the condition does not hold.
    No,
}

impl Exit {
    /// Every way to end, in order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Fine,
        Self::Failed,
        Self::Usage,
        Self::NoStore,
        Self::Damaged,
        Self::Busy,
        Self::Unknown,
        Self::No,
    ];

    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoStore => 3,
            Self::Damaged => 4,
            Self::Busy => 5,
            Self::Unknown => 6,
            Self::No => 7,
        }
    }

    /// What the help says about it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "done",
            Self::Failed => "failed; the message says why",
            Self::Usage => "the call is wrong; nothing was changed",
            Self::NoStore => "no store there, or something else, or a newer format; nothing was changed",
            Self::Damaged => "bytes that were promised durable are missing or changed",
            Self::Busy => {
                "locked, leased, busy or full: nothing was written, the same call may succeed later"
            }
            Self::Unknown => "the change may or may not have happened; the message names its version",
            Self::No => "the answer is no: absent, or the condition does not hold",
        }
    }

    /// How a call ends that failed with an error of this kind.
    #[must_use]
    pub const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Missing | ErrorKind::Foreign | ErrorKind::Format => Self::NoStore,
            ErrorKind::Corrupt | ErrorKind::Damaged => Self::Damaged,
            ErrorKind::Locked | ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Busy => Self::Busy,
            ErrorKind::Leased | ErrorKind::MailboxFull => Self::Busy,
            ErrorKind::Unknown => Self::Unknown,
            ErrorKind::Conflict | ErrorKind::Gone | ErrorKind::Undone => Self::No,
            ErrorKind::TooLarge | ErrorKind::Invalid | ErrorKind::Encode => Self::Usage,
            ErrorKind::NotANumber | ErrorKind::Overflow => Self::No,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table of exit codes, as the help shows it.
#[must_use]
pub fn codes() -> String {
    let lines = Exit::ALL.map(|exit| format!("\n  {}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:{}", lines.concat())
}

/// Why a call failed: one line that says what, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the call ends.
    pub exit: Exit,
    /// What went wrong.
    what: String,
    /// What to do next; empty where `what` says it.
    next: String,
}

impl Failure {
    /// A failure that says what went wrong and, unless `next` is empty, what to do next.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: next.into() }
    }

    /// A call of `command` that is wrong, as the parser of arguments found it: its message and its hints.
    #[must_use]
    pub fn usage(error: &clap::Error, command: &str) -> Self {
        let text = error.render().to_string();
        let said = text.lines().map(str::trim).filter(|line| {
            !line.is_empty() && !line.starts_with("Usage: ") && !line.starts_with("For more information")
        });
        let said: Vec<&str> = said.map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
        Self::new(Exit::Usage, said.join(" "), format!("see `{command} --help`"))
    }
}

/// An error of the store says what to do next by itself.
impl From<savehold::Error> for Failure {
    fn from(error: savehold::Error) -> Self {
        Self::new(Exit::of(error.kind()), error.message(), "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line =
            |text: &str| escape::visible(&text.lines().map(str::trim).collect::<Vec<_>>().join(" "));
        f.write_str(&one_line(&self.what))?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "; {}", one_line(&self.next)) }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_as_listed_and_each_is_explained() {
        for (at, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.code()), at, "{exit:?}");
            assert!(codes().contains(&format!("\n  {at}  {}", exit.meaning())));
        }
        assert_eq!(codes().lines().count(), Exit::ALL.len() + 1);
    }

    #[test]
    fn the_kind_of_an_error_decides_how_the_call_ends() {
        for (kind, exit) in [
            (ErrorKind::Missing, Exit::NoStore),
            (ErrorKind::Foreign, Exit::NoStore),
            (ErrorKind::Format, Exit::NoStore),
            (ErrorKind::Corrupt, Exit::Damaged),
            (ErrorKind::Damaged, Exit::Damaged),
            (ErrorKind::Leased, Exit::Busy),
            (ErrorKind::Conflict, Exit::No),
            (ErrorKind::Undone, Exit::No),
            (ErrorKind::Locked, Exit::Busy),
            (ErrorKind::Full, Exit::Busy),
            (ErrorKind::ReadOnly, Exit::Busy),
            (ErrorKind::Busy, Exit::Busy),
            (ErrorKind::Unknown, Exit::Unknown),
            (ErrorKind::Gone, Exit::No),
            (ErrorKind::TooLarge, Exit::Usage),
            (ErrorKind::NotANumber, Exit::No),
            (ErrorKind::Io, Exit::Failed),
            (ErrorKind::Halted, Exit::Failed),
        ] {
            assert_eq!(Exit::of(kind), exit, "{kind:?}");
        }
    }

    #[test]
    fn an_error_of_the_store_keeps_its_kind_and_its_sentence() {
        let failure =
            Failure::from(savehold::Error::new(ErrorKind::Locked, "process 7 has the store: stop it"));
        assert_eq!(
            (failure.exit, failure.to_string().as_str()),
            (Exit::Busy, "process 7 has the store: stop it")
        );
    }

    #[test]
    fn an_error_is_one_line_that_no_terminal_obeys() {
        let failure = Failure::new(Exit::Failed, "reading a\nb:\r\n  gone\x1b[2J", "run `savehold verify`");
        assert_eq!(failure.to_string(), r"reading a b: gone\x1b[2J; run `savehold verify`");
        assert_eq!(Failure::new(Exit::No, "no such key", "").to_string(), "no such key");
    }
}
