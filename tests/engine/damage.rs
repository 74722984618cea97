//! Absent, deleted and damaged are three answers, and a damaged value closes one version, not the store.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use savehold::control::answer;
use savehold::sim::Sim;
use savehold::{
    At, Attributes, Change, ErrorKind, Key, Map, Moments, Next, Once, Options, Restore, Result, Retention,
    Selection, Store, Value, Version, VersionsKept,
};

/// A store with one value damaged on the medium, of which an older version can be read.
fn damaged() -> (Sim, Version, Version) {
    let mut sim = Sim::new(1);
    let store = sim.open().expect("opens");
    let raw = store.raw("raw").expect("a name");
    let older = raw.set("hurt", &Bytes::from_static(b"older and readable")).expect("writes");
    let hurt = raw.set("hurt", &Bytes::from_static(b"newer and to be hurt")).expect("writes");
    raw.set("deleted", &Bytes::from_static(b"x")).expect("writes");
    raw.remove("deleted").expect("writes");
    raw.set("well", &Bytes::from_static(b"whole")).expect("writes");
    store.close().expect("nothing failed");
    hurt_where(&mut sim, b"newer and");
    (sim, older, hurt)
}

/// Flips a bit of every place on the medium where these bytes stand.
pub(crate) fn hurt_where(sim: &mut Sim, bytes: &[u8]) {
    let disk = sim.disk();
    let mut hits = 0;
    for (path, _) in disk.files() {
        let path = PathBuf::from(path);
        let text = disk.read(&path).expect("a file");
        for at in (0..text.len()).filter(|at| text[*at..].starts_with(bytes)) {
            disk.flip_bit(&path, at as u64, 3).expect("it has that byte");
            hits += 1;
        }
    }
    assert!(hits > 0, "nothing stands there to be hurt");
}

/// Flips a bit of the last place in the log where these bytes stand.
fn hurt_last(sim: &mut Sim, bytes: &[u8]) {
    let disk = sim.disk();
    let of = |path: &PathBuf| {
        let text = disk.read(path).expect("a file");
        (0..text.len()).rfind(|at| text[*at..].starts_with(bytes))
    };
    let mut logs: Vec<PathBuf> = disk.files().into_iter().map(|(path, _)| PathBuf::from(path)).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    logs.sort();
    let last = logs.iter().rev().find_map(|path| Some((path, of(path)?)));
    let (path, at) = last.expect("they stand somewhere");
    disk.flip_bit(path, at as u64, 3).expect("it has that byte");
}

#[test]
fn absent_deleted_and_damaged_are_three_answers() -> Result<()> {
    let (mut sim, older, hurt) = damaged();
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    assert_eq!((raw.get("absent")?, raw.versions("absent")?.count()), (None, 0));
    let removed: Vec<bool> = raw.versions("deleted")?.map(|v| v.map(|v| v.removed)).collect::<Result<_>>()?;
    assert_eq!((raw.get("deleted")?, removed), (None, vec![true, false]));
    let e = raw.get("hurt").unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::Damaged, Next::Restore));
    assert_eq!((e.version(), e.older()), (Some(hurt), Some(older)));
    assert!(e.message().starts_with("raw/hurt: ") && e.message().contains(".seg"), "{e}");
    Ok(())
}

#[test]
fn a_damaged_value_closes_one_version_and_all_else_goes_on() -> Result<()> {
    let (mut sim, older, hurt) = damaged();
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    assert_eq!(raw.get_at("hurt", older)?.expect("kept").value, "older and readable");
    assert_eq!(raw.get_at("hurt", hurt).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(raw.get("well")?.expect("whole").value, "whole");
    let listed: Vec<_> = raw.scan("").map(|e| e.map(|e| e.key.to_string()).map_err(|e| e.kind())).collect();
    assert_eq!(listed, [Err(ErrorKind::Damaged), Ok("well".to_owned())]);
    assert_eq!(raw.keys("").count(), 2);
    assert_eq!(raw.update("hurt", |_| Some(Bytes::new())).unwrap_err().kind(), ErrorKind::Damaged);
    raw.set("well", &Bytes::from_static(b"goes on"))?;
    store.close()?;
    let e = sim.open_with(Options::new().verify_on_open(true)).unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::Corrupt, Next::Restore), "{e}");
    Ok(())
}

/// Flips a bit of the value of a key of `$set`, of which the key's own bytes and what the head says stay as they are.
#[test]
fn a_damaged_value_comes_back_out_of_a_backup_as_the_dry_run_says() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let docs = store.raw("docs")?;
    docs.set("a", &Bytes::from_static(b"older"))?;
    docs.set("b", &Bytes::from_static(b"stays"))?;
    let then = store.version();
    store.backup("/backups")?;
    docs.set("a", &Bytes::from_static(b"newer and hurt"))?;
    hurt_where(&mut sim, b"newer and");
    assert_eq!(docs.get("a").expect_err("hurt").kind(), ErrorKind::Damaged);
    let all = Selection::collection("docs");
    let planned = store.restore_keys_preview("/backups", &all, then, Restore::new())?;
    let done = store.restore_keys("/backups", &all, then, Restore::new())?;
    assert_eq!((planned.written, planned.removed, planned.unchanged), (1, 0, 1));
    assert_eq!((done.written, done.removed, done.unchanged), (1, 0, 1));
    assert_eq!(docs.get("a")?.map(|e| e.value), Some(Bytes::from_static(b"older")));
    Ok(())
}

fn hurt_value_of_set(sim: &mut Sim, key: &[u8]) {
    const BEHIND_KEY: usize = 2; // offset and length of the part, which end the head
    const PART_HEADER: usize = 8;
    let disk = sim.disk();
    let mut hits = 0;
    for (path, _) in disk.files() {
        let path = PathBuf::from(path);
        let text = disk.read(&path).expect("a file");
        for at in (0..text.len()).filter(|at| text[*at..].starts_with(key)) {
            let part = at + key.len() + BEHIND_KEY + PART_HEADER;
            disk.flip_bit(&path, part as u64, 7).expect("it has that byte");
            hits += 1;
        }
    }
    assert_eq!(hits, 1, "the name stands in one record");
}

#[test]
fn a_collection_and_an_origin_are_reached_by_their_names_though_what_is_said_of_them_is_damaged() -> Result<()>
{
    for (hurt, options) in [("collection/players/16", Options::new()), ("origin/build 7/1", Options::new())] {
        let mut sim = Sim::new(3);
        let options = options.origin("build 7");
        let store = sim.open_with(options.clone())?;
        store.collection::<i64>("players")?.update("42", |_| Change::write(7).user_ids([42]))?;
        store.collection::<i64>("houses")?.set("oak", &1)?;
        store.close()?;
        hurt_value_of_set(&mut sim, hurt.as_bytes());
        let e = sim.open_with(options.clone().verify_on_open(true)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{hurt}: the damage must hit something");

        let store = sim.open_with(options)?;
        assert_eq!(store.collections()?, ["houses", "players"]);
        let players = store.collection::<i64>("players")?;
        assert_eq!(players.get("42")?.map(|e| e.value), Some(7));
        assert_eq!(players.increment("42", 1)?, 8);
        let origins: Vec<_> = players.versions("42")?.map(|v| v.map(|v| v.origin)).collect::<Result<_>>()?;
        assert_eq!(origins, [Some("build 7".to_owned()), Some("build 7".to_owned())]);
        assert_eq!(keys_of(&store, 42)?, ["42"]);
        store.collection::<i64>("guilds")?.set("g", &2)?;
        assert_eq!(store.collections()?, ["guilds", "houses", "players"]);
        assert_eq!(players.keys("").count(), 1, "a new collection is not the old one");
    }
    Ok(())
}

const MINUTE: Duration = Duration::from_secs(60);
const BRIEF: Moments = Moments { every: MINUTE, ..Moments::NONE };

/// A store that keeps each moment for a minute and nothing else, with three versions of a key in each of two collections.
fn brief(sim: &mut Sim) -> Result<Store> {
    let store = sim.open()?;
    store.set_moments(BRIEF)?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("counts", Retention::History(none))?;
    store.set_retention("cache", Retention::NewestOnly)?;
    for n in 0..3 {
        store.collection::<i64>("counts")?.set("a", &n)?;
        store.collection::<i64>("cache")?.set("a", &n)?;
    }
    Ok(store)
}

fn versions(store: &Store) -> Result<[usize; 2]> {
    let count = |name| -> Result<usize> { Ok(store.collection::<i64>(name)?.versions("a")?.count()) };
    Ok([count("counts")?, count("cache")?])
}

#[test]
fn a_collection_whose_setting_is_damaged_keeps_everything_until_it_is_set_again_and_all_else_is_thinned()
-> Result<()> {
    let mut sim = Sim::new(5);
    brief(&mut sim)?.close()?;
    hurt_where(&mut sim, b"newest only");
    let store = sim.open()?;
    sim.advance(5 * MINUTE);
    assert_eq!(store.retention("cache").unwrap_err().kind(), ErrorKind::Damaged);
    assert!(store.thin()?);
    store.compact(|_| std::ops::ControlFlow::Continue(()))?;
    assert_eq!(versions(&store)?, [1, 3]);
    let failure = store.stats().thinning_failure.expect("said");
    assert_eq!(failure.kind(), ErrorKind::Damaged);
    assert!(failure.message().contains("`savehold retention cache "), "{failure}");
    store.set_retention("cache", Retention::NewestOnly)?;
    assert_eq!(
        (store.retention("cache")?, store.stats().thinning_failure.is_none()),
        (Retention::NewestOnly, true)
    );
    assert!(store.thin()?);
    assert_eq!(versions(&store)?, [1, 1]);
    Ok(())
}

#[test]
fn a_collection_of_which_nobody_can_tell_how_many_versions_it_keeps_keeps_them_all() -> Result<()> {
    let mut sim = Sim::new(15);
    let store = brief(&mut sim)?;
    let many = VersionsKept { explicit: Duration::ZERO, autosaves: Duration::ZERO, newest: 100 };
    store.set_retention("cache", Retention::History(many))?;
    sim.advance(5 * MINUTE);
    assert!(store.thin()?);
    store.close()?;
    hurt_last(&mut sim, b"explicit");
    let store = sim.open()?;
    assert_eq!(store.retention("cache").unwrap_err().kind(), ErrorKind::Damaged);
    sim.advance(5 * MINUTE);
    assert!(store.thin()?);
    assert_eq!(versions(&store)?, [1, 3]);
    Ok(())
}

#[test]
fn while_the_settings_of_the_store_are_damaged_no_moment_is_given_up_and_setting_one_keeps_what_is_known()
-> Result<()> {
    let mut sim = Sim::new(6);
    let store = brief(&mut sim)?;
    store.set_outcomes_kept(MINUTE)?;
    store.close()?;
    hurt_last(&mut sim, b"outcomes_us");
    let store = sim.open()?;
    sim.advance(5 * MINUTE);
    assert_eq!(store.moments().unwrap_err().kind(), ErrorKind::Damaged);
    assert!(store.thin()?);
    store.compact(|_| std::ops::ControlFlow::Continue(()))?;
    assert_eq!(versions(&store)?, [3, 3]);
    let failure = store.stats().thinning_failure.expect("said");
    assert!(failure.message().contains("`savehold retention --moments "), "{failure}");
    store.set_outcomes_kept(2 * MINUTE)?;
    assert_eq!((store.moments()?, store.outcomes_kept()?), (BRIEF, 2 * MINUTE), "of the version before");
    assert!(store.stats().thinning_failure.is_none() && store.thin()?);
    assert_eq!(versions(&store)?, [1, 1]);
    Ok(())
}

fn change_retention<const N: usize>(store: &Store, members: [(&str, Value); N]) -> Result<Map> {
    let mut asked = Map::from([("do", "retention")]);
    for (name, value) in members {
        asked.insert(name, value);
    }
    answer(store, &asked)
}

/// What was set is lost with the setting, and may have kept more than any default.
#[test]
fn a_part_of_a_damaged_setting_that_is_set_again_gives_nothing_up_of_the_rest() -> Result<()> {
    let mut sim = Sim::new(16);
    let store = sim.open()?;
    store.set_outcomes_kept(60 * MINUTE)?;
    let many = VersionsKept { explicit: Duration::ZERO, autosaves: Duration::ZERO, newest: 100 };
    store.set_retention("cache", Retention::History(many))?;
    store.close()?;
    hurt_last(&mut sim, b"outcomes_us");
    hurt_last(&mut sim, b"explicit_us");
    let store = sim.open()?;
    change_retention(&store, [("collection", "cache".into()), ("explicit_us", 0.into())])?;
    let rest = VersionsKept { explicit: Duration::ZERO, autosaves: Duration::MAX, newest: u32::MAX };
    assert_eq!(store.retention("cache")?, Retention::History(rest));
    store.set_outcomes_kept(MINUTE)?;
    assert_eq!((store.moments()?, store.outcomes_kept()?), (Moments::ALL, MINUTE));
    assert!(store.stats().thinning_failure.is_none());
    Ok(())
}

#[test]
fn a_change_of_what_is_kept_is_answered_though_another_setting_is_damaged() -> Result<()> {
    let mut sim = Sim::new(17);
    brief(&mut sim)?.close()?;
    hurt_where(&mut sim, b"newest only");
    let store = sim.open()?;
    let of = |name: &str| ("collection", Value::from(name));
    change_retention(&store, [of("counts"), ("newest", 7.into())])?;
    change_retention(&store, [of("cache"), ("outcomes_us", 9_000_000.into())])?;
    let said = change_retention(&store, [of("cache"), ("trust_clock", true.into())])?;
    assert_eq!(said.get("newest").and_then(Value::as_u64), Some(u32::MAX.into()), "all of it is kept");
    assert_eq!(store.outcomes_kept()?, Duration::from_secs(9));
    assert_eq!(change_retention(&store, [of("cache")]).unwrap_err().kind(), ErrorKind::Damaged);
    Ok(())
}

#[test]
fn while_a_pin_is_damaged_no_moment_is_given_up_and_it_can_be_unpinned() -> Result<()> {
    let mut sim = Sim::new(7);
    let store = brief(&mut sim)?;
    store.pin("hurt")?;
    store.pin("well")?;
    store.close()?;
    hurt_value_of_set(&mut sim, b"pin/hurt");
    let store = sim.open()?;
    sim.advance(5 * MINUTE);
    let counts = store.collection::<i64>("counts")?;
    counts.set("a", &3)?;
    sim.advance(5 * MINUTE);
    assert!(store.thin()?);
    assert_eq!(versions(&store)?, [4, 3]);
    assert_eq!(counts.get_at("a", At::Pin("well".into()))?.map(|e| e.value), Some(2));
    let failure = store.stats().thinning_failure.expect("said");
    assert!(failure.message().contains("the pin \"hurt\""), "{failure}");
    assert_eq!(store.pin("hurt").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.unpin("hurt")?);
    assert!(store.stats().thinning_failure.is_none() && store.thin()?);
    assert_eq!(versions(&store)?, [2, 1], "the newest, and what is pinned");
    Ok(())
}

#[test]
fn a_holder_whose_lives_are_damaged_begins_another_and_those_that_are_known_stay_over() -> Result<()> {
    let mut sim = Sim::new(8);
    let store = sim.open()?;
    for life in 1..=3 {
        store.external_holder("eu-1", life)?;
    }
    store.close()?;
    hurt_last(&mut sim, b"lives");
    let store = sim.open()?;
    for former in [1, 2] {
        let e = store.external_holder("eu-1", former).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Ended, "{former}: {e}");
    }
    store.external_holder("eu-1", 4)?;
    store.close()?;
    let store = sim.open()?;
    assert_eq!(store.external_holder("eu-1", 2).unwrap_err().kind(), ErrorKind::Ended);
    store.external_holder("eu-1", 4)?;
    Ok(())
}

#[test]
fn origins_that_look_like_parts_of_one_another_are_told_apart() -> Result<()> {
    let mut sim = Sim::new(4);
    let all = ["a", "a/1", "a/", "a//2", "1"];
    for origin in all {
        let store = sim.open_with(Options::new().origin(origin))?;
        store.raw("raw")?.set("k", &Bytes::new())?;
        store.close()?;
    }
    let store = sim.open_with(Options::new().origin("a"))?;
    let raw = store.raw("raw")?;
    raw.set("k", &Bytes::new())?;
    let told: Vec<_> =
        raw.versions("k")?.map(|v| v.map(|v| v.origin.unwrap_or_default())).collect::<Result<_>>()?;
    assert_eq!(told, ["a", "1", "a//2", "a/", "a/1", "a"]);
    Ok(())
}

/// A store with damaged values of users: `kept` with an older version that can be read, `alone` with none, `again`
/// with none since it was removed.
fn damaged_with_attributes() -> Result<(Sim, u64)> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    let older = || Change::write(Bytes::from_static(b"older")).user_ids([7]).meta([("a", "older")]);
    let newer =
        || Change::write(Bytes::from_static(b"newer and hurt")).user_ids([9, 8]).meta([("a", "newer")]);
    raw.update("kept", |_| older())?;
    let created_us = raw.get("kept")?.expect("written").created_us;
    sim.advance(std::time::Duration::from_secs(5));
    raw.update("again", |_| older())?;
    raw.remove("again")?;
    for key in ["kept", "alone", "again"] {
        raw.update(key, |_| newer())?;
    }
    store.close()?;
    hurt_where(&mut sim, b"newer and");
    Ok((sim, created_us))
}

#[test]
fn a_key_written_since_the_store_was_opened_keeps_its_beginning_though_no_value_can_be_read() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    let (hurt, value) = (Bytes::from_static(b"newer and hurt"), Bytes::from_static(b"whole again"));
    raw.set("k", &hurt)?;
    let begun_us = raw.get("k")?.expect("written").created_us;
    sim.advance(std::time::Duration::from_secs(5));
    raw.set("k", &hurt)?;
    hurt_where(&mut sim, b"newer and");
    assert!(raw.versions("k")?.count() == 2 && raw.get("k").is_err_and(|e| e.older().is_none()));
    sim.advance(std::time::Duration::from_secs(5));
    raw.set("k", &value)?;
    assert_eq!(raw.get("k")?.map(|e| (e.created_us, e.value)), Some((begun_us, value.clone())));
    let named = |value: &Bytes| Change::write(value.clone()).user_ids([7]).meta([("a", "b")]);
    raw.update("k", |_| named(&value))?;
    raw.set("k", &value)?;
    raw.set_async("k", &value).wait()?;
    let now = raw.get("k")?.expect("written");
    let attributes = Attributes::NONE.with_user_ids([7]).with_meta("a", "b");
    assert_eq!((now.created_us, now.attributes), (begun_us, attributes));
    raw.remove_async("k").wait()?;
    sim.advance(std::time::Duration::from_secs(5));
    raw.set("k", &value)?;
    let again = raw.get("k")?.expect("written");
    assert!(again.created_us >= begun_us + 15_000_000 && again.attributes.is_empty());
    assert!(keys_of(&store, 7)?.is_empty());
    Ok(())
}

/// The keys that are of a user.
fn keys_of(store: &Store, user: u64) -> Result<Vec<Key>> {
    store.keys_of(user)?.map(|item| item.map(|(_, key)| key)).collect()
}

#[test]
fn a_blind_write_over_a_damaged_value_keeps_what_can_be_found_of_its_attributes() -> Result<()> {
    let value = Bytes::from_static(b"whole again");
    type Write = fn(&Store, &str, &Bytes) -> Result<()>;
    let writes: [Write; 4] = [
        |store, key, value| store.raw("raw")?.set(key, value).map(drop),
        |store, key, value| store.raw("raw")?.set_async(key, value).wait().map(drop),
        |store, key, value| {
            let mut batch = store.batch();
            batch.set(&store.raw("raw")?, key, value)?;
            batch.commit().map(drop)
        },
        |store, key, value| {
            let raw = store.raw("raw")?;
            store.transaction(|tx| tx.set(&raw, key, value)).map(drop)
        },
    ];
    for write in writes {
        let (mut sim, created_us) = damaged_with_attributes()?;
        let store = sim.open()?;
        let raw = store.raw("raw")?;
        for key in ["kept", "alone", "again"] {
            assert_eq!(raw.get(key).unwrap_err().kind(), ErrorKind::Damaged);
            write(&store, key, &value)?;
        }
        let users = Attributes::NONE.with_user_ids([8, 9]);
        let kept = raw.get("kept")?.expect("written");
        assert_eq!(kept.attributes, users.clone().with_meta("a", "older"));
        assert_eq!(kept.created_us, created_us);
        for key in ["alone", "again"] {
            assert_eq!(raw.get(key)?.expect("written").attributes, users, "{key}");
        }
        assert!(keys_of(&store, 7)?.is_empty());
        assert_eq!(keys_of(&store, 8)?, ["again", "alone", "kept"]);
    }
    Ok(())
}

#[test]
fn users_named_in_a_write_over_a_damaged_value_and_its_removal_leave_no_tag_behind() -> Result<()> {
    let (mut sim, _) = damaged_with_attributes()?;
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    store.transaction(|tx| tx.change(&raw, "kept", Change::write(Bytes::new()).user_ids([8, 10])))?;
    raw.remove("alone")?;
    store.transaction(|tx| tx.remove(&raw, "again").map(drop))?;
    let found = [7, 8, 9, 10].map(|user| keys_of(&store, user).expect("readable"));
    assert_eq!(found.each_ref().map(Vec::len), [0, 1, 0, 1]);
    assert!(raw.get_at("kept", At::Now)?.is_some());
    Ok(())
}

#[test]
fn a_profile_with_a_damaged_letter_is_wiped_with_all_its_mail() -> Result<()> {
    for hurt in 0..3 {
        let mut sim = Sim::new(6);
        let store = sim.open()?;
        let players = store.profiles_with::<Value>("players", Map::from([("coins", 0)]).into()).open()?;
        players.start("42")?.release()?;
        for n in 0..3 {
            players.send("42", if n == hurt { "the letter that is hurt" } else { "another letter" })?;
        }
        hurt_where(&mut sim, b"letter that");
        assert!(players.wipe("42")?, "letter {hurt}");
        assert_eq!((players.view("42", At::Now)?, players.mail_count("42")?), (None, 0));
        assert!(!players.wipe("42")?);
        players.send("42", "a new one")?;
        let next = players.next_letter("42")?.expect("it was sent");
        assert_eq!((next.value, next.number), (Value::from("a new one"), 4), "numbers go on");
    }
    Ok(())
}

/// A key with three versions, of which nobody can tell who wrote the middle one, and a removal of which nobody can tell it.
fn records_that_cannot_be_read() -> Result<(Sim, Store, [Version; 4])> {
    let mut sim = Sim::new(7);
    let store = sim.open_with(Options::new().origin("build 1"))?;
    let numbers = store.collection::<i64>("numbers")?;
    let before = numbers.set("gone", &1)?;
    let one = numbers.set("k", &1)?;
    numbers.update_once("an id that is hurt", "k", |_| Change::write(2))?;
    let two = numbers.get("k")?.expect("written").version;
    let three = numbers.set("k", &3)?;
    numbers.remove_once("an id that is hurt too", "gone")?;
    hurt_where(&mut sim, b"id that is");
    assert_eq!(numbers.versions("k")?.filter(Result::is_err).count(), 1, "the damage must hit the record");
    Ok((sim, store, [before, one, two, three]))
}

#[test]
fn a_record_that_cannot_be_read_closes_no_page_of_a_history() -> Result<()> {
    let (_sim, store, [_, one, two, three]) = records_that_cannot_be_read()?;
    let ask = |of: &str, key: &str| {
        answer(&store, &Map::from([("do", of), ("collection", "numbers"), ("key", key)]))
    };
    let said = ask("versions", "k")?;
    let versions = said.get("versions").and_then(Value::as_list).expect("a list");
    let text = |version: &Value, name: &str| version.get(name).and_then(Value::as_str).map(str::to_owned);
    let told: Vec<_> =
        versions.iter().map(|version| (text(version, "version"), text(version, "origin"))).collect();
    let expected = [(three, Some("build 1")), (two, None), (one, Some("build 1"))]
        .map(|(version, origin)| (Some(version.to_string()), origin.map(str::to_owned)));
    assert_eq!(told, expected);
    let absent = ask("get", "gone")?;
    assert_eq!(absent.get("entry"), Some(&Value::Nil));
    assert_eq!(absent.get("newest").and_then(|newest| newest.get("removed")), Some(&Value::from(true)));
    Ok(())
}

#[test]
fn a_revert_of_what_an_origin_wrote_passes_over_a_record_that_cannot_be_read() -> Result<()> {
    let (_sim, store, [before, one, two, three]) = records_that_cannot_be_read()?;
    let of = |origin: &str| Selection::collection("numbers").origin(origin);
    let done = store.revert(of("build 1").since(before), one)?;
    let [only] = &done[..] else { panic!("{done:?}") };
    let undone: Vec<Version> = only.undone.iter().map(|info| info.version).collect();
    assert_eq!((only.key.to_string(), undone), ("k".to_owned(), vec![three, two]));
    assert_eq!(store.revert(of("build 2"), one)?, [], "whose it is nobody knows");
    Ok(())
}

#[test]
fn a_profile_is_restored_and_told_of_though_a_record_that_it_undoes_cannot_be_read() -> Result<()> {
    let mut sim = Sim::new(8);
    let store = sim.open()?;
    let players = store.profiles_with::<Value>("players", Map::from([("coins", 0)]).into()).open()?;
    let then = players.edit("42", |_| ())?.version;
    let one = |value: &mut Value| _ = value.as_map_mut().map(|map| map.insert("coins", 1));
    let Once::Now(hurt) = players.edit_once("an id that is hurt", "42", one)? else { panic!("it is new") };
    hurt_where(&mut sim, b"id that is");
    let done = players.restore("42", then)?;
    assert_eq!(done.undone.iter().map(|info| info.version).collect::<Vec<_>>(), [hurt.version]);
    Ok(())
}
