//! The one staleness function: every row of its table, and that it never goes back.

use std::time::Duration;

use super::world::{RUN, secs};
use crate::lease::Life;
use crate::lease::stale::{Pulse, Stale, stale};

const NOW: Duration = secs(50);

#[test]
fn every_row_of_the_table() {
    let pulse = |life, stint, deadline: Option<u64>| Pulse { life, stint, deadline: deadline.map(secs) };
    let (ours, other) = (Life::Inside(RUN), Life::Inside(RUN + 1));
    let (far, life) = (Life::External(5), |n| Life::External(n));
    let rows: [(&str, Life, Option<Pulse>, Option<Stale>); 14] = [
        ("of another run", other, Some(pulse(other, 3, None)), Some(Stale::Gone)),
        ("of another run, the name lives here", other, Some(pulse(ours, 3, None)), Some(Stale::Gone)),
        ("of another run, nobody here", other, None, Some(Stale::Gone)),
        ("inside, gone", ours, None, Some(Stale::Gone)),
        ("external, gone", far, None, Some(Stale::Gone)),
        ("external, another life", far, Some(pulse(life(6), 3, Some(99))), Some(Stale::OtherLife)),
        ("inside, came back after it was gone", ours, Some(pulse(ours, 4, None)), Some(Stale::Gone)),
        ("inside, came back after silence", ours, Some(pulse(ours, 4, Some(99))), Some(Stale::Silent)),
        ("external, came back after silence", far, Some(pulse(far, 4, Some(99))), Some(Stale::Silent)),
        ("deadline past", far, Some(pulse(far, 3, Some(49))), Some(Stale::Silent)),
        ("deadline now", far, Some(pulse(far, 3, Some(50))), Some(Stale::Silent)),
        ("deadline to come", far, Some(pulse(far, 3, Some(51))), None),
        ("inside, deadline to come", ours, Some(pulse(ours, 3, Some(51))), None),
        ("inside, no deadline", ours, Some(pulse(ours, 3, None)), None),
    ];
    for (name, grant, pulse, expected) in rows {
        assert_eq!(stale(grant, 3, pulse.as_ref(), NOW, RUN), expected, "{name}");
    }
}

/// All small inputs: a live lease belongs to this run or to an external holder, to the holder's present life and stint,
/// and its deadline is to come.
#[test]
fn a_lease_lives_only_with_its_holder() {
    let lives = [Life::Inside(RUN), Life::Inside(RUN + 1), Life::External(5), Life::External(RUN)];
    for (grant, of) in lives.iter().flat_map(|grant| lives.iter().map(move |of| (*grant, *of))) {
        for stint in 0..3 {
            for deadline in [None, Some(0), Some(50), Some(51), Some(u64::MAX / 2_000_000_000)] {
                let pulse = Pulse { life: of, stint, deadline: deadline.map(secs) };
                let lives = stale(grant, 1, Some(&pulse), NOW, RUN).is_none();
                let expected = grant == of
                    && grant != Life::Inside(RUN + 1)
                    && stint == 1
                    && pulse.deadline.is_none_or(|deadline| deadline > NOW);
                assert_eq!(lives, expected, "{grant:?} {pulse:?}");
            }
        }
    }
}
