use super::*;
use crate::options::{Control, Options};
use crate::value::json;

fn request(text: &str) -> Map {
    json::from_str(text).unwrap().as_map().unwrap().clone()
}

/// What a verb answers, by the process that has the store and over the socket: the same.
struct World {
    _dir: tempfile::TempDir,
    store: Store,
    client: Client,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("s")).unwrap();
        let client = Client::connect(dir.path().join("s")).unwrap().expect("somebody listens");
        assert_eq!(client.pid(), u64::from(std::process::id()));
        Self { _dir: dir, store, client }
    }

    fn ask(&self, text: &str) -> Result<Map> {
        self.client.ask(&request(text))
    }

    fn ok(&self, text: &str) -> Value {
        self.ask(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).into()
    }

    /// A verb that changes nothing answers the same both ways, as long as the store stands where it stood: a mark moves it.
    fn read(&self, text: &str) -> String {
        let (over, here) = loop {
            let stands = self.store.version();
            let over = self.ask(text).map(|said| json::to_string(&said.into()).unwrap());
            let here = answer(&self.store, &request(text)).map(|said| json::to_string(&said.into()).unwrap());
            if self.store.version() == stands {
                break (over, here);
            }
        };
        match (over, here) {
            (Ok(over), Ok(here)) => {
                assert_eq!(over, here, "{text}");
                over
            }
            (Err(over), Err(here)) => {
                assert_eq!((over.kind(), over.message()), (here.kind(), here.message()), "{text}");
                format!("{:?}", over.kind())
            }
            (over, here) => panic!("{text}: {over:?} and {here:?}"),
        }
    }
}

#[test]
fn what_is_written_over_the_socket_is_what_the_holder_has() {
    let world = World::new();
    let set = world.ok(
        r#"{"do":"set","collection":"players","key":"4\\x00","value":{"coins":1},"user_ids":["4"],"metadata":{"b":"8"}}"#,
    );
    let players = world.store.any("players").unwrap();
    let entry = players.get(&b"4\0"[..]).unwrap().unwrap();
    assert_eq!(Some(entry.version.to_string().as_str()), set.get("version").unwrap().as_str());
    assert_eq!(entry.attributes.meta()["b"], "8");
    assert_eq!(
        world
            .ok(r#"{"do":"merge","collection":"players","key":"4\\x00","patch":{"coins":null,"level":2}}"#)
            .get("value"),
        Some(&Map::from([("level", 2)]).into())
    );
    assert_eq!(
        world.ok(r#"{"do":"increment","collection":"visits","key":"oak","by":7}"#).get("value"),
        Some(&7.into())
    );
    world.ok(r#"{"do":"remove","collection":"visits","key":"oak"}"#);
    assert!(world.store.any("visits").unwrap().get("oak").unwrap().is_none());
    let loaded = world.ok(
        r#"{"do":"load","lines":[{"collection":"a","key":"1","value":1},{"collection":"players","key":"4\\x00","value":{"level":2}}]}"#,
    );
    assert_eq!((loaded.get("written"), loaded.get("unchanged")), (Some(&1.into()), Some(&1.into())));
}

#[test]
fn what_the_command_line_has_done_has_its_origin_and_not_the_programs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().origin("build 813").open(dir.path().join("s")).unwrap();
    let client = Client::connect(dir.path().join("s")).unwrap().expect("somebody listens");
    let notes = store.any("notes").unwrap();
    let origin = |key: &str| notes.versions(key).unwrap().next().unwrap().unwrap().origin.unwrap();
    for (key, verb) in [
        ("set", r#"{"do":"set","collection":"notes","key":"set","value":2}"#),
        ("increment", r#"{"do":"increment","collection":"notes","key":"increment","by":2}"#),
        ("remove", r#"{"do":"remove","collection":"notes","key":"remove"}"#),
        ("load", r#"{"do":"load","lines":[{"collection":"notes","key":"load","value":2}]}"#),
        ("revert", r#"{"do":"revert","collection":"notes","prefix":"revert","to":"VERSION"}"#),
    ] {
        let before = store.version();
        notes.set(key, &1.into()).unwrap();
        assert_eq!(origin(key), "build 813", "{verb}");
        client.ask(&request(&verb.replace("VERSION", &before.to_string()))).unwrap();
        assert_eq!(origin(key), COMMAND_LINE, "{verb}");
    }
    notes.set("set", &3.into()).unwrap();
    assert_eq!(origin("set"), "build 813", "the program has its own again");
}

#[test]
fn verbs_that_read_answer_the_same_both_ways() {
    let world = World::new();
    for n in 0..5 {
        world.ok(&format!(r#"{{"do":"set","collection":"a","key":"{n}","value":{n}}}"#));
    }
    world.ok(r#"{"do":"remove","collection":"a","key":"4"}"#);
    let first = world.read(r#"{"do":"keys","collection":"a","limit":3}"#);
    assert!(first.contains(r#""keys":["0","1","2"],"more":true"#), "{first}");
    assert!(
        world.read(r#"{"do":"keys","collection":"a","after":"2"}"#).contains(r#""keys":["3"],"more":false"#)
    );
    assert!(world.read(r#"{"do":"keys","collection":"b"}"#).contains(r#""collection":false"#));
    assert!(world.read(r#"{"do":"scan","collection":"a","prefix":"3"}"#).contains(r#""value":3"#));
    assert!(world.read(r#"{"do":"get","collection":"a","key":"1"}"#).contains(r#""value":1"#));
    let gone = world.read(r#"{"do":"get","collection":"a","key":"4"}"#);
    assert!(gone.contains(r#""entry":null"#) && gone.contains(r#""removed":true"#), "{gone}");
    let versions = world.read(r#"{"do":"versions","collection":"a","key":"4","limit":1}"#);
    assert!(versions.contains(r#""removed":true"#) && versions.contains(r#""more":true"#), "{versions}");
    assert!(world.read(r#"{"do":"collections"}"#).contains(r#"{"name":"a","keys":4}"#));
    // syncs and marks go on by themselves, so only what they do not touch is compared
    let here: Value = answer(&world.store, &request(r#"{"do":"stat"}"#)).unwrap().into();
    for member in ["collections", "keys", "versions", "opening", "last_recovery"] {
        assert_eq!(world.ok(r#"{"do":"stat"}"#).get(member), here.get(member), "{member}");
    }
    assert_eq!(here.get("keys"), Some(&4.into()));
    assert_eq!(world.read(r#"{"do":"recoveries"}"#), r#"{"recoveries":[]}"#);
    assert!(world.read(r#"{"do":"outcome","id":"x"}"#).contains("not committed"));
    assert_eq!(world.read(r#"{"do":"time","of":"1.1"}"#), r#"{"time_us":null}"#);
}

#[test]
fn errors_are_the_same_both_ways_and_change_nothing() {
    let world = World::new();
    let stands = world.ok(r#"{"do":"set","collection":"a","key":"1","value":"text"}"#);
    for (text, kind) in [
        ("{}", "Invalid"),
        (r#"{"do":"dance"}"#, "Invalid"),
        (r#"{"do":"get","collection":"a","key":"1","hurry":true}"#, "Invalid"),
        (r#"{"do":"get","collection":"$set","key":"1"}"#, "Invalid"),
        (r#"{"do":"get","collection":"a","key":""}"#, "Invalid"),
        (r#"{"do":"get","collection":"a","key":"1","at":"1.1"}"#, "Gone"),
        (r#"{"do":"increment","collection":"a","key":"1","by":1}"#, "NotANumber"),
        (r#"{"do":"merge","collection":"a","key":"1","patch":{}}"#, "WrongType"),
        (r#"{"do":"set","collection":"a","key":"1","value":1,"if_absent":true}"#, "Conflict"),
        (r#"{"do":"set","collection":"a","key":"1","value":1,"if_version":"1.1"}"#, "Conflict"),
        (r#"{"do":"remove","collection":"a","key":"2"}"#, "Conflict"),
        (r#"{"do":"load","lines":[{"collection":"a","key":"2","value":1},{"collection":"a"}]}"#, "Invalid"),
    ] {
        assert_eq!(world.read(text), kind, "{text}");
    }
    let conflict =
        world.ask(r#"{"do":"set","collection":"a","key":"1","value":1,"if_absent":true}"#).unwrap_err();
    assert_eq!(conflict.version().map(|v| v.to_string()).as_deref(), stands.get("version").unwrap().as_str());
    assert!(world.read(r#"{"do":"keys","collection":"a"}"#).contains(r#""keys":["1"]"#));
}

#[test]
fn a_repeated_id_is_done_once_over_either_way() {
    let world = World::new();
    let add = r#"{"do":"increment","collection":"a","key":"1","by":5,"id":"ticket"}"#;
    let first = world.ok(add);
    let again: Value = answer(&world.store, &request(add)).unwrap().into();
    assert_eq!(again.get("version"), first.get("version"));
    assert_eq!((again.get("now"), again.get("same")), (Some(&false.into()), Some(&true.into())));
    assert_eq!(again.get("value"), Some(&5.into()));
    let other = world.ok(r#"{"do":"set","collection":"a","key":"2","value":1,"id":"ticket"}"#);
    assert_eq!((other.get("now"), other.get("same")), (Some(&false.into()), Some(&false.into())));
}

#[test]
fn a_line_that_the_store_says_already_is_not_written_and_another_order_user_or_note_is() {
    for (text, written) in [
        (r#""value":{"x":1,"y":2}"#, 0),
        (r#""value":{"x":1,"y":2},"user_ids":["42"]"#, 0),
        (r#""value":{"x":1,"y":2},"metadata":{"n":"t"}"#, 0),
        (r#""value":{"y":2,"x":1}"#, 1),
        (r#""value":{"x":1,"y":2.0}"#, 1),
        (r#""value":{"x":1,"y":2},"user_ids":["43"]"#, 1),
        (r#""value":{"x":1,"y":2},"user_ids":[]"#, 1),
        (r#""value":{"x":1,"y":2},"metadata":{"n":"u"}"#, 1),
        (r#""value":{"x":1,"y":2},"schema":{"$bytes":"AAH/"}"#, 0),
        (r#""value":{"x":1,"y":2},"schema":{"$bytes":"AAE="}"#, 1),
    ] {
        let store = Store::in_memory().unwrap();
        let load = |line: &str| {
            let line = format!(r#"{{"do":"load","lines":[{{"collection":"a","key":"b",{line}}}]}}"#);
            answer(&store, &request(&line)).unwrap().get("written").unwrap().as_u64()
        };
        let first =
            r#""value":{"x":1,"y":2},"user_ids":["42"],"metadata":{"n":"t"},"schema":{"$bytes":"AAH/"}"#;
        assert_eq!(load(first), Some(1));
        assert_eq!(load(text), Some(written), "{text}");
    }
}

#[test]
fn a_large_page_ends_by_bytes_and_goes_on_behind_its_last_key() {
    let world = World::new();
    let text = "x".repeat(300_000);
    for n in 0..9 {
        world.store.any("a").unwrap().set(n, &text.as_str().into()).unwrap();
    }
    let (mut seen, mut after, mut at) = (Vec::new(), String::new(), String::new());
    loop {
        let page = world.ok(&format!(r#"{{"do":"scan","collection":"a"{after}{at}}}"#));
        let entries = page.get("entries").unwrap().as_list().unwrap().to_vec();
        assert!((1..=4).contains(&entries.len()));
        seen.extend(entries.iter().map(|entry| entry.get("key").unwrap().as_str().unwrap().to_owned()));
        after = format!(r#","after":"{}""#, seen.last().unwrap());
        at = format!(r#","at":"{}""#, page.get("at").unwrap().as_str().unwrap());
        world.store.any("a").unwrap().set(seen.len() as u64 + 100, &1.into()).unwrap(); // not of that moment
        if page.get("more") == Some(&false.into()) {
            break;
        }
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn the_socket_is_there_while_the_store_is_open_and_only_where_it_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("s");
    let off = Options::new().control(Control::Off).open(&root).unwrap();
    assert_eq!(off.control().unwrap(), None);
    assert!(Client::connect(&root).unwrap().is_none());
    drop(off);
    let store = Store::open(&root).unwrap();
    assert_eq!(store.control().unwrap(), Some(root.join("CONTROL")));
    let documents = store.any("a").unwrap();
    drop(store);
    assert!(Client::connect(&root).unwrap().is_some(), "a collection is a handle of the store too");
    drop(documents);
    assert!(Client::connect(&root).unwrap().is_none());
    let store = Store::open(&root).unwrap();
    let client = Client::connect(&root).unwrap().unwrap();
    store.clone().close().unwrap();
    let gone = client.ask(&request(r#"{"do":"stat"}"#)).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Busy, "{gone}");
    assert!(Store::in_memory().unwrap().control().unwrap().is_none());
}

#[test]
fn a_name_that_cannot_be_had_stops_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("s");
    Store::open(&root).unwrap().close().unwrap();
    savehold_wal::env::Env::os().vfs.create_dir(&root.join("CONTROL")).unwrap();
    let store = Store::open(&root).unwrap();
    let why = store.control().unwrap_err();
    assert!(why.message().contains("the store works"), "{why}");
    store.any("a").unwrap().set("1", &1.into()).unwrap();
}

#[test]
fn garbage_costs_its_sender_an_answer_and_nobody_else_anything() {
    use std::io::{Read, Write};
    let world = World::new();
    let root = world.store.control().unwrap().unwrap();
    for garbage in [&b"\xff\xfe\n"[..], b"[[[[\n", b"7\n", b"\n", b"{\"do\":7}\n"] {
        let mut stream = savehold_wal::socket::connect(root.parent().unwrap(), CONTROL).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("{\"error\":"), "{garbage:?}: {said}");
        assert_eq!(said.lines().count(), 1);
    }
    world.ok(r#"{"do":"stat"}"#);
}

/// The pages of a dump are of one moment, whatever is written and thinned between two of them.
#[test]
fn the_moment_of_pages_is_held_from_one_to_the_next() {
    let world = World::new();
    let none = crate::retention::VersionsKept { explicit: std::time::Duration::ZERO, ..Default::default() };
    world.store.set_moments(crate::retention::Moments::NONE).unwrap();
    world.store.set_retention("counts", crate::retention::Retention::History(none)).unwrap();
    let counts = world.store.any("counts").unwrap();
    let write = |n: i64| ["a", "b"].iter().for_each(|key| _ = counts.set(*key, &n.into()).unwrap());
    write(1);
    let first = world.ok(r#"{"do":"scan","collection":"counts","limit":1,"hold":true}"#);
    let at = first.get("at").and_then(Value::as_str).unwrap();
    write(2);
    assert!(world.store.thin().unwrap());
    let next = |hold: bool| {
        let (hold, after) = (format!(r#""hold":{hold}"#), r#""after":"a""#);
        world.ask(&format!(r#"{{"do":"scan","collection":"counts","limit":1,"at":"{at}",{after},{hold}}}"#))
    };
    let entry = Said(next(true).unwrap());
    assert_eq!((entry.value(), entry.0.get("at").and_then(Value::as_str)), (Some(1), Some(at)));
    world.store.core.paging.let_go(std::time::Duration::MAX);
    write(3);
    assert!(world.store.thin().unwrap());
    assert_eq!(next(false).unwrap_err().kind(), ErrorKind::Gone, "nobody holds it any more");
}

fn bytes(at: Advance) -> crate::Progress {
    match at {
        Advance::Bytes(at) => at,
        other => panic!("it counts bytes: {other:?}"),
    }
}

/// Packing takes long where much is dead: whoever asks for it is told how far it is, and may stop it.
#[test]
fn packing_tells_how_far_it_is_and_stops_where_nobody_listens() {
    use std::ops::ControlFlow::{Break, Continue};
    let world = World::new();
    world.store.set_moments(crate::retention::Moments::NONE).unwrap();
    world.store.set_retention("a", crate::retention::Retention::NewestOnly).unwrap();
    let (documents, text) = (world.store.any("a").unwrap(), "x".repeat(400_000));
    let overwrite = || (0..12).for_each(|n| _ = documents.set(n % 3, &text.as_str().into()).unwrap());
    let asked = request(r#"{"do":"compact","progress":true}"#);
    let mut told = Vec::new();
    let stopped = (0..100).find_map(|_| {
        overwrite(); // again where the store has packed it by itself already
        let answer = world.client.ask_telling(&asked, |at| {
            told.push(bytes(at));
            Break(())
        });
        answer.err()
    });
    assert_eq!((stopped.map(|e| e.kind()), told.len()), (Some(ErrorKind::Aborted), 1));
    overwrite();
    told.clear();
    let done = world.client.ask_telling(&asked, |at| {
        told.push(bytes(at));
        Continue(())
    });
    assert!(done.unwrap().get("dropped").is_some());
    assert!(told.iter().all(|at| 0 < at.done_bytes && at.done_bytes <= at.total_bytes), "{told:?}");
    overwrite();
    assert!(world.ask(r#"{"do":"compact"}"#).is_ok(), "who does not ask is told the end alone");
}

/// A backup and keys out of it take long where there is much: the same holds for them.
#[test]
fn a_backup_beside_the_server_tells_how_far_it_is_and_stops_where_nobody_listens() {
    use std::ops::ControlFlow::{Break, Continue};
    let world = World::new();
    let documents = world.store.any("a").unwrap();
    (0..50).for_each(|n| _ = documents.set(n, &"x".repeat(10_000).into()).unwrap());
    let to = tempfile::tempdir().unwrap();
    let asked = request(&format!(r#"{{"do":"backup","to":"{}","progress":true}}"#, to.path().display()));
    let stopped = world.client.ask_telling(&asked, |_| Break(()));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    let mut told = Vec::new();
    let mut tell = |at| {
        told.push(bytes(at));
        Continue(())
    };
    let made = loop {
        match world.client.ask_telling(&asked, &mut tell) {
            Err(e) if e.kind() == ErrorKind::Locked => {} // the one that was stopped has not noticed yet
            made => break made.unwrap(),
        }
    };
    assert!(made.get("held_bytes").and_then(Value::as_u64) > Some(500_000), "{made:?}");
    let version = made.get("version").and_then(Value::as_str).unwrap();
    let keys = format!(
        r#"{{"do":"restore_keys","from":"{}","collection":"a","to":"{version}","progress":true}}"#,
        to.path().display()
    );
    assert!(world.client.ask_telling(&request(&keys), &mut tell).unwrap().get("unchanged").is_some());
    assert!(told.len() >= 2 && told.iter().all(|at| at.done_bytes <= at.total_bytes), "{told:?}");
}

/// Many keys set back: whoever asks is told how many were looked at and how many of them are back, in a dry run too.
#[test]
fn a_revert_counts_its_keys_and_stops_between_two_transactions_where_nobody_listens() {
    use std::ops::ControlFlow::{Break, Continue};
    let world = World::new();
    let counts = world.store.any("a").unwrap();
    let write = |n: i64| {
        let mut batch = world.store.batch();
        (0..2500).for_each(|key| _ = batch.set(&counts, key, &n.into()).unwrap());
        batch.commit().unwrap().unwrap()
    };
    let back = || counts.scan("").filter(|entry| entry.as_ref().unwrap().value == 1.into()).count();
    let then = write(1);
    write(2);
    let asked = |more| request(&format!(r#"{{"do":"revert","collection":"a","to":"{then}"{more}}}"#));
    let mut told = Vec::new();
    let mut tell = |at, next| {
        let Advance::Keys { looked_at, set_back, .. } = at else { panic!("it counts keys: {at:?}") };
        told.push((looked_at, set_back));
        next
    };
    let planned =
        world.client.ask_telling(&asked(r#","dry_run":true,"progress":true"#), |at| tell(at, Continue(())));
    assert_eq!(planned.unwrap().get("keys").and_then(Value::as_list).map(<[_]>::len), Some(2500));
    let telling = asked(r#","progress":true"#);
    let stopped = answer_telling(&world.store, &telling, &mut |at| tell(at, Break(())));
    assert_eq!((stopped.unwrap_err().kind(), back()), (ErrorKind::Aborted, 1000));
    let stopped = world.client.ask_telling(&telling, |at| tell(at, Break(())));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    world.client.ask_telling(&telling, |at| tell(at, Continue(()))).unwrap();
    assert_eq!(back(), 2500, "the same call goes on");
    assert_eq!(told[0], (1000, 1000), "of the dry run");
    assert!(told.iter().all(|(looked_at, set_back)| set_back <= looked_at && *looked_at <= 2500), "{told:?}");
    write(2);
    let silent =
        answer_telling(&world.store, &asked(""), &mut |at| panic!("nobody asked how far it is: {at:?}"));
    assert!(silent.is_ok());
}

struct Said(Map);

impl Said {
    fn value(&self) -> Option<i64> {
        self.0.get("entries")?.as_list()?.first()?.get("value")?.as_i64()
    }
}
