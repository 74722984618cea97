//! The tail index beside a model that cannot be wrong: a sorted map of keys to sorted maps of versions.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicU64, Ordering};

use savehold_wal::Lsn;

use super::hash::KeyHasher;
use super::ordered::{Address, Keys, Ordered};
use super::{Direction, Entry, KeyRange, Kind, Page, Place, Staging, TailIndex, VersionRef};
use crate::ids::CollectionId;
use crate::limits::RESERVED_KEY_BYTES_MAX;
use crate::record::Cause;
use crate::tests::Dice;

/// All of a hash; the partition alone; the tag alone; a few bits of each; nothing, so that every key collides.
const MASKS: [u64; 5] = [u64::MAX, 63 << 58, u64::MAX >> 6, (3 << 58) | (3 << 56), 0];

fn shuffle<T>(dice: &mut Dice, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, dice.below(last + 1));
    }
}

fn lsn(number: usize) -> Lsn {
    Lsn::new(1, number as u64)
}

/// A version whose place and kind follow from its number.
fn version(number: usize) -> VersionRef {
    let kind = if number % 5 == 4 { Kind::Remove } else { Kind::Put };
    let place = Place { offset: number as u32 * 3, bytes: Place::BYTES_MAX - number as u32 };
    let cause = if number % 5 == 2 { Cause::Autosave } else { Cause::Explicit };
    VersionRef { lsn: lsn(number), place, kind, cause }
}

#[derive(Clone)]
struct Write {
    collection: u32,
    key: Vec<u8>,
    number: usize,
}

impl Write {
    fn new(collection: u32, key: impl Into<Vec<u8>>, number: usize) -> Self {
        Self { collection, key: key.into(), number }
    }

    fn entry(&self) -> Entry<'_> {
        Entry { collection: self.collection, key: &self.key, version: version(self.number) }
    }
}

/// Keys short and long, some the beginning of others, some with zeros.
fn key(dice: &mut Dice) -> Vec<u8> {
    let length = [1, 2, 3, 7, 8, 9, 16, 40, 200, RESERVED_KEY_BYTES_MAX][dice.below(10)];
    let byte = [0, 1, b'a', 0xff][dice.below(4)];
    let mut key = vec![byte; length];
    key[length - 1] = dice.below(4) as u8;
    key[length / 2] ^= dice.below(3) as u8;
    key
}

/// In collections of the store's own, and in the first of the others.
fn writes(dice: &mut Dice, count: usize) -> Vec<Write> {
    let first = CollectionId::FIRST.0 - 2;
    (1..=count).map(|number| Write::new(first + dice.below(3) as u32, key(dice), number)).collect()
}

fn masked(mask: u64) -> TailIndex {
    TailIndex::with_hasher(KeyHasher::masked(7, mask))
}

fn load(index: &TailIndex, writes: &[Write]) {
    let mut loader = index.loader(Staging::default());
    writes.iter().for_each(|write| loader.push(write.entry()));
}

#[derive(Default)]
struct Model(BTreeMap<(u32, Vec<u8>), BTreeMap<Lsn, VersionRef>>);

impl Model {
    fn of(writes: &[Write]) -> Self {
        let mut model = Self::default();
        for write in writes {
            let versions = model.0.entry((write.collection, write.key.clone())).or_default();
            versions.insert(lsn(write.number), version(write.number));
        }
        model
    }

    fn range(&self, collection: u32, range: &KeyRange<'_>, as_of: Lsn) -> Vec<(Vec<u8>, VersionRef)> {
        let of_collection = self.0.iter().filter(|((of, key), _)| *of == collection && range.contains(key));
        of_collection
            .filter_map(|((_, key), v)| Some((key.clone(), *v.range(..=as_of).next_back()?.1)))
            .collect()
    }

    /// Every question about every key, before, between and behind all versions.
    fn expect(&self, index: &TailIndex, last: usize) {
        assert_eq!(index.keys(), self.0.len());
        assert_eq!(index.versions_total(), self.0.values().map(BTreeMap::len).sum::<usize>());
        for ((collection, key), versions) in &self.0 {
            let newest_first: Vec<_> = versions.values().rev().copied().collect();
            assert_eq!(index.newest(*collection, key), newest_first.first().copied());
            assert_eq!(index.newest(collection + 9, key), None);
            for as_of in versions.keys().flat_map(|at| [at.raw() - 1, at.raw()]).map(Lsn::from_raw) {
                let expected = versions.range(..=as_of).next_back().map(|(_, version)| *version);
                assert_eq!(index.at(*collection, key, as_of), expected);
            }
            for limit in [1, 7, usize::MAX] {
                assert_eq!(all_versions(index, *collection, key, limit), newest_first);
            }
        }
        for as_of in [0, last / 2, last].map(lsn) {
            self.expect_range(index, KeyRange::ALL, as_of);
        }
    }

    fn expect_range(&self, index: &TailIndex, range: KeyRange<'_>, as_of: Lsn) {
        for collection in [0, 1].into_iter().chain(CollectionId::FIRST.0 - 2..=CollectionId::FIRST.0 + 1) {
            let mut expected = self.range(collection, &range, as_of);
            for limit in [1, 10, usize::MAX] {
                assert_eq!(pages(index, collection, range, as_of, limit, Direction::Ascending), expected);
            }
            expected.reverse();
            for limit in [1, 10, usize::MAX] {
                assert_eq!(pages(index, collection, range, as_of, limit, Direction::Descending), expected);
            }
        }
    }
}

fn all_versions(index: &TailIndex, collection: u32, key: &[u8], limit: usize) -> Vec<VersionRef> {
    let (mut all, mut before) = (Vec::new(), Lsn::MAX);
    loop {
        let page = index.versions(collection, key, before, limit);
        let Some(last) = page.last().filter(|_| page.len() <= limit) else { return all };
        before = last.lsn;
        all.extend(page);
    }
}

/// All pages of a range. Each but the last is full.
fn pages(
    index: &TailIndex,
    collection: u32,
    range: KeyRange<'_>,
    as_of: Lsn,
    limit: usize,
    direction: Direction,
) -> Vec<(Vec<u8>, VersionRef)> {
    let (mut all, mut after): (Vec<_>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let page: Page = index.range(collection, range, after.as_deref(), as_of, limit, direction);
        assert!(page.len() <= limit);
        assert_eq!(page.last_key(), page.iter().next_back().map(|(key, _)| key));
        all.extend(page.iter().map(|(key, version)| (key.to_vec(), version)));
        if page.len() < limit {
            let after = page.last_key().map(<[u8]>::to_vec).or(after);
            assert!(
                index.range(collection, range, after.as_deref(), as_of, 1, direction).is_empty()
                    || after.is_none()
            );
            return all;
        }
        after = page.last_key().map(<[u8]>::to_vec);
    }
}

#[test]
fn whatever_the_order_and_however_often_entries_come_the_index_is_the_same() {
    for (seed, mask) in MASKS.into_iter().enumerate() {
        let mut dice = Dice::new(seed as u64);
        let mut writes = writes(&mut dice, 600);
        let model = Model::of(&writes);
        let twice = writes[..200].to_vec();
        writes.extend(twice);
        shuffle(&mut dice, &mut writes);
        let (inserted, loaded, mixed) = (masked(mask), masked(mask), masked(mask));
        writes.iter().for_each(|write| inserted.insert(write.entry()));
        load(&loaded, &writes);
        load(&mixed, &writes[..500]);
        writes[300..].iter().for_each(|write| mixed.insert(write.entry()));
        for index in [inserted, loaded, mixed] {
            model.expect(&index, 600);
        }
    }
}

#[test]
fn two_loaders_and_a_committer_at_once_lose_nothing() {
    for (seed, mask) in [u64::MAX, u64::MAX >> 6, 63 << 58].into_iter().enumerate() {
        let mut writes = writes(&mut Dice::new(seed as u64), 3000);
        let model = Model::of(&writes);
        shuffle(&mut Dice::new(99), &mut writes);
        let index = masked(mask);
        std::thread::scope(|scope| {
            scope.spawn(|| load(&index, &writes[..1500]));
            scope.spawn(|| load(&index, &writes[1000..2500]));
            writes[2000..].iter().for_each(|write| index.insert(write.entry()));
        });
        model.expect(&index, 3000);
    }
}

#[test]
fn a_key_written_thousands_of_times_keeps_every_version_in_any_order() {
    let ascending: Vec<Write> = (1..=3000).map(|number| Write::new(1, *b"hot", number)).collect();
    let model = Model::of(&ascending);
    let mut descending = ascending.clone();
    descending.reverse();
    let mut shuffled = ascending.clone();
    shuffle(&mut Dice::new(3), &mut shuffled);
    let halves = [&ascending[1500..], &ascending[..1500]].concat();
    let (even, odd): (Vec<_>, Vec<_>) = ascending.iter().cloned().partition(|write| write.number % 2 == 0);
    let gaps_last = [even, odd].concat();
    for writes in [ascending, descending, shuffled, halves, gaps_last] {
        let index = TailIndex::new(1);
        load(&index, &writes);
        load(&index, &writes[..100]);
        model.expect(&index, 3000);
        assert!(index.memory_bytes() < 3000 * 40, "{} bytes", index.memory_bytes());
    }
}

#[test]
fn chains_that_became_runs_leave_their_links_to_others() {
    let history_bytes = |versions: usize| {
        let writes: Vec<Write> =
            (1..=200 * versions).map(|number| Write::new(1, [(number / versions) as u8], number)).collect();
        let index = masked(0);
        load(&index, &writes);
        Model::of(&writes).expect(&index, writes.len());
        index.memory_bytes()
    };
    // A run takes some 300 bytes here; the eight links of 24 bytes that it replaces serve the next key.
    let (chains, runs) = (history_bytes(9), history_bytes(11));
    assert!(runs < chains + 200 * 200, "{chains} bytes in chains, {runs} in runs");
}

#[test]
fn a_key_that_came_to_a_view_both_ways_is_there_once() {
    let keys = |numbers: &[u32]| {
        let mut keys = Keys::default();
        for number in numbers {
            keys.push(&number.to_be_bytes(), Address { partition: 0, place: *number });
        }
        keys
    };
    let mut view = Ordered::default();
    view.extend(keys(&[3, 1, 2, 3, 1]));
    view.extend(keys(&(0..1000).collect::<Vec<_>>()));
    view.extend(keys(&[1, 500, 1000, 500]));
    let mut places = Vec::new();
    view.visit(
        Direction::Ascending,
        |_| false,
        |_| false,
        |_, address| {
            places.push(address.place);
            ControlFlow::Continue(())
        },
    );
    assert!(places.into_iter().eq(0..=1000));
}

#[test]
fn what_was_loaded_before_a_watch_is_told_by_the_keys() {
    let index = TailIndex::new(15);
    load(&index, &(1..=100).map(|n| Write::new(1, [n as u8], n)).collect::<Vec<_>>());
    let guard = index.watch(lsn(50));
    load(&index, &[Write::new(1, *b"loaded", 101)]);
    let touched = |key: &[u8], since| index.touched_since(1, KeyRange::prefix(key), lsn(since));
    assert!(touched(&[51], 50) && !touched(&[51], 51) && !touched(&[50], 50));
    assert!(touched(b"loaded", 100) && !touched(b"loaded", 101));
    drop(guard);
    assert!(touched(&[51], 50) && !touched(&[50], 50));
}

#[test]
fn keys_of_all_lengths_fill_arenas_past_their_largest_chunk() {
    let index = masked(u64::MAX >> 6);
    let key = |number: usize| {
        let mut key = (number as u16).to_be_bytes().to_vec();
        key.resize(2 + (number * 7919) % (RESERVED_KEY_BYTES_MAX - 1), b'k');
        key
    };
    let mut writes: Vec<Write> = (1..=4000).map(|number| Write::new(2, key(number), number)).collect();
    writes.extend([1, RESERVED_KEY_BYTES_MAX].map(|length| Write::new(2, vec![b'z'; length], 4000 + length)));
    load(&index, &writes);
    assert!(index.memory_bytes() > 2 << 20);
    let model = Model::of(&writes);
    assert_eq!(index.keys(), model.0.len());
    for ((collection, key), versions) in &model.0 {
        assert_eq!(index.newest(*collection, key).as_ref(), versions.values().next_back());
    }
    assert_eq!(index.newest(2, &[b'z'; RESERVED_KEY_BYTES_MAX - 1]), None);
    model.expect_range(&index, KeyRange::prefix(b"zz"), Lsn::MAX);
}

#[test]
fn ranges_prefixes_and_pages_answer_as_the_model_does_before_and_after_new_keys() {
    let mut dice = Dice::new(5);
    let mut writes = writes(&mut dice, 1500);
    shuffle(&mut dice, &mut writes);
    let index = TailIndex::new(5);
    // The first part is sorted at once, the second sorted again, the others are added one by one.
    for (from, to) in [(0, 200), (200, 900), (900, 920), (920, 925), (925, 1500)] {
        load(&index, &writes[from..to]);
        let model = Model::of(&writes[..to]);
        let (low, high) = (key(&mut dice), key(&mut dice));
        for range in [
            KeyRange::ALL,
            KeyRange::prefix(b"a"),
            KeyRange::prefix(&[0xff]),
            KeyRange::prefix(&[0xff, 0xff]),
            KeyRange::prefix(&low),
            KeyRange::between(Bound::Included(&low), Bound::Unbounded),
            KeyRange::between(Bound::Excluded(&low), Bound::Excluded(&high)),
            KeyRange::between(Bound::Included(&low), Bound::Included(&high)),
            KeyRange { from: Bound::Excluded(&low), to: Bound::Unbounded, prefix: b"a" },
        ] {
            model.expect_range(&index, range, lsn(700));
            model.expect_range(&index, range, Lsn::MAX);
        }
    }
}

#[test]
fn a_page_is_full_while_keys_follow_even_behind_keys_that_came_later() {
    let index = TailIndex::new(6);
    for number in 0..2000usize {
        // Every hundredth key is old enough to be seen.
        let written = if number.is_multiple_of(100) { 1 } else { 50 };
        index.insert(Write::new(1, (number as u32).to_be_bytes(), written).entry());
    }
    for direction in [Direction::Ascending, Direction::Descending] {
        assert_eq!(index.range(1, KeyRange::ALL, None, lsn(10), 5, direction).len(), 5);
        assert_eq!(pages(&index, 1, KeyRange::ALL, lsn(10), 3, direction).len(), 20);
    }
    assert!(index.range(1, KeyRange::ALL, None, Lsn::NONE, 5, Direction::Ascending).is_empty());
    assert_eq!(index.range(1, KeyRange::ALL, None, lsn(10), 0, Direction::Ascending).len(), 1);
}

#[test]
fn blocks_of_the_ordered_view_split_and_stay_sorted() {
    let index = TailIndex::new(8);
    let mut numbers: Vec<u32> = (0..20_000).collect();
    shuffle(&mut Dice::new(8), &mut numbers);
    for (done, number) in numbers.iter().enumerate() {
        index.insert(Write::new(1, number.to_be_bytes(), done + 1).entry());
        if done == 15_000 || done > 15_000 && done % 50 == 0 {
            assert!(!index.range(1, KeyRange::ALL, None, Lsn::MAX, 1, Direction::Ascending).is_empty());
        }
    }
    let page = index.range(1, KeyRange::ALL, None, Lsn::MAX, usize::MAX, Direction::Ascending);
    assert!(
        page.iter().map(|(key, _)| key).eq((0..20_000u32).map(u32::to_be_bytes).collect::<Vec<_>>().iter())
    );
}

#[test]
fn touched_ranges_are_told_exactly_with_and_without_a_watch() {
    let mut dice = Dice::new(9);
    let index = TailIndex::new(9);
    let mut model = Vec::new();
    let mut guards = Vec::new();
    for number in 1..=1200 {
        let write = Write::new(dice.below(2) as u32, key(&mut dice), number);
        index.insert(write.entry());
        model.push(write);
        match dice.below(6) {
            0 => guards.push(index.watch(lsn(dice.below(number + 1)))),
            1 if !guards.is_empty() => drop(guards.swap_remove(dice.below(guards.len()))),
            2 => guards.clear(),
            _ => {}
        }
        let prefix = key(&mut dice);
        let range = KeyRange::prefix(&prefix[..prefix.len().min(3)]);
        for since in [number, number - 1, number - number.min(20), dice.below(number + 1)] {
            let expected =
                model[since..].iter().any(|write| write.collection == 1 && range.contains(&write.key));
            assert_eq!(index.touched_since(1, range, lsn(since)), expected, "write {number} since {since}");
        }
    }
}

#[test]
fn an_old_entry_that_comes_late_touches_nothing_newer() {
    let index = TailIndex::new(10);
    let guard = index.watch(lsn(50));
    assert_eq!(guard.since(), lsn(50));
    index.insert(Write::new(1, *b"a", 100).entry());
    index.insert(Write::new(1, *b"b", 60).entry());
    index.insert(Write::new(1, *b"c", 40).entry());
    let touched = |key, since| index.touched_since(1, KeyRange::prefix(key), lsn(since));
    assert!(touched(b"a", 99) && !touched(b"a", 100));
    assert!(touched(b"b", 59) && !touched(b"b", 60));
    assert!(touched(b"c", 39) && !touched(b"c", 40));
}

#[test]
fn writes_past_what_is_remembered_are_still_told() {
    let index = TailIndex::new(11);
    let guard = index.watch(lsn(0));
    for number in 1..=6000u32 {
        let mut key = vec![b'k'; RESERVED_KEY_BYTES_MAX];
        key[..4].copy_from_slice(&number.to_be_bytes());
        index.insert(Write::new(1, key, number as usize).entry());
    }
    let touched =
        |number: u32, since| index.touched_since(1, KeyRange::prefix(&number.to_be_bytes()), lsn(since));
    for number in [1, 2, 1500, 3000, 5999, 6000] {
        assert!(touched(number, number as usize - 1) && !touched(number, number as usize));
        assert!(touched(number, 0));
    }
    let remembering = index.memory_bytes();
    drop(guard);
    assert!(index.memory_bytes() + (3 << 20) < remembering, "what is not watched is forgotten");
}

#[test]
fn readers_beside_a_writer_see_every_insertion_that_had_returned() {
    const WRITES: u64 = 4000;
    let index = TailIndex::new(12);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=WRITES {
                let key = (number * 7919 % WRITES) as u32;
                index
                    .insert(Write::new(12 + (number % 8) as u32, key.to_be_bytes(), number as usize).entry());
                done.store(number, Ordering::Release);
            }
        });
        let mut round = 0;
        while done.load(Ordering::Acquire) < WRITES {
            // Each round may be the first read of a collection, while the writer goes on.
            round += 1;
            let collection = round % 8;
            let before = done.load(Ordering::Acquire);
            let seen = index.range(
                12 + collection,
                KeyRange::ALL,
                None,
                lsn(before as usize),
                usize::MAX,
                Direction::Ascending,
            );
            let expected = (1..=before).filter(|number| number % 8 == u64::from(collection)).count();
            assert_eq!(seen.len(), expected);
            let guard = (round % 3 == 0).then(|| index.watch(lsn(before as usize)));
            let after = done.load(Ordering::Acquire);
            let touched = index.touched_since(12 + collection, KeyRange::ALL, lsn(before as usize));
            assert!(touched || !(before + 1..=after).any(|number| number % 8 == u64::from(collection)));
            drop(guard);
        }
    });
}

#[test]
fn when_a_key_came_to_be_is_known_of_its_newest_version_as_far_as_that_was_said() {
    let index = TailIndex::new(15);
    let insert = |number, created_us| {
        index.insert_created(Write::new(16, "key", number).entry(), created_us);
        index.newest_created(16, b"key").unwrap()
    };
    assert_eq!(index.newest_created(16, b"key"), None);
    assert_eq!(insert(3, 7), (version(3), 7));
    assert_eq!(insert(2, 9), (version(3), 7), "an older version changes nothing");
    assert_eq!(insert(3, 9), (version(3), 7), "nor does the same");
    assert_eq!(insert(5, 8), (version(5), 8));
    assert_eq!(insert(4, 9), (version(5), 8), "an older one behind the first");
    assert_eq!(insert(6, 0), (version(6), 0), "it is not known of this one");
    assert_eq!(insert(7, u64::MAX), (version(7), u64::MAX));
    load(&index, &[Write::new(16, "key", 9)]);
    assert_eq!(index.newest_created(16, b"key"), Some((version(9), 0)), "a replay does not look at values");
    assert_eq!(index.newest_created(16, b"another"), None);
}

#[test]
fn a_reserved_index_never_doubles_a_table_while_it_is_filled() {
    let index = TailIndex::new(13);
    index.reserve(20_000);
    let empty = index.memory_bytes();
    let writes: Vec<Write> = (1..=20_000).map(|n| Write::new(16, (n as u32).to_le_bytes(), n)).collect();
    load(&index, &writes);
    assert!((20_000 * 40..20_000 * 40 + 4096).contains(&(index.memory_bytes() - empty)));
}

#[test]
fn a_key_with_one_version_takes_56_bytes_at_most_beside_the_key() {
    // Tables double at 13/16: the second size is just past that, where most slots are vacant.
    for keys in [100_000, 108_000, 200_000] {
        let index = TailIndex::new(14);
        let mut loader = index.loader(Staging::default());
        for number in 0..keys {
            let key = (number as u128 * 0x9e37_79b9_7f4a_7c15).to_le_bytes();
            loader.push(Entry { collection: 16, key: &key, version: version(number) });
        }
        drop(loader);
        let bytes = index.memory_bytes() as f64 / keys as f64 - 16.0;
        assert!(bytes <= 56.0, "{keys} keys: {bytes} bytes");
    }
}

#[test]
fn another_seed_is_another_hash() {
    let places = |seed| {
        let hasher = KeyHasher::new(seed);
        (0..64u32).map(|number| hasher.hash(1, &number.to_le_bytes()).partition).collect::<Vec<_>>()
    };
    assert_eq!(places(1), places(1));
    assert_ne!(places(1), places(2));
    let hasher = KeyHasher::new(1);
    assert_ne!(hasher.hash(1, b"key"), hasher.hash(2, b"key"));
}

#[test]
#[should_panic(expected = "checked against the limits")]
fn a_key_longer_than_any_record_may_hold_is_our_own_mistake() {
    TailIndex::new(0).insert(Write::new(1, vec![0; RESERVED_KEY_BYTES_MAX + 1], 1).entry());
}
