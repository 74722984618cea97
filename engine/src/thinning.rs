//! Corridor: history is thinned: terms first, then merges of tables by them.
//!
//! What may be dropped, and what a crash after each step leaves:
//!
//! 1. Work the next terms out. Nothing changed.
//! 2. Bring them into force under the lock by which moments are granted, and take who holds what. From here on no moment is
//!    granted that is about to go, in this process. A crash leaves the terms before, and everything.
//! 3. Name them in MANIFEST, durable. A crash leaves these terms, and everything: moments that are whole and are not told of.
//! 4. Merge, dropping what neither terms nor holders keep; write, sync, name the table as any other. A crash before leaves the
//!    old tables, after it the new one, and the terms are there either way.
//! 5. Put the table in the place of those that it holds. Whoever read the old ones and looks afterwards whether his moment is
//!    still whole is told by the terms, which are older than the table.
//!
//! What is lost is made anew from the log: a table passes the terms in MANIFEST, which are as old as any merge. Where
//! MANIFEST itself is lost, so are the terms and every table, and the log says everything that was not compacted; what was
//! compacted comes with the terms by which it was judged. An ending is dropped only where no table and no file of
//! the log can hold anything older of its key, so nothing that ended begins again: where every file up to it is *settled*,
//! which is to say that the index lists every value in it. MANIFEST says where in the log merges dropped values, and which was
//! the last to (`drops`). A file that was packed says by which of them it was judged: it is settled by that merge or a later
//! one. A file from which none dropped a value is settled however old it is, and nobody ever packs it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use savehold_wal::Lsn;

use crate::core::Core;
use crate::drops::Drops;
use crate::error::{Error, ErrorKind, Result};
use crate::horizon::before;
use crate::index::table::Table;
use crate::index::{Judge, KeepAll, Layers, Merge, VersionRef};
use crate::planted::{self, Fault};
use crate::retention::{Asked, Extent, Holds, Plan, Share, Terms};
use crate::setting::is_unread;
use crate::stats::OldestMoment;
use crate::tally::{Counting, listed_bytes};
use crate::tiers;

/// Versions that a merge goes on for before it looks whether something else is due.
const MERGE_STEP: usize = 1 << 11;
/// Versions that are looked at to tell how much has lapsed.
const SAMPLES: u64 = 256;
/// Versions of a key among which one that is looked at is judged.
const JUDGED_MAX: usize = 1 << 12;
/// After a leap of the clock nothing is dropped for a day.
const LEAP_US: u64 = 24 * 3600 * 1_000_000;

impl Core {
    /// Merges tables as long as too many of a size stand beside each other.
    pub(crate) fn merge_if_due(&self) -> Result<()> {
        loop {
            let layers = self.index.layers();
            let versions: Vec<u64> = layers.tables.iter().map(|table| table.facts().versions).collect();
            let Some(count) = tiers::due(&versions) else { return Ok(()) };
            let next = self.next_terms(&layers);
            let plan = next.and_then(|next| next.map(|next| self.enforce(next)).transpose());
            let plan = plan.unwrap_or(None); // who cannot tell what goes drops nothing, and merges all the same
            self.merge_these(&layers.tables[..count], count == layers.tables.len(), plan)?;
            self.looked.lock().note_changed();
        }
    }

    /// Looks, where it is time, how much has lapsed, and merges all tables where that is worth it. Says after what time to
    /// look again; `None`: there is nothing to look at.
    pub(crate) fn thin_if_due(&self) -> Result<Option<Duration>> {
        let (layers, now) = (self.index.layers(), self.wal.env().clock.monotonic());
        if layers.tables.is_empty() || self.wal.read_only().is_some() {
            return Ok(None);
        }
        let extent = self.extent(&layers);
        let left = self.looked.lock().next(now, extent);
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let (every, next) = (self.known_keeping()?.moments.every, self.next_terms(&layers)?);
        self.looked.lock().note(now, extent, every);
        let mut plan = next.as_ref().map(|next| self.plan(next, self.moments.held()));
        let share = plan.as_mut().map_or(Ok(Share::default()), |plan| self.lapsed(&layers, plan))?;
        self.packer.note_waiting(share.waits());
        self.waste.note_lapsed(extent.log_bytes, share.of(extent.log_bytes), layers.floor);
        if let Some(next) = next
            && self.looked.lock().worth(now, share, extent)
        {
            self.merge_all(&layers, self.enforce(next)?)?;
        }
        Ok(Some(self.looked.lock().next(now, self.extent(&self.index.layers()))))
    }

    /// Writes the tail out and drops everything that has lapsed, now. False: nothing may be dropped for now, because the
    /// clock leapt.
    pub(crate) fn thin_now(&self) -> Result<bool> {
        let _work = self.shelf.work.lock();
        self.remake_damaged()?;
        self.checkpoint()?;
        let layers = self.index.layers();
        let Some(next) = self.next_terms(&layers)? else { return Ok(false) };
        let plan = self.enforce(next)?;
        if !layers.tables.is_empty() {
            self.merge_all(&layers, plan)?;
        }
        Ok(true)
    }

    /// How much the tables list, and take.
    fn extent(&self, layers: &Layers) -> Extent {
        let manifest = self.shelf.manifest.lock();
        let listed = manifest.tables.iter().flat_map(|table| &table.listed).map(|(_, bytes)| bytes);
        Extent {
            versions: layers.tables.iter().map(|table| table.facts().versions).sum(),
            log_bytes: listed.sum(),
            table_bytes: layers.tables.iter().map(|table| table.bytes()).sum(),
        }
    }

    fn merge_all(&self, layers: &Layers, plan: Plan) -> Result<()> {
        self.merge_these(&layers.tables, true, Some(plan))?;
        let now = self.wal.env().clock.monotonic();
        let extent = self.extent(&self.index.layers());
        self.looked.lock().note_merged(now, extent);
        self.waste.note_merged(extent.log_bytes, layers.floor);
        Ok(())
    }

    /// The terms that time and settings make of those in force, for merges of `layers`: the same, where a setting of the
    /// store or a pin cannot be read. `None`: nothing may be dropped. Whoever asks has the index to work on.
    pub(crate) fn next_terms(&self, layers: &Layers) -> Result<Option<Terms>> {
        let (leapt_us, now_us) = (self.shelf.manifest.lock().leapt_us, self.wal.time_us());
        if self.wal.read_only().is_some() || leapt_us > 0 && now_us < leapt_us.saturating_add(LEAP_US) {
            return Ok(None);
        }
        self.paging.let_go(self.wal.env().clock.monotonic());
        let visible = self.visible();
        // Whatever is granted from now on is no older; and what is not durable may be lost, but the terms would stay.
        let newest = self.sequenced().min(before(self.wal.durable()));
        let in_force = self.moments.terms();
        let unchanged = || Ok(Some(Terms::clone(&in_force)));
        let Some(pins) = self.pinned_moments()? else { return unchanged() };
        let keeping = match self.keeping(visible) {
            Err(e) if is_unread(&e) => return unchanged(),
            keeping => keeping?,
        };
        let collections = self.retentions(visible)?;
        let asked = Asked {
            moments: keeping.moments,
            outcomes: keeping.outcomes,
            collections: &collections,
            now_us,
            through: layers.floor.min(Lsn::from_raw(newest.raw() + 1)),
        };
        let next =
            in_force.advanced(&asked, |time_us| self.place_at(time_us).map(|place| place.min(newest)))?;
        Ok(Some(next.with_pins(&in_force, &pins, Vec::new())))
    }

    /// Brings terms into force and makes them durable; says by what merges go now: by the terms, and by whoever holds a
    /// moment.
    pub(crate) fn enforce(&self, next: Terms) -> Result<Plan> {
        let (terms, held) = self.moments.change(|before, pinning| -> Result<_> {
            let Some(pins) = self.pinned_moments()? else { return Ok(before.clone()) };
            let next = next.with_pins(before, &pins, pinning);
            Ok(if next.keeps_as(before) { before.clone() } else { Arc::new(next) })
        })?;
        self.say_terms()?;
        let held = if planted::has(Fault::ForgetHeld) { Holds::default() } else { held };
        Ok(self.plan(&terms, held))
    }

    /// Makes the terms in force durable, where MANIFEST has others. Those that are in force when it is written: who pins a
    /// moment adds it to them at any time, and what is said last must have it.
    pub(crate) fn say_terms(&self) -> Result<()> {
        let stale = *self.shelf.manifest.lock().terms != *self.moments.terms();
        if stale && !planted::has(Fault::DropUnsaid) {
            self.shelf.name(&self.wal, |manifest| manifest.terms = self.moments.terms())?;
        }
        Ok(())
    }

    /// The moments of all pins; `None`: one cannot be read, and may hold any.
    fn pinned_moments(&self) -> Result<Option<Vec<Lsn>>> {
        let pins: Result<Vec<_>> = self.listed_pins()?.into_iter().collect();
        Ok(pins.ok().map(|pins| pins.iter().map(|pin| pin.version.lsn()).collect()))
    }

    fn plan(&self, terms: &Terms, held: Holds) -> Plan {
        let manifest = self.shelf.manifest.lock();
        terms.plan(held, self.wal.settled(|places| manifest.newest_drop(&places)))
    }

    /// Merges `tables`, neighbours, newest first, into one.
    fn merge_these(&self, tables: &[Arc<Table>], oldest: bool, plan: Option<Plan>) -> Result<()> {
        let numbers: Vec<u64> = tables.iter().map(|table| table.facts().number).collect();
        let (range, judged, drops) = {
            let manifest = self.shelf.manifest.lock();
            let merged = || manifest.tables.iter().filter(|table| numbers.contains(&table.number));
            let (Some(first), Some(last)) = (merged().next(), merged().next_back()) else { return Ok(()) };
            let judged = merged().map(|table| table.judged).max().unwrap_or(0);
            let drops = merged().fold(Drops::default(), |all, table| all.with(&table.drops));
            ((first.low, last.high), judged, drops)
        };
        let low = tables.iter().map(|table| table.facts().low).min().unwrap_or(range.0);
        let mut forgotten = Lsn::NONE;
        let mut plan: Box<dyn Judge> = match plan {
            Some(plan) => Box::new(plan),
            None => Box::new(KeepAll),
        };
        let (mut named, table) = self.shelf.write(&self.wal, range, low, |writer, tally| {
            let mut merge = Merge::new(tables, writer, oldest)?;
            let mut judge = Counting { judge: &mut *plan, tally };
            let mut breathe = self.breaths();
            while merge.step(&mut judge, MERGE_STEP)? {
                if self.closing.load(Ordering::Acquire) {
                    return Err(Error::new(ErrorKind::Closed, "the store is being closed"));
                }
                self.checkpoint_if_due()?;
                breathe();
            }
            forgotten = judge.tally.forgotten;
            merge.finish()
        })?;
        named.judged = named.judged.max(judged); // by this merge, where it dropped anything
        let judged = named.judged;
        named.drops = drops.with(&named.drops); // what went before may lie in files still
        self.shelf.name(&self.wal, |manifest| {
            let gone = |table: &crate::manifest::Named| numbers.contains(&table.number);
            let at = manifest.tables.iter().position(gone).expect("only one merges at a time");
            manifest.tables.retain(|table| !gone(table));
            manifest.tables.insert(at, named);
            manifest.judged = manifest.judged.max(judged);
            manifest.forgotten = manifest.forgotten.max(forgotten);
        })?;
        self.index.put_in_place(tables, vec![table], judged);
        Ok(())
    }

    /// Whether many endings stay only because files of the log are not settled, by a sample.
    pub(crate) fn endings_wait(&self) -> Result<bool> {
        let _work = self.shelf.work.lock();
        let layers = self.index.layers();
        let Some(next) = self.next_terms(&layers)? else { return Ok(false) };
        let mut plan = self.plan(&next, self.moments.held());
        Ok(self.lapsed(&layers, &mut plan)?.waits())
    }

    /// How much of the tables has lapsed, by a sample: versions on pages that are drawn, each judged among all of its key.
    fn lapsed(&self, layers: &Layers, plan: &mut Plan) -> Result<Share> {
        let pages: u64 = layers.tables.iter().map(|table| table.cell_pages()).sum();
        let mut drawn: Vec<(Vec<u8>, VersionRef)> = Vec::new();
        for _ in 0..SAMPLES.min(pages.saturating_mul(8)) {
            drawn.extend(self.drawn(layers, pages)?);
        }
        drawn.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (mut share, mut keep, mut once_settled) = (Share::default(), Vec::new(), Vec::new());
        for of_key in drawn.chunk_by(|a, b| a.0 == b.0) {
            let (collection, key) = of_key[0].0.split_first_chunk().expect("a collection stands in front");
            let collection = u32::from_be_bytes(*collection);
            let versions = layers.in_tables(collection, key, JUDGED_MAX)?;
            let Some(last) = versions.len().checked_sub(1) else { continue }; // a table that is damaged, as a merge will tell
            keep.clear();
            keep.resize(versions.len(), true);
            once_settled.clone_from(&keep);
            let whole = versions.len() < JUDGED_MAX;
            plan.judge(collection, key, &versions, whole, &mut keep);
            let settled = std::mem::replace(&mut plan.settled, Lsn::MAX);
            plan.judge(collection, key, &versions, whole, &mut once_settled);
            plan.settled = settled;
            for (_, version) in of_key {
                // one that stands behind so many newer ones is taken to have lapsed as far as the last of them
                let at = versions.partition_point(|other| other.lsn > version.lsn).min(last);
                share.note(listed_bytes(key, version), !keep[at]);
                share.waiting += u64::from(keep[at] && !once_settled[at]);
            }
        }
        Ok(share)
    }

    /// A version of some page of the tables.
    fn drawn(&self, layers: &Layers, pages: u64) -> Result<Option<(Vec<u8>, VersionRef)>> {
        let entropy = &self.wal.env().entropy;
        let mut page = entropy.next_u64() % pages.max(1);
        for table in &layers.tables {
            if page >= table.cell_pages() {
                page -= table.cell_pages();
                continue;
            }
            let mut cursor = table.cursor();
            cursor.seek_page(page)?;
            for _ in 0..entropy.next_u64() % 64 {
                cursor.next()?; // into the page, or into the one behind it
            }
            return Ok(cursor.next()?.map(|(full, version)| (full.to_vec(), version)));
        }
        Ok(None)
    }

    /// Notes, durably, that the clock stood more than a day ahead of the log when the store was opened: before anything
    /// is written by it.
    pub(crate) fn note_leap(&self) {
        if self.wal.report().clock != savehold_wal::report::ClockNote::Ahead {
            return;
        }
        let leapt_us = self.wal.time_us();
        if self.wal.read_only().is_some()
            || self.shelf.name(&self.wal, |manifest| manifest.leapt_us = leapt_us).is_err()
        {
            self.shelf.manifest.lock().leapt_us = leapt_us; // with the next that is named
        }
    }

    /// Takes it that the clock is right: what a leap has lapse may be dropped. Durable on return.
    pub(crate) fn trust_clock(&self) -> Result<()> {
        self.shelf.name(&self.wal, |manifest| manifest.leapt_us = 0)
    }

    /// Until when nothing is dropped, engine time in microseconds, because the clock leapt; `None`: it did not.
    pub(crate) fn nothing_goes_until(&self) -> Option<u64> {
        let until_us = self.shelf.manifest.lock().leapt_us.saturating_add(LEAP_US);
        (until_us > LEAP_US && until_us > self.wal.time_us()).then_some(until_us)
    }

    /// The newest commit whose outcome was dropped, if one was.
    pub(crate) fn forgotten(&self) -> Option<Lsn> {
        Some(self.shelf.manifest.lock().forgotten).filter(|lsn| *lsn > Lsn::NONE)
    }

    /// The oldest moment that somebody keeps, where time alone no longer keeps every moment.
    pub(crate) fn oldest_moment(&self) -> Option<OldestMoment> {
        let every = self.moments.terms().every;
        let pins = self.known_pins().into_iter();
        let pins = pins.map(|pin| (pin.version, format!("pin {:?}", pin.name)));
        let open = self.moments.open(self.wal.env().clock.monotonic()).into_iter();
        let open = open.map(|open| {
            let keeper = format!("snapshot of {}, open for {} s", open.owner, open.age.as_secs());
            (open.version, keeper)
        });
        let (version, keeper) = pins.chain(open).filter(|(version, _)| version.lsn() < every).min()?;
        let time_us = self.wal.time_of(version.lsn()).ok().flatten();
        Some(OldestMoment { version, time_us, keeper })
    }
}
