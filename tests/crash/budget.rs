//! How much is run: by default as much as fits in a short test run, everything on request.

use std::env::var;

/// True where every case is asked for.
pub(crate) fn full() -> bool {
    var("SAVEHOLD_CRASH").is_ok_and(|how| how == "full")
}

/// A count for optimised builds, less where the build checks itself, or what everything means.
pub(crate) fn count(quick: u64, everything: u64) -> u64 {
    match (full(), cfg!(debug_assertions)) {
        (true, _) => everything,
        (false, true) => quick.div_ceil(6),
        (false, false) => quick,
    }
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Every how-manieth case is taken: 1 where everything is asked for.
pub(crate) fn stride(quick: u64) -> u64 {
    match (full(), cfg!(debug_assertions)) {
        (true, _) => 1,
        (false, true) => quick * 6,
        (false, false) => quick,
    }
}
