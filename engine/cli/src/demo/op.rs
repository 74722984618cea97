//! Pure: what players do, each deed with an id of its own, and how both are written.

use std::fmt;
use std::str::FromStr;

/// One deed: what it changes is said in full, so whoever knows that it happened knows its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A shop pays a player.
    Earn {
        /// Who is paid.
        player: u64,
        /// Who pays.
        shop: u64,
        /// How much.
        coins: u64,
    },
    /// A player pays a shop.
    Spend {
        /// Who pays.
        player: u64,
        /// Who is paid.
        shop: u64,
        /// How much.
        coins: u64,
    },
    /// A shop sends coins to a player, who may be playing or not: they are his when he takes his mail.
    Send {
        /// To whom.
        player: u64,
        /// Who pays.
        shop: u64,
        /// How much.
        coins: u64,
    },
    /// An item goes from one player to another, coins go the other way.
    Trade {
        /// What is sold.
        item: u64,
        /// Who has it before.
        seller: u64,
        /// Who has it after.
        buyer: u64,
        /// What the buyer pays.
        coins: u64,
    },
}

impl Op {
    /// The players whom it needs in play.
    #[must_use]
    pub const fn plays(&self) -> [Option<u64>; 2] {
        match *self {
            Self::Earn { player, .. } | Self::Spend { player, .. } => [Some(player), None],
            Self::Trade { seller, buyer, .. } => [Some(seller), Some(buyer)],
            Self::Send { .. } => [None, None],
        }
    }
}

/// Names one deed for ever: the idempotency id of its commit. Written `r3-t7-1042`: round, thread, number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(u64);

const THREAD_SHIFT: u32 = 40;
const ROUND_SHIFT: u32 = 48;

impl OpId {
    /// The deed `number` of a thread in a round.
    #[must_use]
    pub const fn new(round: u16, thread: u8, number: u64) -> Self {
        assert!(number < 1 << THREAD_SHIFT, "centuries of play");
        Self((round as u64) << ROUND_SHIFT | (thread as u64) << THREAD_SHIFT | number)
    }

    const fn parts(self) -> (u16, u8, u64) {
        let number = self.0 & ((1 << THREAD_SHIFT) - 1);
        ((self.0 >> ROUND_SHIFT) as u16, (self.0 >> THREAD_SHIFT) as u8, number)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (round, thread, number) = self.parts();
        write!(f, "r{round}-t{thread}-{number}")
    }
}

impl FromStr for OpId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (round, rest) = text.strip_prefix('r').and_then(|rest| rest.split_once("-t")).ok_or(())?;
        let (thread, number) = rest.split_once('-').ok_or(())?;
        let number = number.parse().ok().filter(|number: &u64| *number < 1 << THREAD_SHIFT).ok_or(())?;
        Ok(Self::new(round.parse().map_err(|_| ())?, thread.parse().map_err(|_| ())?, number))
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earn { player, shop, coins } => write!(f, "earn {player} {shop} {coins}"),
            Self::Spend { player, shop, coins } => write!(f, "spend {player} {shop} {coins}"),
            Self::Send { player, shop, coins } => write!(f, "send {player} {shop} {coins}"),
            Self::Trade { item, seller, buyer, coins } => write!(f, "trade {item} {seller} {buyer} {coins}"),
        }
    }
}

impl FromStr for Op {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (verb, numbers) = text.split_once(' ').ok_or(())?;
        let numbers: Vec<u64> =
            numbers.split(' ').map(str::parse).collect::<Result<_, _>>().map_err(|_| ())?;
        match (verb, &numbers[..]) {
            ("earn", &[player, shop, coins]) => Ok(Self::Earn { player, shop, coins }),
            ("spend", &[player, shop, coins]) => Ok(Self::Spend { player, shop, coins }),
            ("send", &[player, shop, coins]) => Ok(Self::Send { player, shop, coins }),
            ("trade", &[item, seller, buyer, coins]) => Ok(Self::Trade { item, seller, buyer, coins }),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_and_ids_are_read_as_they_are_written() {
        for op in [
            Op::Earn { player: 1, shop: 2, coins: 3 },
            Op::Spend { player: u64::MAX, shop: 0, coins: 3 },
            Op::Send { player: 1, shop: 2, coins: 3 },
            Op::Trade { item: 4, seller: 5, buyer: 6, coins: 7 },
        ] {
            assert_eq!(op.to_string().parse(), Ok(op));
        }
        for id in [OpId::new(0, 0, 0), OpId::new(u16::MAX, u8::MAX, (1 << 40) - 1), OpId::new(3, 7, 1042)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(OpId::new(3, 7, 1042).to_string(), "r3-t7-1042");
    }

    #[test]
    fn other_texts_are_neither() {
        for text in ["", "earn", "earn 1 2", "earn 1 2 3 4", "earn 1 2 -3", "steal 1 2 3", "trade 1 2 3"] {
            assert_eq!(text.parse::<Op>(), Err(()), "{text}");
        }
        for text in ["", "r1", "r1-t2", "r1-t256-3", "r65536-t2-3", "r1-t2-1099511627776", "1-2-3"] {
            assert_eq!(text.parse::<OpId>(), Err(()), "{text}");
        }
    }
}
