//! Door: the store that a call names: opened here where nobody has it, else asked for of the process that has it.
//!
//! Both ways the same requests are answered by the same code of the store, so a verb does the same and fails the same.
//! Which way it was is said on standard error. The store is given up as soon as the call is done.
//!
//! Only `init`, `load`, `demo` and `bench` make a store. Every other verb says so where there is none: an unmounted
//! disk must not look like an empty world. A store that cannot be written, because its medium is for reading only or its
//! files are another user's, is read: verbs that only look work there.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use savehold::control::{self, Advance, Client};
use savehold::{Control, Create, Error, ErrorKind, Map, Options, Store, Unwritable, Value};
use savehold_wal::clock::{Clock, OsClock};
use savehold_wal::schedule;

use super::print;
use crate::args::Args;
use crate::exit::Failure;
use crate::progress::Progress;

/// Replays that take longer than this show how far they are.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// How long a holder may keep a store without answering for it: as long as any opening waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before looking again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A store within reach.
#[derive(Debug)]
pub enum Link {
    /// Opened here; nobody else has it meanwhile.
    Alone(Store),
    /// Another process has it and answers for it.
    Beside(Client),
}

impl Link {
    /// Has the verb `verb` done with these members.
    ///
    /// # Errors
    ///
    /// As the store says them, whoever has it.
    pub fn ask<const N: usize>(&self, verb: &str, members: [(&str, Value); N]) -> savehold::Result<Map> {
        let mut request = Map::from([("do", verb)]);
        request.extend(members.into_iter().filter(|(_, value)| !value.is_nil()));
        self.ask_all(&request)
    }

    /// [`Link::ask`] of a request that is whole.
    ///
    /// # Errors
    ///
    /// As [`Link::ask`].
    pub fn ask_all(&self, request: &Map) -> savehold::Result<Map> {
        match self {
            Self::Alone(store) => control::answer(store, request),
            Self::Beside(client) => client.ask(request),
        }
    }

    /// [`Link::ask_all`] of a request that takes long: `progress` is told how far it is, and stops it with `Break`.
    ///
    /// # Errors
    ///
    /// As [`Link::ask`]; [`savehold::ErrorKind::Aborted`]: it was stopped.
    pub fn ask_telling(
        &self,
        mut request: Map,
        mut progress: impl FnMut(Advance) -> ControlFlow<()>,
    ) -> savehold::Result<Map> {
        request.insert("progress", true);
        match self {
            Self::Alone(store) => control::answer_telling(store, &request, &mut progress),
            Self::Beside(client) => client.ask_telling(&request, progress),
        }
    }
}

/// A store that was opened here is closed here: a thread of its own may have a handle just now, and the process would end
/// before that one is done.
impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Alone(store) = self
            && let Err(e) = store.clone().close()
        {
            print::note(e.message()); // whatever was answered stands: each verb waited for it
        }
    }
}

/// The store that the call names, which must be there.
///
/// # Errors
///
/// The call names none; there is none; it is held by a process that does not answer, damaged, of a newer format, or
/// something else than a store. Nothing was changed.
pub fn existing(args: &Args) -> Result<Link, Failure> {
    said(args.store()?, Create::Never)
}

/// The store that the call names, made if it is missing.
///
/// # Errors
///
/// As [`existing`], but that there is none.
pub fn or_make(args: &Args) -> Result<Link, Failure> {
    said(args.store()?, Create::IfMissing)
}

/// [`or_make`], without a word.
///
/// # Errors
///
/// As [`or_make`].
pub fn made(args: &Args) -> Result<Link, Failure> {
    Ok(reach(args.store()?, Create::IfMissing)?)
}

/// [`existing`], its error as the store says it, and without a word.
///
/// # Errors
///
/// As [`existing`].
pub fn quietly(args: &Args) -> savehold::Result<Link> {
    let dir = args.store().map_err(|e| Error::new(ErrorKind::Invalid, e.to_string()))?;
    reach(dir, Create::Never)
}

fn said(dir: &Path, create: Create) -> Result<Link, Failure> {
    let link = reach(dir, create)?;
    print::note(&match &link {
        Link::Alone(_) => format!("opened {}, which nobody had", dir.display()),
        Link::Beside(client) => format!("asked process {}, which has {}", client.pid(), dir.display()),
    });
    if let Link::Alone(store) = &link
        && let Some(why) = store.read_only()
    {
        print::note(why.message());
    }
    Ok(link)
}

fn reach(dir: &Path, create: Create) -> savehold::Result<Link> {
    let begun = OsClock.monotonic();
    loop {
        let refused = match opened(dir, create) {
            Err(e) if e.kind() == ErrorKind::Locked => e,
            other => return other.map(Link::Alone),
        };
        let refused = match Client::connect(dir) {
            Ok(Some(client)) => return Ok(Link::Beside(client)),
            Ok(None) => unanswered(&refused),
            Err(e) if e.kind() == ErrorKind::Busy => e,
            Err(e) if e.kind() == ErrorKind::Locked => silent(&refused, &e),
            Err(e) => return Err(e),
        };
        if OsClock.monotonic().saturating_sub(begun) >= PATIENCE {
            return Err(refused);
        }
        schedule::pause(LOOK_AGAIN_AFTER);
    }
}

/// Somebody has the store and nobody answers.
fn unanswered(locked: &Error) -> Error {
    let say = format!(
        "{}; it does not answer the command line, or answers only once it has opened",
        locked.message()
    );
    Error::new(ErrorKind::Locked, say)
}

/// Somebody has the store, took the call, and says nothing.
fn silent(locked: &Error, silent: &Error) -> Error {
    Error::new(ErrorKind::Locked, format!("{}; {}", locked.message(), silent.message()))
}

fn opened(dir: &Path, create: Create) -> savehold::Result<Store> {
    let bar = Mutex::new((None::<Progress>, 0));
    let told = move |at: savehold::Progress| {
        if at.elapsed >= SHOWN_AFTER
            && let Ok(mut bar) = bar.lock()
        {
            let (shown, done) = &mut *bar;
            let shown = shown.get_or_insert_with(|| Progress::of_bytes("opening", Some(at.total_bytes)));
            shown.advance(at.done_bytes.saturating_sub(*done));
            *done = at.done_bytes;
        }
        ControlFlow::Continue(())
    };
    let options = Options::new()
        .create(create)
        .unwritable(Unwritable::Read)
        .origin(control::COMMAND_LINE)
        .on_progress(told);
    options.control(Control::Off).lock_wait(Duration::ZERO).open(dir)
}
