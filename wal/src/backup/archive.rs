//! Corridor: a backup that keeps itself current, one step at a time.
//!
//! A step copies what became durable since the last one and publishes the archive's inventory anew. The first step is a
//! full copy. A step that fails leaves the archive as it was, and the next one catches up. It takes the destination for
//! as long as it lasts, so that backups can be made there by hand too.
//!
//! What it holds stays, whatever the log makes of its own segments: it is thinned by itself (`thin`), between two steps.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::copy::{Taking, locked, put_inventory};
use super::copying::{Copying, Packing};
use super::destination::{Destination, Directory, Shelf, check_apart};
use super::form::is_piece;
use super::inventory::Inventory;
use super::listing::{BackupName, Listed, read, read_all};
use super::ours::check_ours;
use super::take::Damaged;
use super::thin::{self, Thinned, Thinning};
use crate::env::Env;
use crate::error::Result;
use crate::lsn::Lsn;
use crate::pack::Sealed;
use crate::segment::name::UNFINISHED;
use crate::wal::Wal;

/// An archive of one log.
#[derive(Debug)]
pub struct Archive {
    env: Env,
    root: PathBuf,
    packing: Packing,
    state: Option<State>,
}

/// What is known of the destination since the last step.
#[derive(Debug)]
struct State {
    listed: Vec<Listed>,
    pieces: HashSet<String>,
    own: Option<Inventory>,
    /// All of it was compared with the log.
    compared: bool,
    /// Pieces that nobody needs any more, and that could not be taken away yet: somebody was reading.
    idle: Vec<String>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The archive holds the log before this place.
    pub through: Lsn,
    /// Bytes written.
    pub copied_bytes: u64,
}

impl Archive {
    /// An archive in the directory `to`; nothing happens before the first step.
    #[must_use]
    pub fn new(env: &Env, to: &Path, packing: Packing) -> Self {
        Self { env: env.clone(), root: to.to_path_buf(), packing, state: None }
    }

    /// Brings the archive up to what is durable now. `attachment` is kept with it for the layer above.
    ///
    /// # Errors
    ///
    /// As [`Wal::back_up`]: the archive is as it was. [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): also where a piece is
    /// missing there that the log cannot replace. Neither that nor [`ErrorKind::Superseded`](crate::ErrorKind::Superseded)
    /// passes by itself.
    pub fn step(&mut self, wal: &Wal, attachment: &[u8]) -> Result<Step> {
        let through = wal.durable();
        let stepped = self.stepped(wal, through, attachment);
        if stepped.is_err() {
            self.state = None; // whatever failed: the next step looks again
        }
        stepped
    }

    fn stepped(&mut self, wal: &Wal, through: Lsn, attachment: &[u8]) -> Result<Step> {
        let current = |state: &State| {
            state.own.as_ref().is_some_and(|own| own.through >= through && own.attachment == attachment)
        };
        let done = Step { through, copied_bytes: 0 };
        let nothing_new = self.state.as_ref().is_some_and(current);
        if nothing_new && self.state.as_ref().is_some_and(|state| state.idle.is_empty()) {
            return Ok(done);
        }
        let copying =
            Copying { damaged: Damaged::Keep, packing: self.packing, ..Copying::default() }.check()?;
        let destination = Directory::new(&self.env, &self.root); // held for one step: a disk may be mounted there meanwhile
        if self.state.is_none() {
            check_apart(&self.env, wal.root(), &self.root)?;
            destination.prepare()?;
        }
        let _lock = destination.lock()?.ok_or_else(|| locked(&self.root))?;
        let mut state = self.look(&destination)?;
        if nothing_new && current(&state) {
            check_ours(&wal.log, &state.listed)?;
            forget(&destination, &mut state)?;
            self.state = Some(state);
            return Ok(done);
        }
        let sequence = state.listed.iter().filter_map(|l| l.inventory.as_ref().ok()).map(|i| i.sequence);
        let sequence = state.own.as_ref().map_or_else(|| sequence.max().unwrap_or(0) + 1, |own| own.sequence);
        let names = state.pieces.clone();
        let one_disk = wal.env().vfs.is_one_disk(wal.root(), &self.root).unwrap_or(false);
        let mut taking = Taking::new(&wal.log, &destination, &state.listed, names, copying, one_disk)?;
        taking.compared = state.compared;
        if let Some(own) = &state.own {
            taking.go_on(own);
        }
        let go = &mut |_| ControlFlow::Continue(());
        let (inventory, done) = taking.run(through, sequence, BackupName::Archive, attachment, go)?;
        (state.pieces, state.compared) = (taking.names, true);
        let before = state.publish(&destination, inventory);
        state.note_idle(before);
        forget(&destination, &mut state)?;
        self.state = Some(state);
        Ok(Step { through, copied_bytes: done.copied_bytes })
    }

    /// Its segments that may be thinned, the oldest first; none before the first step.
    #[must_use]
    pub fn sealed(&self) -> Vec<Sealed> {
        let own = self.state.as_ref().and_then(|state| state.own.as_ref());
        own.map(thin::sealed).unwrap_or_default()
    }

    /// Begins to thin the segments of a range, neighbours; `None` where there is none. The archive can go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): they cannot become one. [`ErrorKind::Locked`](crate::ErrorKind::Locked):
    /// pieces are being taken away there. [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): the note is too long.
    pub fn thinning(&self, packing: crate::pack::Packing<'_>) -> Result<Option<Thinning>> {
        let Some(own) = self.state.as_ref().and_then(|state| state.own.as_ref()) else { return Ok(None) };
        Thinning::begin(&self.env, Directory::new(&self.env, &self.root), own, packing, self.packing.form())
    }

    /// Puts what was thinned in its place, durably; false where the archive holds its sources no more.
    ///
    /// # Errors
    ///
    /// As [`Archive::step`].
    pub fn put_in_place(&mut self, thinned: Thinned) -> Result<bool> {
        let put = self.replaced(thinned);
        if !matches!(put, Ok(true)) {
            self.state = None; // the next step looks again
        }
        put
    }

    fn replaced(&mut self, thinned: Thinned) -> Result<bool> {
        let Thinned { destination, sources, timeline, held, begun, file, .. } = thinned;
        let _lock = destination.lock()?.ok_or_else(|| locked(&self.root))?;
        let mut state = self.look(&destination)?;
        let ours = |own: &Inventory| {
            own.timelines.last().copied() == timeline
                && sources.iter().all(|source| own.segments.contains(source))
        };
        let Some(mut own) = state.own.clone().filter(ours) else {
            destination.abandon(Shelf::Pieces, &begun);
            return Ok(false);
        };
        own.segments.retain(|held| !sources.contains(held));
        let at = own.segments.partition_point(|other| other.base < held.base);
        let name = held.name(&held.pieces[0]);
        own.segments.insert(at, held);
        destination.publish_as(Shelf::Pieces, &begun, &name, &*file)?;
        destination.settle(Shelf::Pieces)?;
        put_inventory(&destination, BackupName::Archive, &own)?;
        state.pieces.insert(name);
        let before = state.publish(&destination, own);
        state.note_idle(before); // they are still held: the next step takes them away
        self.state = Some(state);
        Ok(true)
    }

    /// Reads the destination, or only what may have changed in it since the last step.
    fn look(&mut self, destination: &Directory) -> Result<State> {
        let mut names = destination.list(Shelf::Backups)?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        let seen = |state: &State| {
            let known: HashSet<String> = state.listed.iter().map(|l| l.name.file_name()).collect();
            names.len() == known.len() && names.iter().all(|name| known.contains(name))
        };
        let ours = |own: &Option<Inventory>| match own {
            None => Ok::<bool, crate::error::Error>(true),
            Some(own) => Ok(read(destination, BackupName::Archive)? == *own),
        };
        if let Some(state) = self.state.take()
            && seen(&state)
            && ours(&state.own)?
        {
            return Ok(state);
        }
        let listed = read_all(destination)?;
        let own = listed.iter().find(|listed| listed.name == BackupName::Archive);
        let own = own.and_then(|listed| listed.inventory.as_ref().ok()).cloned();
        let pieces: HashSet<String> = destination.list(Shelf::Pieces)?.into_iter().collect();
        let mut state = State { listed, pieces, own, compared: false, idle: Vec::new() };
        if state.listed.iter().all(|listed| listed.inventory.is_ok()) {
            let needed = state.needed();
            state.idle =
                state.pieces.iter().filter(|p| is_piece(p) && !needed.contains(*p)).cloned().collect();
        }
        Ok(state)
    }
}

impl State {
    /// Notes the inventory that was published; answers the one before.
    fn publish(&mut self, destination: &Directory, inventory: Inventory) -> Option<Inventory> {
        let before = self.own.replace(inventory.clone());
        self.listed.retain(|listed| listed.name != BackupName::Archive);
        let path = destination.place(Shelf::Backups, &BackupName::Archive.file_name());
        self.listed.push(Listed { name: BackupName::Archive, path, inventory: Ok(inventory) });
        before
    }

    /// Notes the pieces of `before` that the inventory of now may not need.
    fn note_idle(&mut self, before: Option<Inventory>) {
        let now = self.own.iter().flat_map(|own| &own.segments);
        let now: HashMap<_, _> = now.map(|held| (held.identity(), &held.pieces)).collect();
        let segments = before.iter().flat_map(|before| &before.segments);
        let changed =
            segments.filter(|held| now.get(&held.identity()).is_none_or(|now| **now != held.pieces));
        let old: Vec<String> =
            changed.flat_map(|held| held.pieces.iter().map(|piece| held.name(piece))).collect();
        self.idle.extend(old);
    }

    /// Names of the pieces that a backup needs.
    fn needed(&self) -> HashSet<String> {
        let all = self.listed.iter().filter_map(|listed| listed.inventory.as_ref().ok());
        let held = all.flat_map(|inventory| &inventory.segments);
        held.flat_map(|held| held.pieces.iter().map(|piece| held.name(piece))).collect()
    }
}

/// Takes away the small pieces that a step wrote anew, and what crashes left, where no backup needs them: unless somebody
/// is reading, then the next step tries again; and not while a backup cannot be read, of which nobody knows what it needs.
fn forget(destination: &Directory, state: &mut State) -> Result<()> {
    if state.idle.is_empty() || state.listed.iter().any(|listed| listed.inventory.is_err()) {
        return Ok(());
    }
    let Some(_taken) = destination.take_pieces()? else { return Ok(()) };
    let needed = state.needed();
    for piece in std::mem::take(&mut state.idle) {
        if !needed.contains(&piece) && state.pieces.remove(&piece) {
            destination.remove(Shelf::Pieces, &piece)?;
        }
    }
    Ok(())
}
