//! Pure: how long calls took, counted in steps of at most a thirty-second of the time itself.

/// Steps in each power of two.
const STEPS: u64 = 32;

/// Counts of times in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self { counts: vec![0; (64 * STEPS) as usize], total: 0, longest: 0 }
    }

    /// Counts `calls` that took so long each.
    pub fn add(&mut self, ns: u64, calls: u64) {
        self.counts[step(ns)] += calls;
        self.total += calls;
        self.longest = self.longest.max(ns);
    }

    /// Takes over what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// Calls counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Microseconds within which this part, 0 … 1, of all calls ended; 0 where there were none.
    pub fn quantile_us(&self, part: f64) -> f64 {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return top(at).min(self.longest) as f64 / 1e3;
            }
        }
        0.0
    }
}

/// The step that a time falls into.
fn step(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let power = u64::from(ns.ilog2()) - u64::from(STEPS.ilog2());
    (STEPS * (power + 1) + (ns >> power) - STEPS) as usize
}

/// The longest time that falls into a step.
fn top(step: usize) -> u64 {
    let step = step as u64;
    if step < STEPS {
        return step;
    }
    let power = step / STEPS - 1;
    ((step % STEPS + STEPS + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_a_step_whose_top_is_close_above_it() {
        for ns in (0..100_000).chain([1 << 30, (1 << 40) + 12_345, u64::MAX >> 8]) {
            let top = top(step(ns));
            assert!(top >= ns && top - ns <= ns / STEPS, "{ns}: {top}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|us| histogram.add(us * 1000, 1));
        let mut both = Histogram::new();
        both.merge(&histogram);
        assert_eq!(both.total(), 1000);
        assert!((both.quantile_us(0.5) - 500.0).abs() < 20.0);
        assert!((both.quantile_us(0.99) - 990.0).abs() < 35.0);
        assert_eq!(both.quantile_us(1.0), 1000.0);
        assert_eq!(Histogram::new().quantile_us(0.5), 0.0);
    }
}
