//! Door: a switch for tests that breaks the log on purpose, on this thread only and on those of the logs that it opens. Compiled under the feature `planted`.

use std::cell::Cell;

/// A way to break the log. A crash suite that does not notice one of these cannot see loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A segment is not synced where it should be.
    SkipFileSync,
    /// The segment before a new one is not synced before the new one is begun.
    SkipPredecessorSync,
    /// A prepared segment's header is not synced.
    SkipHeaderSync,
    /// The directory is not synced behind a prepared segment.
    SkipPrepareDirSync,
    /// The directory is not synced behind a new MANIFEST.
    SkipManifestDirSync,
    /// A rest segment is not synced before it gets its name.
    SkipRestSync,
    /// A failed sync counts as done.
    IgnoreSyncError,
    /// A synced commit is answered once it is written, and synced later.
    AcknowledgeEarly,
    /// A group says that it is durable itself.
    ClaimTooMuch,
    /// After an unclean stop writing goes on in the same segment, behind what is torn.
    AppendBehindTorn,
    /// Good records behind the proven end are not written anew.
    SkipRest,
    /// Good records behind the proven end are left where they are, as the cache shows them.
    TrustCache,
    /// Places in a segment are handed out before MANIFEST names it.
    NameLate,
    /// After an unclean stop places are handed out again from the end of the log on.
    ReusePlaces,
    /// What was packed is removed before MANIFEST names the packed file.
    RemoveSourcesEarly,
    /// MANIFEST goes on saying that the log was closed.
    KeepCleanEnd,
}

thread_local! {
    static NOW: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// The fault that is planted on this thread: the threads of a log that it opens get it too.
pub(crate) fn now() -> Option<Planted> {
    NOW.get()
}

/// Plants a fault in all logs that this thread uses, or none.
pub fn plant(fault: Option<Planted>) {
    NOW.set(fault);
}

/// True while `fault` is planted on this thread.
#[must_use]
pub fn is(fault: Planted) -> bool {
    NOW.get() == Some(fault)
}
