//! Pure: what the server reports, line by line, and what the parent knows from it.
//!
//! ```text
//! ready                      the store is open, play begins
//! + r3-t7-1042 earn 4 0 9    about to be committed: from now on it may have happened
//! = r3-t7-1042 2517.40960    acknowledged: the call returned, with this version
//! - r3-t7-1042               the rules forbade it: nothing was committed
//! ! refused                  a write by a session that was over: refused, as it must be, or `written`
//! end                        the store was closed
//! ```
//!
//! A deed with `+` and nothing else when the server dies is in doubt. A line that a kill cut off says nothing.

use std::collections::BTreeMap;
use std::fmt;

use savehold::Version;

use super::op::{Op, OpId};

/// One line of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The store is open.
    Ready,
    /// This is about to be committed.
    Begun(OpId, Op),
    /// It is committed, durably.
    Done(OpId, Version),
    /// It was forbidden.
    Declined(OpId),
    /// A write by a session that was over was refused.
    Fenced,
    /// A write by a session that was over got through.
    Passed,
    /// The store was closed.
    End,
}

/// What one server reported in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Begun and never answered.
    pub in_doubt: BTreeMap<OpId, Op>,
    /// Acknowledged.
    pub acknowledged: Vec<(OpId, Op, Version)>,
    /// Answered: nothing was committed.
    pub declined: Vec<OpId>,
    /// Writes by sessions that were over, each refused.
    pub fenced: u64,
    /// Writes by sessions that were over and were not refused.
    pub passed: u64,
    /// The server came to its end by itself.
    pub ended: bool,
}

impl Report {
    /// Reads a line, without its end.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "ready" if rest.is_empty() => Some(Self::Ready),
            "end" if rest.is_empty() => Some(Self::End),
            "!" if rest == "refused" => Some(Self::Fenced),
            "!" if rest == "written" => Some(Self::Passed),
            "+" => {
                let (id, op) = rest.split_once(' ')?;
                Some(Self::Begun(id.parse().ok()?, op.parse().ok()?))
            }
            "=" => {
                let (id, version) = rest.split_once(' ')?;
                Some(Self::Done(id.parse().ok()?, version.parse().ok()?))
            }
            "-" => Some(Self::Declined(rest.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Begun(id, op) => write!(f, "+ {id} {op}"),
            Self::Done(id, version) => write!(f, "= {id} {version}"),
            Self::Declined(id) => write!(f, "- {id}"),
            Self::Fenced => f.write_str("! refused"),
            Self::Passed => f.write_str("! written"),
            Self::End => f.write_str("end"),
        }
    }
}

impl Ledger {
    /// Takes a report in.
    ///
    /// # Errors
    ///
    /// It contradicts an earlier one: begun twice, or answered without having begun.
    pub fn take(&mut self, report: Report) -> Result<(), String> {
        let known = match report {
            Report::Ready => true,
            Report::Fenced => {
                self.fenced += 1;
                true
            }
            Report::Passed => {
                self.passed += 1;
                true
            }
            Report::End => {
                self.ended = true;
                true
            }
            Report::Begun(id, op) => self.in_doubt.insert(id, op).is_none(),
            Report::Done(id, version) => match self.in_doubt.remove(&id) {
                Some(op) => {
                    self.acknowledged.push((id, op, version));
                    true
                }
                None => false,
            },
            Report::Declined(id) => {
                self.declined.push(id);
                self.in_doubt.remove(&id).is_some()
            }
        };
        if known { Ok(()) } else { Err(format!("the server's report `{report}` fits no earlier one")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(lines: &[&str]) -> Result<Ledger, String> {
        let mut ledger = Ledger::default();
        for line in lines {
            ledger.take(Report::read(line).ok_or_else(|| format!("unread: {line}"))?)?;
        }
        Ok(ledger)
    }

    #[test]
    fn reports_are_read_as_they_are_written() {
        let lines = [
            "ready",
            "+ r1-t2-3 trade 4 5 6 7",
            "= r1-t2-3 2517.40960",
            "- r1-t2-3",
            "! refused",
            "! written",
            "+ r1-t2-4 earn 1 2 3",
            "end",
        ];
        for line in lines {
            assert_eq!(Report::read(line).map(|r| r.to_string()).as_deref(), Some(line));
        }
        for line in
            ["", "re", "ready 1", "+ r1-t2-3", "+ r1-t2-3 tra", "= r1-t2-3 2517.", "- ", "!", "? r1-t2-3"]
        {
            assert_eq!(Report::read(line), None, "{line}");
        }
    }

    #[test]
    fn a_deed_is_in_doubt_from_its_begin_to_its_answer() {
        let found = ledger(&[
            "ready",
            "+ r1-t0-0 earn 1 2 3",
            "+ r1-t1-0 spend 4 5 6",
            "+ r1-t2-0 spend 7 8 9",
            "= r1-t1-0 7.64",
            "- r1-t2-0",
        ])
        .unwrap();
        let done = (OpId::new(1, 1, 0), Op::Spend { player: 4, shop: 5, coins: 6 }, "7.64".parse().unwrap());
        assert_eq!(found.acknowledged, [done]);
        assert_eq!(found.declined, [OpId::new(1, 2, 0)]);
        assert_eq!(found.in_doubt.keys().collect::<Vec<_>>(), [&OpId::new(1, 0, 0)]);
        assert!(!found.ended);
    }

    #[test]
    fn reports_that_contradict_each_other_are_refused() {
        for lines in [
            &["= r1-t0-0 7.64"][..],
            &["- r1-t0-0"],
            &["+ r1-t0-0 earn 1 2 3", "+ r1-t0-0 earn 1 2 3"],
            &["+ r1-t0-0 earn 1 2 3", "= r1-t0-0 7.64", "= r1-t0-0 7.64"],
        ] {
            assert!(ledger(lines).is_err(), "{lines:?}");
        }
    }
}
