//! How many instructions a replayed record, a commit and a read take, counted by callgrind: figures that no other load on
//! the machine touches.
//!
//! ```text
//! instructions                 counts, and prints what changed by more than 5 % against benches/instructions.json
//! instructions --write         counts, and writes the file anew
//! instructions work WHAT DIR COUNT
//! ```
//!
//! Each figure is the difference of two runs, one of which does the same twice as often: what opening and closing take
//! falls out. Threads run by turns of one length (`--fair-sched`): what they do for each other is the same each time. On
//! another compiler or processor the figures are others: they are compared, never judged.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use savehold::{Collection, Control, Durability, Options, Store};
use savehold_benches::value;
use savehold_wal::draw::Draw;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A change that is worth a line.
const WORTH: f64 = 0.05;

/// What is counted: its name, how often it is done, what it does.
const FIGURES: [(&str, u64, Work); 7] = [
    ("replay a record of 100 B", 300_000, Work::Replay { bytes: 100 }),
    ("replay a record of 1 KiB", 50_000, Work::Replay { bytes: 1024 }),
    ("set 100 B, synced, alone", 2_000, Work::Set { durability: Durability::Synced }),
    ("set 100 B, buffered", 20_000, Work::Set { durability: Durability::Buffered }),
    ("set 100 B, ticket", 50_000, Work::Tickets),
    ("update 1 KiB, buffered", 20_000, Work::Update),
    ("get 100 B", 50_000, Work::Get),
];

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Replay { bytes: u64 },
    Set { durability: Durability },
    Tickets,
    Update,
    Get,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["work", figure, dir, count] => work(figure, Path::new(dir), count),
        ["--write"] => counted().and_then(|figures| kept::write(&figures)),
        [] => counted().and_then(|figures| compare(&figures)),
        _ => Err("call it with nothing, or with --write".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// All figures, counted now.
fn counted() -> Result<BTreeMap<String, u64>> {
    let mut figures = BTreeMap::new();
    for (at, (name, count, work)) in FIGURES.iter().enumerate() {
        let once = instructions(at, *work, *count)?;
        let twice = instructions(at, *work, 2 * count)?;
        let each = twice.saturating_sub(once) / count;
        println!("{name}: {each}");
        figures.insert((*name).to_owned(), each);
    }
    Ok(figures)
}

/// Instructions of a whole process that does it so often.
fn instructions(figure: usize, work: Work, count: u64) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let store = dir.path().join("store");
    prepare(work, &store, count)?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"])
        .arg(env::current_exe()?);
    let done = valgrind.args(["work", &figure.to_string()]).arg(&store).arg(count.to_string()).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    let counted = counted.and_then(|(_, count)| count.trim().parse().ok());
    match counted.filter(|_| done.status.success()) {
        Some(count) => Ok(count),
        None => Err(format!("valgrind: {said}").into()),
    }
}

/// What has to be there before it is counted.
fn prepare(work: Work, store: &Path, count: u64) -> Result<()> {
    match work {
        Work::Set { .. } | Work::Tickets => Ok(()),
        Work::Replay { bytes } => {
            // in large groups: how many records a buffered one has goes by the clock
            let (opened, players) = open(store, Durability::Synced)?;
            fill(&players, count, bytes)?;
            // Left as a kill would leave it: what it has in memory is of no use, and nothing is closed.
            std::mem::forget((opened, players));
            rename(store)
        }
        Work::Update => filled(open(store, Durability::Buffered)?),
        // read from a table, which the default budget has closing write: whether the budget of a day does goes by the clock
        Work::Get => filled(open_within(Options::new().durability(Durability::Buffered), store)?),
    }
}

/// Fills a store and closes it.
fn filled((store, players): (Store, Collection<bytes::Bytes>)) -> Result<()> {
    fill(&players, KEYS, 1024)?;
    drop(players);
    Ok(store.close()?)
}

/// The forgotten store holds the lock of its directory: its files are opened under another.
fn rename(store: &Path) -> Result<()> {
    let (from, to) = (store.to_path_buf(), store.with_extension("copy"));
    kept::copy(&from, &to)
}

const KEYS: u64 = 10_000;

/// What callgrind counts.
fn work(figure: &str, dir: &Path, count: &str) -> Result<()> {
    let (_, _, work) = FIGURES[figure.parse::<usize>()?];
    let count: u64 = count.parse()?;
    match work {
        Work::Replay { .. } => {
            let (store, _) = open(&dir.with_extension("copy"), Durability::Buffered)?;
            assert!(store.recovery().replayed_records >= count);
            std::mem::forget(store);
        }
        Work::Set { durability } => {
            let (store, players) = open(dir, durability)?;
            let (mut draw, value) = (Draw::from_seed(1), value(100));
            (0..count).try_for_each(|_| players.set(draw.below(KEYS), &value).map(drop))?;
            store.close()?;
        }
        Work::Tickets => {
            let (store, players) = open(dir, Durability::Synced)?;
            fill(&players, count, 100)?;
            store.close()?;
        }
        Work::Update => {
            let (store, players) = open(dir, Durability::Buffered)?;
            let mut draw = Draw::from_seed(1);
            for _ in 0..count {
                players.update(draw.below(KEYS), |now| now.map(|entry| entry.value))?;
            }
            store.close()?;
        }
        Work::Get => {
            let (store, players) = open(dir, Durability::Buffered)?;
            let mut draw = Draw::from_seed(1);
            for _ in 0..count {
                players.get(draw.below(KEYS))?.ok_or("it was written")?;
            }
            store.close()?;
        }
    }
    Ok(())
}

/// A store without checkpoints by itself, replayed by one thread.
fn open(dir: &Path, durability: Durability) -> Result<(Store, Collection<bytes::Bytes>)> {
    open_within(Options::new().durability(durability).recovery_budget(Duration::from_secs(24 * 3600)), dir)
}

fn open_within(options: Options, dir: &Path) -> Result<(Store, Collection<bytes::Bytes>)> {
    let store = options.control(Control::Off).replay_threads(std::num::NonZeroUsize::MIN).open(dir)?;
    let players = store.raw("players")?;
    Ok((store, players))
}

/// Writes so many keys, 1,024 tickets under way at once.
fn fill(players: &Collection<bytes::Bytes>, keys: u64, bytes: u64) -> Result<()> {
    let (value, mut under_way) = (value(bytes), std::collections::VecDeque::with_capacity(1024));
    for key in 0..keys {
        if under_way.len() == 1024
            && let Some(first) = under_way.pop_front()
        {
            savehold::Ticket::wait(first)?;
        }
        under_way.push_back(players.set_async(key, &value));
    }
    under_way.into_iter().try_for_each(|ticket| ticket.wait().map(drop))?;
    Ok(())
}

/// Prints what changed; nothing fails.
fn compare(figures: &BTreeMap<String, u64>) -> Result<()> {
    let before = kept::read()?;
    let mut changed = 0;
    for (name, now) in figures {
        let Some(was) = before.get(name) else {
            println!("new: {name}");
            continue;
        };
        let change = *now as f64 / *was as f64 - 1.0;
        if change.abs() > WORTH {
            changed += 1;
            println!("CHANGED: {name}: {now} instructions, {was} before ({:+.1} %)", change * 100.0);
        }
    }
    println!("{changed} of {} figures changed by more than {:.0} %", figures.len(), WORTH * 100.0);
    Ok(())
}

/// Door: the figures that are kept, and files of stores.
mod kept {
    #![expect(clippy::disallowed_methods, reason = "a measuring program's own files")]

    use std::fs;

    use super::{BTreeMap, Path, PathBuf, Result};

    fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
    }

    /// What was counted before; nothing, where nobody kept it.
    pub(super) fn read() -> Result<BTreeMap<String, u64>> {
        match fs::read_to_string(path()) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(e.into()),
        }
    }

    /// Keeps what was counted now.
    pub(super) fn write(figures: &BTreeMap<String, u64>) -> Result<()> {
        Ok(fs::write(path(), serde_json::to_string_pretty(figures)? + "\n")?)
    }

    /// Copies the files of a store.
    pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let to = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                copy(&entry.path(), &to)?
            } else {
                fs::copy(entry.path(), to).map(drop)?
            }
        }
        Ok(())
    }
}
