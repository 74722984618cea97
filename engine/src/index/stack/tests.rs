//! The whole index beside a model that cannot be wrong, while tails are frozen, written out and merged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;

use savehold_wal::format::checksum::StoreId;

use super::*;
use crate::index::table::{Bytes, Identity, Page as TablePage, Writer};
use crate::index::{Judge, KeepAll, Kind, Merge, Place};
use crate::record::Cause;
use crate::tests::Dice;

const STORE: StoreId = StoreId([3; 16]);

type Model = BTreeMap<(u32, Vec<u8>), BTreeMap<Lsn, VersionRef>>;

fn lsn(number: usize) -> Lsn {
    Lsn::new(2, 10 * number as u64)
}

fn version(number: usize) -> VersionRef {
    match number % 6 {
        5 => VersionRef {
            lsn: lsn(number),
            place: Place { offset: 0, bytes: 0 },
            kind: Kind::Remove,
            cause: cause(number),
        },
        _ => VersionRef {
            lsn: lsn(number),
            place: Place { offset: number as u32, bytes: 7 * number as u32 },
            kind: Kind::Put,
            cause: cause(number),
        },
    }
}

/// What is kept with a version in memory; of every fourth nothing.
fn created_us(number: usize) -> u64 {
    number as u64 % 4 * 1000
}

fn cause(number: usize) -> Cause {
    if number % 3 == 1 { Cause::Autosave } else { Cause::Explicit }
}

struct World {
    index: Index,
    model: Model,
    /// Versions so far.
    count: usize,
    tables: u64,
}

impl World {
    fn new() -> Self {
        Self { index: Index::new(9, Vec::new(), Lsn::NONE, 0), model: Model::new(), count: 0, tables: 0 }
    }

    fn write(&mut self, collection: u32, key: &[u8]) {
        self.count += 1;
        let version = version(self.count);
        self.index.tail().insert_created(Entry { collection, key, version }, created_us(self.count));
        self.model.entry((collection, key.to_vec())).or_default().insert(version.lsn, version);
    }

    fn identity(&mut self, high: Lsn) -> Identity {
        self.tables += 1;
        Identity { store: STORE, number: self.tables, random: self.tables * 77, low: Lsn::NONE, high }
    }

    fn freeze(&self) -> bool {
        self.index.freeze(Lsn::from_raw(lsn(self.count).raw() + 1))
    }

    fn thaw(&mut self) {
        let layers = self.index.layers();
        let Some(frozen) = layers.frozen.last() else { return };
        let identity = self.identity(frozen.high);
        let table = table(identity, |mut writer| {
            frozen.tail.export(|| (), |entry| writer.push(entry)).unwrap();
            writer.finish().unwrap();
        });
        self.index.thaw(table);
    }

    fn merge(&mut self, count: usize, judge: &mut dyn Judge) {
        let layers = self.index.layers();
        let count = count.min(layers.tables.len());
        if count < 2 {
            return;
        }
        let merged = &layers.tables[..count];
        let identity = self.identity(merged[0].facts().high);
        let table = table(identity, |writer| {
            let mut merge = Merge::new(merged, writer, count == layers.tables.len()).unwrap();
            while merge.step(judge, 3).unwrap() {}
            merge.finish().unwrap();
        });
        self.index.put_in_place(merged, vec![table], 1);
    }

    /// Every question, at several moments.
    fn expect(&self, dice: &mut Dice) {
        let moments = [0, self.count / 3, self.count / 2, self.count].map(lsn);
        for ((collection, key), versions) in &self.model {
            let newest_first: Vec<_> = versions.values().rev().copied().collect();
            for limit in [1, 3, 100] {
                let mut found = Vec::new();
                let mut before = Lsn::MAX;
                loop {
                    let page = self.index.versions(*collection, key, before, limit).unwrap();
                    let Some(last) = page.last() else { break };
                    before = last.lsn;
                    found.extend(page);
                }
                assert_eq!(found, newest_first);
            }
            for moment in moments {
                let expected = versions.range(..=moment).next_back().map(|(_, version)| *version);
                assert_eq!(self.index.at(*collection, key, moment).unwrap(), expected);
                // whoever read it then, and commits now
                let seen = expected.map_or(Lsn::NONE, |version| version.lsn);
                let changed = newest_first[0].lsn != seen;
                assert_eq!(self.index.changed(*collection, key, seen, moment).unwrap(), changed);
            }
            let newest = newest_first[0];
            let number = (newest.lsn.raw() - lsn(0).raw()) as usize / 10;
            let in_memory = self.index.layers().tails().any(|tail| tail.newest(*collection, key).is_some());
            let created_us = if in_memory { created_us(number) } else { 0 };
            assert_eq!(self.index.newest_created(*collection, key).unwrap(), Some((newest, created_us)));
            assert_eq!(self.index.newest_created(collection ^ 64, key).unwrap(), None);
            assert_eq!(self.index.newest(collection ^ 64, key).unwrap(), None);
            for moment in [Lsn::NONE, Lsn::MAX] {
                assert!(!self.index.changed(collection ^ 64, key, Lsn::NONE, moment).unwrap());
            }
        }
        let largest = self.model.keys().map(|(collection, _)| *collection).max().unwrap_or(0);
        assert_eq!(self.index.largest_collection().unwrap(), largest);
        let (a, b) = (key(dice), key(dice));
        let bounds = [Bound::Included(&a[..]), Bound::Excluded(&a[..]), Bound::Unbounded];
        let ends = [Bound::Included(&b[..]), Bound::Excluded(&b[..]), Bound::Unbounded];
        let between = bounds.iter().zip(ends).map(|(from, to)| KeyRange::between(*from, to));
        for range in between.chain([KeyRange::ALL, KeyRange::prefix(&a), KeyRange::prefix(&[0xff])]) {
            for moment in moments {
                self.expect_range(range, moment);
            }
        }
    }

    fn expect_range(&self, range: KeyRange<'_>, moment: Lsn) {
        for collection in [0, 1, u32::MAX] {
            let of_range = self.model.iter().filter(|((c, key), _)| *c == collection && range.contains(key));
            let touched = of_range.clone().any(|(_, versions)| versions.keys().next_back() > Some(&moment));
            assert_eq!(self.index.touched_since(collection, range, moment).unwrap(), touched);
            let at = |versions: &BTreeMap<Lsn, VersionRef>| {
                versions.range(..=moment).next_back().map(|(_, version)| *version)
            };
            let mut expected: Vec<(Vec<u8>, VersionRef)> =
                of_range.filter_map(|((_, key), versions)| Some((key.clone(), at(versions)?))).collect();
            for direction in [Direction::Ascending, Direction::Descending] {
                for limit in [1, 4, 1000] {
                    let found = self.pages(collection, range, moment, limit, direction);
                    assert_eq!(found, expected, "{range:?} at {moment} by {limit}, {direction:?}");
                }
                expected.reverse();
            }
        }
    }

    fn pages(
        &self,
        collection: u32,
        range: KeyRange<'_>,
        moment: Lsn,
        limit: usize,
        direction: Direction,
    ) -> Vec<(Vec<u8>, VersionRef)> {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page =
                self.index.range(collection, range, after.as_deref(), moment, limit, direction).unwrap();
            found.extend(page.iter().map(|(key, version)| (key.to_vec(), version)));
            if page.len() < limit {
                return found;
            }
            after = page.last_key().map(<[u8]>::to_vec);
        }
    }
}

fn table(
    identity: Identity,
    write: impl FnOnce(Writer<&mut dyn FnMut(&TablePage) -> Result<()>>),
) -> Arc<Table> {
    let mut bytes = Vec::new();
    let mut sink = |page: &TablePage| {
        bytes.extend_from_slice(page);
        Ok(())
    };
    write(Writer::new(identity, &mut sink));
    let path = Path::new("index/some.idx");
    let table = Table::open(Bytes::Memory(bytes.into()), STORE, identity.number, identity.random, path);
    let table = table.unwrap();
    table.verify().unwrap();
    Arc::new(table)
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let length = 1 + dice.below(5);
    (0..length).map(|_| [0, 1, b'm', 0xfe, 0xff][dice.below(5)]).collect()
}

/// Hot keys get versions by the hundred, so that what lies behind a scan's patience is met too.
fn some_key(dice: &mut Dice) -> (u32, Vec<u8>) {
    let collection = [0, 1, u32::MAX][dice.below(3)];
    let key = if dice.below(4) == 0 { b"m".to_vec() } else { key(dice) };
    (collection, key)
}

#[test]
fn reads_are_the_same_whatever_is_frozen_written_out_and_merged() {
    for seed in 0..12 {
        let dice = &mut Dice::new(seed);
        let mut world = World::new();
        for _ in 0..10 {
            for _ in 0..dice.below(120) {
                let (collection, key) = some_key(dice);
                world.write(collection, &key);
            }
            match dice.below(4) {
                0 => _ = world.freeze(),
                1 => world.thaw(),
                2 => {
                    world.freeze();
                    world.thaw();
                }
                _ => world.merge(2 + dice.below(3), &mut KeepAll),
            }
            world.expect(dice);
        }
    }
}

#[test]
fn a_run_sees_what_changed_since_its_moment_though_all_of_it_went_into_tables_meanwhile() {
    let mut world = World::new();
    world.write(1, b"key");
    world.write(1, b"other");
    let (seen, moment) = (lsn(1), lsn(2));
    let changed = |world: &World| {
        let range = world.index.touched_since(1, KeyRange::prefix(b"ke"), moment).unwrap();
        assert_eq!(world.index.changed(1, b"key", seen, moment).unwrap(), range);
        range
    };
    let watch = world.index.watch(moment);
    assert!(!changed(&world));
    assert!(world.freeze());
    world.thaw();
    assert!(!changed(&world));
    world.write(1, b"key");
    assert!(changed(&world));
    assert!(world.freeze());
    assert!(changed(&world));
    world.thaw();
    assert!(changed(&world), "answered by the table: memory does not reach back so far");
    drop(watch);
    world.write(1, b"more");
    assert!(changed(&world));
}

#[test]
fn nothing_is_frozen_where_nothing_was_written() {
    let mut world = World::new();
    assert!(!world.freeze());
    world.write(1, b"key");
    assert!(world.freeze());
    assert!(!world.freeze(), "what is on its way is not frozen again");
}

/// Keeps the newest version of each key, and of removals only those that something older may stand behind.
struct NewestOnly(BTreeSet<(u32, Vec<u8>)>);

impl Judge for NewestOnly {
    fn judge(
        &mut self,
        collection: u32,
        key: &[u8],
        versions: &[VersionRef],
        oldest: bool,
        keep: &mut [bool],
    ) {
        assert!(versions.windows(2).all(|pair| pair[0].lsn > pair[1].lsn), "newest first");
        assert!(self.0.insert((collection, key.to_vec())), "each key is judged once");
        keep[1..].fill(false);
        keep[0] = !(oldest && versions[0].kind == Kind::Remove);
    }
}

#[test]
fn what_is_judged_to_go_is_gone_and_all_else_stays() {
    let dice = &mut Dice::new(5);
    let mut world = World::new();
    for _ in 0..4 {
        for _ in 0..200 {
            let (collection, key) = some_key(dice);
            world.write(collection, &key);
        }
        world.freeze();
        world.thaw();
    }
    world.merge(4, &mut NewestOnly(BTreeSet::new()));
    for versions in world.model.values_mut() {
        let newest = *versions.values().next_back().unwrap();
        versions.clear();
        if newest.kind == Kind::Put {
            versions.insert(newest.lsn, newest);
        }
    }
    world.model.retain(|_, versions| !versions.is_empty());
    let facts = *world.index.layers().tables[0].facts();
    assert_eq!((facts.keys, facts.removals), (world.model.len() as u64, 0));
    for ((collection, key), versions) in &world.model {
        let expected = versions.values().next_back().copied();
        assert_eq!(world.index.newest(*collection, key).unwrap(), expected);
        assert_eq!(world.index.versions(*collection, key, Lsn::MAX, 9).unwrap().len(), 1);
    }
}

/// Whoever reads page by page takes one that is not full for the last.
#[test]
fn a_page_has_no_more_keys_than_were_asked_for() {
    let mut world = World::new();
    (0..600).for_each(|n| world.write(7, format!("key {n:03}").as_bytes()));
    assert!(world.freeze());
    world.thaw();
    world.write(7, b"a key before them");
    for limit in 1..100 {
        let (mut keys, mut after) = (0, None::<Vec<u8>>);
        loop {
            let (range, up) = (KeyRange::ALL, Direction::Ascending);
            let page = world.index.range(7, range, after.as_deref(), Lsn::MAX, limit, up).unwrap();
            assert!(page.len() <= limit, "{} of {limit}", page.len());
            keys += page.len();
            match page.last_key() {
                Some(last) if page.len() == limit => after = Some(last.to_vec()),
                _ => break,
            }
        }
        assert_eq!(keys, 601, "by pages of {limit}");
    }
}
