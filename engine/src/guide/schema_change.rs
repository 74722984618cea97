//! Pure: guide: *schema change*: new fields, renamed ones, old and new servers side by side.
//!
//! A stored document is older than the program that reads it. Two things make the one fit the other, both in the commit
//! that starts the session, so that no player is ever half changed.
//!
//! # A new field needs nothing
//!
//! The template (`T::default()`) says what a new player has. What a stored document lacks is filled in from it, deep, by
//! the shape that serde reports: fields of structs, and of structs in them. Maps, lists and enums are left as they are: a
//! key that was taken out of a map on purpose does not come back. No `#[serde(default)]` is needed.
//!
//! # A renamed or reshaped one is migrated by name
//!
//! ```
//! use savehold::{Compatible, Result, Store};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct PlayerOfLastYear {
//!     gold: u64,
//! }
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Player {
//!     coins: u64,
//!     level: u32, // new: filled in
//! }
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! store.collection::<PlayerOfLastYear>("players")?.set("42", &PlayerOfLastYear { gold: 7 })?;
//!
//! let players = store
//!     .profiles::<Player>("players")
//!     .migration("2026-11 gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
//!     .open()?;
//! for change in players.dry_run("42")?.changes {
//!     println!("{change}"); // what a session would change; nothing is written
//! }
//! let player = players.start("42")?;
//! assert_eq!((player.read().coins, player.read().level), (7, 0));
//! # player.release()?;
//! # Ok(())
//! # }
//! ```
//!
//! Each migration runs once for a document, in the order in which they are given; its name is stored with the document and
//! is for ever. An error refuses the session, and the document stays as it was.
//!
//! # All documents at once
//!
//! A document is brought up to date when it is played. To do it for all of them, before an old program is taken away or to
//! know that every one can be read, there is [`Profiles::migrate_all`](crate::Profiles::migrate_all): each document in a
//! commit of its own, those in play left to their sessions, told after each how far it is, stopped and resumed at any key.
//! [`Profiles::dry_run_all`](crate::Profiles::dry_run_all) only counts.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use savehold::{Compatible, Result, Store, Value};
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! # let old = store.collection::<std::collections::BTreeMap<String, u64>>("players")?;
//! # (0..10).try_for_each(|n| old.set(n, &[("gold".to_owned(), n)].into()).map(drop))?;
//! let players = store
//!     .profiles::<Value>("players") // no type: documents as they stand
//!     .migration("2026-11 gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
//!     .open()?;
//! let done = players.migrate_all(None, |so_far, key| {
//!     println!("{key}: {so_far}");
//!     ControlFlow::Continue(()) // `Break` stops here; `done.stopped_at` is where to go on
//! })?;
//! assert_eq!((done.changed, done.failed.len()), (10, 0));
//! # Ok(())
//! # }
//! ```
//!
//! `savehold migrate players '2026-11 gold is coins' --rename gold=coins` does the same from the command line, beside a
//! running server too, with a bar. The program finds its migration of that name done.
//!
//! # Old and new servers side by side
//!
//! - A migration that an older program can live with (a field was added) is `Compatible::Yes`: the older program goes on
//!   opening the document. After one that is `Compatible::No` (a field was renamed) it is refused, and says why.
//! - A save through `T` keeps what `T` does not know. An old server that saves a player of a new one leaves the new fields
//!   where they were.
//!
//! ```
//! use savehold::{Result, Store};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Old {
//!     coins: u64,
//! }
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct New {
//!     coins: u64,
//!     pets: Vec<String>,
//! }
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! store.collection::<New>("players")?.set("42", &New { coins: 1, pets: vec!["cat".into()] })?;
//! let old = store.profiles::<Old>("players").open()?;
//! let played = old.start("42")?;
//! played.update(|p| p.coins = 2)?;
//! played.release()?;
//! let now = store.collection::<New>("players")?.get("42")?.expect("there").value;
//! assert_eq!((now.coins, now.pets), (2, vec!["cat".to_owned()]));
//! # Ok(())
//! # }
//! ```
//!
//! # What is never done
//!
//! A document that cannot be read is never replaced by a template: the session is refused, the document stays, and the
//! version before it can be restored. A value of another kind than the template's is kept, unless the profiles say otherwise
//! ([`Mismatch`](crate::Mismatch)).
