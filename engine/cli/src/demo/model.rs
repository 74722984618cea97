//! Pure: the world as it must be: what the deeds that happened make of what was there at the beginning.

use std::collections::BTreeMap;

use super::op::Op;
use super::player::Player;

/// Coins of a player when the world begins.
pub const COINS: u64 = 100;
/// Items of a player when the world begins.
pub const ITEMS: u64 = 5;
/// Shops; more than one, so that not every deed meets every other.
pub const SHOPS: u64 = 16;

/// Everything in the world; coins that are on their way to a player are his. Coins and items are neither made nor
/// lost: they change hands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Players by number.
    pub players: BTreeMap<u64, Player>,
    /// Owner of each item.
    pub owners: BTreeMap<u64, u64>,
    /// Coins of each shop.
    pub shops: BTreeMap<u64, u64>,
}

impl Model {
    /// The world as it begins, with so many players.
    #[must_use]
    pub fn new(players: u64) -> Self {
        let bag = |player| (player * ITEMS..(player + 1) * ITEMS).collect();
        Self {
            players: (0..players).map(|n| (n, Player { coins: COINS, bag: bag(n) })).collect(),
            owners: (0..players * ITEMS).map(|item| (item, item / ITEMS)).collect(),
            shops: (0..SHOPS).map(|shop| (shop, players * COINS / SHOPS)).collect(),
        }
    }

    /// Coins of everybody together.
    #[must_use]
    pub fn coins(&self) -> u64 {
        self.players.values().map(|player| player.coins).sum::<u64>() + self.shops.values().sum::<u64>()
    }

    /// Does a deed. Where the rules forbid it nothing is changed.
    ///
    /// # Errors
    ///
    /// The rule.
    pub fn apply(&mut self, op: &Op) -> Result<(), &'static str> {
        match *op {
            Op::Earn { player, shop, coins } | Op::Send { player, shop, coins } => {
                let (till, purse) = (self.shops.get_mut(&shop), self.players.get_mut(&player));
                let (till, player) = (till.ok_or("no such shop")?, purse.ok_or("no such player")?);
                pay(till, &mut player.coins, coins)
            }
            Op::Spend { player, shop, coins } => {
                let (till, purse) = (self.shops.get_mut(&shop), self.players.get_mut(&player));
                let (till, player) = (till.ok_or("no such shop")?, purse.ok_or("no such player")?);
                pay(&mut player.coins, till, coins)
            }
            Op::Trade { item, seller, buyer, coins } => {
                let owner = self.owners.get_mut(&item).filter(|owner| **owner == seller);
                let owner = owner.ok_or("the seller does not own the item")?;
                let mut s = self.players.get(&seller).ok_or("no such player")?.clone();
                let mut b = self.players.get(&buyer).ok_or("no such player")?.clone();
                trade(&mut s, &mut b, item, coins)?;
                *owner = buyer;
                self.players.insert(seller, s);
                self.players.insert(buyer, b);
                Ok(())
            }
        }
    }
}

/// Moves coins.
///
/// # Errors
///
/// The payer has less; nothing is changed.
pub fn pay(from: &mut u64, to: &mut u64, coins: u64) -> Result<(), &'static str> {
    *from = from.checked_sub(coins).ok_or("too few coins")?;
    *to += coins;
    Ok(())
}

/// Moves an item one way and coins the other.
///
/// # Errors
///
/// The seller has no such item, or the buyer too few coins.
pub fn trade(seller: &mut Player, buyer: &mut Player, item: u64, coins: u64) -> Result<(), &'static str> {
    let at = seller.bag.iter().position(|i| *i == item).ok_or("the item is not in the seller's bag")?;
    pay(&mut buyer.coins, &mut seller.coins, coins)?;
    buyer.bag.push(seller.bag.remove(at));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_move_coins_and_items_and_make_none() {
        let mut world = Model::new(3);
        let (coins, items) = (world.coins(), world.owners.len());
        world.apply(&Op::Earn { player: 0, shop: 1, coins: 3 }).unwrap();
        world.apply(&Op::Send { player: 0, shop: 1, coins: 4 }).unwrap();
        world.apply(&Op::Spend { player: 1, shop: 2, coins: 5 }).unwrap();
        world.apply(&Op::Trade { item: 6, seller: 1, buyer: 2, coins: 11 }).unwrap();
        assert_eq!(world.players[&0].coins, 107);
        assert_eq!(world.players[&1], Player { coins: 106, bag: vec![5, 7, 8, 9] });
        assert_eq!(world.players[&2], Player { coins: 89, bag: vec![10, 11, 12, 13, 14, 6] });
        assert_eq!((world.owners[&6], world.coins(), world.owners.len()), (2, coins, items));
    }

    #[test]
    fn a_deed_that_the_rules_forbid_changes_nothing() {
        let world = Model::new(2);
        for op in [
            Op::Spend { player: 0, shop: 0, coins: 101 },
            Op::Earn { player: 0, shop: 0, coins: 13 },
            Op::Earn { player: 2, shop: 0, coins: 1 },
            Op::Earn { player: 0, shop: SHOPS, coins: 1 },
            Op::Trade { item: 0, seller: 1, buyer: 0, coins: 1 },
            Op::Trade { item: 0, seller: 0, buyer: 1, coins: 101 },
            Op::Trade { item: 99, seller: 0, buyer: 1, coins: 1 },
        ] {
            let mut after = world.clone();
            assert!(after.apply(&op).is_err(), "{op}");
            assert_eq!(after, world, "{op}");
        }
    }
}
