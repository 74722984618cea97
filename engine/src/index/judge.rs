//! Pure: what decides which versions survive a merge.

use super::entry::VersionRef;

/// Decides which versions of a key survive when tables are merged: retention.
pub trait Judge: Send {
    /// Clears the entry in `keep` of each version that is to go. `versions` are those of one key that the merged tables
    /// hold, newest first; `oldest` says that no older table is left out, so that none holds an older version.
    fn judge(
        &mut self,
        collection: u32,
        key: &[u8],
        versions: &[VersionRef],
        oldest: bool,
        keep: &mut [bool],
    );
}

/// Keeps everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAll;

impl Judge for KeepAll {
    fn judge(&mut self, _: u32, _: &[u8], _: &[VersionRef], _: bool, _: &mut [bool]) {}
}
