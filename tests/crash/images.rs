//! The disks that crashes leave: every subset of what was pending that is worth a look, and crashes inside recovery.

use std::collections::HashSet;
use std::path::Path;

use savehold_wal::sim::{Choice, Draw, Fate, Fault, SimDisk, What, When};
use support::check::{Promise, content, verify};
use support::history::{Finding, History, Stop};
use support::world::{ROOT, World};

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Images verified.
    pub(crate) images: u64,
    /// Images passed over: the same bytes under the same promise were verified before.
    pub(crate) repeated: u64,
    /// Images that were crashed again while they were recovered.
    pub(crate) nested: u64,
    seen: HashSet<(u64, u64, Stop)>,
    asked: u64,
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

impl Tally {
    /// Forgets which images were seen: another workload begins.
    pub(crate) fn next_workload(&mut self) {
        self.seen.clear();
    }

    /// Verifies all that a kill or a power cut now may leave of `disk`.
    pub(crate) fn crash(
        &mut self,
        disk: &SimDisk,
        promise: &Promise<'_>,
        depth: Depth,
    ) -> Result<(), Finding> {
        if promise.stop == Stop::Kill {
            self.look(disk, promise, depth).map_err(|e| format!("after a kill: {e}"))?;
        }
        let cut = Promise { stop: Stop::Cut, ..*promise };
        for left in subsets(disk, depth.random) {
            let image = left.of(disk);
            if self.is_new(&image, &cut) {
                let how = |e| format!("after a power cut that leaves {}: {e}", left.say(disk));
                self.look(&image, &cut, depth).map_err(how)?;
            } else {
                self.repeated += 1;
            }
        }
        Ok(())
    }

    fn is_new(&mut self, image: &SimDisk, promise: &Promise<'_>) -> bool {
        let highest = promise.history.highest(promise.change).map_or(0, |lsn| lsn.raw());
        let required = promise.history.required(promise.stop, promise.change) as u64;
        self.seen.insert((content(image), savehold_wal::draw::mixed(highest ^ required << 48), promise.stop))
    }

    /// Verifies one image, and what crashes inside its recovery leave.
    fn look(&mut self, image: &SimDisk, promise: &Promise<'_>, depth: Depth) -> Result<(), Finding> {
        self.images += 1;
        verify(image, promise, self.images)?;
        if depth.levels == 0 {
            return Ok(());
        }
        self.asked += 1;
        if !self.asked.is_multiple_of(depth.stride) {
            return Ok(());
        }
        self.nested += 1;
        let deeper =
            Depth { levels: depth.levels - 1, stride: depth.deeper, random: depth.random.min(1), ..depth };
        let world = World::on(image.fork(), self.images, promise.options.clone(), History::default());
        world.disk.record();
        let log = world.try_open().map_err(|e| format!("refused: {e:?}"))?;
        let changes = world.changes();
        for (n, disk) in world.disk.take_tape().into_iter().enumerate() {
            let place = |e| format!("recovery, before change {} of {changes}: {e}", n + 1);
            self.crash(&disk, promise, deeper).map_err(place)?;
        }
        world.disk.kill();
        drop(log);
        if promise.stop == Stop::Kill {
            self.kills_inside(image, promise, changes, deeper)?;
        }
        Ok(())
    }

    /// Kills the recovery in the middle of each of its changes.
    fn kills_inside(
        &mut self,
        image: &SimDisk,
        promise: &Promise<'_>,
        changes: u64,
        depth: Depth,
    ) -> Result<(), Finding> {
        for n in 1..=changes {
            let world = World::on(image.fork(), self.images + n, promise.options.clone(), History::default());
            world.disk.order(When::Change(n), Fault::KillInside);
            drop(world.try_open());
            let place = |e| format!("recovery, killed inside change {n} of {changes}: {e}");
            self.crash(&world.disk.restart(), promise, depth).map_err(place)?;
        }
        Ok(())
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
