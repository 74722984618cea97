//! Corridor: `demo`: a store that survives being killed, for everybody to watch.
//!
//! The parent starts this program again as a game server (`server`), kills it at random moments (`parent`), opens its
//! store and compares what the server had reported (`ledger`) with what is there (`check`). At the end it deletes the
//! store and gets it back (`restored`).

pub mod op;
pub mod player;
pub mod model;
pub mod ledger;
pub mod pace;
pub mod host;
pub mod check;
pub mod world;
pub mod room;
pub mod server;
pub mod restored;
pub mod summary;
pub mod parent;

use std::ffi::OsString;

use jiff::tz::TimeZone;

use crate::args::{Args, Demo};
use crate::exit::{Exit, Failure};
use summary::Teller;

/// Shows it; or, in a process that the parent started, is the server.
///
/// # Errors
///
/// The directory exists; the store fails; a server ends by itself.
pub fn run(args: &Args, demo: &Demo) -> Result<Exit, Failure> {
    match std::env::var_os(host::ROUND) {
        Some(round) => server::serve(args.store()?, demo.players, number(&round)?),
        None => {
            let teller = Teller::new(args.format, TimeZone::system());
            parent::watch(demo, args.dir.as_deref(), &teller, &mut std::io::stdout())
        }
    }
}

fn number(round: &OsString) -> Result<u16, Failure> {
    let number = round.to_str().and_then(|text| text.parse().ok());
    let what = || format!("{} belongs to the demo's own server processes: take it away", host::ROUND);
    number.ok_or_else(|| Failure::new(Exit::Usage, what(), ""))
}
