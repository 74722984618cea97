//! Pure: guide: *sessions*: one writer for each player, whatever happens.
//!
//! A player is played in one place at a time. Two places that write him overwrite each other, and what one of them granted
//! is gone, or there twice. So whoever plays a key holds a **lease** on it, and every write to a leased key is checked
//! against the lease **inside the commit**, in the step that gives the write its place. A holder that slept, lost its
//! connection or was taken for dead cannot change one byte, whatever its clock says.
//!
//! # Acquire, write, release
//!
//! ```
//! use savehold::{ErrorKind, Policy, Result, Start, Store};
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! let coins = store.collection::<u64>("coins")?;
//! let (red, blue) = (store.holder("room-red")?, store.holder("room-blue")?);
//!
//! let session = red.acquire([coins.key("42")], Start::new())?; // durable when it returns
//! let mine = coins.with_token(session.token()); // brings the token with each write
//! mine.set("42", &100)?;
//!
//! // Without the token nobody writes it, and who has it is said.
//! let plain = coins.set("42", &0).unwrap_err();
//! assert_eq!((plain.kind(), plain.holder()), (ErrorKind::Leased, Some("room-red")));
//! let refused = blue.acquire([coins.key("42")], Start::new().policy(Policy::Fail)).unwrap_err();
//! assert_eq!(refused.kind(), ErrorKind::Leased);
//! assert_eq!(coins.get("42")?.map(|e| e.value), Some(100)); // reads need no lease
//!
//! session.release()?;
//! let in_blue = blue.acquire([coins.key("42")], Start::new())?;
//! assert_eq!(mine.set("42", &0).unwrap_err().kind(), ErrorKind::Fenced); // red's token is refused for ever
//! # drop(in_blue);
//! # Ok(())
//! # }
//! ```
//!
//! The token is the number of the commit that granted the lease: a later one is larger, and none is issued twice. A lease
//! may cover several keys: one token, and it ends as a whole.
//!
//! # When another has the key
//!
//! | [`Policy`](crate::Policy) | what a request does |
//! |---|---|
//! | `Handoff { after }` (default, 10 s) | tells the holder, who writes a last time and releases; after that time it takes the key by force |
//! | `Wait` | waits until it is free |
//! | `Steal` | takes it at once |
//! | `Fail` | is refused at once |
//!
//! Requests are served first come, first served, and are woken, not polling. One whose own deadline
//! ([`Start::deadline`](crate::Start::deadline), 15 s) has passed is refused, never granted later; dropping it withdraws
//! it. A holder hears that it is wanted from [`Session::wanted`](crate::Session::wanted), and why it lost a session from
//! [`Session::ended`](crate::Session::ended): to ask, to wait for, to await, or as a callback. [`Holder::events`](crate::Holder::events)
//! tells both for all sessions of a holder.
//!
//! ```
//! use savehold::{Ended, Policy, Result, Start, Store};
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! let coins = store.collection::<u64>("coins")?;
//! let in_red = store.holder("red")?.acquire([coins.key("42")], Start::new())?;
//! let (stale, ended) = (in_red.token(), in_red.ended());
//! let in_blue = store.holder("blue")?.acquire([coins.key("42")], Start::new().policy(Policy::Steal))?;
//! assert_eq!(ended.now(), Some(Ended::Stolen("blue".into())));
//! assert!(in_blue.token() > stale);
//! # Ok(())
//! # }
//! ```
//!
//! # Who holds
//!
//! - A room or world in this process: [`Store::holder`](crate::Store::holder). It lives as long as a handle of it, or a
//!   session, does. When the process dies its leases are over: the reopened store can prove it, and waits for nobody.
//! - A game server elsewhere, behind your own protocol: [`Store::external_holder`](crate::Store::external_holder) with its
//!   name and its *life*, a number that it drew at its start. A life that another followed is over for ever, after our
//!   restart too. A server lives in its heartbeats, one for all its leases, and each write with its token is one. The first
//!   that comes too late says [`Ended`](crate::ErrorKind::Ended), up to 7 days after its time. Its token travels as
//!   text. Its leases outlive our restart, with their full time again; [`Holder::resume`](crate::Holder::resume) finds the
//!   session of a token.
//!
//! ```
//! use savehold::{Result, Start, Store, Token};
//!
//! # fn main() -> Result<()> {
//! # let place = tempfile::tempdir().unwrap();
//! # let path = place.path().join("data");
//! # let life = 4711;
//! let store = Store::open(&path)?;
//! let coins = store.collection::<u64>("coins")?;
//! let text = store.external_holder("eu-1", life)?.acquire([coins.key("42")], Start::new())?.token().to_string();
//! drop((coins, store)); // the process that has the store is restarted
//!
//! let store = Store::open(&path)?;
//! let (coins, eu_1) = (store.collection::<u64>("coins")?, store.external_holder("eu-1", life)?);
//! let token: Token = text.parse()?;
//! coins.with_token(token).set("42", &1)?; // still its own
//! eu_1.resume(token)?.release()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Profiles: a session with its document
//!
//! [`Store::profiles`](crate::Store::profiles) does all this for documents that one place plays: lease and document come in
//! one commit, changes are made in memory and saved within the autosave time, and the end has one order, whoever wants it:
//! the reason, `before_release`, the last save together with the end of the lease, and then
//! [`Event::Ended`](crate::Event::Ended). Another room that starts the player gets him at once, with the last edit.
//!
//! ```
//! use savehold::{Ended, ErrorKind, Event, Result, Store};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Player {
//!     coins: u64,
//! }
//!
//! # fn main() -> Result<()> {
//! let store = Store::in_memory()?;
//! let (red, blue) = (store.holder("red")?, store.holder("blue")?);
//! let in_red = store.profiles::<Player>("players").holder(&red).open()?;
//! let in_blue = store.profiles::<Player>("players").holder(&blue).open()?;
//!
//! let there = in_red.start(42)?;
//! there.update(|p| p.coins += 5)?; // in memory
//! let here = in_blue.start(42)?; // red is told, saves and gives him up
//! assert_eq!(here.read().coins, 5);
//! assert_eq!(there.update(|p| p.coins += 1).unwrap_err().kind(), ErrorKind::Ended);
//! assert_eq!(there.ended(), Some(Ended::HandedOver("blue".into())));
//! let asked = in_red.events().next_timeout(Duration::from_secs(10));
//! assert!(matches!(asked, Some(Event::Wanted { .. })));
//!
//! let report = in_blue.close(Duration::from_secs(30)); // the process is about to stop
//! assert_eq!((report.saved, report.failed.len(), report.late.len()), (1, 0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! A last save that fails, because the disk is full, is tried again every second, and the lease stands meanwhile. It keeps
//! the store open too, also where every handle was dropped; [`Store::close`](crate::Store::close) tries once more and then
//! gives it up.
//!
//! # What can go wrong, and what you hear
//!
//! | what happened | the next write answers | the session says |
//! |---|---|---|
//! | another took the key by force or after your silence | [`Fenced`](crate::ErrorKind::Fenced), with the token that stands there now | `Stolen(by)`, `Expired` |
//! | a person ran `savehold sessions break KEY --reason TEXT` | `Fenced` | `Stolen(reason)` |
//! | you released it yourself | `Fenced` | `Released`, `HandedOver(to)` |
//! | another life of the game server began | `Fenced` | `Closed` |
//!
//! [`Error::next`](crate::Error::next) of all of these is [`EndSession`](crate::Next::EndSession): kick the player, and write
//! nothing more for him. Deadlines run on the boot clock, which goes on while the machine sleeps; a step of the wall clock
//! changes nothing. Nothing about heartbeats and deadlines is logged: they cost no disk.
//!
//! For a person who must change a key that somebody plays there is
//! [`Collection::force`](crate::Collection::force): the lease ends by that very commit.
