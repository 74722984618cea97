//! Pure: a player, and the document that the store keeps of him: `{"coins": 90, "bag": [4, 17]}`.

use savehold::{Error, ErrorKind, Map, Result, Value};
use serde::{Deserialize, Serialize};

/// What a player has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    /// Coins.
    pub coins: u64,
    /// Numbers of items, in the order in which they came.
    pub bag: Vec<u64>,
}

/// A message to a player: coins that are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift {
    /// How many.
    pub coins: u64,
}

impl From<&Player> for Value {
    fn from(player: &Player) -> Self {
        let bag: Value = player.bag.iter().copied().collect();
        Self::Map(Map::from([("coins", Value::from(player.coins)), ("bag", bag)]))
    }
}

impl TryFrom<&Value> for Player {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self> {
        let read = || {
            let bag = value.get("bag")?.as_list()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
            Some(Self { coins: value.get("coins")?.as_u64()?, bag })
        };
        read().ok_or_else(|| {
            Error::new(ErrorKind::Decode, "a player's document has other members than coins and bag")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_is_read_as_he_was_written_and_nothing_else_is() {
        let player = Player { coins: 90, bag: vec![4, 17] };
        assert_eq!(Player::try_from(&Value::from(&player)).unwrap(), player);
        for value in [
            Value::Nil,
            Value::from(Map::from([("coins", 1)])),
            Value::from(Map::from([("coins", -1), ("bag", 2)])),
        ] {
            assert_eq!(Player::try_from(&value).unwrap_err().kind(), ErrorKind::Decode, "{value:?}");
        }
    }
}
