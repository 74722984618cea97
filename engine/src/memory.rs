//! Pure: memory that stands beside the index and changes with it, in commit order: what profiles show.

use std::fmt;

use savehold_wal::Placed;

use crate::key::FullKey;

/// What a commit changes in memory beside the index.
pub(crate) trait Memory {
    /// Under the commit lock: takes hold of what the run saw, until one of the other two is called; `false` where it
    /// has changed since, and nothing is held.
    fn hold(&self) -> bool;

    /// The commit was not placed after all.
    fn let_go(&self);

    /// Under the commit lock: the commit has this place, so memory shows it.
    fn apply(&self, placed: Placed);
}

impl fmt::Debug for dyn Memory + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// Who is told of mail, once it has its place.
pub(crate) trait Hears: Send + Sync {
    /// There is a message for this key.
    fn mail(&self, to: &FullKey);
}
