//! Pure: chance from a seed, and how long each server lives.

use std::time::Duration;

/// Numbers that look random: the same ones for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        ((self.roll() as u128 * end as u128) >> 64) as u64
    }
}

/// How long each of the `kills` servers plays until it is killed: each kill at a random moment of its own share of
/// `play`. Last, how long the server plays that ends in peace.
#[must_use]
pub fn lives(play: Duration, kills: u64, dice: &mut Dice) -> Vec<Duration> {
    let play_us = u64::try_from(play.as_micros()).unwrap_or(u64::MAX);
    let share = play_us / kills.max(1);
    let mut moments: Vec<u64> = (0..kills).map(|kill| kill * share + dice.below(share.max(1))).collect();
    moments.push(play_us);
    let begins = std::iter::once(0).chain(moments.iter().copied());
    begins.zip(&moments).map(|(begin, end)| Duration::from_micros(end - begin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_fill_the_time_of_play_and_differ() {
        for (secs, kills) in [(10, 10), (1, 10_000), (3, 0), (3, 1)] {
            let lives = lives(Duration::from_secs(secs), kills, &mut Dice::new(7));
            assert_eq!(lives.len() as u64, kills + 1);
            assert_eq!(lives.iter().sum::<Duration>(), Duration::from_secs(secs), "{secs} s, {kills} kills");
            assert!(kills < 10 || lives.windows(2).any(|pair| pair[0] != pair[1]));
        }
    }

    #[test]
    fn dice_stay_below_and_reach_every_number() {
        let mut dice = Dice::new(1);
        let mut seen = [false; 6];
        (0..200).for_each(|_| seen[dice.below(6) as usize] = true);
        assert_eq!(seen, [true; 6]);
    }
}
