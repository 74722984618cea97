//! Corridor: the store that a call names, opened.
//!
//! Only `init`, `load`, `demo` and `bench` make a store. Every other verb says so where there is none: an unmounted
//! disk must not look like an empty world.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use savehold::{Create, Error, ErrorKind, Options, Store};

use crate::args::Args;
use crate::exit::Failure;
use crate::progress::Progress;

/// What history says of every commit that was made here.
pub const ORIGIN: &str = "savehold command line";

/// Replays that take longer than this show how far they are.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// The store that the call names, which must be there.
///
/// # Errors
///
/// The call names none; there is none; it is held by another process, damaged, of a newer format, or something else
/// than a store. Nothing was changed.
pub fn existing(args: &Args) -> Result<Store, Failure> {
    Ok(opened(args.store()?, Create::Never)?)
}

/// The store that the call names, made if it is missing.
///
/// # Errors
///
/// As [`existing`], but that there is none.
pub fn or_make(args: &Args) -> Result<Store, Failure> {
    Ok(opened(args.store()?, Create::IfMissing)?)
}

/// [`existing`], its error as the store says it.
///
/// # Errors
///
/// As [`existing`].
pub fn quietly(args: &Args) -> savehold::Result<Store> {
    let dir = args.store().map_err(|e| Error::new(ErrorKind::Invalid, e.to_string()))?;
    opened(dir, Create::Never)
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
    Options::new().create(create).origin(ORIGIN).on_progress(told).open(dir)
}
