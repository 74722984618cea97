//! Pure: numbers that ascend, searched from where one of them would stand if they were spread evenly.
//!
//! Halving looks at a line of memory, and waits for it, with nearly every step. Places of records of about the same length are
//! spread evenly: the first look is at the right line then, or beside it. However they are spread, no more than twice as many are
//! looked at as by halving.

use std::ops::Range;

/// Where `at` would stand among `count` numbers from `range` that were spread evenly.
#[inline]
pub fn guess(count: usize, at: u64, range: Range<u64>) -> usize {
    let share = at.saturating_sub(range.start) as f64 / range.end.saturating_sub(range.start).max(1) as f64;
    ((share * count as f64) as usize).min(count.saturating_sub(1))
}

/// How many of `count` numbers are not above `at`; `number` says each by its position. They are from `range`: where that is not
/// so, it only takes longer.
#[inline]
pub fn until(count: usize, at: u64, range: Range<u64>, number: impl Fn(usize) -> u64) -> usize {
    if count == 0 {
        return 0;
    }
    let guess = guess(count, at, range);
    // all before `low` are not above `at`, all from `high` on are
    let (mut low, mut high, mut step) = (0, count, 1);
    if number(guess) <= at {
        low = guess + 1;
        while low < high {
            let probe = (low + step - 1).min(high - 1);
            if number(probe) > at {
                high = probe;
                break;
            }
            (low, step) = (probe + 1, 2 * step);
        }
    } else {
        high = guess;
        while low < high {
            let probe = high.saturating_sub(step).max(low);
            if number(probe) <= at {
                low = probe + 1;
                break;
            }
            (high, step) = (probe, 2 * step);
        }
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        if number(middle) <= at { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::draw::Draw;

    /// What is found of `numbers` at each place worth asking for, beside what counting says; the most looks that it took.
    fn checked(numbers: &[u64], range: &Range<u64>) -> u32 {
        let mut most = 0;
        let asked = numbers.iter().flat_map(|n| [n.saturating_sub(1), *n, n.saturating_add(1)]);
        for at in asked.chain([0, range.start, range.end, u64::MAX]) {
            let looks = Cell::new(0);
            let number = |n: usize| {
                looks.set(looks.get() + 1);
                numbers[n]
            };
            let expected = numbers.iter().filter(|number| **number <= at).count();
            assert_eq!(until(numbers.len(), at, range.clone(), number), expected, "{at} in {numbers:?}");
            most = most.max(looks.get());
        }
        most
    }

    #[test]
    fn evenly_spread_numbers_are_found_at_once() {
        for count in [1, 2, 3, 255, 4096] {
            let numbers: Vec<u64> = (0..count).map(|n| 7_000_000 + n * 176).collect();
            assert!(checked(&numbers, &(7_000_000..7_000_000 + count * 176)) <= 4, "{count}");
        }
    }

    #[test]
    fn any_numbers_are_found_and_seldom_late() {
        assert_eq!(until(0, 5, 0..9, |_| unreachable!("there is none")), 0);
        let mut draw = Draw::from_seed(7);
        for round in 0..200 {
            let count = 1 + draw.below(300);
            let steps = [1, 3, 1000, 1 << 40][round % 4];
            let mut numbers: Vec<u64> = Vec::new();
            let mut last = draw.below(1 << 50);
            for _ in 0..count {
                last += 1 + draw.below(steps) * if draw.below(50) == 0 { 1000 } else { 1 };
                numbers.push(last);
            }
            let halving = count.ilog2() + 1;
            // what is said of where they lie may be wrong
            for range in [numbers[0]..last + 1, 0..u64::MAX, last..numbers[0], u64::MAX..u64::MAX] {
                let most = checked(&numbers, &range);
                assert!(most <= 2 * halving + 4, "{most} looks among {count}");
            }
        }
    }
}
