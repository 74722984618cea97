//! Pure: what the engine keeps in MANIFEST: the index tables, the rates by which a restart is estimated, and the terms of
//! history.
//!
//! ```text
//! +--------+------+---------+-----+---------+----------+-------+----------------------+--------+-----------+-------+-------+
//! | format | next | version | kib | judging | rest kib | count | tables, oldest first | judged | forgotten | leapt | terms |
//! | 2      |      | ps      | ps  | µs      | ps       |       |                      |        |           | µs    |       |
//! +--------+------+---------+-----+---------+----------+-------+----------------------+--------+-----------+-------+-------+
//! table    number, random, low, high, versions, pages, judged, count, listed: base, bytes
//! ```
//!
//! As all small records of the store (see `meta`). next: no table has this number or a larger one. Each table holds every
//! version v with low ≤ v < high that was not dropped by retention; the first begins where the log does, each next
//! one where the one before ends, so the log need be replayed only from the last one's high on. listed: how many bytes of
//! the log it lists, by the base that each segment had when it was written. judged counts the merges by which something may
//! have been dropped, and says of a table which of them made it, 0: none. forgotten: the newest outcome that was dropped.
//! leapt: engine time at which an opening found the clock more than a day ahead of the log, 0 once that is settled. The
//! terms are drawn in `retention/terms`.

use std::sync::Arc;

use savehold_wal::Lsn;

use crate::estimate::Rates;
use crate::meta::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};
use crate::retention::Terms;

/// What the engine keeps in MANIFEST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// No table has this number, or a larger one.
    pub(crate) next: u64,
    /// What earlier restarts measured.
    pub(crate) rates: Rates,
    /// Oldest first.
    pub(crate) tables: Vec<Named>,
    /// Merges by which something may have been dropped.
    pub(crate) judged: u64,
    /// The newest outcome of a commit that was dropped.
    pub(crate) forgotten: Lsn,
    /// Engine time at which the clock was found to have leapt; 0: it has not.
    pub(crate) leapt_us: u64,
    /// What is kept.
    pub(crate) terms: Arc<Terms>,
}

/// A table that MANIFEST names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The number in its file's name.
    pub(crate) number: u64,
    /// What binds its pages to it.
    pub(crate) random: u64,
    /// It holds what the log says from here on,
    pub(crate) low: Lsn,
    /// up to here.
    pub(crate) high: Lsn,
    /// Its versions.
    pub(crate) versions: u64,
    /// Its pages.
    pub(crate) pages: u32,
    /// The number of the merge that made it; 0: nothing was dropped from it.
    pub(crate) judged: u64,
    /// Bytes of the log that it lists, by segment, in order.
    pub(crate) listed: Vec<(Lsn, u64)>,
}

impl Manifest {
    /// Everything older is in a table.
    pub(crate) fn through(&self) -> Lsn {
        self.tables.last().map_or(Lsn::NONE, |table| table.high)
    }
}

impl Manifest {
    /// Adds tables that were made anew behind those that there are. Where the terms dropped anything from them, that is one
    /// more judgement: a file that was packed before may hold what they do not list.
    pub(crate) fn add_remade(&mut self, tables: impl IntoIterator<Item = Named>) {
        for named in tables {
            if named.judged > 0 {
                self.judged = self.judged.max(named.judged);
                let lapsed = Lsn::from_raw(self.terms.outcomes.raw().saturating_sub(1));
                self.forgotten = self.forgotten.max(lapsed);
            }
            self.tables.push(named);
        }
    }
}

impl Encode for Manifest {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.next.encode(encoder)?;
        self.rates.version_ps.encode(encoder)?;
        self.rates.kib_ps.encode(encoder)?;
        self.rates.judging_us.encode(encoder)?;
        self.rates.rest_kib_ps.encode(encoder)?;
        self.tables.encode(encoder)?;
        [self.judged, self.forgotten.raw(), self.leapt_us].encode(encoder)?;
        self.terms.encode(encoder)
    }
}

impl<C> Decode<C> for Manifest {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let next = Decode::decode(decoder)?;
        let rates = Rates {
            version_ps: Decode::decode(decoder)?,
            kib_ps: Decode::decode(decoder)?,
            judging_us: Decode::decode(decoder)?,
            rest_kib_ps: Decode::decode(decoder)?,
        };
        let tables: Vec<Named> = Decode::decode(decoder)?;
        let in_order = tables.windows(2).all(|pair| pair[0].high == pair[1].low);
        if !in_order || tables.iter().any(|table| table.number >= next || table.low > table.high) {
            return Err(DecodeError::Other("tables that do not follow one another"));
        }
        let [judged, forgotten, leapt_us]: [u64; 3] = Decode::decode(decoder)?;
        let (forgotten, terms) = (Lsn::from_raw(forgotten), Arc::new(Terms::decode(decoder)?));
        Ok(Self { next, rates, tables, judged, forgotten, leapt_us, terms })
    }
}

impl Encode for Named {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.number.encode(encoder)?;
        self.random.encode(encoder)?;
        self.low.raw().encode(encoder)?;
        self.high.raw().encode(encoder)?;
        self.versions.encode(encoder)?;
        self.pages.encode(encoder)?;
        self.judged.encode(encoder)?;
        let listed: Vec<(u64, u64)> = self.listed.iter().map(|(base, bytes)| (base.raw(), *bytes)).collect();
        listed.encode(encoder)
    }
}

impl<C> Decode<C> for Named {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            number: Decode::decode(decoder)?,
            random: Decode::decode(decoder)?,
            low: Lsn::from_raw(Decode::decode(decoder)?),
            high: Lsn::from_raw(Decode::decode(decoder)?),
            versions: Decode::decode(decoder)?,
            pages: Decode::decode(decoder)?,
            judged: Decode::decode(decoder)?,
            listed: {
                let listed: Vec<(u64, u64)> = Decode::decode(decoder)?;
                listed.into_iter().map(|(base, bytes)| (Lsn::from_raw(base), bytes)).collect()
            },
        })
    }
}

impl Meta for Manifest {
    const FORMAT: u8 = 2;
    const WHAT: &'static str = "what MANIFEST says of the index tables";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta;

    fn table(number: u64, low: u64, high: u64) -> Named {
        let (low, high) = (Lsn::from_raw(low), Lsn::from_raw(high));
        let listed = vec![(low, 1 << 20), (high, number)];
        Named { number, random: 1 << (40 + number), low, high, versions: 9, pages: 5, judged: number, listed }
    }

    #[test]
    fn what_was_written_is_read() {
        let tables = vec![table(1, 0, 4096), table(4, 4096, 1 << 50)];
        let manifest = Manifest { next: 5, tables, judged: 7, leapt_us: 1 << 52, ..Manifest::default() };
        assert_eq!(meta::decode::<Manifest>(&meta::encode(&manifest).unwrap()).unwrap(), manifest);
        assert_eq!(manifest.through(), Lsn::from_raw(1 << 50));
        assert_eq!(Manifest::default().through(), Lsn::NONE);
    }

    #[test]
    fn what_was_dropped_from_tables_that_were_made_anew_counts_as_judged_once_more() {
        let terms = Arc::new(Terms { outcomes: Lsn::from_raw(800), ..Terms::default() });
        let mut manifest = Manifest { next: 9, judged: 7, terms, ..Manifest::default() };
        manifest.add_remade([Named { judged: 0, ..table(1, 0, 10) }]);
        assert_eq!((manifest.judged, manifest.forgotten, manifest.tables.len()), (7, Lsn::NONE, 1));
        manifest.add_remade([Named { judged: 8, ..table(2, 10, 20) }]);
        assert_eq!((manifest.judged, manifest.forgotten.raw(), manifest.tables.len()), (8, 799, 2));
    }

    #[test]
    fn tables_with_a_gap_or_an_overlap_between_them_are_none() {
        for tables in [
            vec![table(1, 0, 10), table(2, 11, 20)],
            vec![table(1, 0, 10), table(2, 9, 20)],
            vec![table(5, 0, 10)],
            vec![table(1, 10, 0)],
        ] {
            let manifest = Manifest { next: 5, tables, ..Manifest::default() };
            assert!(meta::decode::<Manifest>(&meta::encode(&manifest).unwrap()).is_err(), "{manifest:?}");
        }
    }
}
