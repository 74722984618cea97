//! Pure: what an open found after an unclean stop, in numbers and in a sentence.

use std::fmt;
use std::time::Duration;

use crate::format::cursor::{Put, Take};
use crate::lsn::Lsn;

/// How the wall clock stood against the log when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum ClockNote {
    /// Within a day behind the last record.
    #[default]
    Fine = 0,
    /// More than a day past the last record: a long pause, or a wrong clock.
    Ahead = 1,
    /// Before the last record: engine time goes on from that record.
    Behind = 2,
}

impl ClockNote {
    const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Fine),
            1 => Some(Self::Ahead),
            2 => Some(Self::Behind),
            _ => None,
        }
    }
}

/// What an open found and did. The newest [`REPORTS_MAX`](crate::limits::REPORTS_MAX) of unclean stops are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// True when the log had been closed, or ended just where every statement says it ends.
    pub clean: bool,
    /// Wall clock of the open, microseconds since 1970.
    pub at_us: u64,
    /// Proven end: everything before it was acknowledged as durable, and is there.
    pub proven: Lsn,
    /// Behind the last record that survived. Between `proven` and here lie records that nobody can tell were
    /// acknowledged or not: they were kept, and written anew into a rest segment.
    pub end: Lsn,
    /// Groups found behind `end` that could not be kept, because a record before them is missing. No sync had
    /// finished that covers them.
    pub groups_dropped: u64,
    /// Segments that the log had.
    pub segments: u64,
    /// Bytes read to find the end.
    pub scanned_bytes: u64,
    /// Records replayed by whoever replayed the log; zero when nobody did.
    pub replayed_records: u64,
    /// Time to find the end and to write the rest segment.
    pub judging: Duration,
    /// Time of the replay.
    pub replaying: Duration,
    /// How the wall clock stood.
    pub clock: ClockNote,
    /// Bytes of disk that recovery lacked for files of its own: the log was opened to read only. Zero where it lacked
    /// none, and so in every report that was kept.
    pub lacking_bytes: u64,
    /// What finding the end and replaying were estimated to take, by rates measured before; zero where nobody
    /// estimated.
    pub estimated: Duration,
}

impl RecoveryReport {
    /// Bytes kept behind the proven end.
    #[must_use]
    pub fn unproven_bytes(&self) -> u64 {
        self.end.bytes_since(self.proven).unwrap_or(0)
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let mut put = Put::default();
        put.u8(u8::from(self.clean)).u8(self.clock as u8).u16(0).u32(0);
        put.u64(self.at_us)
            .u64(self.proven.raw())
            .u64(self.end.raw())
            .u64(self.groups_dropped)
            .u64(self.segments);
        put.u64(self.scanned_bytes).u64(self.replayed_records).u64(us(self.judging)).u64(us(self.replaying));
        if !self.estimated.is_zero() {
            put.u64(us(self.estimated));
        }
        put.0
    }

    /// Reads the stored form; `None` for anything this program did not write.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes);
        let (clean, clock) = (take.u8()?, ClockNote::from_u8(take.u8()?)?);
        let known = clean <= 1 && take.u16()? == 0 && take.u32()? == 0;
        let mut report = Self {
            estimated: Duration::ZERO,
            clean: clean == 1,
            clock,
            at_us: take.u64()?,
            proven: Lsn::from_raw(take.u64()?),
            end: Lsn::from_raw(take.u64()?),
            groups_dropped: take.u64()?,
            segments: take.u64()?,
            scanned_bytes: take.u64()?,
            replayed_records: take.u64()?,
            judging: Duration::from_micros(take.u64()?),
            replaying: Duration::from_micros(take.u64()?),
            lacking_bytes: 0,
        };
        if !take.0.is_empty() {
            report.estimated = Duration::from_micros(take.u64().filter(|us| *us > 0)?);
        }
        (known && take.0.is_empty()).then_some(report)
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = (self.judging + self.replaying).as_secs_f64() * 1000.0;
        if self.clean {
            write!(f, "opened after a clean close at {}, in {ms:.1} ms", self.end)?;
        } else {
            write!(f, "recovered after an unclean stop in {ms:.1} ms: log proven through {}", self.proven)?;
            match self.unproven_bytes() {
                0 => write!(f, ", nothing behind it")?,
                n => write!(
                    f,
                    ", {n} bytes behind it kept, though nobody can tell whether they were acknowledged"
                )?,
            }
            if self.groups_dropped > 0 {
                write!(f, "; {} groups of an unfinished sync dropped", self.groups_dropped)?;
            }
        }
        if self.lacking_bytes > 0 {
            write!(
                f,
                "; open to read only, for recovery lacks {} bytes of disk: free them, then close and open again",
                self.lacking_bytes
            )?;
        }
        if !self.estimated.is_zero() {
            write!(f, " (estimated: {:.1} ms)", self.estimated.as_secs_f64() * 1000.0)?;
        }
        match self.clock {
            ClockNote::Fine => Ok(()),
            ClockNote::Ahead => f.write_str("; the wall clock is more than a day past the last record"),
            ClockNote::Behind => {
                f.write_str("; the wall clock is before the last record, time goes on from there")
            }
        }
    }
}

#[cfg(test)]
mod tests;
