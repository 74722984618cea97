use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use savehold_wal::Lsn;
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Choice, SimDisk, SimEntropy};

use super::*;
use crate::collection::Collection;
use crate::limits::MAIL_COUNT_MAX;
use crate::options::Options;
use crate::store::Store;
use crate::tests::Dice;

/// The collection to whose keys mail is sent.
fn players(store: &Store) -> Collection<i64> {
    store.collection("players").unwrap()
}

fn send(tx: &Tx<'_>, to: &Collection<i64>, text: &str) -> Result<u64> {
    let payload = (Format::Raw, Bytes::copy_from_slice(text.as_bytes()));
    tx.send_mail(&to.table, &"42".into(), payload, MAIL_COUNT_MAX)
}

fn text(message: Option<Message>) -> Option<String> {
    message.map(|message| String::from_utf8(message.value.to_vec()).unwrap())
}

fn first(tx: &Tx<'_>, of: &Collection<i64>) -> Result<Option<String>> {
    tx.first_mail(&of.table, &"42".into()).map(text)
}

fn take(tx: &Tx<'_>, of: &Collection<i64>) -> Result<Option<String>> {
    tx.take_mail(&of.table, &"42".into()).map(text)
}

fn count(tx: &Tx<'_>, of: &Collection<i64>) -> Result<u64> {
    tx.count_mail(&of.table, &"42".into())
}

/// Runs a transaction that must succeed.
fn now<R>(store: &Store, f: impl FnMut(&Tx<'_>) -> Result<R>) -> R {
    store.transaction(f).unwrap().value
}

#[test]
fn mail_waits_for_a_key_that_never_was_and_is_taken_in_order() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    assert_eq!(now(&store, |tx| Ok((count(tx, &players)?, first(tx, &players)?))), (0, None));
    for (n, what) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(now(&store, |tx| send(tx, &players, what)), n as u64 + 1);
    }
    assert_eq!(players.get("42").unwrap(), None);
    assert_eq!(now(&store, |tx| count(tx, &players)), 3);
    assert_eq!(now(&store, |tx| first(tx, &players)), Some("a".into()));
    for expected in [Some("a"), Some("b"), Some("c"), None] {
        assert_eq!(now(&store, |tx| take(tx, &players)).as_deref(), expected);
    }
    assert_eq!(now(&store, |tx| count(tx, &players)), 0);
}

#[test]
fn a_message_says_when_it_was_sent_and_comes_as_it_was() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    let before = store.time_us();
    let payload = (Format::MessagePack, Bytes::from_static(&[0x07]));
    let seq = now(&store, |tx| tx.send_mail(&players.table, &"42".into(), payload.clone(), 1));
    let message = now(&store, |tx| tx.take_mail(&players.table, &"42".into())).unwrap();
    assert_eq!((message.seq, message.format, message.value), (seq, payload.0, payload.1));
    assert!((before..=store.time_us()).contains(&message.sent_us));
}

#[test]
fn one_more_than_the_limit_is_refused_and_the_first_is_still_there() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    now(&store, |tx| (1..=MAIL_COUNT_MAX).try_for_each(|n| send(tx, &players, &n.to_string()).map(drop)));
    let refused = store.transaction(|tx| send(tx, &players, "too many")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::MailboxFull);
    assert!(refused.message().contains("players/42") && refused.message().contains("1000"), "{refused}");
    assert_eq!(now(&store, |tx| first(tx, &players)), Some("1".into()));
    assert_eq!(now(&store, |tx| take(tx, &players)), Some("1".into()));
    assert_eq!(now(&store, |tx| send(tx, &players, "fits")), MAIL_COUNT_MAX + 1);
    assert_eq!(now(&store, |tx| count(tx, &players)), MAIL_COUNT_MAX);
}

#[test]
fn a_transaction_that_fails_sends_and_takes_nothing() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    now(&store, |tx| send(tx, &players, "a"));
    let failed = store.transaction(|tx| -> Result<()> {
        assert_eq!(take(tx, &players)?.as_deref(), Some("a"));
        send(tx, &players, "b")?;
        Err(Error::new(ErrorKind::Refused, "no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(now(&store, |tx| Ok((count(tx, &players)?, take(tx, &players)?))), (1, Some("a".into())));
    assert_eq!(now(&store, |tx| count(tx, &players)), 0);
}

#[test]
fn discarding_takes_out_any_message_and_the_history_of_the_mailbox_says_why() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    let key = "42".into();
    now(&store, |tx| ["a", "b", "c", "d"].iter().try_for_each(|what| send(tx, &players, what).map(drop)));
    let discard = |seq, why: &str| {
        store.transaction(|tx| tx.discard_mail(&players.table, &key, seq, why)).map(|done| done.value)
    };
    assert!(discard(2, "ticket 7").unwrap());
    assert!(!discard(2, "again").unwrap() && !discard(99, "never was").unwrap());
    assert_eq!(discard(1, &"w".repeat(257)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(discard(1, "ticket 8").unwrap());
    let reasons: Vec<_> = states(&store).into_iter().filter_map(|state| state.discarded).collect();
    assert_eq!(reasons, [(1, "ticket 8".to_owned()), (2, "ticket 7".to_owned())]);
    let left = now(&store, |tx| Ok([take(tx, &players)?, take(tx, &players)?, take(tx, &players)?]));
    assert_eq!(left, [Some("c".into()), Some("d".into()), None]);
}

/// What the mailbox said, newest first.
fn states(store: &Store) -> Vec<State> {
    let core = &store.core;
    let id = core.collection_id(&players(store).table.name, Lsn::MAX).unwrap().unwrap();
    let key = inner_key::mailbox(id, &Key::new("42").unwrap());
    let versions = core.index.versions(CollectionId::MAIL.0, key.as_bytes(), Lsn::MAX, usize::MAX).unwrap();
    versions.into_iter().map(|v| State::decoded(&core.stored(v).unwrap().entry.value).unwrap()).collect()
}

#[test]
fn any_mix_of_calls_within_and_between_transactions_is_a_queue() {
    for seed in 0..40 {
        let (mut dice, store) = (Dice::new(seed), Store::in_memory().unwrap());
        let players = players(&store);
        let (mut queue, mut next) = (VecDeque::<(u64, String)>::new(), 1);
        for _ in 0..40 {
            let mut inside = (queue.clone(), next);
            let calls: Vec<usize> = (0..1 + dice.below(4)).map(|_| dice.below(8)).collect();
            let fails = dice.below(5) == 0;
            let done = store.transaction(|tx| -> Result<()> {
                inside = (queue.clone(), next);
                for call in &calls {
                    one_call(tx, &players, *call, &mut inside)?;
                }
                if fails { Err(Error::new(ErrorKind::Refused, "no")) } else { Ok(()) }
            });
            assert_eq!(done.is_err(), fails, "seed {seed}");
            if !fails {
                (queue, next) = inside;
            }
        }
    }
}

fn one_call(
    tx: &Tx<'_>,
    players: &Collection<i64>,
    call: usize,
    (queue, next): &mut (VecDeque<(u64, String)>, u64),
) -> Result<()> {
    match call {
        0..=2 => {
            let what = format!("m{next}");
            assert_eq!(send(tx, players, &what)?, *next);
            queue.push_back((*next, what));
            *next += 1;
        }
        3 | 4 => assert_eq!(take(tx, players)?, queue.pop_front().map(|(_, what)| what)),
        5 => assert_eq!(first(tx, players)?, queue.front().map(|(_, what)| what.clone())),
        6 => {
            let seq = queue.get(queue.len() / 2).map_or(1, |(seq, _)| *seq);
            let stood = tx.discard_mail(&players.table, &"42".into(), seq, "test")?;
            assert_eq!(stood, queue.iter().any(|(own, _)| *own == seq));
            queue.retain(|(own, _)| *own != seq);
        }
        _ => assert_eq!(count(tx, players)?, queue.len() as u64),
    }
    Ok(())
}

#[test]
fn many_senders_and_takers_deliver_each_message_once() {
    const EACH: u64 = 60;
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    let sum = store.collection::<i64>("sum").unwrap();
    std::thread::scope(|scope| {
        for sender in 0..3 {
            let (store, players) = (&store, &players);
            scope.spawn(move || {
                (0..EACH)
                    .for_each(|n| _ = now(store, |tx| send(tx, players, &(sender * EACH + n).to_string())));
            });
        }
        for _ in 0..2 {
            let (store, players, sum) = (&store, &players, &sum);
            scope.spawn(move || {
                let mut taken = 0;
                while taken < 3 * EACH / 2 {
                    let one = now(store, |tx| {
                        let Some(what) = take(tx, players)? else { return Ok(false) };
                        tx.increment(sum, "all", 1 + what.parse::<i64>().expect("a number"))?;
                        Ok(true)
                    });
                    taken += u64::from(one);
                }
            });
        }
    });
    let all = (3 * EACH) as i64;
    assert_eq!(sum.get("all").unwrap().unwrap().value, all * (all + 1) / 2);
    assert_eq!(now(&store, |tx| Ok((count(tx, &players)?, take(tx, &players)?))), (0, None));
}

fn open(disk: &SimDisk) -> Result<Store> {
    let (clock, entropy) = (Arc::new(SimClock::default()), Arc::new(SimEntropy::new(5)));
    let env = Env { vfs: Arc::new(disk.clone()), clock, entropy, threads: Threads::None };
    Options::new().open_in(env, Path::new("/store"))
}

/// Takes the first message and adds its number to what was received, in one record.
fn receive(store: &Store) -> Result<Option<u64>> {
    let (players, got) = (players(store), store.collection::<i64>("got")?);
    let done = store.transaction(|tx| -> Result<Option<u64>> {
        let Some(message) = tx.take_mail(&players.table, &"42".into())? else { return Ok(None) };
        tx.increment(&got, "sum", 1 << message.seq)?;
        Ok(Some(message.seq))
    })?;
    Ok(done.value)
}

#[test]
fn a_message_is_delivered_once_with_its_effect_wherever_a_crash_comes() {
    let disk = SimDisk::new(1);
    disk.record();
    let store = open(&disk).unwrap();
    // sends of messages, of which each doubles the number; how many were answered after how many changes of the disk
    let (mut sent, mut answered) = (0, vec![(disk.counts().changes, 0, 0)]);
    let mut received = 0;
    for step in ["send", "send", "receive", "send", "receive", "receive"] {
        match step {
            "send" => {
                now(&store, |tx| send(tx, &players(&store), "x"));
                sent += 1;
            }
            _ => {
                assert_eq!(receive(&store).unwrap(), Some(received + 1));
                received += 1;
            }
        }
        answered.push((disk.counts().changes, sent, received));
    }
    store.close().unwrap();
    let mut crashes = 0;
    for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
        let sure = answered.iter().rev().find(|(changes, ..)| *changes <= at as u64).copied();
        let (_, sent, received) = sure.unwrap_or_default();
        let left = [
            image.restart(),
            image.reboot(Choice::KeepNone),
            image.reboot(Choice::KeepAll),
            image.reboot(Choice::Seed(at as u64)),
        ];
        for disk in left {
            after_crash(&disk, sent, received).unwrap_or_else(|e| panic!("crash at change {at}: {e:?}"));
            crashes += 1;
        }
    }
    assert!(crashes > 100, "{crashes} crashes are too few: does the disk record its changes?");
}

/// What was acknowledged is there; the rest is received, each message once; numbers go on.
fn after_crash(disk: &SimDisk, sent: u64, received: u64) -> Result<()> {
    let store = open(disk)?;
    let got = store.collection::<i64>("got")?;
    let sum = |store: &Store| -> Result<i64> {
        Ok(store.collection::<i64>("got")?.get("sum")?.map_or(0, |e| e.value))
    };
    let already = u64::from(sum(&store)?.count_ones());
    assert!(already >= received, "{already} of {received} receptions are left");
    let mut last = already;
    while let Some(seq) = receive(&store)? {
        assert_eq!(seq, last + 1, "in order, none twice");
        last = seq;
    }
    assert!(last >= sent, "{last} of {sent} messages are left");
    assert_eq!(sum(&store)?, (1 << (last + 1)) - 2, "each had its effect once");
    drop(got);
    assert_eq!(now(&store, |tx| send(tx, &players(&store), "y")), last + 1, "numbers never repeat");
    drop(store);
    assert_eq!(receive(&open(disk)?)?, Some(last + 1));
    Ok(())
}

/// A closed store with two messages of three left, in which every place with these bytes is then damaged.
fn damaged(bytes: &[u8]) -> Store {
    let disk = SimDisk::new(3);
    let store = open(&disk).unwrap();
    let players = players(&store);
    now(&store, |tx| ["one", "two", "three"].iter().try_for_each(|what| send(tx, &players, what).map(drop)));
    now(&store, |tx| take(tx, &players));
    now(&store, |tx| send(tx, &players, "four"));
    now(&store, |tx| tx.discard_mail(&players.table, &"42".into(), 4, "damage me"));
    drop(players);
    store.close().unwrap();
    let mut hits = 0;
    for (path, _) in disk.files() {
        let (path, text) = (Path::new(&path), disk.read(Path::new(&path)).unwrap());
        for at in (0..text.len()).filter(|at| text[*at..].starts_with(bytes)) {
            disk.flip_bit(path, at as u64, 0).unwrap();
            hits += 1;
        }
    }
    assert!(hits > 0, "nothing stands there to be damaged");
    open(&disk).unwrap()
}

#[test]
fn a_damaged_message_is_told_of_until_it_is_discarded() {
    let store = damaged(b"two");
    let players = players(&store);
    let e = store.transaction(|tx| take(tx, &players)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged);
    assert!(e.message().starts_with("players/42: message 2: "), "{e}");
    assert!(now(&store, |tx| tx.discard_mail(&players.table, &"42".into(), 2, "damaged")));
    assert_eq!(
        now(&store, |tx| Ok([take(tx, &players)?, take(tx, &players)?])),
        [Some("three".into()), None]
    );
}

#[test]
fn a_damaged_mailbox_is_made_anew_from_its_messages_and_its_numbers_never_repeat() {
    let store = damaged(b"damage me");
    let players = players(&store);
    assert_eq!(now(&store, |tx| count(tx, &players)), 2);
    assert_eq!(now(&store, |tx| take(tx, &players)), Some("two".into()));
    let seq = now(&store, |tx| send(tx, &players, "five"));
    assert!(seq > REBUILT_STRIDE, "{seq}");
    let left = now(&store, |tx| Ok([take(tx, &players)?, take(tx, &players)?, take(tx, &players)?]));
    assert_eq!(left, [Some("three".into()), Some("five".into()), None]);
}

#[test]
fn a_mailbox_that_says_nonsense_is_a_damaged_one() {
    let state = |next, first, count| meta::encode(&State { next, first, count, discarded: None }).unwrap();
    assert!(State::decoded(&state(5, 2, 3)).is_ok() && State::decoded(&state(u64::MAX, 0, 1)).is_ok());
    for bad in [state(1, 2, 0), state(5, 2, 4), vec![1], vec![1, 1, 1, 0, 0, 0]] {
        assert_eq!(State::decoded(&bad).unwrap_err().kind(), ErrorKind::Damaged, "{bad:?}");
    }
}
