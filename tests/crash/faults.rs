//! Calls that fail: each call of some scripted workloads, once and for ever, with the errors of a failing medium and
//! of a full disk. Nothing is acknowledged that is not so, what is refused never appears, a full disk heals by itself.

use std::time::Duration;

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::ErrorKind;
use savehold_wal::sim::{Choice, Counts, Failure, Fault, When};
use support::check::{Promise, verify};
use support::history::{Finding, Stop};
use support::world::{Answer, Step, World, small_segments};

use crate::budget;

/// Everything that a log does, once or twice.
pub(crate) const SCRIPTS: [&[Step]; 4] = [
    &[
        Step::Commit(100, Synced),
        Step::Commit(100, Buffered),
        Step::Sync,
        Step::Batch(3, 700),
        Step::Commit(9_000, Synced),
        Step::Tick(Duration::from_millis(6)),
        Step::Commit(20_000, Synced),
        Step::Reopen,
        Step::Commit(50, Buffered),
        Step::Tick(Duration::from_secs(2)),
        Step::Commit(60, Synced),
    ],
    &[
        Step::Commit(3_000, Buffered),
        Step::Commit(3_000, Buffered),
        Step::Commit(3_000, Buffered),
        Step::Commit(3_000, Buffered),
        Step::Commit(3_000, Buffered),
        Step::Renew,
        Step::Commit(100, Synced),
        Step::Retire,
        Step::Commit(30_000, Buffered),
        Step::Reopen,
        Step::Reopen,
        Step::Commit(10, Synced),
    ],
    &[
        Step::Reopen,
        Step::Commit(100, Synced),
        Step::Renew,
        Step::Commit(200, Buffered),
        Step::Renew,
        Step::Commit(300, Synced),
        Step::Tick(Duration::from_millis(6)),
        Step::Renew,
        Step::Batch(4, 4_000),
        Step::Reopen,
        Step::Batch(4, 4_000),
    ],
    &[
        Step::Commit(9_000, Synced),
        Step::Commit(9_000, Synced),
        Step::Commit(3_000, Buffered),
        Step::Renew,
        Step::Commit(9_000, Synced),
        Step::Pack,
        Step::Commit(9_000, Synced),
        Step::Reopen,
        Step::Commit(100, Synced),
        Step::Pack,
        Step::Commit(50, Synced),
    ],
];

/// One fault for one run of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    when: When,
    fault: Fault,
    for_ever: bool,
}

impl Trouble {
    /// True where bytes may be lost from the medium though they are read as written.
    fn may_lose(self) -> bool {
        matches!(self.when, When::Call(_) | When::Change(_) | When::Sync(_))
    }
}

/// Runs a script with a fault in one of its lives, then holds what is there to the promise: as the next process finds
/// it, and after a power cut.
pub(crate) fn run(script: &[Step], life: usize, trouble: Trouble) -> Result<(), Finding> {
    let mut world = World::new(7, small_segments());
    let mut lives = 0;
    let (mut ordered, mut answers) = (false, Vec::new());
    for step in script {
        if lives == life && !ordered {
            ordered = true;
            order(&world, trouble);
        }
        let before = answers.clone();
        let context = |e| format!("{step:?} after {before:?}: {e}");
        if ordered && trouble.may_lose() {
            world.history.sync_failed();
        }
        let answer = world.step(*step).map_err(context)?;
        lives += usize::from(*step == Step::Renew);
        answers.push(answer);
        use ErrorKind::{Closed, Halted, ReadOnly, Unknown};
        if matches!(answer, Answer::Refused(Closed | Halted | ReadOnly | Unknown)) {
            halted_for_good(&mut world).map_err(context)?;
            world.end();
        }
    }
    let context = |e| format!("answers {answers:?}: {e}");
    world.disk.heal();
    resumes(&mut world).map_err(context)?;
    let promise = |stop| Promise { history: &world.history, stop, change: u64::MAX, options: &world.options };
    verify(&world.disk.restart(), &promise(Stop::Kill), 8)
        .map_err(|e| context(format!("next process: {e}")))?;
    for choice in [Choice::KeepNone, Choice::KeepAll, Choice::Seed(life as u64)] {
        let image = world.disk.reboot(choice);
        verify(&image, &promise(Stop::Cut), 9).map_err(|e| context(format!("{choice:?}: {e}")))?;
    }
    Ok(())
}

fn order(world: &World, Trouble { when, fault, for_ever }: Trouble) {
    if for_ever { world.disk.order_for_ever(when, fault) } else { world.disk.order(when, fault) }
}

/// A handle that failed, or was opened to read only, writes nothing.
fn halted_for_good(world: &mut World) -> Result<(), Finding> {
    if world.log.as_ref().is_none_or(|log| log.failure().is_none()) {
        return Ok(());
    }
    match world.step(Step::Commit(1, Synced))? {
        Answer::Refused(ErrorKind::Halted | ErrorKind::Closed | ErrorKind::ReadOnly) => Ok(()),
        other => Err(format!("a handle that had failed answered {other:?}")),
    }
}

/// Once nothing fails any more a log that is not halted goes on, and one that is goes on after reopening.
fn resumes(world: &mut World) -> Result<(), Finding> {
    if world.log.as_ref().is_some_and(|log| log.failure().is_some()) {
        world.end();
    }
    match world.step(Step::Commit(77, Synced))? {
        Answer::Done => Ok(()),
        other => Err(format!("healed, and still {other:?}")),
    }
}

/// What each life of a script counts when nothing fails.
pub(crate) fn counts(script: &[Step]) -> Vec<Counts> {
    let mut world = World::new(7, small_segments());
    let mut counts = Vec::new();
    for step in script {
        if *step == Step::Renew {
            counts.push(world.disk.counts());
        }
        world.steps(&[*step]).expect("nothing fails");
    }
    counts.push(world.disk.counts());
    counts
}

/// Every trouble for one life.
pub(crate) fn troubles(counts: Counts) -> impl Iterator<Item = Trouble> {
    let calls = (1..=counts.calls).map(When::Call);
    let syncs = (1..=counts.syncs).map(When::Sync);
    let dirs = (1..=counts.dir_syncs).map(When::DirSync);
    let writes = (1..=counts.writes).map(When::Write);
    let reads = (1..=counts.reads).map(When::Read);
    let all = calls.chain(syncs).chain(dirs).chain(writes).chain(reads);
    let faults =
        [Failure::Io, Failure::Full, Failure::Quota].map(|f| [Fault::Fail(f), Fault::FailHalfway(f)]);
    all.flat_map(move |when| {
        faults
            .into_iter()
            .flatten()
            .flat_map(move |fault| [false, true].map(|for_ever| Trouble { when, fault, for_ever }))
    })
}

#[test]
fn every_failing_call_is_answered_truly_and_survived() {
    let (stride, mut runs) = (budget::stride(7), 0_u64);
    for script in SCRIPTS {
        for (life, counts) in counts(script).into_iter().enumerate() {
            for (n, trouble) in (0_u64..).zip(troubles(counts)) {
                if n.is_multiple_of(stride) {
                    run(script, life, trouble)
                        .unwrap_or_else(|e| panic!("{script:?}, life {life}, {trouble:?}: {e}"));
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} runs with a failing call");
    assert!(runs > budget::count(500, 500), "{runs}");
}

/// Fills the disk at every step of a script, with so many blocks left, and frees it later.
fn fill(script: &[Step], at: usize, left: u64) -> Result<bool, Finding> {
    let mut world = World::new(7, small_segments());
    let (mut full, mut freed) = (false, false);
    for (n, step) in script.iter().enumerate() {
        if n == at {
            world.disk.set_capacity(Some(world.disk.used() + left));
        }
        match world.step(*step).map_err(|e| format!("{step:?}: {e}"))? {
            Answer::Done => {}
            Answer::Refused(ErrorKind::Full | ErrorKind::ReadOnly) => full = true,
            Answer::Refused(kind) => return Err(format!("{step:?} on a full disk was answered {kind:?}")),
        }
        if full && !freed && world.log.is_some() {
            // while it is full the answer stays the same; once it is not, the same handle goes on, or the next one
            let only_reads = world.log.as_ref().is_some_and(|log| log.read_only().is_some());
            let expected = if only_reads { ErrorKind::ReadOnly } else { ErrorKind::Full };
            let again = world.step(Step::Commit(40_000, Synced))?;
            if again != Answer::Refused(expected) {
                return Err(format!("a full disk took 40,000 bytes: {again:?}"));
            }
            world.disk.set_capacity(None);
            freed = true;
            if only_reads {
                world.steps(&[Step::Reopen])?;
            }
            world.steps(&[Step::Commit(20_000, Synced), Step::Commit(10, Buffered)])?;
        }
    }
    let promise =
        Promise { history: &world.history, stop: Stop::Cut, change: u64::MAX, options: &world.options };
    world.disk.set_capacity(None);
    verify(&world.disk.reboot(Choice::KeepNone), &promise, 3)?;
    Ok(full)
}

#[test]
fn a_full_disk_refuses_and_heals_by_itself() {
    let mut refused = 0;
    for script in SCRIPTS {
        for at in 0..script.len() {
            for blocks in (0..24).step_by(usize::try_from(budget::stride(1)).expect("small").min(5)) {
                let full = fill(script, at, blocks * 4096);
                let full = full
                    .unwrap_or_else(|e| panic!("{script:?}, full at {at} with {blocks} blocks left: {e}"));
                refused += u32::from(full);
            }
        }
    }
    println!("{refused} full disks");
    assert!(refused > 50);
}
