//! Door: how far a long command has come, on the terminal of whoever waits.
//!
//! A bar on standard error where that is a terminal; nothing at all in a pipe, a log file or a cron mail.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const WITH_END: &str = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}";
const KEYS: &str = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
const WITHOUT_END: &str = "{msg} {spinner} {binary_bytes} {elapsed}";
const KEYS_WITHOUT_END: &str = "{msg} {spinner} {human_pos} {elapsed}";

/// A bar that fills while work is done.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `bytes` of work, or a count upwards where nobody knows how much there is.
    #[must_use]
    pub fn of_bytes(doing: &'static str, bytes: Option<u64>) -> Self {
        Self::drawn(doing, bytes, if bytes.is_some() { WITH_END } else { WITHOUT_END })
    }

    /// A bar for so many keys, or a count upwards where nobody knows how many there are.
    #[must_use]
    pub fn of_keys(doing: &'static str, keys: Option<u64>) -> Self {
        Self::drawn(doing, keys, if keys.is_some() { KEYS } else { KEYS_WITHOUT_END })
    }

    fn drawn(doing: &'static str, end: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(end, target());
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(doing);
        Self(bar)
    }

    /// So much more is done.
    pub fn advance(&self, more: u64) {
        self.0.inc(more);
    }

    /// What is done so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.position()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_one_that_the_library_understands() {
        for template in [WITH_END, WITHOUT_END, KEYS, KEYS_WITHOUT_END] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn work_is_counted_with_and_without_a_known_end() {
        for end in [Some(10), None] {
            for progress in [Progress::of_bytes("loading", end), Progress::of_keys("migrating", end)] {
                progress.advance(3);
                progress.advance(4);
                assert_eq!(progress.done(), 7);
            }
        }
    }
}
