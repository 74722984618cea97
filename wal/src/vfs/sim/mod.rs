//! Door: a disk that exists in memory alone and can lose, tear, refuse, fill up and rot, all of it repeatable.
//!
//! Three layers, as on a real machine: what the program sees (the cache), what a sync still has to carry out (in
//! order, by sectors of 512 bytes, lengths and names), and what is on the medium. A power cut leaves the medium and
//! any part of what was pending; a killed process leaves all three.
//!
//! What holds, and is tested: a sector once synced is never lost or torn unless it is written again; names are
//! durable only once their directory is synced, contents only once their file is; a name can be durable before the
//! contents and a length before the bytes; a rename inside a directory happens whole or not at all; a sync that lost bytes
//! is told once to each opening that the file had then, whose next sync fails too.

mod choice;
mod digest;
mod file;
mod handle;
mod image;
mod pages;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::io::Errno;

pub use choice::{Choice, Fate, Pending, Tear, What};
pub use digest::Weight;

use super::fault::{Call, Counts, Death, Fault, Script, When};
use crate::draw::{Draw, mixed};
use image::Image;
use tree::{dir_of, place_of};

/// A simulated disk. Clones are the same disk; [`reboot`](Self::reboot), [`restart`](Self::restart) and
/// [`fork`](Self::fork) make another one out of it and cost little: pages are shared until they are written.
#[derive(Clone)]
pub struct SimDisk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Woken when a call that is held may go on.
    let_go: Condvar,
}

struct State {
    image: Image,
    /// Directories that are locked: 0 by one alone, else by so many who share.
    locks: BTreeMap<String, u64>,
    dead: Option<Death>,
    counts: Counts,
    script: Script,
    draw: Draw,
    seed: u64,
    /// The disk before each change, where that is recorded.
    tape: Option<Vec<Image>>,
    /// It says that everything on it lies on one file system.
    one_file_system: bool,
    /// It is mounted to read only.
    read_only: bool,
    /// Syncs that stop before they do anything, by their numbers, and how many stand there.
    held: Vec<u64>,
    standing: usize,
}

impl SimDisk {
    /// An empty disk without limit of space. `seed` decides how much of a call is done that fails half-way.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Image::new(true), seed)
    }

    /// An empty disk that keeps no account of what a power cut might take: a cut takes nothing. For stores that live
    /// in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::of(Image::new(false), 0)
    }

    fn of(image: Image, seed: u64) -> Self {
        let state = Mutex::new(State {
            image,
            locks: BTreeMap::new(),
            dead: None,
            counts: Counts::default(),
            script: Script::default(),
            draw: Draw::from_seed(seed),
            seed,
            tape: None,
            one_file_system: false,
            read_only: false,
            held: Vec::new(),
            standing: 0,
        });
        Self(Arc::new(Shared { state, let_go: Condvar::new() }))
    }

    /// From now on, and on all disks that come of it, programs learn that everything lies on one file system: what is
    /// sealed may be linked. Before, directories count as disks of their own.
    pub fn one_file_system(&self) {
        self.0.state.lock().one_file_system = true;
    }

    /// Another disk with this content; counts begin at 0, no faults are ordered, nothing is open or locked.
    fn successor(&self, image: impl FnOnce(&Image) -> Image) -> Self {
        let state = self.0.state.lock();
        let next = Self::of(image(&state.image), mixed(state.seed.wrapping_add(1)));
        next.0.state.lock().one_file_system = state.one_file_system;
        next
    }

    // Ends and beginnings.

    /// Cuts the power: every call answers an error from now on.
    pub fn cut_power(&self) {
        self.0.state.lock().dead = Some(Death::Cut);
    }

    /// Ends the process: every call answers an error from now on. A disk whose power is cut stays so.
    pub fn kill(&self) {
        self.0.state.lock().dead.get_or_insert(Death::Killed);
    }

    /// Why this disk answers nothing any more, if so.
    #[must_use]
    pub fn death(&self) -> Option<Death> {
        self.0.state.lock().dead
    }

    /// The disk as it is found after a power cut now. This one is not changed: one disk gives many reboots.
    #[must_use]
    pub fn reboot(&self, choice: Choice) -> Self {
        self.successor(|image| image.after_choice(choice))
    }

    /// The same, the fate of each pending thing decided one by one in the order of [`pending`](Self::pending).
    #[must_use]
    pub fn reboot_with(&self, mut fate: impl FnMut(&Pending) -> Fate) -> Self {
        self.successor(|image| image.after_cut(&mut fate))
    }

    /// The same, decided by `draw` as [`Choice::Seed`] does.
    #[must_use]
    pub fn reboot_by(&self, draw: &mut Draw) -> Self {
        self.successor(|image| image.after_draws(draw))
    }

    /// The disk as the next process finds it if this one dies now: the cache remains, pending things stay pending.
    /// Where the power was cut there is no cache any more: then nothing pending is kept.
    #[must_use]
    pub fn restart(&self) -> Self {
        match self.death() {
            Some(Death::Cut) => self.reboot(Choice::KeepNone),
            _ => self.fork(),
        }
    }

    /// A disk of its own with the same content, cached, pending and durable; nothing is open or locked on it.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.successor(Image::after_kill)
    }

    /// Everything that a power cut now might take: names in the order they were changed, then file by file, in order.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let mut all = Vec::new();
        self.0.state.lock().image.pending(&mut |pending| all.push(pending));
        all
    }

    /// Records the disk before each change from now on. [`take_tape`](Self::take_tape) gives the recording: all
    /// crash points of one run.
    pub fn record(&self) {
        self.0.state.lock().tape = Some(Vec::new());
    }

    /// Ends the recording and gives it: a disk before each change since it began, in order.
    #[must_use]
    pub fn take_tape(&self) -> Vec<Self> {
        let mut state = self.0.state.lock();
        let seed = mixed(state.seed.wrapping_add(1));
        let tape = state.tape.take().unwrap_or_default();
        tape.into_iter().map(|image| Self::of(image.after_kill(), seed)).collect()
    }

    // Faults.

    /// What this disk was asked to do so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.state.lock().counts
    }

    /// Orders a fault for the n-th call of a kind.
    pub fn order(&self, when: When, fault: Fault) {
        self.0.state.lock().script.order(when, fault, false);
    }

    /// Orders a fault for the n-th call of a kind and all later ones of that kind.
    pub fn order_for_ever(&self, when: When, fault: Fault) {
        self.0.state.lock().script.order(when, fault, true);
    }

    /// Lets the thread that makes the n-th sync of a file, counted from 1, stand before it does anything, until
    /// [`let_go`](Self::let_go). Other threads go on.
    pub fn hold_sync(&self, n: u64) {
        self.0.state.lock().held.push(n);
    }

    /// How many threads stand so.
    #[must_use]
    pub fn standing(&self) -> usize {
        self.0.state.lock().standing
    }

    /// Lets them all go on.
    pub fn let_go(&self) {
        self.0.state.lock().held.clear();
        self.0.let_go.notify_all();
    }

    /// Withdraws all orders.
    pub fn heal(&self) {
        self.0.state.lock().script.clear();
    }

    /// Limits the space of the disk to so many bytes, or to none; what is stored already stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.state.lock().image.capacity = bytes;
    }

    /// Mounts the disk to read only, or to write again: nothing can be opened to be written meanwhile, and no name changes.
    pub fn set_read_only(&self, read_only: bool) {
        self.0.state.lock().read_only = read_only;
    }

    /// Bytes of space that are taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.state.lock().image.used()
    }

    // What is there, and damage at rest. These are not calls of the program: they are not counted and never fail for
    // a dead disk.

    /// All files by path, each with its length in bytes.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.0.state.lock();
        let lens = state.image.tree.files().map(|(path, file)| (path, state.image.file(file).cache.len()));
        lens.collect()
    }

    /// A number for all that this disk is: what the program sees, what is on the medium, what a power cut might take. Two
    /// disks of the same number show the same to whatever comes, but for draws and for what `weigh`, which is asked for
    /// each name, says does not count.
    #[must_use]
    pub fn state(&self, weigh: &dyn Fn(&str) -> Weight) -> u128 {
        self.0.state.lock().image.digest(weigh)
    }

    /// The bytes of a file, as the program sees them.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, `IsADirectory`.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.state.lock();
        let pages = &state.image.file(state.image.tree.file(&place_of(path))?).cache;
        let mut bytes = vec![0; pages.len() as usize];
        pages.read(&mut bytes, 0);
        Ok(bytes)
    }

    /// The number by which [`What`] names the file at `path`.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn file_number(&self, path: &Path) -> io::Result<u64> {
        self.0.state.lock().image.tree.file(&place_of(path))
    }

    /// Flips one bit, on the medium and in the cache.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read); `InvalidInput` where the file has no such byte.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let number = state.image.tree.file(&place_of(path))?;
        if byte >= state.image.file(number).cache.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (page, at) =
            ((byte / pages::PAGE_BYTES as u64) as usize, (byte % pages::PAGE_BYTES as u64) as usize);
        state.image.file_mut(number).damage(|pages| {
            if byte < pages.len() {
                pages.page_mut(page)[at] ^= 1 << (bit % 8);
            }
        });
        Ok(())
    }

    /// Cuts or extends a file, on the medium and in the cache; what was pending in it is forgotten.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let number = state.image.tree.file(&place_of(path))?;
        let file = state.image.file_mut(number);
        file.forget_pending();
        file.damage(|pages| pages.set_len(bytes));
        Ok(())
    }

    /// Puts a file on the medium, durable, whatever was there; its directory must exist and is synced.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, `IsADirectory`.
    pub fn plant(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.state.lock().image.plant(place_of(path), bytes)
    }

    /// Removes a file, durably; its directory is synced.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn uproot(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let place = place_of(path);
        let dir = Arc::clone(&place.dir);
        state.image.remove(0, place)?;
        state.image.sync_dir(&dir)
    }

    // The way into every call of the program.

    /// Counts a call and lets its fault happen, if one is due. What remains is the fault that the call itself has to
    /// act out, before it answers through [`State::end`].
    fn enter(&self, call: Call) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.0.state.lock();
        if let Some(death) = state.dead {
            return Err(death.error());
        }
        let State { tape, image, counts, .. } = &mut *state;
        if let (true, Some(tape)) = (call.is_change(), tape) {
            tape.push(image.clone());
        }
        counts.count(call);
        let fault = state.script.due(call, &state.counts);
        let number = state.counts.syncs;
        if call == Call::Sync && state.held.contains(&number) {
            state.standing += 1;
            while state.held.contains(&number) {
                self.0.let_go.wait(&mut state);
            }
            state.standing -= 1;
            if let Some(death) = state.dead {
                return Err(death.error());
            }
        }
        let death = match fault {
            Some(Fault::CutBefore) => Death::Cut,
            Some(Fault::KillBefore) => Death::Killed,
            Some(Fault::Fail(failure)) if call != Call::Sync => return Err(failure.error()),
            _ => return Ok((state, fault)),
        };
        state.dead = Some(death);
        Err(death.error())
    }
}

impl State {
    /// What a call answers that did its work, or its half, under `fault`.
    fn end(&mut self, fault: Option<Fault>) -> io::Result<()> {
        let death = match fault {
            None => return Ok(()),
            Some(Fault::Fail(failure) | Fault::FailHalfway(failure)) => return Err(failure.error()),
            Some(Fault::CutBefore | Fault::CutInside) => Death::Cut,
            Some(Fault::KillBefore | Fault::KillInside) => Death::Killed,
        };
        self.dead = Some(death);
        Err(death.error())
    }

    fn may_change(&self) -> io::Result<()> {
        if self.read_only { Err(Errno::ROFS.into()) } else { Ok(()) }
    }

    /// The number of the change under way.
    fn change(&self) -> u64 {
        self.counts.changes
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(state) = self.0.state.try_lock() else { return f.write_str("SimDisk(in use)") };
        let files = state.image.tree.files().count();
        write!(f, "SimDisk({files} files, {:?}, dead: {:?})", state.counts, state.dead)
    }
}

#[cfg(test)]
mod tests;
