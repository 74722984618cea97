//! Corridor: backing a store up and restoring it, against a plain copy of the same bytes; commits meanwhile, and how
//! little a second backup copies.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use savehold::backup::Linking;
use savehold::{At, BackupOptions, Create, Options, Store};
use savehold_wal::env::Env;
use savehold_wal::schedule;

use super::figure::{Better, Figure, column};
use super::image;
use super::keys::{self, Numbers};
use super::place::Place;
use super::sample::median;
use super::{ROUNDS, failed};
use crate::args::Workload;
use crate::exit::Failure;
use crate::output::Cell;

/// Measures backups.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let store = keys::filled(&place.join("store"), work, keys::BUDGET)?;
    let (mut took, mut floors, mut bytes) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let to = place.join(&format!("backup-{round}"));
        let begun = env.clock.monotonic();
        bytes = copied_to(&store, &to)?;
        took.push(ms(env, begun));
        floors.push(copied(env, &to, &place.join(&format!("copy-{round}")))?);
    }
    let alone = commits(env, &store, work, || Ok(()))?;
    let meanwhile = commits(env, &store, work, || copied_to(&store, &place.join("meanwhile")).map(drop))?;
    let begun = env.clock.monotonic();
    store.backup(place.join("linked"))?;
    let linked = ms(env, begun);
    let first = place.join("backup-0");
    let mut numbers = Numbers::new(7, work);
    store.backup(&first)?;
    for _ in 0..work.records / 100 {
        keys::players(&store)?.set(&numbers.key(), &keys::value(work.value_size))?;
    }
    let more = store.backup(&first)?;
    store.close()?;
    let details = vec![
        (column("bytes copied", "copied_bytes"), Cell::Bytes(bytes)),
        (column("ms with sealed files linked", "linked_ms"), Cell::Float(linked)),
        (column("commits/s alone", "commits_alone"), Cell::Float(alone)),
        (column("commits/s during a backup", "commits_meanwhile"), Cell::Float(meanwhile)),
        (column("share of them", "commits_share"), Cell::Float(meanwhile / alone)),
        (column("copied after 1 % of changes", "again_bytes"), Cell::Bytes(more.copied_bytes)),
        (column("share of all", "again_share"), Cell::Float(more.copied_bytes as f64 / more.bytes as f64)),
    ];
    Ok(Figure {
        what: "ms to back a store up in full",
        value: median(took),
        floor: median(floors),
        better: Better::Less,
        details,
    })
}

/// Measures restores.
pub(super) fn restoring(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let store = keys::filled(&place.join("store"), work, keys::BUDGET)?;
    let from = place.join("backup");
    let bytes = store.backup(&from)?.bytes;
    store.close()?;
    let (mut took, mut restores, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let to = place.join(&format!("restored-{round}"));
        let begun = env.clock.monotonic();
        savehold::restore(&from, &to, At::Now)?;
        restores.push(ms(env, begun));
        let ready = Options::new().create(Create::Never).open(&to)?;
        took.push(ms(env, begun));
        ready.close()?;
        floors.push(copied(env, &from, &place.join(&format!("copy-{round}")))?);
    }
    Ok(Figure {
        what: "ms to restore a store and open it",
        value: median(took),
        floor: median(floors),
        better: Better::Less,
        details: vec![
            (column("ms of it to restore", "restore_ms"), Cell::Float(median(restores))),
            (column("bytes restored", "restored_bytes"), Cell::Bytes(bytes)),
        ],
    })
}

/// Backs up with every byte copied, as onto another disk; says how many.
fn copied_to(store: &Store, to: &Path) -> savehold::Result<u64> {
    Ok(store.backup_with(to, BackupOptions::new().linking(Linking::Never))?.copied_bytes)
}

/// Milliseconds of a plain copy of a backup's pieces, made durable.
fn copied(env: &Env, from: &Path, to: &Path) -> Result<f64, Failure> {
    let begun = env.clock.monotonic();
    let done = image::copy_files(env, &from.join("pieces"), to);
    done.map_err(|e| failed(&format!("copying {}", from.display()), &e))?;
    Ok(ms(env, begun))
}

/// Commits a second of one thread, while `other` runs, and for a while at the least.
fn commits(
    env: &Env,
    store: &Store,
    work: &Workload,
    other: impl Fn() -> savehold::Result<()> + Sync,
) -> Result<f64, Failure> {
    let (going, done) = (AtomicBool::new(true), AtomicU64::new(0));
    let begun = env.clock.monotonic();
    let answers = schedule::share(2, |thread| -> savehold::Result<()> {
        if thread == 1 {
            let answer = other();
            let least = Duration::from_secs(1);
            while env.clock.monotonic().saturating_sub(begun) < least {
                schedule::pause(Duration::from_millis(5));
            }
            going.store(false, Ordering::Release);
            return answer;
        }
        let (players, mut numbers) = (store.raw(keys::COLLECTION)?, Numbers::new(3, work));
        while going.load(Ordering::Acquire) {
            players.set(&numbers.key(), &keys::value(work.value_size))?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    answers.into_iter().collect::<savehold::Result<Vec<()>>>()?;
    Ok(done.load(Ordering::Relaxed) as f64 / env.clock.monotonic().saturating_sub(begun).as_secs_f64())
}

fn ms(env: &Env, begun: Duration) -> f64 {
    env.clock.monotonic().saturating_sub(begun).as_secs_f64() * 1e3
}
