//! Pure: who holds which key, who waits for it, and what that means for a commit.
//!
//! A lease stands while its keys stand in `$lease`, all put by one record, whose LSN is its token. This room mirrors
//! `$lease` in memory, beside what no log knows: which holders are alive, until when, and who waits.
//!
//! - *One function judges*: [`stale`] says whether a lease still lives, for grants, renewals, commits, releases and
//!   listings alike. It never goes back: a lease that was stale once is stale for ever.
//! - *Decided in order*: [`claim::check`] is asked under the lock that gives a commit its place, so that a commit and a
//!   grant cannot both believe that they came first.
//! - *Logged with its cause*: whoever may ignore a lease ends it in the record of the act that ignores it.
//! - *First come, first served*: [`plan::judge`] says whose turn it is; who asked carries it out, validated like any
//!   other commit.
//!
//! Nothing here writes, waits, or reads a clock.

mod claim;
mod ended;
mod grant;
mod holders;
mod plan;
mod queue;
mod stale;
mod state;
mod table;

pub use ended::{Ended, HeldKey, Wanted};
pub use plan::Policy;

pub(crate) use claim::{Barred, Claim, Ending, Fence, Granted, check};
pub(crate) use grant::{Grant, Life, check_name};
pub(crate) use holders::{Event, Events, FORMER_MAX, HolderId};
pub(crate) use plan::{Refusal, Step};
pub(crate) use queue::{Ask, Purpose, RequestId, Turn};
pub(crate) use stale::Stale;
pub(crate) use state::{Heard, Lives, State};
pub(crate) use table::{Lease, Noted};

#[cfg(test)]
mod tests;
