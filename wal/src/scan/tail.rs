//! Pure: torn or corrupt? Facts in, verdict out.
//!
//! The *proven end* P: everything before it was acknowledged as durable, by a statement somewhere in the log. The
//! *first bad* place X: where good records end. Losing what lies behind both is what power cuts do. Losing anything
//! before P is corruption, whatever did it.

use crate::lsn::Lsn;

/// What the scan of a log's last segments found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// P: the largest of all `durable_through`, the checkpoint, a clean close's end, a stated end.
    pub proven: Lsn,
    /// X: the first bad frame, past P the first bad body.
    pub first_bad: Lsn,
    /// Where a clean close says that the log ends.
    pub clean_end: Option<Lsn>,
    /// Good groups behind X.
    pub groups_behind: u64,
}

/// How a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Closed: nothing is missing, and writing goes on at `end`.
    Clean {
        /// The end of the log.
        end: Lsn,
    },
    /// Not closed: nothing proven is missing. What lies in `proven..end` is good, and nobody can tell whether it was
    /// acknowledged.
    Torn {
        /// P.
        proven: Lsn,
        /// X.
        end: Lsn,
    },
    /// Something is missing that was proven.
    Corrupt {
        /// X.
        at: Lsn,
        /// P.
        proven: Lsn,
    },
}

/// Judges how a log ended.
#[must_use]
pub fn judge(facts: &Facts) -> Verdict {
    let Facts { proven, first_bad, clean_end, groups_behind } = *facts;
    if first_bad < proven {
        return Verdict::Corrupt { at: first_bad, proven }; // it was promised durable: refuse
    }
    match clean_end {
        Some(end) if end == first_bad && groups_behind == 0 => Verdict::Clean { end },
        _ => Verdict::Torn { proven, end: first_bad },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_the_three_places_has_its_verdict() {
        let place = |n: u64| Lsn::new(1, n * 4096);
        for proven in 0..4 {
            for bad in 0..4 {
                for clean in [None, Some(0), Some(1), Some(2), Some(3)] {
                    for groups_behind in 0..2 {
                        let (proven, first_bad) = (place(proven), place(bad));
                        let clean_end = clean.map(place);
                        let verdict = judge(&Facts { proven, first_bad, clean_end, groups_behind });
                        let expected = if first_bad < proven {
                            Verdict::Corrupt { at: first_bad, proven }
                        } else if clean_end == Some(first_bad) && groups_behind == 0 {
                            Verdict::Clean { end: first_bad }
                        } else {
                            Verdict::Torn { proven, end: first_bad }
                        };
                        assert_eq!(verdict, expected);
                    }
                }
            }
        }
    }
}
