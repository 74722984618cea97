//! Pure: faults planted on purpose, one at a time, so that a suite can show that it would notice them. Only builds for
//! that suite have them, and there none is there until a test plants it.

#[cfg(feature = "planted")]
use std::cell::Cell;

/// A way in which a store could be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Commits do not look whether the keys that they read have changed.
    SkipReads,
    /// Commits do not look whether the ranges that they scanned have changed.
    SkipRanges,
    /// Memory shows a commit that the log then refuses.
    ApplyRefused,
    /// A write is answered before it is durable.
    AnswerEarly,
    /// An answer that wrote nothing does not wait for what it saw.
    AnswerUnseen,
    /// Readers see what is not durable yet.
    ShowUnsynced,
    /// A repeated id is not looked for.
    ForgetId,
    /// Ids are not entered into memory.
    LoseId,
    /// Values on their way are not kept.
    LoseInFlight,
    /// Removals are not entered into memory.
    LoseRemoval,
    /// Of a record with several writes the last is not written.
    TearRecord,
    /// Commits that change the users of a value do not say so in `$user`.
    ForgetTags,
    /// An update forgets the attributes that it does not mention.
    ForgetAttributes,
    /// Commits do not look whether a key that they write is leased.
    DropFence,
    /// Whether a key is leased is looked at when a call begins, not when its commit gets its place.
    FenceEarly,
    /// Whether a holder is silent for too long is read off the wall clock.
    WallClock,
    /// A lease is granted without looking whether its keys are still free.
    GrantUnseen,
    /// The template is put over a document that cannot be read.
    TemplateOver,
    /// Autosave takes a profile that changed for one that did not.
    SkipChanged,
    /// Mail is acknowledged in one commit and has its effect in another.
    MailApart,
    /// A session ends without its last save.
    ReleaseUnsaved,
    /// A transaction edits what is saved of a profile, not what memory has.
    EditSaved,
    /// A save drops the fields that the program's type does not know.
    ForgetUnknown,
    /// MANIFEST names an index table that is not synced.
    NameUnsynced,
    /// MANIFEST names an index table of what is not durable in the log.
    CheckpointEarly,
    /// The log is replayed from behind the place of the checkpoint.
    ReplayLate,
    /// Merges drop by terms that are not durable.
    DropUnsaid,
    /// Merges drop what open snapshots hold.
    ForgetHeld,
    /// Compaction keeps the newest version of each key and nothing else.
    PackNewest,
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Plants a fault for what this thread does from now on, or takes it out again.
#[cfg(feature = "planted")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether the fault is planted here.
#[inline(always)]
pub(crate) fn has(fault: Fault) -> bool {
    #[cfg(feature = "planted")]
    return PLANTED.get() == Some(fault);
    #[cfg(not(feature = "planted"))]
    {
        _ = fault;
        false
    }
}
