//! The disks that crashes leave: every subset of what was pending that is worth a look, and crashes inside recovery.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use savehold_wal::draw::mixed;
use savehold_wal::sim::{Choice, Draw, Fate, Fault, SimDisk, Weight, What, When};
use support::check::{Promise, verify};
use support::history::{Finding, History, Stop};
use support::world::{ROOT, World};

/// What was looked at.
#[derive(Default)]
pub(crate) struct Tally {
    /// Images verified.
    pub(crate) images: u64,
    /// Images passed over: the same disk under the same promise was gone through before, as deep.
    pub(crate) repeated: u64,
    /// Images that were crashed again while they were recovered.
    pub(crate) nested: u64,
    /// How deep each image was gone through, by disk and promise.
    seen: HashMap<u128, u32>,
    asked: u64,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images, {} repeated, {} crashed again", self.images, self.repeated, self.nested)
    }
}

/// How deep to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Crashes inside recoveries inside recoveries.
    pub(crate) levels: u32,
    /// Of the images every so-manieth is crashed again while it is recovered.
    pub(crate) stride: u64,
    /// The same for the images which that leaves.
    pub(crate) deeper: u64,
    /// Random subsets at each place.
    pub(crate) random: u64,
}

/// Whether an image was looked at just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Now,
    Before,
}

/// Images that are remembered: when there are more, all are forgotten, and some are gone through twice.
const SEEN_MAX: usize = 40_000_000;

/// Draws of the life that looks at an image; those of recoveries are other ones, a level each. They depend on nothing
/// else, so that the same image gives the same images.
const LOOK: u64 = 100;
const RECOVERY: u64 = 200;

impl Tally {
    /// Verifies all that a kill or a power cut now may leave of `disk`.
    pub(crate) fn crash(
        &mut self,
        disk: &SimDisk,
        promise: &Promise<'_>,
        depth: Depth,
    ) -> Result<(), Finding> {
        let looked = self.look(disk, promise, depth).map_err(|e| format!("after a kill: {e}"))?;
        if looked == Looked::Before && depth.stride == 1 {
            return Ok(()); // and so were all that power cuts leave of it
        }
        let cut = Promise { stop: Stop::Cut, ..*promise };
        for left in subsets(disk, depth.random) {
            let how = |e| format!("after a power cut that leaves {}: {e}", left.say(disk));
            self.look(&left.of(disk), &cut, depth).map_err(how)?;
        }
        Ok(())
    }

    /// How deep an image was gone through before; notes that it is now gone through as deep as `levels` say.
    fn seen_as_deep(&mut self, image: &SimDisk, promise: &Promise<'_>, levels: u32) -> Option<u32> {
        if self.seen.len() > SEEN_MAX {
            self.seen.clear();
        }
        let digest = u128::from(promise.digest());
        let key = image.state(&counts) ^ (digest << 64 | u128::from(mixed(promise.digest())));
        let before = self.seen.get(&key).copied();
        if before.is_none_or(|deep| deep < levels) {
            self.seen.insert(key, levels);
        }
        before
    }

    /// Verifies one image, and what crashes inside its recovery leave.
    fn look(&mut self, image: &SimDisk, promise: &Promise<'_>, depth: Depth) -> Result<Looked, Finding> {
        self.asked += 1;
        let goes_on = depth.levels > 0 && self.asked.is_multiple_of(depth.stride);
        let levels = if goes_on { depth.levels } else { 0 };
        let before = self.seen_as_deep(image, promise, levels);
        if before.is_some_and(|deep| deep >= levels) {
            self.repeated += 1;
            return Ok(Looked::Before);
        }
        if before.is_none() {
            self.images += 1;
            verify(image, promise, LOOK)?;
        }
        if levels == 0 {
            return Ok(Looked::Now);
        }
        self.nested += 1;
        let deeper =
            Depth { levels: depth.levels - 1, stride: depth.deeper, random: depth.random.min(1), ..depth };
        let seed = RECOVERY + u64::from(levels);
        let world = World::on(image.fork(), seed, promise.options.clone(), History::default());
        world.disk.record();
        let log = world.try_open().map_err(|e| format!("refused: {e:?}"))?;
        let changes = world.changes();
        for (n, disk) in world.disk.take_tape().into_iter().enumerate() {
            let place = |e| format!("recovery, before change {} of {changes}: {e}", n + 1);
            self.crash(&disk, promise, deeper).map_err(place)?;
        }
        world.disk.kill();
        drop(log);
        self.kills_inside(image, promise, changes, deeper, seed)?;
        Ok(Looked::Now)
    }

    /// Kills the recovery in the middle of each of its changes.
    fn kills_inside(
        &mut self,
        image: &SimDisk,
        promise: &Promise<'_>,
        changes: u64,
        depth: Depth,
        seed: u64,
    ) -> Result<(), Finding> {
        for n in 1..=changes {
            let world = World::on(image.fork(), seed, promise.options.clone(), History::default());
            world.disk.order(When::Change(n), Fault::KillInside);
            drop(world.try_open());
            let place = |e| format!("recovery, killed inside change {n} of {changes}: {e}");
            self.crash(&world.disk.restart(), promise, depth).map_err(place)?;
        }
        Ok(())
    }
}

/// LOCK promises nothing, and an unfinished rest segment is removed without a look: both have tests of their own.
pub(crate) fn counts(name: &str) -> Weight {
    match name {
        "LOCK" => Weight::Nothing,
        unfinished if unfinished.ends_with(".seg.tmp") => Weight::Name,
        _ => Weight::Whole,
    }
}

/// What a power cut leaves of what was pending.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    Nothing,
    Everything,
    Only(usize),
    AllBut(usize),
    Drawn(u64),
}

/// The subsets worth a look: none, all, each thing alone, all but each thing, and some drawn ones. LOCK promises
/// nothing and is left out of the single things.
pub(crate) fn subsets(disk: &SimDisk, random: u64) -> Vec<Left> {
    let pending = disk.pending();
    let lock = disk.file_number(&Path::new(ROOT).join("LOCK")).ok();
    let of_lock = |what: What| match what {
        What::Sector { file, .. } | What::Length { file, .. } => Some(file) == lock,
        What::Name => false,
    };
    let single: Vec<usize> = (0..pending.len()).filter(|n| !of_lock(pending[*n].what)).collect();
    let mut left = vec![Left::Nothing];
    if !pending.is_empty() {
        left.push(Left::Everything);
    }
    if single.len() > 1 {
        left.extend(single.iter().map(|n| Left::Only(*n)));
        left.extend(single.iter().map(|n| Left::AllBut(*n)));
        left.extend((0..random).map(|n| Left::Drawn(n + 31 * pending.len() as u64)));
    }
    left
}

impl Left {
    pub(crate) fn of(self, disk: &SimDisk) -> SimDisk {
        let others = match self {
            Self::Nothing => return disk.reboot(Choice::KeepNone),
            Self::Everything => return disk.reboot(Choice::KeepAll),
            Self::Drawn(seed) => return disk.reboot_by(&mut Draw::from_seed(seed)),
            Self::Only(n) => (n, Fate::New, Fate::Old),
            Self::AllBut(n) => (n, Fate::Old, Fate::New),
        };
        let ((n, own, others), mut asked) = (others, 0);
        disk.reboot_with(|_| {
            asked += 1;
            if asked - 1 == n { own } else { others }
        })
    }

    fn say(self, disk: &SimDisk) -> String {
        match self {
            Self::Only(n) | Self::AllBut(n) => format!("{self:?}: {:?}", disk.pending()[n]),
            _ => format!("{self:?} of {} things", disk.pending().len()),
        }
    }
}
