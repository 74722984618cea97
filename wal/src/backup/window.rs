//! Pure: which moments the backups of a destination can restore, and from which of them one is restored.
//!
//! A moment belongs to a timeline. A backup knows the timelines of its log: of each it holds the log up to where the
//! next one left it, of the last one through its end. What a timeline held behind that branch, an undone future, only
//! backups made before hold. A file written by compaction serves moments from the place at which it was judged.

use super::inventory::Inventory;
use super::listing::BackupName;
use crate::lsn::Lsn;

/// A stretch of moments that one backup can restore, each of them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The backup.
    pub name: BackupName,
    /// The timeline that the moments belong to.
    pub timeline: u16,
    /// The first place: the log before it cannot be restored alone.
    pub from: Lsn,
    /// Behind the last place.
    pub through: Lsn,
    /// Engine time of the first moment, microseconds since 1970.
    pub from_us: u64,
    /// Engine time of the last group in it, microseconds since 1970.
    pub through_us: u64,
}

/// A moment to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The newest that there is.
    Latest,
    /// Right behind the record at this place.
    At(Lsn),
    /// A time, microseconds since 1970: everything whose engine time is not later.
    Time(u64),
}

/// Which records of a backup are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Those at or before this place…
    pub last: Lsn,
    /// …and not later than this, microseconds since 1970.
    pub time_us: u64,
}

impl Cut {
    /// Everything.
    pub const NOTHING: Self = Self { last: Lsn::MAX, time_us: u64::MAX };

    /// Whether a record is kept.
    #[must_use]
    pub fn keeps(&self, lsn: Lsn, time_us: u64) -> bool {
        lsn <= self.last && time_us <= self.time_us
    }
}

/// Why no backup holds a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoWindow {
    /// It lies in none of these.
    Outside(Vec<Window>),
    /// It was undone: the timeline was left there by a restore or a repair, and no backup of before is here.
    Undone(Lsn),
}

/// What `inventory` can restore, oldest first.
#[must_use]
pub fn windows(name: BackupName, inventory: &Inventory) -> Vec<Window> {
    let judged = inventory.segments.iter().map(|held| held.judged).max().unwrap_or(Lsn::NONE);
    let mut windows = Vec::new();
    for (n, timeline) in inventory.timelines.iter().enumerate() {
        let next = inventory.timelines.get(n + 1);
        let own = |lsn: Lsn| lsn.timeline() == timeline.number;
        let branch = next.map_or(inventory.through, |next| next.branch).min(inventory.through);
        let mut held = inventory.segments.iter().filter(|held| own(held.base)).peekable();
        let Some(first) = held.peek().copied() else { continue };
        let last = held.last().unwrap_or(first);
        let through = if own(branch) { branch } else { inventory.limit(last) }.min(inventory.limit(last));
        let from = first.base.max(judged);
        if from >= through {
            continue; // all of it was judged later
        }
        let begun_us = if n == 0 { first.first_us } else { timeline.begun_us.min(first.first_us) };
        let thinned = inventory.segments.iter().filter(|held| held.base < judged);
        let from_us = thinned.map(|held| held.last_us).chain([begun_us]).max().unwrap_or(0);
        windows.push(Window {
            name,
            timeline: timeline.number,
            from,
            through,
            from_us,
            through_us: last.last_us.min(inventory.time_us).max(from_us),
        });
    }
    windows
}

/// Chooses among backups, the newest last, the one to restore a moment from, and what of it is kept.
///
/// # Errors
///
/// [`NoWindow`].
pub(super) fn choose(
    backups: &[(BackupName, &Inventory)],
    moment: Moment,
) -> Result<(BackupName, Cut), NoWindow> {
    let all = || backups.iter().rev().map(|(name, inventory)| (*name, *inventory));
    let outside = || NoWindow::Outside(backups.iter().flat_map(|(name, i)| windows(*name, i)).collect());
    match moment {
        Moment::Latest => all().next().map(|(name, _)| (name, Cut::NOTHING)).ok_or_else(outside),
        Moment::At(lsn) => {
            if let Some((_, newest)) = all().next()
                && let Some(branch) = undone(newest, lsn)
            {
                return Err(NoWindow::Undone(branch));
            }
            let holds = |w: &Window| w.timeline == lsn.timeline() && w.from <= lsn && lsn < w.through;
            let found = all().find(|(name, inventory)| windows(*name, inventory).iter().any(holds));
            let (name, _) = found.ok_or_else(outside)?;
            Ok((name, Cut { last: lsn, time_us: u64::MAX }))
        }
        Moment::Time(time_us) => {
            let lineage = all().next().map_or(&[][..], |(_, newest)| &newest.timelines);
            let left = |w: &Window| lineage.iter().any(|t| t.number > w.timeline && t.begun_us <= time_us);
            let holds = |w: &Window| w.from_us <= time_us && time_us <= w.through_us && !left(w);
            let found = all().find_map(|(name, inventory)| {
                let windows = windows(name, inventory);
                let window = windows.into_iter().rev().find(holds)?;
                Some((name, Cut { last: Lsn::from_raw(window.through.raw() - 1), time_us }))
            });
            found.ok_or_else(outside)
        }
    }
}

/// Where the timeline of a place was left, if the place lies behind that.
fn undone(inventory: &Inventory, lsn: Lsn) -> Option<Lsn> {
    let at = inventory.timelines.iter().position(|t| t.number == lsn.timeline())?;
    let branch = inventory.timelines.get(at + 1)?.branch;
    (branch != Lsn::NONE && branch.timeline() == lsn.timeline() && lsn >= branch).then_some(branch)
}

#[cfg(test)]
mod tests;
