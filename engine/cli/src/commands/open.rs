//! Corridor: the store that a call names, opened.
//!
//! Only `init`, `load`, `demo` and `bench` make a store. Every other verb says so where there is none: an unmounted
//! disk must not look like an empty world.

use savehold::{Create, Options, Store};

use crate::args::Args;
use crate::exit::Failure;

/// What history says of every commit that was made here.
pub const ORIGIN: &str = "savehold command line";

/// The store that the call names, which must be there.
///
/// # Errors
///
/// The call names none; there is none; it is held by another process, damaged, of a newer format, or something else
/// than a store. Nothing was changed.
pub fn existing(args: &Args) -> Result<Store, Failure> {
    opened(args, Create::Never)
}

/// The store that the call names, made if it is missing.
///
/// # Errors
///
/// As [`existing`], but that there is none.
pub fn or_make(args: &Args) -> Result<Store, Failure> {
    opened(args, Create::IfMissing)
}

fn opened(args: &Args, create: Create) -> Result<Store, Failure> {
    Ok(Options::new().create(create).origin(ORIGIN).open(args.store()?)?)
}
