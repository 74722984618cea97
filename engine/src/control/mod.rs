//! Corridor: CONTROL: the holder of a store answers the command line, with the library's own verbs and checks.
//!
//! A line is an object: a request names its verb in `"do"`. `README.md` of the engine lists the verbs and what each
//! answers. The same function answers whether the line came over the socket or from a command that has the store
//! itself, so both ways a verb does the same and fails the same.
//!
//! The socket `CONTROL` lies in the store's directory, for its user only. It is there while the store is open in a
//! directory of this machine; a simulated store and one in memory have none. It opens no port.

mod wire;
mod read;
mod write;
mod state;
mod past;
mod care;
mod history;
mod sessions;
mod migrate;
mod client;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Weak;

use savehold_wal::env::Env;
use savehold_wal::segment::name::CONTROL;

use crate::core::Core;
use crate::desk::{CLIENTS_MAX, Desk, LINE_BYTES_MAX, Refusal, Tell};
use crate::error::{Error, ErrorKind, Result};
use crate::origin;
use crate::share::Share;
use crate::store::Store;
use crate::value::{Map, Value};

pub use crate::origin::COMMAND_LINE;
pub use client::Client;
pub use wire::{Advance, PROTOCOL};
use wire::{Asked, wrong};

/// Answers one request in this process.
///
/// # Errors
///
/// [`ErrorKind::Invalid`]: it makes no sense. Otherwise what the verb meets.
pub fn answer(store: &Store, request: &Map) -> Result<Map> {
    answer_telling(store, request, &mut |_| ControlFlow::Continue(()))
}

/// Answers one request in this process, and tells how far it has come where the request asks for it; `Break` stops what can
/// be stopped.
///
/// # Errors
///
/// As [`answer`]. [`ErrorKind::Aborted`]: it was stopped.
pub fn answer_telling(
    store: &Store,
    request: &Map,
    progress: &mut dyn FnMut(Advance) -> ControlFlow<()>,
) -> Result<Map> {
    let asked = Asked(request);
    match asked.text("do")? {
        "hello" => state::hello(asked),
        "stat" => state::stat(store, asked),
        "recoveries" => state::recoveries(store, asked),
        "time" => state::time(store, asked),
        "names" => read::names(store, asked),
        "collections" => read::collections(store, asked),
        "get" => read::get(store, asked),
        "keys" => read::keys(store, asked),
        "scan" => read::scan(store, asked),
        "versions" => read::versions(store, asked),
        "outcome" => read::outcome(store, asked),
        "set" => write::set(store, asked),
        "increment" => write::increment(store, asked),
        "merge" => write::merge(store, asked),
        "remove" => write::remove(store, asked),
        "load" => write::load(store, asked),
        "backup" => care::backup(store, asked, progress),
        "revert" => care::revert(store, asked, progress),
        "restore_keys" => care::restore_keys(store, asked, progress),
        "digest" => care::digest(store, asked),
        "compact" => care::compact(store, asked, progress),
        "health" => care::health(store, asked),
        "pins" => past::pins(store, asked),
        "pin" => past::pin(store, asked),
        "unpin" => past::unpin(store, asked),
        "diff" => past::diff(store, asked),
        "changes" => past::changes(store, asked),
        "migrate" => migrate::migrate(store, asked),
        "retention" => history::retention(store, asked),
        "sessions" => sessions::sessions(store, asked),
        "break" => sessions::end(store, asked),
        other => Err(wrong(format!("there is no verb {other:?}"))),
    }
}

/// The error that an entry of a `scan` names in place of a value.
#[must_use]
pub fn error(said: &Map) -> Error {
    wire::error_of(said)
}

/// Opens the socket of the store in `root`, which this process has.
pub(crate) fn listen(core: &Weak<Core>, env: &Env, root: &Path) -> Result<Desk> {
    let core = core.clone();
    let answering = move |line: &[u8], tell: &mut Tell<'_>| match core.upgrade() {
        Some(core) => {
            let _answering = origin::answering(); // what it commits has the origin that it had if nobody had the store
            wire::answer(answered(&Store { core: Share::uncounted(core) }, line, tell))
        }
        None => wire::answer(Err(Error::new(ErrorKind::Closed, "the store was closed just now: ask again"))),
    };
    Desk::open(env, root, CONTROL, |refusal| wire::answer(Err(refused(refusal))), Box::new(answering))
        .map_err(|e| {
            let say = format!(
                "{}/{CONTROL}: {e}; the store works, but the command line cannot be answered beside it",
                root.display()
            );
            Error::new(ErrorKind::Io, say).caused_by(e)
        })
}

fn answered(store: &Store, line: &[u8], tell: &mut Tell<'_>) -> Result<Map> {
    match wire::read(line)? {
        Value::Map(request) => {
            answer_telling(store, &request, &mut |progress| tell(wire::progress(&progress)))
        }
        other => Err(wrong(format!("a request is an object, not a {}", other.kind()))),
    }
}

#[cold]
fn refused(why: Refusal) -> Error {
    match why {
        Refusal::Crowded => {
            let say = format!("{CLIENTS_MAX} others are being answered: call again");
            Error::new(ErrorKind::Busy, say)
        }
        Refusal::Large => {
            Error::new(ErrorKind::Busy, "another request or answer as large is on its way: call again")
        }
        Refusal::TooLong => {
            let say = format!("a request has at most {LINE_BYTES_MAX} bytes: send less at a time");
            Error::new(ErrorKind::TooLarge, say)
        }
        Refusal::Panicked => {
            Error::new(ErrorKind::Panicked, "answering failed by a fault of savehold's: please report it")
        }
    }
}

#[cfg(test)]
mod tests;
