//! Corridor: looking into a store that does not open, or should be looked at before it does: `verify` reads every byte
//! and says what it proved, `repair` copies what is sound into a new store.

mod damaged;
mod repair;
mod survey;
mod verify;

use std::ops::ControlFlow;
use std::time::Duration;

pub use damaged::DamagedVersion;
pub use repair::{Repaired, repair, repair_in};
pub use savehold_wal::inspect::{Damage, Weight, What};
pub use verify::{Verified, verify, verify_in};

use crate::options::Progress;

/// Told how far it is; breaking stops it.
type Tell<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// A command that has the store for a moment gives it up at once; a server does not.
const LOCK_WAIT: Duration = Duration::from_secs(1);
