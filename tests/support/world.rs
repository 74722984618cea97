//! A log on a simulated machine, with the history of all that it was given.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::env::{Env, Threads};
use savehold_wal::segment::file::Access;
use savehold_wal::sim::{SimClock, SimDisk, SimEntropy};
use savehold_wal::{
    Append, Durability, Error, ErrorKind, Frame, Judged, Lsn, Options, Packing, Result as WalResult, Stay,
    Ticket, Wal,
};

use crate::check;
use crate::history::{Finding, History, Stop, body, head};
use crate::mirror::Mirror;

/// Where the log lives. Its directory does not exist on an empty disk.
pub const ROOT: &str = "/store";

/// One step of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One record, waited for.
    Commit(usize, Durability),
    /// So many synced records of so many bytes, all placed before any is waited for.
    Batch(usize, usize),
    /// The same by one call.
    Lump(usize, usize),
    /// Everything so far becomes durable.
    Sync,
    /// Closes and opens.
    Reopen,
    /// The handle is dropped without a close and the log opened again, in the same boot.
    Renew,
    /// Time passes, and what fell due is done.
    Tick(Duration),
    /// The older half is given up.
    Retire,
    /// Everything that is sealed is packed into one file, and nothing of it goes.
    Pack,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Done,
    /// Refused, of this kind; what was refused is not there.
    Refused(ErrorKind),
}

/// A log, the machine it runs on, and its history.
#[derive(Debug)]
pub struct World {
    /// The disk of the present life.
    pub disk: SimDisk,
    /// Its clocks.
    pub clock: Arc<SimClock>,
    /// How the log is opened.
    pub options: Options,
    /// The open log.
    pub log: Option<Wal>,
    /// What it was given.
    pub history: History,
    entropy: Arc<SimEntropy>,
}

/// Small segments, so that every workload reaches their ends.
#[must_use]
pub fn small_segments() -> Options {
    Options {
        lock_wait: Duration::ZERO,
        access: Access::Pread,
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 32 << 10,
        ..Options::default()
    }
}

impl World {
    /// An empty disk; nothing is open.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> Self {
        Self::on(SimDisk::new(seed), seed, options, History::default())
    }

    /// A log of this history on a machine started anew.
    #[must_use]
    pub fn on(disk: SimDisk, seed: u64, options: Options, history: History) -> Self {
        let (clock, entropy) = (Arc::default(), Arc::new(SimEntropy::new(seed)));
        Self { disk, clock, options, log: None, history, entropy }
    }

    /// What the log runs on.
    #[must_use]
    pub fn env(&self) -> Env {
        Env {
            vfs: match self.options.access {
                Access::Mapped => Arc::new(Mirror::over(self.disk.clone())),
                Access::Pread => Arc::new(self.disk.clone()),
            },
            clock: Arc::<SimClock>::clone(&self.clock),
            entropy: Arc::<SimEntropy>::clone(&self.entropy),
            threads: Threads::None,
        }
    }

    /// Changes of the disk so far in this life.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.disk.counts().changes
    }

    /// Opens the log and looks at nothing.
    ///
    /// # Errors
    ///
    /// The log's own.
    pub fn try_open(&self) -> WalResult<Wal> {
        Wal::open_in(self.env(), Path::new(ROOT), self.options.clone())
    }

    /// Opens the log and holds what it serves to the history.
    ///
    /// # Errors
    ///
    /// The promise is broken, or an answer is not one of those that a step may get.
    pub fn open(&mut self) -> Result<Answer, Finding> {
        let log = match self.try_open() {
            Ok(log) => log,
            Err(e) => return refused(&e, "opening"),
        };
        let found = match check::records(&log) {
            Ok(found) => found,
            Err(e) => return refused(&e, "replaying"),
        };
        let kept = check::judge(&log, &found, &self.history, Stop::Kill, u64::MAX)?;
        self.history = match log.read_only() {
            Some(_) => self.history.shown(&found, kept, self.changes()),
            None => self.history.survived(&found, kept, u64::MAX, self.changes()),
        };
        self.log = Some(log);
        Ok(Answer::Done)
    }

    /// Takes a step, opening the log first if it is not open.
    ///
    /// # Errors
    ///
    /// As [`World::open`].
    pub fn step(&mut self, step: Step) -> Result<Answer, Finding> {
        if self.disk.death().is_some() {
            return Ok(Answer::Refused(ErrorKind::Halted)); // whoever was to take this step is gone
        }
        if self.log.is_none() {
            match self.open()? {
                Answer::Done => {}
                refused => return Ok(refused),
            }
        }
        let answer = match step {
            Step::Commit(bytes, durability) => self.commit(bytes, durability),
            Step::Batch(count, bytes) => self.batch(count, bytes),
            Step::Lump(count, bytes) => self.lump(count, bytes),
            Step::Sync => self.sync(),
            Step::Reopen => return self.reopen(),
            Step::Renew => {
                self.end();
                return self.open();
            }
            Step::Tick(time) => {
                self.clock.advance(time);
                self.log().tick();
                Ok(Answer::Done)
            }
            Step::Retire => self.retire(),
            Step::Pack => self.pack(),
        }?;
        self.note();
        Ok(answer)
    }

    /// Takes all steps; each must be done.
    ///
    /// # Errors
    ///
    /// As [`World::open`]; a step was refused.
    pub fn steps(&mut self, steps: &[Step]) -> Result<(), Finding> {
        for step in steps {
            match self.step(*step)? {
                Answer::Done => {}
                refused => return Err(format!("{step:?} was answered {refused:?} on a disk without faults")),
            }
        }
        Ok(())
    }

    /// The process dies without a word: what ran on the machine writes nothing more.
    pub fn end(&mut self) {
        let next = self.disk.restart();
        self.disk.kill();
        self.log = None;
        self.disk = next;
        self.history = std::mem::take(&mut self.history).counted_anew();
    }

    fn log(&self) -> &Wal {
        self.log.as_ref().expect("opened before every step")
    }

    fn note(&mut self) {
        let change = self.changes();
        if let Some(log) = self.log.as_ref().filter(|_| self.disk.death().is_none()) {
            self.history.note(log.acknowledged(), log.durable(), change);
        }
    }

    fn commit(&mut self, bytes: usize, durability: Durability) -> Result<Answer, Finding> {
        let number = self.history.give(bytes);
        let how = Append { durability, ..Append::default() };
        let outcome = self.log().commit(frame(number, bytes), how);
        self.settle(number, durability, outcome)
    }

    /// Writes down the answer to `number`.
    fn settle(
        &mut self,
        number: u64,
        durability: Durability,
        outcome: WalResult<Lsn>,
    ) -> Result<Answer, Finding> {
        let change = self.changes();
        match outcome {
            Ok(_) if self.disk.death().is_some() => Ok(Answer::Refused(ErrorKind::Unknown)), // nobody heard it
            Ok(lsn) => {
                self.history.place(number, lsn, change)?;
                self.history.acknowledge(number, durability == Durability::Synced, change);
                Ok(Answer::Done)
            }
            Err(e) if e.kind() == ErrorKind::Unknown => {
                let lsn = e.lsn().ok_or("an Unknown that names no place")?;
                self.history.place(number, lsn, change)?;
                Ok(Answer::Refused(ErrorKind::Unknown))
            }
            Err(e) => {
                self.history.refuse(number);
                refused(&e, "committing")
            }
        }
    }

    fn batch(&mut self, count: usize, bytes: usize) -> Result<Answer, Finding> {
        let (mut tickets, mut answer): (Vec<(u64, Ticket)>, _) = (Vec::new(), Answer::Done);
        for _ in 0..count {
            let number = self.history.give(bytes);
            match self.log().append_frame(frame(number, bytes), Append::default()) {
                Ok(ticket) => {
                    self.history.place(number, ticket.lsn(), self.changes())?;
                    tickets.push((number, ticket));
                }
                Err(e) => {
                    self.history.refuse(number);
                    answer = refused(&e, "appending")?;
                    break;
                }
            }
        }
        for (number, ticket) in tickets {
            let told = ticket.lsn();
            match ticket.wait() {
                Ok(_) if self.disk.death().is_some() => answer = Answer::Refused(ErrorKind::Unknown),
                Ok(lsn) if lsn == told => self.history.acknowledge(number, true, self.changes()),
                Ok(lsn) => return Err(format!("a ticket for {told} answered {lsn}")),
                Err(e) if e.kind() == ErrorKind::Unknown => answer = Answer::Refused(ErrorKind::Unknown),
                Err(e) => return Err(format!("a ticket answered {e:?}")),
            }
        }
        Ok(answer)
    }

    fn lump(&mut self, count: usize, bytes: usize) -> Result<Answer, Finding> {
        let numbers: Vec<u64> = (0..count).map(|_| self.history.give(bytes)).collect();
        let records: Vec<_> = numbers.iter().map(|n| (head(*n), body(*n, bytes))).collect();
        let ticket = self.log().append_batch(records.iter().map(|(h, b)| (h.as_slice(), b.as_slice())));
        match ticket {
            Ok(Some(ticket)) => {
                let answer = self.settle(numbers[count - 1], Durability::Synced, ticket.wait())?;
                if let (Answer::Done, Ok(found)) = (answer, check::records(self.log())) {
                    let change = self.changes();
                    self.history.learn(&found, change);
                }
                Ok(answer)
            }
            Ok(None) => Ok(Answer::Done),
            Err(e) => refused(&e, "appending a batch"), // some of its records may have their places
        }
    }

    fn sync(&mut self) -> Result<Answer, Finding> {
        match self.log().sync() {
            Ok(through) => {
                let change = self.changes();
                self.history.note(through, through, change);
                Ok(Answer::Done)
            }
            Err(e) => refused(&e, "syncing"),
        }
    }

    fn reopen(&mut self) -> Result<Answer, Finding> {
        let Some(log) = self.log.take() else { return Ok(Answer::Done) };
        let closed = log.close();
        let change = self.changes();
        match closed {
            Ok(()) => self.history.note(Lsn::MAX, Lsn::MAX, change),
            Err(e) => _ = refused(&e, "closing")?,
        }
        self.open()
    }

    fn retire(&mut self) -> Result<Answer, Finding> {
        let placed: Vec<Lsn> = self.history.entries().iter().filter_map(|e| e.lsn).collect();
        let Some(before) = placed.get(placed.len() / 2).copied() else { return Ok(Answer::Done) };
        let change = self.changes();
        self.history.retire(before, change);
        match self.log().retire(before) {
            Ok(_) => Ok(Answer::Done),
            Err(e) => refused(&e, "retiring"),
        }
    }
}

impl World {
    fn pack(&mut self) -> Result<Answer, Finding> {
        let judged = Judged { at: self.log().durable(), number: 1, note: b"note" };
        let packing = Packing { from: Lsn::NONE, to: Lsn::MAX, judged };
        match self.log().pack(packing, |_| Ok(Stay::Whole), |_| ControlFlow::Continue(())) {
            Ok(_) => Ok(Answer::Done),
            Err(e) => refused(&e, "packing"),
        }
    }
}

/// A record ready to be given to a log.
#[must_use]
pub fn frame(number: u64, bytes: usize) -> Frame {
    Frame::record(&head(number), &[&body(number, bytes)]).expect("far below the limits")
}

/// An error that a step may meet when the disk fails, fills up or dies; never one that blames the bytes.
fn refused(e: &Error, doing: &str) -> Result<Answer, Finding> {
    use ErrorKind::{Closed, Full, Halted, Io, ReadOnly, Unknown};
    match e.kind() {
        kind @ (Closed | Full | Halted | Io | ReadOnly | Unknown) => Ok(Answer::Refused(kind)),
        _ => Err(format!("{doing} was answered {e:?}")),
    }
}
