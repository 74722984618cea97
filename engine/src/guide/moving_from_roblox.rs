//! Pure: guide: *moving from Roblox*: what each member of `DataStore`, DataStore2, ProfileService and ProfileStore is here.
//!
//! Whoever knows one of them knows most of savehold. What is different is what those leave open: an error says whether
//! the write happened, a retry cannot double an effect, two documents change in one commit, and who lost a session cannot
//! write.
//!
//! # The pitfalls that the guides for those systems name
//!
//! | pitfall | here |
//! |---|---|
//! | **Playing on after a failed load**, and saving the template over real data | a failed load is an error, never a template; a session that did not load cannot write; what cannot be read stays as it is |
//! | **Trusting the client** with amounts | stays yours: `validate` refuses a document that breaks a rule, at the moment of the change, and the caller hears it |
//! | **Saving on every change**, and being throttled or ignored | there is no budget: `update` is in the log within the autosave (10 s), `save` and `transaction` are durable when they return |
//! | **Changing the schema** by renaming the store, so that everybody's data are gone at once | new fields are filled in from the type, old ones migrated by name, in the same commit as the session; old and new servers play side by side |
//!
//! A fifth is the end: closing without saving, or in 30 s at most. `close(deadline)` saves everything that is unsaved in a
//! few groups and reports what it saved; a killed process loses at most what is younger than the autosave.
//!
//! # Member by member
//!
//! ## `DataStoreService`
//!
//! | there | here |
//! |---|---|
//! | `GetDataStore(name, scope, options)` | `store.collection::<T>(name)`; a scope is part of the name, `AllScopes` has no meaning |
//! | `GetGlobalDataStore` | a collection of any name |
//! | `GetOrderedDataStore` | not built: sort a `scan`, or keep scores in keys that sort; a board of scores comes later |
//! | `ListDataStoresAsync` | `store.collections()` |
//! | `GetRequestBudgetForRequestType`, `SetRateLimitForRequestType` | none: the disk is yours, there is no budget. What is in flight is bounded: `Options::in_flight_bytes`, `Busy` |
//! | `DataStoreOptions.AllScopes`, `SetExperimentalFeatures` | none |
//!
//! ## `GlobalDataStore`
//!
//! | there | here |
//! |---|---|
//! | `GetAsync(key)`, `UseCache` | `collection.get(key)`: always the newest acknowledged, no cache to go stale; absent is `None`, unreadable is an error |
//! | `SetAsync(key, value, userIds, options)` | `collection.set`; user ids and metadata that are not mentioned are **kept**, not cleared. Whoever decides on the old value uses `update` |
//! | `UpdateAsync(key, transform)` | `collection.update(key, \|now\| …)`: atomic, run again only after a conflict; `Change::keep()` or `None` is its nil; what is not mentioned is kept |
//! | *a failed call is not a failed write* | an error says which: only `Unknown` may have happened, and `store.outcome(version)` tells; `update_once(id, …)` makes a repeated call harmless |
//! | `IncrementAsync` | `collection.increment`, `increment_once` |
//! | `RemoveAsync` | `collection.remove`: answers what stood there; its history stays readable |
//! | `BatchGetAsync` | `store.snapshot()` and any number of reads at one moment |
//! | `OnUpdate` | `store.changes(from)`: every commit, in order, resumed where it was left; sessions make polling another server needless |
//!
//! ## `DataStore`, its helpers, Open Cloud
//!
//! | there | here |
//! |---|---|
//! | `ListKeysAsync(prefix, pageSize, cursor, excludeDeleted)` | `collection.keys(prefix)`, `page(range, cursor, limit)`: in order, never an empty page with a cursor, removed keys left out |
//! | `ListVersionsAsync` | `collection.versions(key)`: every commit, with time, origin, id |
//! | `GetVersionAsync` | `collection.get_at(key, version)` |
//! | `GetVersionAtTimeAsync` | `collection.get_at(key, At::Time(us))`, `At::ago(time)` |
//! | `RemoveVersionAsync` | none: history is thinned by retention; no call erases what a user had |
//! | `DataStoreKeyInfo` (`CreatedTime`, `UpdatedTime`, `Version`, `GetUserIds`, `GetMetadata`) | `Entry`: `created_us`, `version`, `attributes.user_ids()`, `attributes.meta()`; `store.time_of(version)` |
//! | `OrderedDataStore:GetSortedAsync` | as `GetOrderedDataStore` |
//! | snapshots, restoring, the Data Stores Manager | `store.pin("before update 2.0")`, `savehold history`, `get --at`, `diff`, `revert`; whole stores are restored from a backup, to any moment |
//! | `matchVersion`, `exclusiveCreate` (HTTP only) | `compare_and_set`, `create`, in every program |
//! | `allowMissing`, etag, content MD5, `entry@revision`, `entry@latest:timestamp` | `get` is an `Option`; versions are the etag; every value has a checksum that each read verifies; `get_at` |
//! | partial updates (refused there), increment with clamping | `savehold update --merge-json`; `increment` that would overflow is an error |
//! | `DeleteDataStore`, `UndeleteDataStore` | a collection is emptied key by key; `savehold revert` brings keys back |
//! | right to be forgotten (templates with `{UserId}`) | `store.keys_of(user)` answers from an index of user ids, which `.user_ids([…])` keeps |
//! | `MemoryStore` maps and queues, `MessagingService` | sessions replace the locks that were built of them; a profile's mailbox replaces the queues, durably |
//! | limits of 50 characters, 4 MB, 300 characters of metadata, requests per minute | keys 1 KiB, values 64 MiB, metadata 4 KiB, no rates: see `limits` |
//!
//! ## DataStore2
//!
//! | there | here |
//! |---|---|
//! | `DataStore2(name, player)`, `Combine` | `store.profiles::<T>(name)`: one document for each player, its parts are fields |
//! | `ClearCache`, `SaveAll`, `SaveAllAsync` | nothing is cached apart from its session; `profiles.close(deadline)` saves all in a few groups |
//! | `PatchGlobalSettings`, saving methods | none: one way to save, every save a version |
//! | `:Get(default, dontAttempt)`, `:GetAsync` | `profiles.start(key)`, then `profile.read()`: nothing is handed out before it was loaded |
//! | `:GetTable(default)` | the template: what a stored document lacks is filled in, deep |
//! | `:Set`, `:Update(fn)`, `:Increment` | `profile.update(\|p\| …)`: on what is held; refused while nothing is |
//! | `:OnUpdate`, `:AfterSave` | the caller knows what it wrote; `profile.last_saved()` says what the store holds |
//! | `:BeforeInitialGet(fn)` | `.migration(name, Compatible, \|doc\| …)` |
//! | `:BeforeSave(fn)` | `.before_save(…)` |
//! | `:BindToClose(cb)` | `profiles.close(deadline)`, and `.before_release(…)` |
//! | `:Save`, `:SaveAsync` | `profile.save()`: durable when it returns, or an error |
//! | `:SetBackup(retries, value)`, `:ClearBackup`, `:IsBackup` | none, on purpose: a failed load is an error, and nobody plays on made-up data |
//! | `:GetKeyValue`, `:SetKeyValue` | fields of `T` |
//! | `Constants.SaveFailure`, the Verifier | `ErrorKind`, with what to do next; a value that cannot be stored is refused at the change, and names the field |
//! | `OrderedBackups` | every commit is a version already, in one step |
//!
//! ## ProfileService
//!
//! | there | here |
//! |---|---|
//! | `GetProfileStore(name or { Name, Scope }, template)` | `store.profiles::<T>(name)…open()`, the template is `T::default()` |
//! | `IsLive`, `.Mock` | `Store::in_memory()`: the same code on a simulated disk |
//! | `ServiceLocked`, `CriticalState`, `CriticalStateSignal` | `Event::Critical(on)`; a closed store answers `Closed` |
//! | `IssueSignal`, `CorruptionSignal` | the error of the call itself: `Damaged` and `Decode` name the place, and the document stays as it is |
//! | `:LoadProfileAsync(key, handler)` | `profiles.start(key)`, `start_with(key, Start::new().policy(…))`; an error and never nil |
//! | handler `"ForceLoad"` | `Policy::Handoff { after }`, the default: the holder is told at once, the waiter is woken |
//! | handler `"Steal"` | `Policy::Steal` |
//! | handler `"Repeat"`, `"Cancel"`, a function | `Policy::Wait`; `Policy::Fail`; dropping the future withdraws the request |
//! | `:ViewProfileAsync(key, version)` | `profiles.view(key, at)` |
//! | `:ProfileVersionQuery`, `:NextAsync` | `profiles.versions(key)`, an iterator in which an error is no end |
//! | `:GlobalUpdateProfileAsync`, `:ClearGlobalUpdates` | `profiles.send(key, message)` |
//! | `AddActiveUpdate`, `ChangeActiveUpdate`, `ClearActiveUpdate`, `LockActiveUpdate`, `ClearLockedUpdate`, their listeners | `profile.receive(\|doc, message\| …)`: acknowledged in the commit of its effect; `Event::Mail` says that there is some |
//! | `:WipeProfileAsync` | `profiles.wipe(key)`: a session on it ends in the same commit, with the reason `Erased`; its history stays |
//! | `profile.Data` | `profile.read()`, `profile.update(\|p\| …)` |
//! | `MetaData`, `MetaTags`, `:GetMetaTag`, `:SetMetaTag`, `MetaTagsLatest`, `MetaTagsUpdated` | fields of `T`, or metadata beside the value |
//! | `RobloxMetaData`, `UserIds`, `KeyInfo`, `KeyInfoUpdated` | metadata, user ids and version of the entry |
//! | `:IsActive()` before every change | not needed: a change to a session that is over is refused; `is_active()` is there to ask |
//! | `:Reconcile()` | at every start, by the shape of `T`; `profiles.dry_run(key)` lists what it would do |
//! | `:ListenToRelease` | `Event::Ended { key, why }` |
//! | `:Release()` | `profile.release()`, or dropping the last handle: `before_release` may edit, **then** the last save, in one commit with the release |
//! | `:ListenToHopReady` | `Event::Ended { why: Released, .. }`: the last save is durable |
//! | `:AddUserId`, `:RemoveUserId` | `.user_id(\|key\| …)` once, for all profiles |
//! | `:Save()` | `profile.save()` |
//! | `:Identify()` | `profile.key()`, and errors that name the key |
//! | `:OverwriteAsync()` | `profiles.restore(key, at)`: a new version; versions and tokens never go back |
//! | listeners that fire before the last save, whose edits are lost | `.before_release(…)` always runs before it |
//! | `AutoSaveProfiles` 30 s, `AssumeDeadSessionLock` 1,800 s, `ForceLoadMaxSteps` | autosave 10 s; a dead process holds nothing after a restart; handoff 10 s at most |
//!
//! ## ProfileStore
//!
//! | there | here |
//! |---|---|
//! | `New(name, template)` | `store.profiles::<T>(name)…open()` |
//! | `IsClosing`, `IsCriticalState`, `DataStoreState` | `Event::Critical(on)`; errors of kind `Closed` |
//! | `OnError`, `OnOverwrite`, `OnCriticalToggle` | errors of the calls; nothing is overwritten that cannot be read |
//! | `:StartSessionAsync(key, { Steal, Cancel })` | `profiles.start`, `start_with`; dropping `start_async(…)` cancels |
//! | `:MessageAsync(key, message)` | `profiles.send(key, &message)`; a full mailbox is an error (`MailboxFull`), nothing is dropped |
//! | `:GetAsync(key, version)`, `:VersionQuery`, `:NextAsync` | `profiles.view`, `profiles.versions` |
//! | `:RemoveAsync` | `profiles.wipe` |
//! | `.Mock` | `Store::in_memory()` |
//! | `Profile.Data`, `.LastSavedData` | `profile.read()`, `profile.last_saved()` |
//! | `.FirstSessionTime`, `.SessionLoadCount`, `.Session` | `created_us`; the session's token; `store.sessions()` |
//! | `.RobloxMetaData`, `.UserIds`, `.KeyInfo` | `profile.meta()`, `set_meta`; `user_ids()`; the version of `last_saved()` |
//! | `.OnSave`, `.OnLastSave(reason)` | `.before_save(…)`, `.before_release(\|key, doc, why\| …)` |
//! | `.OnSessionEnd`, `.OnAfterSave` | `Event::Ended`, after the last write and not before it |
//! | `:IsActive`, `:Reconcile`, `:EndSession`, `:AddUserId`, `:RemoveUserId`, `:Save` | as above |
//! | `:MessageHandler(fn(message, processed))` | `profile.receive(…)`: what it answers decides whether the message is taken |
//! | `:SetAsync()` of a view | `profiles.restore(key, at)`, `profiles.edit(key, …)` |
//! | `SetConstant`, `AUTO_SAVE_PERIOD` 300 s, `SESSION_STEAL`, `ASSUME_DEAD`, `MAX_MESSAGE_QUEUE` | options of the profiles, of `Start` and of the holder |
//! | purchases: a list of ids in `Data`, wait for `LastSavedData` | `profile.update_once(receipt, \|p\| …)`: once in the time for which ids are kept, durable on return |
//! | trading between two profiles: two saves | `store.transaction(\|tx\| …)` over both: one record, all or nothing |
//!
//! # The same purchase, there and here
//!
//! There: `UpdateAsync` with a list of receipt ids in the value, and an uncached read after each error. Here the id is the
//! store's affair, and an answer is an answer. Two things to know of ids:
//!
//! - They are those of the whole store, whichever key and collection the call is for: put the player into each, as in
//!   `receipt-1-42` or `daily-2026-11-28-42`. The second player who asks for `daily-2026-11-28` would get nothing.
//! - They are known for 7 days, and a call that is repeated later is done again. A receipt may come again weeks later:
//!   [`Store::set_outcomes_kept`](crate::Store::set_outcomes_kept) for as long as the shop may repeat one, or note receipts in
//!   the profile too, as there.
//!
//! ```
//! use savehold::{Change, Once, Result, Store, Version};
//!
//! /// Grants the coins of a receipt once, however often the shop calls in the time for which ids are kept.
//! fn purchase(store: &Store, player: u64, receipt: &str) -> Result<Version> {
//!     let coins = store.collection::<u64>("coins")?;
//!     let id = format!("{receipt}-{player}");
//!     let granted = coins.update_once(id, player, |now| Change::write(now.map_or(0, |e| e.value) + 100))?;
//!     Ok(match granted {
//!         Once::Now(done) => done.version,
//!         Once::Before(version) => version, // granted before, by this commit: acknowledge it again
//!     })
//! }
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! let first = purchase(&store, 42, "receipt-1")?;
//! assert_eq!(purchase(&store, 42, "receipt-1")?, first);
//! assert_eq!(store.collection::<u64>("coins")?.get(42)?.map(|e| e.value), Some(100));
//! # Ok(())
//! # }
//! ```
//!
//! # Moving the data
//!
//! Write what you exported as JSON lines and run `savehold load`; a repeated load changes nothing that is there already.
//! `savehold migrate` then renames and sets fields in all documents, and notes it beside each as a migration of that name.
//! Or let each player come with his first join, by the profiles' `on_absent`: what it answers lands in the commit of his
//! first session.
