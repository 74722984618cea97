//! Pure: the verdict: whether all that was acknowledged is there, and nothing happened twice.
//!
//! *Lost*: an acknowledged commit that is not there or stands elsewhere, an item that nobody has, coins or items that
//! a player should have and has not. *Duplicated*: what exists or happened though it should not: an item in two bags,
//! coins from nowhere, a declined deed that was done, an id that did its work twice, a version issued twice, a player
//! whom two rooms could write.

use std::collections::BTreeMap;

use savehold::{Outcome, Version};

use super::model::Model;
use super::op::{Op, OpId};
use super::player::Player;

/// Findings that are kept as sentences; the others are counted.
const TOLD_MAX: usize = 20;

/// What the server said about a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is durable, with this version.
    Acknowledged(Version),
    /// Nothing was committed.
    Declined,
    /// Nothing: it was killed before it could.
    Nothing,
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Things missing.
    pub lost: u64,
    /// Things there twice, or there though they should not be.
    pub duplicated: u64,
    /// The first findings, a sentence each.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Whether nothing was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0
    }

    fn lost(&mut self, finding: String) {
        self.lost += 1;
        self.tell(finding);
    }

    fn duplicated(&mut self, count: u64, finding: String) {
        self.duplicated += count;
        self.tell(finding);
    }

    fn tell(&mut self, finding: String) {
        if self.findings.len() < TOLD_MAX {
            self.findings.push(finding);
        }
    }

    /// Compares what the server said about a commit with what the store answers about its id now.
    pub fn outcome(&mut self, id: OpId, told: Told, outcome: Outcome) {
        match (told, outcome) {
            (Told::Acknowledged(version), Outcome::Committed(found)) if found == version => {}
            (Told::Acknowledged(version), Outcome::Committed(found)) => {
                self.lost(format!("{id} was acknowledged as version {version}, now it is {found}"));
            }
            (Told::Acknowledged(version), _) => {
                self.lost(format!("{id} was acknowledged as version {version}, now it never happened"));
            }
            (Told::Declined, Outcome::Committed(found)) => {
                self.duplicated(1, format!("{id} was declined, and yet there is version {found} of it"));
            }
            (Told::Declined | Told::Nothing, Outcome::NotCommitted)
            | (Told::Nothing, Outcome::Committed(_)) => {}
            (_, _) => self.lost(format!("{id} has no outcome any more, and it is minutes old")),
        }
    }

    /// Counts writes by rooms that had lost the player and were not refused.
    pub fn passed(&mut self, count: u64) {
        if count > 0 {
            self.duplicated(count, format!("{count} writes by sessions that were over were not refused"));
        }
    }

    /// Compares the repetition of a committed deed with what must come of it: nothing but the first version.
    pub fn repeated(&mut self, id: OpId, first: Version, before: Option<Version>) {
        match before {
            Some(before) if before == first => {}
            Some(before) => self.lost(format!("{id} was version {first}, its repetition says {before}")),
            None => self.duplicated(1, format!("{id} was version {first}, and its repetition did it again")),
        }
    }

    /// Plays the commits that happened upon `world`, in the order of their versions, which must all lie behind `after`.
    /// Answers the newest version.
    pub fn replay(
        &mut self,
        world: &mut Model,
        mut done: Vec<(Version, OpId, Op)>,
        after: Version,
    ) -> Version {
        done.sort_by_key(|(version, ..)| *version);
        let mut newest = after;
        for (version, id, op) in done {
            if version <= newest {
                self.duplicated(
                    1,
                    format!("version {version} of {id} was issued before: {newest} came earlier"),
                );
            }
            newest = newest.max(version);
            if let Err(rule) = world.apply(&op) {
                self.duplicated(1, format!("{id} ({op}) cannot have happened at version {version}: {rule}"));
            }
        }
        newest
    }

    /// Compares what is in the store with what must be there.
    pub fn state(&mut self, expected: &Model, found: &Model) {
        self.coins(expected.coins(), found.coins());
        self.items(expected, found);
        for (number, player) in &expected.players {
            self.player(*number, player, found.players.get(number));
        }
        for (shop, coins) in &expected.shops {
            if found.shops.get(shop) != Some(coins) {
                self.lost(format!(
                    "shop {shop} should have {coins} coins, it has {:?}",
                    found.shops.get(shop)
                ));
            }
        }
        let strangers = found.players.keys().filter(|number| !expected.players.contains_key(number)).count()
            + found.owners.keys().filter(|item| !expected.owners.contains_key(item)).count()
            + found.shops.keys().filter(|shop| !expected.shops.contains_key(shop)).count();
        if strangers > 0 {
            self.duplicated(
                strangers as u64,
                format!("{strangers} players, items or shops came from nowhere"),
            );
        }
    }

    fn coins(&mut self, expected: u64, found: u64) {
        if found < expected {
            self.lost(format!("{} of {expected} coins vanished", expected - found));
        }
        if found > expected {
            self.duplicated(1, format!("{} coins came from nowhere, to {expected}", found - expected));
        }
    }

    fn items(&mut self, expected: &Model, found: &Model) {
        let mut holders: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (number, player) in &found.players {
            player.bag.iter().for_each(|item| holders.entry(*item).or_default().push(*number));
        }
        for (item, owner) in &expected.owners {
            match holders.get(item).map(Vec::as_slice) {
                None => self.lost(format!("item {item} is in no bag, it was in player {owner}'s")),
                Some([holder]) if found.owners.get(item) == Some(holder) => {}
                Some([holder]) => {
                    let says = found.owners.get(item);
                    self.lost(format!(
                        "item {item} is in player {holder}'s bag, its own record says {says:?}"
                    ));
                }
                Some(more) => {
                    self.duplicated(
                        more.len() as u64 - 1,
                        format!("item {item} is in the bags of players {more:?}"),
                    );
                }
            }
        }
    }

    fn player(&mut self, number: u64, expected: &Player, found: Option<&Player>) {
        match found {
            Some(found) if found == expected => {}
            Some(found) => self.lost(format!(
                "player {number} should have {} coins and items {:?}, he has {} and {:?}",
                expected.coins, expected.bag, found.coins, found.bag
            )),
            None => self.lost(format!("player {number} is gone")),
        }
    }
}

#[cfg(test)]
mod tests;
