//! Pure: what the engine keeps in MANIFEST: the index tables, the rates by which a restart is estimated, and the terms of
//! history.
//!
//! ```text
//! +--------+------+---------+-----+---------+----------+-------+----------------------+--------+-----------+-------+-------+
//! | format | next | version | kib | judging | rest kib | count | tables, oldest first | judged | forgotten | leapt | terms |
//! | 2      |      | ps      | ps  | µs      | ps       |       |                      |        |           | µs    |       |
//! +--------+------+---------+-----+---------+----------+-------+----------------------+--------+-----------+-------+-------+
//! table    number, random, low, high, versions, pages, judged, count, listed: base, bytes
//! drops    behind the terms, where a table was made by a merge that dropped: count, of each table: count, place and judged of each
//! ```
//!
//! As all small records of the store (see `meta`). next: no table has this number or a larger one. Each table holds every
//! version v with low ≤ v < high that was not dropped by retention; the first begins where the log does, each next
//! one where the one before ends, so the log need be replayed only from the last one's high on. listed: how many bytes of
//! the log it lists, by the base that each segment had when it was written. judged counts the merges by which something may
//! have been dropped, and says of a table which of them made it, 0: none. drops: from each place on, up to the next, the newest of
//! those that dropped a value there, 0: none did, told apart by no more than the files that the log had when it was written; where no
//! table has any, each may lack values anywhere that such a merge made. forgotten: the newest outcome that was dropped, or that a
//! repair found lost.
//! leapt: engine time at which an opening found the clock more than a day ahead of the log, 0 once that is settled. The
//! terms are drawn in `retention/terms`.

use std::ops::Range;
use std::sync::Arc;

use savehold_wal::Lsn;

use crate::drops::Drops;
use crate::estimate::Rates;
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta, goes_on};
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
    /// The newest outcome of a commit that was dropped, or that a repair found lost.
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
    /// Where merges dropped values that it, or what it was made of, held.
    pub(crate) drops: Drops,
}

impl Manifest {
    /// Everything older is in a table.
    pub(crate) fn through(&self) -> Lsn {
        self.tables.last().map_or(Lsn::NONE, |table| table.high)
    }

    /// The number of the newest merge that dropped a value which lies in these places; 0: the tables list every value there.
    pub(crate) fn newest_drop(&self, places: &Range<Lsn>) -> u64 {
        self.tables.iter().map(|table| table.drops.newest_in(places)).max().unwrap_or(0)
    }

    /// Says where merges dropped values by file of the log, as far as it said more: files begin at `bases`, in order.
    pub(crate) fn put_together(&mut self, bases: &[Lsn]) {
        self.tables.iter_mut().for_each(|table| table.drops.put_together(bases));
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
        self.terms.encode(encoder)?;
        if self.tables.iter().any(|table| table.judged > 0) {
            let steps =
                |drops: &Drops| drops.steps().iter().map(|(at, number)| (at.raw(), *number)).collect();
            self.tables
                .iter()
                .map(|table| steps(&table.drops))
                .collect::<Vec<Vec<(u64, u64)>>>()
                .encode(encoder)?;
        }
        Ok(())
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
        let mut tables: Vec<Named> = Decode::decode(decoder)?;
        let in_order = tables.windows(2).all(|pair| pair[0].high == pair[1].low);
        if !in_order || tables.iter().any(|table| table.number >= next || table.low > table.high) {
            return Err(DecodeError::Other("tables that do not follow one another"));
        }
        let [judged, forgotten, leapt_us]: [u64; 3] = Decode::decode(decoder)?;
        let (forgotten, terms) = (Lsn::from_raw(forgotten), Arc::new(Terms::decode(decoder)?));
        match goes_on(decoder) {
            true => decode_drops(&mut tables, decoder)?,
            false => tables.iter_mut().for_each(|table| table.drops = Drops::anywhere(table.judged)),
        }
        Ok(Self { next, rates, tables, judged, forgotten, leapt_us, terms })
    }
}

fn decode_drops<D: Decoder>(tables: &mut [Named], decoder: &mut D) -> Result<(), DecodeError> {
    let all: Vec<Vec<(u64, u64)>> = Decode::decode(decoder)?;
    if all.len() != tables.len() {
        return Err(DecodeError::Other("drops of other tables"));
    }
    for (table, steps) in tables.iter_mut().zip(all) {
        let steps = steps.into_iter().map(|(at, number)| (Lsn::from_raw(at), number)).collect();
        table.drops = Drops::of(steps).ok_or(DecodeError::Other("drops that do not ascend"))?;
    }
    Ok(())
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
            drops: Drops::default(), // they stand behind all else
        })
    }
}

impl Meta for Manifest {
    const FORMAT: u8 = 2;
    const WHAT: &'static str = "what MANIFEST says of the index tables";
    /// Terms have at most what a small record has, and tables all else: a line for each file of the log that one lists, and one
    /// for each that merges dropped values of. So checkpoints go on until a log has several hundred thousand files.
    const BYTES_MAX: usize = 16 * meta::BYTES_MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(number: u64, low: u64, high: u64) -> Named {
        let (low, high) = (Lsn::from_raw(low), Lsn::from_raw(high));
        let listed = vec![(low, 1 << 20), (high, number)];
        let (random, drops) = (1 << (40 + number), Drops::anywhere(number));
        Named { number, random, low, high, versions: 9, pages: 5, judged: number, listed, drops }
    }

    #[test]
    fn what_was_written_is_read() {
        let tables = vec![table(1, 0, 4096), table(4, 4096, 1 << 50)];
        let manifest = Manifest { next: 5, tables, judged: 7, leapt_us: 1 << 52, ..Manifest::default() };
        assert_eq!(meta::decode::<Manifest>(&meta::encode(&manifest).unwrap()).unwrap(), manifest);
        assert_eq!(manifest.through(), Lsn::from_raw(1 << 50));
        assert_eq!(Manifest::default().through(), Lsn::NONE);
    }

    /// Without drops, as programs wrote it that did not know them, a table that a merge made may lack anything.
    #[test]
    fn drops_are_read_and_where_there_are_none_values_may_be_lacking_anywhere() {
        let at = |place| Lsn::from_raw(place);
        let some = Drops::of(vec![(at(100), 7), (at(200), 0)]).unwrap();
        let tables = vec![table(0, 0, 300), Named { drops: some, ..table(7, 300, 900) }];
        let manifest = Manifest { next: 8, tables, judged: 7, ..Manifest::default() };
        let drops = |manifest: &Manifest| {
            [0..100, 100..101, 200..900].map(|r: Range<u64>| manifest.newest_drop(&(at(r.start)..at(r.end))))
        };
        let bytes = meta::encode(&manifest).unwrap();
        let read = meta::decode::<Manifest>(&bytes).unwrap();
        assert_eq!((&read, drops(&read)), (&manifest, [0, 7, 0]));
        let none = Manifest { tables: Vec::new(), ..manifest.clone() };
        assert_eq!(drops(&meta::decode(&meta::encode(&none).unwrap()).unwrap()), [0; 3]);
        let before = &bytes[..bytes.len() - 7]; // two lists: none, and two pairs
        assert_eq!(drops(&meta::decode(before).unwrap()), [7; 3]);
        assert!((1..7).all(|cut| meta::decode::<Manifest>(&bytes[..bytes.len() - cut]).is_err()));
    }

    #[test]
    fn a_log_of_a_few_hundred_thousand_files_is_no_end_of_checkpoints() {
        let file = |n: u64| Lsn::from_raw((1 << 48) + (n << 26));
        let listed = (0..400_000).map(|n| (file(n), 60 << 20)).collect();
        let drops = Drops::of((0..400_000).map(|n| (file(n), 1 + n % 200)).collect()).unwrap();
        let tables = vec![Named { listed, drops, ..table(1, 0, 4096) }];
        let manifest = Manifest { next: 5, tables, judged: 200, ..Manifest::default() };
        let bytes = meta::encode(&manifest).unwrap();
        assert!(bytes.len() > 8 * meta::BYTES_MAX);
        assert_eq!(meta::decode::<Manifest>(&bytes).unwrap(), manifest);
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
