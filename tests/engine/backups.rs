//! Backups, archive and restores of a store on a hostile disk: every call of theirs fails, is cut off, finds no space.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold::backup::{BackupName, backups_in, restore_in};
use savehold::{
    At, ErrorKind, Once, Options, Outcome, Restore, Result, Store, Token, Version, restore_in_place,
};
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Choice, Failure, Fault, SimDisk, SimEntropy, When};

const STORE: &str = "/store";
const BACKUPS: &str = "/backups";
const ARCHIVE: &str = "/archive";
const RESTORED: &str = "/restored";

const FAULTS: [Fault; 7] = [
    Fault::Fail(Failure::Io),
    Fault::Fail(Failure::Full),
    Fault::FailHalfway(Failure::Full),
    Fault::CutBefore,
    Fault::CutInside,
    Fault::KillBefore,
    Fault::KillInside,
];

/// One run of a machine: a disk, clocks that go on.
struct Machine {
    disk: SimDisk,
    clock: Arc<SimClock>,
}

impl Machine {
    fn env(&self) -> Env {
        Env {
            vfs: Arc::new(self.disk.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SimEntropy::new(5)),
            threads: Threads::None,
        }
    }

    fn open(&self) -> Result<Store> {
        Options::new().archive(ARCHIVE).open_in(self.env(), Path::new(STORE))
    }

    /// The same machine after its end, or with its faults over.
    fn again(&self, seed: u64) -> Self {
        let disk = match (self.disk.death(), seed % 3) {
            (None, _) => self.disk.fork(),
            (Some(_), 0) => self.disk.reboot(Choice::KeepNone),
            (Some(_), 1) => self.disk.reboot(Choice::KeepAll),
            (Some(_), _) => self.disk.reboot(Choice::Seed(seed)),
        };
        disk.heal();
        Self { disk, clock: self.clock.clone() }
    }
}

/// Commit `n` of the world: a counter, one of four keys, an id. All of it, or nothing of it.
fn commit(store: &Store, n: i64) -> Result<()> {
    let numbers = store.collection::<i64>("numbers")?;
    let done = store.transaction_once(format!("id-{n}"), |tx| -> Result<()> {
        tx.set(&numbers, "count", &n)?;
        tx.set(&numbers, format!("{}", n % 4), &n)
    });
    done.map(drop)
}

/// How many commits a store holds: it must hold just what they wrote.
fn commits(store: &Store) -> Result<i64> {
    let numbers = store.collection::<i64>("numbers")?;
    let count = numbers.get("count")?.map_or(0, |entry| entry.value);
    for key in 0..4 {
        let newest = (1..=count).rev().find(|n| n % 4 == key);
        let value = numbers.get(format!("{key}"))?.map(|entry| entry.value);
        assert_eq!(value, newest, "key {key} behind commit {count}: half of one");
    }
    Ok(count)
}

/// What came of a run.
#[derive(Default)]
struct Told {
    /// Commits that were answered.
    commits: i64,
    /// The same, when a backup was answered.
    backed_up: Option<i64>,
    /// The same, when a step of the archive was known to have succeeded.
    archived: Option<i64>,
    restored: Option<i64>,
}

/// A store with an archive and backups, all of it once.
fn run(machine: &Machine, told: &mut Told) -> Result<()> {
    let store = machine.open()?;
    for round in 0..3 {
        for _ in 0..2 {
            commit(&store, told.commits + 1)?;
            told.commits += 1;
        }
        machine.clock.advance(Duration::from_secs(2));
        store.tick();
        if store.stats().archive.is_some_and(|archive| archive.failure.is_none() && archive.behind_bytes == 0)
        {
            told.archived = Some(told.commits);
        }
        if round != 1 {
            store.backup(BACKUPS)?;
            told.backed_up = Some(told.commits);
        }
    }
    store.close()?;
    let env = machine.env();
    restore_in(&env, Path::new(BACKUPS), Path::new(RESTORED), &At::Now, Restore::new())?;
    told.restored = Some(told.commits);
    Ok(())
}

/// Restores from a destination into a new directory; the commits that are there then.
fn restored(machine: &Machine, from: &str, to: &str) -> Result<i64> {
    let env = machine.env();
    restore_in(&env, Path::new(from), Path::new(to), &At::Now, Restore::new())?;
    let store = Options::new().open_in(env, Path::new(to))?;
    let there = commits(&store)?;
    store.close()?;
    Ok(there)
}

/// Holds what is left of a run to what was told.
fn check(machine: &Machine, told: &Told, what: &dyn Fn() -> String) {
    // a restore that was not answered opens as nothing, or is whole all the same
    let opened = Options::new()
        .create(savehold::Create::Never)
        .open_in(machine.env(), Path::new(RESTORED))
        .and_then(|store| commits(&store));
    match (opened, told.restored) {
        (Ok(there), _) => assert_eq!(there, told.commits, "{}", what()),
        (Err(e), Some(_)) => panic!("{}: what was restored does not open: {e}", what()),
        (Err(_), None) => {}
    }
    // what was backed up is there, whatever came later
    for (from, least) in [(BACKUPS, told.backed_up), (ARCHIVE, told.archived)] {
        let there = restored(machine, from, &format!("/from{from}"));
        match (there, least) {
            (Ok(there), least) => {
                let sane = least.unwrap_or(0)..=told.commits + 1;
                assert!(sane.contains(&there), "{}: {from} holds {there}, not {sane:?}", what());
            }
            (Err(e), None) => assert_eq!(e.kind(), ErrorKind::Missing, "{}: {from}: {e}", what()),
            (Err(e), Some(_)) => panic!("{}: {from}: {e}", what()),
        }
    }
    // and everything goes on
    let store = machine.open().unwrap_or_else(|e| panic!("{}: the store does not open: {e}", what()));
    let there = commits(&store).expect("reads");
    assert!((told.commits..=told.commits + 1).contains(&there), "{}: {there} of {}", what(), told.commits);
    commit(&store, there + 1).expect("goes on");
    store.backup(BACKUPS).unwrap_or_else(|e| panic!("{}: {e}", what()));
    machine.clock.advance(Duration::from_secs(2));
    store.tick();
    let archive = store.stats().archive.expect("there is one");
    assert!(archive.failure.is_none() && archive.behind_bytes == 0, "{}: {archive:?}", what());
    store.close().expect("closes");
    for from in [BACKUPS, ARCHIVE] {
        let all = restored(machine, from, &format!("/all-of{from}"));
        assert_eq!(all.unwrap_or_else(|e| panic!("{}: {from}: {e}", what())), there + 1, "{}", what());
    }
}

#[test]
fn every_call_of_backup_archive_and_restore_may_fail_or_be_the_last() {
    let mut runs = 0;
    for linked in [false, true] {
        for fault in FAULTS {
            runs += every(linked, fault, 1, When::Change, |machine| machine.disk.counts().changes);
        }
    }
    assert!(runs > 100, "{runs}");
}

/// Those that only read or look: of a medium that fails, or by a process that dies there.
#[test]
fn every_call_that_reads_may_fail_too_and_nothing_else_is_told_than_before() {
    // SAVEHOLD_BACKUPS=full: all of them; else those of one run in a few, another few of them by each fault
    let full = std::env::var("SAVEHOLD_BACKUPS").is_ok_and(|how| how == "full");
    let step = if full { 1 } else { 7 };
    let faults = [Fault::Fail(Failure::Io), Fault::KillBefore, Fault::CutBefore];
    let mut runs = 0;
    for fault in faults {
        runs += every(runs % 2 == 1, fault, step, When::Call, |machine| machine.disk.counts().calls);
    }
    assert!(runs > 100, "{runs}");
}

/// The run with the fault at each of its calls of a kind, or at one of `step`; says how many there were.
fn every(linked: bool, fault: Fault, step: u64, when: fn(u64) -> When, count: fn(&Machine) -> u64) -> u64 {
    let mut runs = 0;
    for n in (1..).step_by(usize::try_from(step).expect("small")) {
        let (disk, clock) = (SimDisk::new(n), Arc::new(SimClock::default()));
        if linked {
            disk.one_file_system(); // sealed segments are linked
        }
        let machine = Machine { disk, clock };
        machine.disk.order(when(n), fault);
        let mut told = Told::default();
        let outcome = run(&machine, &mut told);
        let last = count(&machine) < n; // it had ended before the fault
        let left = machine.again(n);
        check(&left, &told, &|| format!("{fault:?} at {:?}, linked {linked}, answered {outcome:?}", when(n)));
        runs += 1;
        if last {
            outcome.expect("nothing failed");
            break;
        }
    }
    runs
}

#[test]
fn a_disk_that_fills_up_at_any_moment_costs_the_archive_time_and_nothing_else() {
    for blocks in (0..60).step_by(3) {
        let machine = Machine { disk: SimDisk::new(blocks), clock: Arc::new(SimClock::default()) };
        let mut told = Told::default();
        let store = machine.open().expect("opens");
        commit(&store, 1).expect("there is space");
        told.commits = 1;
        drop(store);
        machine.disk.set_capacity(Some(machine.disk.used() + blocks * 4096));
        let short = machine.again(blocks);
        short.disk.set_capacity(Some(machine.disk.used() + blocks * 4096));
        _ = run(&short, &mut told);
        short.disk.set_capacity(None);
        check(&short.again(blocks), &told, &|| format!("{blocks} blocks were left"));
    }
}

/// A store, what follows from a moment of it in two places, and again from there: no number is ever given twice.
#[test]
fn no_version_and_no_token_repeats_after_restores_from_overlapping_archives() {
    let machine = Machine { disk: SimDisk::new(1), clock: Arc::new(SimClock::default()) };
    let (mut versions, mut tokens) = (BTreeSet::<Version>::new(), BTreeSet::<Token>::new());
    let (mut issued, mut life) = (0, 0);
    let mut use_it = |store: &Store, tokens: &mut BTreeSet<Token>| {
        let numbers = store.collection::<i64>("numbers").expect("opens");
        life += 1; // what it had in the life before ends
        let server = store.external_holder("server", life).expect("a holder");
        for n in 0..3 {
            versions.insert(numbers.set(format!("{n}"), &(issued as i64)).expect("writes"));
            let session = server.acquire([numbers.key(format!("played-{n}"))], savehold::Start::new());
            let session = session.expect("free, or over");
            tokens.insert(session.token());
            issued += 1;
        }
        machine.clock.advance(Duration::from_secs(2));
        store.tick();
        (versions.len(), tokens.len(), issued)
    };
    let fenced = |store: &Store, tokens: &BTreeSet<Token>| {
        let numbers = store.collection::<i64>("numbers").expect("opens");
        for token in tokens {
            let refused = numbers.with_token(*token).set("played-0", &9).expect_err("a token of before");
            assert!(matches!(refused.kind(), ErrorKind::Fenced | ErrorKind::Undone), "{refused}");
        }
    };
    let store = machine.open().expect("opens");
    let mut all = Vec::new();
    all.push(use_it(&store, &mut tokens));
    let middle = store.version();
    all.push(use_it(&store, &mut tokens));
    store.backup(BACKUPS).expect("backs up");
    // the old store goes on, while what is restored from its archive and its backup goes on too
    let mut made = Vec::new();
    for (n, (from, at)) in [(ARCHIVE, middle), (ARCHIVE, middle), (BACKUPS, middle)].into_iter().enumerate() {
        let to = format!("/restored-{n}");
        let done =
            restore_in(&machine.env(), Path::new(from), Path::new(&to), &At::Version(at), Restore::new());
        assert_eq!(done.expect("restores").leases_ended, 3);
        let options = Options::new().archive(if n == 1 { ARCHIVE } else { "/other-archive" });
        let restored = options.open_in(machine.env(), Path::new(&to)).expect("opens");
        fenced(&restored, &tokens);
        all.push(use_it(&restored, &mut tokens));
        all.push(use_it(&store, &mut tokens));
        made.push(restored);
    }
    // and once more, from the archive that one of them keeps
    let done = restore_in(&machine.env(), Path::new(ARCHIVE), Path::new("/again"), &At::Now, Restore::new());
    done.expect("restores");
    let again = Options::new().open_in(machine.env(), Path::new("/again")).expect("opens");
    fenced(&again, &tokens);
    let values = |store: &Store| -> Vec<Option<i64>> {
        let numbers = store.collection::<i64>("numbers").expect("opens");
        ["0", "1", "2"].map(|key| numbers.get(key).expect("reads").map(|entry| entry.value)).to_vec()
    };
    let archives = made[1].stats().archive.expect("there is one");
    assert!(archives.failure.is_none(), "{archives:?}");
    assert_eq!(values(&again), values(&made[1]), "nothing of a future that was undone comes back");
    all.push(use_it(&again, &mut tokens));
    for restored in &made {
        all.push(use_it(restored, &mut tokens));
    }
    for (versions, tokens, issued) in all {
        assert_eq!((versions, tokens), (issued, issued), "one of them was given twice");
    }
    assert!(store.stats().archive.expect("there is one").is_superseded(), "the old store archives no more");
    let listed = backups_in(&machine.env(), Path::new(ARCHIVE)).expect("lists");
    assert!(listed.iter().any(|held| held.as_ref().is_ok_and(|held| held.name == BackupName::Archive)));
}

/// What was undone and done again stands, whatever is forgotten of it: who is told `Undone` grants it a second time.
#[test]
fn a_receipt_that_was_applied_again_is_never_undone_and_marks_lapse_as_outcomes_do() -> Result<()> {
    let machine = Machine { disk: SimDisk::new(1), clock: Arc::new(SimClock::default()) };
    let store = machine.open()?;
    let numbers = store.collection::<i64>("numbers")?;
    let before = numbers.set("k", &1)?;
    numbers.set_once("again", "k", &2)?;
    let Once::Now(never) = numbers.set_once("never again", "k", &3)? else { panic!("it is new") };
    store.backup(BACKUPS)?;
    store.close()?;
    restore_in(
        &machine.env(),
        Path::new(BACKUPS),
        Path::new(RESTORED),
        &At::Version(before),
        Restore::new(),
    )?;
    let open = || Options::new().open_in(machine.env(), Path::new(RESTORED));
    let later = || machine.clock.advance(Duration::from_secs(60));

    let store = open()?;
    let numbers = store.collection::<i64>("numbers")?;
    later();
    assert!(matches!(store.outcome("again")?, Outcome::Undone(_)));
    let Once::Now(done) = numbers.set_once("again", "k", &2)? else { panic!("it was undone") };
    assert_eq!(store.outcome("again")?, Outcome::Committed(done));
    later();
    numbers.set("other", &4)?;
    assert!(store.thin()?);
    assert_eq!(store.outcome("never again")?, Outcome::Undone(never), "nothing is forgotten yet");
    let versions = store.stats().versions;
    store.set_outcomes_kept(Duration::ZERO)?;
    later();
    assert!(store.thin()?);
    assert_eq!(store.outcome("again")?, Outcome::Forgotten);
    assert_eq!(store.outcome("never again")?, Outcome::Forgotten);
    assert!(store.stats().versions + 3 <= versions + 1, "two marks and an outcome went, a setting came");
    assert!(store.forgotten_through().is_some_and(|through| through >= done));
    store.close()?;
    let store = open()?;
    assert_eq!(store.outcome("again")?, Outcome::Forgotten);
    assert_eq!(store.outcome("never again")?, Outcome::Forgotten);
    Ok(())
}

/// What no backup holds yet is undone as well, by a restore in the store's place: the store is there to be asked.
#[test]
fn receipts_that_the_store_has_and_no_backup_are_undone_by_a_restore_in_its_place() -> Result<()> {
    let dir = tempfile::tempdir().expect("a directory");
    let (place, from) = (dir.path().join("store"), dir.path().join("backups"));
    let store = Store::open(&place)?;
    let coins = store.collection::<i64>("coins")?;
    let then = coins.set("42", &0)?;
    let Once::Now(behind) = coins.set_once("in the backup", "42", &1)? else { panic!("it is new") };
    store.backup(&from)?;
    let Once::Now(done) = coins.set_once("in the store alone", "42", &2)? else { panic!("it is new") };
    coins.set("43", &0)?;
    drop(coins);
    store.close()?;
    let made = restore_in_place(&from, &place, then, Restore::new())?;
    let lost = made.restored.lost;
    assert_eq!((lost.commits, lost.keys, lost.receipts.len()), (3, 2, 2), "{lost:?}");
    let store = Store::open(&place)?;
    assert_eq!(store.outcome("in the backup")?, Outcome::Undone(behind));
    assert_eq!(store.outcome("in the store alone")?, Outcome::Undone(done));
    assert_eq!(store.collection::<i64>("coins")?.get("42")?.map(|entry| entry.value), Some(0));
    drop(store);
    restore_in_place(&from, &place, then, Restore::new())?; // what the first one noted stands in the store alone too
    let store = Store::open(&place)?;
    assert_eq!(store.outcome("in the store alone")?, Outcome::Undone(done));
    drop(store);

    // all of the backup comes back: what was undone and stands again is Forgotten once it lapses, and not undone
    restore_in_place(&from, &place, At::Now, Restore::new())?;
    let store = Store::open(&place)?;
    assert_eq!(store.outcome("in the backup")?, Outcome::Committed(behind));
    assert_eq!(store.outcome("in the store alone")?, Outcome::Undone(done));
    store.set_outcomes_kept(Duration::ZERO)?;
    store.collection::<i64>("coins")?.set("44", &0)?;
    store.thin()?;
    assert_eq!(store.outcome("in the backup")?, Outcome::Forgotten);
    drop(store);

    // too damaged to be looked through: restored all the same, and known is what the backup holds
    std::fs::write(place.join("MANIFEST"), b"damaged").expect("writes");
    std::fs::remove_dir_all(place.join("log")).expect("removes");
    let made = restore_in_place(&from, &place, then, Restore::new())?;
    assert_eq!(made.restored.lost.commits, 1);
    assert_eq!(Store::open(&place)?.outcome("in the store alone")?, Outcome::NotCommitted);
    Ok(())
}
