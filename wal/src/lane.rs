//! Pure: where timelines begin that begin apart, so that no place is ever handed out twice.
//!
//! The offsets of a timeline are 32 *lanes* of 2^43 bytes:
//!
//! | lane     | which timelines begin in it |
//! |----------|-----------------------------|
//! | 0        | the first one of a store, at its front |
//! | 1 to 15  | those of restores from one destination: a store gives each destination that it backs up to a lane of its own |
//! | 16 to 31 | all others: of repairs, of destinations of a store that was itself restored, of destinations without a lane |
//!
//! Two restores from one destination claim two numbers there. Two restores from two destinations of one store may take
//! one number, for they know nothing of each other: their lanes lie apart. Where nothing tells two apart, as of a copied
//! destination that cannot be written, a lane is drawn too, and each begins at a block of the first half of its lane that
//! is drawn: of two that took one number and write 10 GB each, one pair in some 3,000 meets. A lane has no wall: its second
//! half is what a timeline may grow by, 4 TiB at the least, before it reaches the next one.

use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;

/// Bytes of a lane.
const LANE_BYTES: u64 = 1 << 43;
/// Lanes that are given in order, and those that are drawn.
const GIVEN: std::ops::Range<u8> = 1..16;
const DRAWN: std::ops::Range<u8> = 16..32;

const _: () = assert!(LANE_BYTES * DRAWN.end as u64 == Lsn::OFFSET_MAX + 1);

/// Which lanes a store has given away, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes(pub u32);

impl Lanes {
    /// Gives the next lane away. What was restored gives drawn ones: what it came from may go on, and gives in order.
    #[must_use]
    pub(crate) fn give(self, first: bool, draw: u64) -> (u8, Self) {
        let free = |lane: &u8| self.0 & (1 << lane) == 0;
        let given = GIVEN.filter(|_| first).find(free);
        let drawn = || {
            let left: Vec<u8> = DRAWN.filter(free).collect();
            left.get(draw as usize % left.len().max(1)).copied()
        };
        let lane = given.or_else(drawn).unwrap_or_else(|| drawn_lane(draw));
        (lane, Self(self.0 | 1 << lane))
    }
}

/// A lane for what has none.
pub(crate) fn drawn_lane(draw: u64) -> u8 {
    DRAWN.start + (draw % u64::from(DRAWN.end - DRAWN.start)) as u8
}

/// The offset in a timeline at which one begins in this lane.
pub(crate) fn offset_in(lane: u8, draw: u64) -> u64 {
    let blocks = LANE_BYTES / 2 / BLOCK_BYTES;
    u64::from(lane % DRAWN.end) * LANE_BYTES + draw % blocks * BLOCK_BYTES
}

/// The name under which a destination notes its lane.
pub(crate) fn lane_name(lane: u8) -> String {
    format!("lane-{lane}")
}

/// The lane that a name notes.
pub(crate) fn lane_of(name: &str) -> Option<u8> {
    name.strip_prefix("lane-")?.parse().ok().filter(|lane| (GIVEN.start..DRAWN.end).contains(lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_gives_each_of_its_destinations_a_lane_of_its_own_as_long_as_there_are_any() {
        let (mut lanes, mut given) = (Lanes::default(), Vec::new());
        for draw in 0..31 {
            let (lane, next) = lanes.give(true, draw * 7);
            given.push(lane);
            lanes = next;
        }
        assert_eq!(given[..15], (1..16).collect::<Vec<u8>>());
        given.sort_unstable();
        assert_eq!(given, (1..32).collect::<Vec<u8>>());
        assert!(DRAWN.contains(&lanes.give(true, 5).0), "shared from now on");
        assert!((0..100).all(|draw| DRAWN.contains(&Lanes::default().give(false, draw).0)));
    }

    #[test]
    fn timelines_of_two_lanes_have_room_for_four_tebibytes_before_they_meet() {
        for lane in 0..32_u8 {
            for draw in [0, 1, u64::MAX] {
                let begins = offset_in(lane, draw);
                assert_eq!((begins / LANE_BYTES, begins % BLOCK_BYTES), (u64::from(lane), 0));
                assert!((u64::from(lane) + 1) * LANE_BYTES - begins >= 1 << 42);
            }
        }
    }

    #[test]
    fn a_destination_notes_its_lane_by_a_name() {
        assert!((1..32).all(|lane| lane_of(&lane_name(lane)) == Some(lane)));
        for other in ["lane-0", "lane-32", "lane-", "lane-1x", "2520"] {
            assert_eq!(lane_of(other), None, "{other}");
        }
    }
}
