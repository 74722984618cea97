//! Pure: the floor of a read: pointers through memory, each known only when the one before was read.

use savehold_wal::draw::Draw;

/// A cache line.
const LINE_BYTES: u64 = 64;

/// Most bytes that are chased through.
const BYTES_MAX: u64 = 1 << 30;

/// One ring through all lines, in an order that nobody can foresee.
pub(super) struct Chase {
    lines: Vec<Line>,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    next: u32,
}

impl Chase {
    /// A ring through so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let count = (bytes.min(BYTES_MAX) / LINE_BYTES).max(2) as u32;
        let mut lines: Vec<Line> = (0..count).map(|next| Line { next }).collect();
        let mut draw = Draw::from_seed(7);
        for n in (1..lines.len()).rev() {
            let other = draw.below(n as u64) as usize; // never itself: so that it is one ring, not several
            lines.swap(n, other);
        }
        Self { lines }
    }

    /// Follows the ring for `steps`, from a line on; says where that ends.
    pub(super) fn follow(&self, from: u32, steps: u32) -> u32 {
        (0..steps).fold(from, |at, _| self.lines[at as usize].next)
    }

    /// A line for a thread to begin at.
    pub(super) fn start(&self, thread: usize) -> u32 {
        (thread * 7919 % self.lines.len()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_goes_through_every_line_before_it_closes() {
        let chase = Chase::new(1000 * LINE_BYTES);
        let mut seen = vec![false; 1000];
        let mut at = 0;
        for _ in 0..1000 {
            assert!(!std::mem::replace(&mut seen[at as usize], true));
            at = chase.follow(at, 1);
        }
        assert_eq!(at, 0);
    }
}
