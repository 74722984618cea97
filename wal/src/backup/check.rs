//! Corridor: every byte of a destination read and verified; no log is needed for it, and nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::{Held, Inventory, sum};
use super::listing::{BackupName, Listed};
use super::meter::Meter;
use super::read::{Frames, bytes_of, piece_of};
use super::restore::Source;
use crate::error::{Error, Result};
use crate::inspect::Tell;
use crate::lsn::Lsn;

/// What is wrong in a destination.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The backups that cannot be restored whole for it.
    pub backups: Vec<BackupName>,
    /// What is wrong, and where.
    pub error: Error,
}

/// What looking through a destination proved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// Backups whose inventories can be read.
    pub backups: u64,
    /// Pieces that they name.
    pub pieces: u64,
    /// Bytes of those that are as they were written.
    pub bytes: u64,
    /// Everything that is wrong; nothing, and every backup restores.
    pub faults: Vec<Fault>,
}

/// One segment as several backups hold it.
struct Shared<'a> {
    /// The backup that holds most of it.
    furthest: (&'a Inventory, &'a Held),
    all: Vec<(BackupName, &'a Held)>,
}

impl Source {
    /// Reads and verifies every byte of every backup in view: inventories, pieces, and in them every group and frame.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Aborted`](crate::ErrorKind::Aborted): `tell` broke. Damage is an answer.
    pub fn verify(&self, tell: Tell<'_>) -> Result<Checked> {
        let mut checked = Checked { backups: 0, pieces: 0, bytes: 0, faults: Vec::new() };
        let mut segments: BTreeMap<(Lsn, u32, u64), Shared<'_>> = BTreeMap::new();
        for listed in self.backups() {
            match &listed.inventory {
                Ok(inventory) => {
                    checked.backups += 1;
                    share(&mut segments, listed, inventory);
                }
                Err(e) => checked.faults.push(Fault { backups: vec![listed.name], error: e.clone() }),
            }
        }
        let names = segments.values().flat_map(|shared| &shared.all);
        let pieces: BTreeMap<String, u64> =
            names.flat_map(|(_, held)| held.pieces.iter().map(|p| (held.name(p), p.bytes()))).collect();
        let mut meter = Meter::new(self.env(), sum(pieces.values().copied()), tell);
        meter.advance(0)?;
        for shared in segments.values() {
            self.segment(shared, &mut checked, &mut meter)?;
        }
        checked.pieces = pieces.len() as u64;
        Ok(checked)
    }

    fn segment(&self, shared: &Shared<'_>, checked: &mut Checked, meter: &mut Meter<'_>) -> Result<()> {
        let (inventory, held) = shared.furthest;
        let mut stopped = None;
        let mut bytes = 0;
        let limit = held.covered();
        let frames = Frames::new(self.destination(), inventory, held);
        let read = frames.and_then(|mut frames| {
            bytes_of(self.destination(), held, limit, &mut |chunk| {
                bytes += chunk.len() as u64;
                if let Err(e) = meter.advance(chunk.len() as u64) {
                    stopped = Some(e.clone());
                    return Err(e);
                }
                frames.feed(chunk, |_| Ok(()))
            })?;
            frames.finish()
        });
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        let outcome = read;
        let mut good: BTreeSet<String> = BTreeSet::new();
        if outcome.is_ok() {
            checked.bytes += bytes;
            good.extend(held.pieces.iter().map(|piece| held.name(piece)));
        }
        let faults = checked.faults.len();
        self.pieces(shared, good, checked, meter)?;
        if let (Err(error), true) = (outcome, checked.faults.len() == faults) {
            let backups = shared.all.iter().map(|(name, _)| *name).collect(); // as written, and no log all the same
            checked.faults.push(Fault { backups, error });
        }
        Ok(())
    }

    /// Every piece that was not yet found good, one by one.
    fn pieces(
        &self,
        shared: &Shared<'_>,
        mut seen: BTreeSet<String>,
        checked: &mut Checked,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        for (held, piece) in
            shared.all.iter().flat_map(|(_, held)| held.pieces.iter().map(move |p| (held, p)))
        {
            if !seen.insert(held.name(piece)) {
                continue;
            }
            match piece_of(self.destination(), held, piece, &mut |_| Ok(())) {
                Ok(()) => checked.bytes += piece.bytes(),
                Err(error) => {
                    let names = shared.all.iter().filter(|(_, other)| other.pieces.contains(piece));
                    let backups = names.map(|(name, _)| *name).collect();
                    checked.faults.push(Fault { backups, error });
                }
            }
            meter.advance(piece.bytes())?;
        }
        Ok(())
    }
}

fn share<'a>(
    segments: &mut BTreeMap<(Lsn, u32, u64), Shared<'a>>,
    listed: &Listed,
    inventory: &'a Inventory,
) {
    for held in &inventory.segments {
        let shared = segments
            .entry(held.identity())
            .or_insert_with(|| Shared { furthest: (inventory, held), all: Vec::new() });
        if held.covered() > shared.furthest.1.covered() {
            shared.furthest = (inventory, held);
        }
        shared.all.push((listed.name, held));
    }
}
