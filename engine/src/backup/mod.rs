//! Corridor: backups of a store that goes on, and stores out of them again, as of any moment they hold.
//!
//! The log does the copying; here is what a backup means: which leases end with a restore, which receipts are undone by
//! it, what would be lost.

mod carry;
mod in_place;
mod kept;
mod keys;
mod look;
mod lost;
mod restore;
mod sketch;
mod take;

pub use in_place::{InPlace, restore_in_place};
pub use keys::KeysRestored;
pub use look::{Drilled, Held, KeptMoment, backups, backups_in, drill, prune, verify_backups};
pub use lost::{Lost, LostHour, Receipt};
pub use restore::{Preview, Restore, Restored, preview, restore, restore_in, restore_with};
pub use savehold_wal::backup::{
    BackupName, Checked, Damaged, Do, Fault, Keep, Linking, Packing, Pruned, Window,
};
pub use take::{Backup, BackupOptions};

use std::ops::ControlFlow;

use crate::core::Core;
use crate::options::Progress;

/// Told how far it is, a few times a second at the most; breaking stops it.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Told and asked as long as the store is open: whoever closes it may wait for this.
fn while_open<'a>(core: &'a Core, tell: Tell<'a>) -> impl FnMut(Progress) -> ControlFlow<()> + use<'a> {
    move |at| if core.check_closing().is_ok() { tell(at) } else { ControlFlow::Break(()) }
}

/// Told and not asked.
fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
