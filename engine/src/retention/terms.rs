//! Pure: the terms in force: which moments are kept, as places of the log, and from where on versions stay for themselves.
//!
//! ```text
//! +--------+---------+-------+-------+------------+------+-------+----------+-------+-------+---------+
//! | every  | minutes | hours | every | marks:     | pins | usual | outcomes | count | rules | partial |
//! | µs     | µs      | µs    | place | time,place | list | rule  | place    |       |       |         |
//! +--------+---------+-------+-------+------------+------+-------+----------+-------+-------+---------+
//! rule      0 · explicit · autosaves · newest, or 1: the newest alone
//! rules     number of the collection, rule          partial   number of the collection, place
//! ```
//!
//! As all small records of the store (see `meta`); lists have their count in front. MANIFEST keeps them: they are durable
//! before anything is dropped by them, and a table that is made anew passes them. A mark is the first of the kept times at
//! which its place stood; the next one begins where another place did, so that a night without commits is one mark.
//! At a moment before its *partial* place a collection that kept its newest versions alone is not whole.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold_wal::Lsn;

use super::horizon::{Horizon, Marks};
use super::judge::{Holds, Kept, Plan, Rule};
use super::settings::{Moments, Retention};
use crate::ids::CollectionId;
use crate::limits::{MOMENTS_MAX, PINS_MAX, RETENTIONS_MAX};
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};

/// A single moment that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first kept time, microseconds since 1970, at which the store was so.
    pub time_us: u64,
    /// The moment.
    pub place: Lsn,
}

/// What is kept. Each next one keeps no moment that the one before did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// By the clock.
    pub horizon: Horizon,
    /// Every moment at or behind it is kept.
    pub every: Lsn,
    /// Single moments before it, ascending.
    pub marks: Vec<Mark>,
    /// Pinned moments, ascending.
    pub pins: Vec<Lsn>,
    /// Of every collection that is not among `rules`.
    pub usual: Rule,
    /// Outcomes at or behind it are kept.
    pub outcomes: Lsn,
    /// By the number of the collection.
    pub rules: BTreeMap<u32, Rule>,
    /// Before which place moments of a collection are not whole.
    pub partial: BTreeMap<u32, Lsn>,
}

impl Default for Terms {
    /// Everything is kept.
    fn default() -> Self {
        let usual = Rule::History { explicit: Lsn::NONE, autosaves: Lsn::NONE, newest: 1 };
        Self {
            horizon: Horizon::default(),
            every: Lsn::NONE,
            marks: Vec::new(),
            pins: Vec::new(),
            usual,
            outcomes: Lsn::NONE,
            rules: BTreeMap::new(),
            partial: BTreeMap::new(),
        }
    }
}

/// What is asked for now.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The settings of the store.
    pub moments: Moments,
    /// How long outcomes are kept.
    pub outcomes: Duration,
    /// The settings of collections, by number, where they are not the usual ones.
    pub collections: &'a [(u32, Retention)],
    /// Engine time, microseconds since 1970.
    pub now_us: u64,
    /// Nothing that may be dropped now is newer.
    pub through: Lsn,
}

impl Terms {
    /// The terms that follow, pins apart. `at` says which moment stood at a time.
    ///
    /// # Errors
    ///
    /// Those of `at`.
    pub fn advanced<E>(
        &self,
        asked: &Asked<'_>,
        mut at: impl FnMut(u64) -> Result<Lsn, E>,
    ) -> Result<Self, E> {
        let horizon = self.horizon.advanced(&asked.moments, asked.now_us);
        let behind = |moment: Lsn| match moment {
            Lsn::NONE => moment,
            moment => Lsn::from_raw(moment.raw() + 1), // what the moment shows is older
        };
        let mut since = |time: Duration| match u64::try_from(time.as_micros()) {
            Ok(us) if us < asked.now_us => at(asked.now_us - us).map(behind),
            _ => Ok(Lsn::NONE),
        };
        let usual = self.rule_after(u32::MAX, Retention::default(), &mut since)?;
        let mut rules = BTreeMap::new();
        for (number, retention) in asked.collections {
            rules.insert(*number, self.rule_after(*number, *retention, &mut since)?);
        }
        let outcomes = self.outcomes.max(since(asked.outcomes)?);
        let every = if horizon.every_us > self.horizon.every_us { at(horizon.every_us)? } else { self.every };
        let every = every.max(self.every);
        let marks = self.marks_after(horizon, &mut at)?;
        let mut partial = self.partial.clone();
        for (number, _) in rules.iter().filter(|(_, rule)| **rule == Rule::NewestOnly) {
            partial.insert(*number, asked.through);
        }
        Ok(Self { horizon, every, marks, pins: self.pins.clone(), usual, outcomes, rules, partial })
    }

    /// Takes the pins that there are, those of moments that were kept by the terms `before`: of a pin that came back with
    /// a restore the moment may be gone. Moments that are being pinned are held, and so are whole.
    #[must_use]
    pub fn with_pins(mut self, before: &Self, pins: &[Lsn], pinning: Vec<Lsn>) -> Self {
        self.pins = pins.iter().copied().filter(|pin| before.keeps(*pin)).chain(pinning).collect();
        self.pins.sort_unstable();
        self.pins.dedup();
        self
    }

    /// The same, with a moment besides that somebody has held since it was kept: it is whole.
    #[must_use]
    pub fn with_held(&self, moment: Lsn) -> Self {
        let mut pins = self.pins.clone();
        let at = pins.partition_point(|pin| *pin < moment);
        pins.insert(at, moment);
        Self { pins, ..self.clone() }
    }

    /// Whether these keep just what `other` does, by whatever times.
    #[must_use]
    pub fn keeps_as(&self, other: &Self) -> bool {
        let places = |terms: &Self| terms.marks.iter().map(|mark| mark.place).collect::<Vec<_>>();
        let rest = |terms: &Self| (terms.every, terms.usual, terms.outcomes);
        rest(self) == rest(other)
            && (&self.pins, &self.rules, &self.partial) == (&other.pins, &other.rules, &other.partial)
            && places(self) == places(other)
    }

    /// Whether a moment is kept, snapshots apart.
    #[must_use]
    pub fn keeps(&self, moment: Lsn) -> bool {
        self.kept_before(moment) == Some(moment)
    }

    /// The newest kept moment that is not newer than `moment`; `None` where all are newer.
    #[must_use]
    pub fn kept_before(&self, moment: Lsn) -> Option<Lsn> {
        if moment >= self.every {
            return Some(moment);
        }
        let mark = self.marks[..self.marks.partition_point(|mark| mark.place <= moment)].last();
        let pin = self.pins[..self.pins.partition_point(|pin| *pin <= moment)].last().copied();
        mark.map(|mark| mark.place).max(pin)
    }

    /// The oldest kept moment.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        let first = self.marks.first().map_or(self.every, |mark| mark.place.min(self.every));
        self.pins.first().map_or(first, |pin| first.min(*pin))
    }

    /// Moments of a collection are whole from the one right before this place on.
    #[must_use]
    pub fn partial(&self, collection: u32) -> Lsn {
        self.partial.get(&collection).copied().unwrap_or(Lsn::NONE)
    }

    /// Every moment at or behind it is kept, and whole in every collection.
    #[must_use]
    pub fn whole(&self) -> Lsn {
        let before = |place: &Lsn| Lsn::from_raw(place.raw().saturating_sub(1));
        self.partial.values().map(before).fold(self.every, Lsn::max)
    }

    /// What merges go by, where somebody holds moments; files of the log before `settled` hold nothing that the index does
    /// not list.
    #[must_use]
    pub fn plan(&self, holds: Holds, settled: Lsn) -> Plan {
        let marks = self.marks.iter().map(|mark| mark.place).chain(self.pins.iter().copied());
        let mut rules: BTreeMap<u32, Rule> =
            self.rules.keys().map(|number| (*number, self.rule_of(*number))).collect();
        let moments_alone = Rule::History { explicit: Lsn::MAX, autosaves: Lsn::MAX, newest: 1 };
        rules.extend((0..CollectionId::FIRST.0).map(|own| (own, moments_alone)));
        rules.insert(CollectionId::ONCE.0, Rule::Passing(self.outcomes));
        Plan { kept: Kept::new(self.every, marks.collect(), holds), usual: self.usual, rules, settled }
    }

    /// The rule of a collection that has one of its own. What these terms promise holds for whatever is judged by them, what
    /// came after them too.
    fn rule_of(&self, number: u32) -> Rule {
        match self.rules[&number] {
            Rule::NewestOnly => Rule::NewestFrom(self.partial(number)),
            rule => rule,
        }
    }

    /// The rule of a collection that follows: what was given up stays given up.
    fn rule_after<E>(
        &self,
        number: u32,
        retention: Retention,
        since: &mut impl FnMut(Duration) -> Result<Lsn, E>,
    ) -> Result<Rule, E> {
        let Retention::History(kept) = retention else { return Ok(Rule::NewestOnly) };
        let (mut explicit, mut autosaves) = (since(kept.explicit)?, since(kept.autosaves)?);
        let before = self.rules.get(&number).unwrap_or(&self.usual);
        if let Rule::History { explicit: from, autosaves: from_autosaves, .. } = before {
            (explicit, autosaves) = (explicit.max(*from), autosaves.max(*from_autosaves));
        }
        Ok(Rule::History { explicit, autosaves, newest: kept.newest.max(1) })
    }

    /// The single moments that follow: of times before the former horizon those that were kept, then new ones.
    fn marks_after<E>(
        &self,
        horizon: Horizon,
        at: &mut impl FnMut(u64) -> Result<Lsn, E>,
    ) -> Result<Vec<Mark>, E> {
        let (mut marks, times) = (Vec::<Mark>::new(), horizon.marks());
        let fresh = times.first_from(self.horizon.every_us);
        for (n, stood) in self.marks.iter().enumerate() {
            let next = self.marks.get(n + 1).map_or(fresh, |next| times.first_from(next.time_us).min(fresh));
            let first = times.first_from(stood.time_us);
            if first < next {
                note(&mut marks, times.time(first), stood.place);
            }
        }
        if let Some(last) = times.count().checked_sub(1).filter(|last| *last >= fresh) {
            let (from, to) = (at(times.time(fresh))?, at(times.time(last))?);
            note(&mut marks, times.time(fresh), from);
            fill(&times, (fresh, from), (last, to), at, &mut marks)?;
        }
        Ok(marks)
    }
}

/// Most bytes of a mark, its time and its place.
const MARK_BYTES_MAX: usize = 18;
/// Most bytes of a collection that has a setting of its own: its rule, and from where on it is whole.
const COLLECTION_BYTES_MAX: usize = 5 + (1 + 9 + 9 + 5) + (5 + 9);
/// Most bytes of a pin.
const PIN_BYTES_MAX: usize = 9;
/// For what there is one of, and for the few settings and pins over the bound of calls that looked at the same time.
const SPARE_BYTES: usize = 32 << 10;
/// All that may be kept is a note in a packed file, and in MANIFEST it leaves tables their room.
const _: () = assert!(
    MOMENTS_MAX as usize * MARK_BYTES_MAX
        + RETENTIONS_MAX * COLLECTION_BYTES_MAX
        + PINS_MAX * PIN_BYTES_MAX
        + SPARE_BYTES
        <= meta::BYTES_MAX
);

fn note(marks: &mut Vec<Mark>, time_us: u64, place: Lsn) {
    if marks.last().is_none_or(|last| last.place < place) {
        marks.push(Mark { time_us, place });
    }
}

/// Notes where places change between two times of which they are known: a stretch that begins and ends at one place is
/// not looked through.
fn fill<E>(
    times: &Marks,
    low: (u64, Lsn),
    high: (u64, Lsn),
    at: &mut impl FnMut(u64) -> Result<Lsn, E>,
    marks: &mut Vec<Mark>,
) -> Result<(), E> {
    if low.1 == high.1 {
        return Ok(());
    }
    if high.0 - low.0 <= 1 {
        note(marks, times.time(high.0), high.1);
        return Ok(());
    }
    let half = low.0 + (high.0 - low.0) / 2;
    let middle = (half, at(times.time(half))?);
    fill(times, low, middle, at, marks)?;
    fill(times, middle, high, at, marks)
}

impl Encode for Terms {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Horizon { every_us, minutes_us, hours_us } = self.horizon;
        [every_us, minutes_us, hours_us, self.every.raw()].encode(encoder)?;
        let marks: Vec<(u64, u64)> = self.marks.iter().map(|mark| (mark.time_us, mark.place.raw())).collect();
        marks.encode(encoder)?;
        self.pins.iter().map(|pin| pin.raw()).collect::<Vec<u64>>().encode(encoder)?;
        encode_rule(&self.usual, encoder)?;
        self.outcomes.raw().encode(encoder)?;
        (self.rules.len() as u64).encode(encoder)?;
        for (number, rule) in &self.rules {
            number.encode(encoder)?;
            encode_rule(rule, encoder)?;
        }
        let partial: Vec<(u32, u64)> = self.partial.iter().map(|(n, place)| (*n, place.raw())).collect();
        partial.encode(encoder)
    }
}

impl<C> Decode<C> for Terms {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let [every_us, minutes_us, hours_us, every]: [u64; 4] = Decode::decode(decoder)?;
        let marks: Vec<(u64, u64)> = Decode::decode(decoder)?;
        let pins: Vec<u64> = Decode::decode(decoder)?;
        let usual = decode_rule(decoder)?;
        let outcomes = Lsn::from_raw(Decode::decode(decoder)?);
        let (mut rules, count) = (BTreeMap::new(), u64::decode(decoder)?);
        for _ in 0..count {
            rules.insert(Decode::decode(decoder)?, decode_rule(decoder)?);
        }
        let partial: Vec<(u32, u64)> = Decode::decode(decoder)?;
        let ascending = marks.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        if !ascending || !pins.is_sorted() {
            return Err(DecodeError::Other("moments that are not in order"));
        }
        let mark = |(time_us, place): (u64, u64)| Mark { time_us, place: Lsn::from_raw(place) };
        Ok(Self {
            horizon: Horizon { every_us, minutes_us, hours_us },
            every: Lsn::from_raw(every),
            marks: marks.into_iter().map(mark).collect(),
            pins: pins.into_iter().map(Lsn::from_raw).collect(),
            usual,
            outcomes,
            rules,
            partial: partial.into_iter().map(|(number, place)| (number, Lsn::from_raw(place))).collect(),
        })
    }
}

/// As it stands in a packed file of the log, for a store that lost MANIFEST, and for a restored backup.
impl Meta for Terms {
    const FORMAT: u8 = 1;
    const WHAT: &'static str = "the terms of history";
}

fn encode_rule<E: Encoder>(rule: &Rule, encoder: &mut E) -> Result<(), EncodeError> {
    match rule {
        Rule::History { explicit, autosaves, newest } => {
            (0_u8, explicit.raw(), autosaves.raw(), *newest).encode(encoder)
        }
        Rule::NewestOnly | Rule::NewestFrom(_) | Rule::Passing(_) => 1_u8.encode(encoder),
    }
}

fn decode_rule<C, D: Decoder<Context = C>>(decoder: &mut D) -> Result<Rule, DecodeError> {
    match u8::decode(decoder)? {
        0 => {
            let (explicit, autosaves, newest): (u64, u64, u32) = Decode::decode(decoder)?;
            let (explicit, autosaves) = (Lsn::from_raw(explicit), Lsn::from_raw(autosaves));
            Ok(Rule::History { explicit, autosaves, newest })
        }
        1 => Ok(Rule::NewestOnly),
        _ => Err(DecodeError::Other("no rule of history")),
    }
}
