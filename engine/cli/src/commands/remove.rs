//! Corridor: `savehold remove`.

use super::change::{Expected, Place};
use super::{open, print};
use crate::args::{Args, Remove};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};

/// Removes a key, if it is meant.
///
/// # Errors
///
/// Nobody agreed; there is no such key; the condition does not hold; the commit failed.
pub fn run(args: &Args, remove: &Remove) -> Result<Exit, Failure> {
    args.store()?;
    let what = format!("remove {}", remove.key);
    if consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? Its history stays readable. [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let link = open::existing(args)?;
    let place = Place { link: &link, path: &remove.key };
    let expected = remove.if_version.map_or(Expected::Anything, Expected::Version);
    let changed = place.change("remove", expected, remove.once.id.as_deref(), [])?;
    place.answer_version(args.format, &changed)?;
    Ok(Exit::Fine)
}
