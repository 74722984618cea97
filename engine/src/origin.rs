//! Pure: the origins that commits of one open store have: the program's, and the command line's where a thread answers that.
//!
//! A head has one origin, and which one says the thread that commits. So whatever a verb of the command line comes to, one
//! commit or many, is told apart from what the program wrote, and `savehold revert --origin` of a bad build leaves it alone.

use std::cell::Cell;
use std::sync::OnceLock;

/// What history says of commits of the command line, whoever has the store.
pub const COMMAND_LINE: &str = "savehold command line";

thread_local! {
    static ANSWERING: Cell<bool> = const { Cell::new(false) };
}

/// This thread answers the command line, until it goes.
pub(crate) struct Answering {
    before: bool,
}

/// Notes that this thread answers the command line of another process.
pub(crate) fn answering() -> Answering {
    Answering { before: ANSWERING.replace(true) }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.set(self.before);
    }
}

/// A text, and its number once that is known.
pub(crate) struct Origin {
    pub(crate) text: String,
    pub(crate) number: OnceLock<u32>,
}

/// The origins of an open store.
pub(crate) struct Origins {
    program: Origin,
    command_line: Origin,
}

impl Origins {
    pub(crate) fn new(program: String) -> Self {
        let of = |text| Origin { text, number: OnceLock::new() };
        Self { program: of(program), command_line: of(COMMAND_LINE.to_owned()) }
    }

    /// The origin of what this thread commits now.
    pub(crate) fn now(&self) -> &Origin {
        if ANSWERING.get() { &self.command_line } else { &self.program }
    }
}
