//! How long a store takes to open after a kill under full write load: to the first read and the first synced write.
//!
//! `cargo bench -p savehold-benches --bench open -- 0.1 1 10`: gigabytes of live data, in values of 1 KiB. A process of its
//! own fills the store and goes on overwriting it at random, with thousands of commits under way; it is killed (SIGKILL)
//! after some seconds, and the store is opened. Five times for each size. All options are the defaults; with `buffered`
//! among the arguments the commits are buffered: a kill then leaves more that nothing proves, which recovery must sync,
//! read again and write anew.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use savehold::{Durability, Options, Result};
use savehold_benches::Flow;
use savehold_wal::draw::Draw;
use savehold_wal::env::Env;
use savehold_wal::schedule;

const VALUE_BYTES: u64 = 1024;
const ROUNDS: usize = 5;
const UNDER_WAY: usize = 4096;
const LOAD: Duration = Duration::from_secs(3);

/// Tells the process that it is the one that writes, and where.
const WRITER: &str = "SAVEHOLD_BENCH_WRITER";

fn main() {
    if let Some(dir) = env::var_os(WRITER) {
        let keys = env::args().nth(1).and_then(|keys| keys.parse().ok()).expect("the number of keys");
        write(Path::new(&dir), keys, durability()).expect("the disk works");
        return;
    }
    let sizes: Vec<f64> = env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    println!(
        "{:>7} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "GB", "median ms", "open", "read", "write", "judging", "replay", "estimate"
    );
    for size in if sizes.is_empty() { vec![0.1] } else { sizes } {
        measure(size);
    }
}

/// How the commits are written that are under way when the process is killed.
fn durability() -> Durability {
    if env::args().any(|word| word == "buffered") { Durability::Buffered } else { Durability::Synced }
}

fn measure(gigabytes: f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = (gigabytes * 1e9 / VALUE_BYTES as f64) as u64;
    let mut rounds: Vec<[f64; 7]> = (0..ROUNDS).map(|_| round(dir.path(), keys)).collect();
    rounds.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [all, open, read, write, judging, replay, estimate] = rounds[ROUNDS / 2];
    print!("{gigabytes:>7} {all:>10.1} {open:>9.1} {read:>9.2} {write:>9.2} ");
    println!("{judging:>9.1} {replay:>9.1} {estimate:>9.1}");
    println!(
        "        all rounds, ms: {:?}",
        rounds.iter().map(|r| format!("{:.1} of {:.1}", r[0], r[6])).collect::<Vec<_>>()
    );
}

/// Loads, kills, opens: milliseconds to everything, to open, to read, to write; of that to judge the log's end and to
/// replay; and what was estimated.
fn round(dir: &Path, keys: u64) -> [f64; 7] {
    let mut child = Command::new(env::current_exe().expect("our own name"))
        .arg(keys.to_string())
        .args((durability() == Durability::Buffered).then_some("buffered"))
        .env(WRITER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut said)
        .expect("it says that it is full");
    schedule::pause(LOAD);
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    let clock = Env::os().clock;
    let ms = |since: Duration| clock.monotonic().saturating_sub(since).as_secs_f64() * 1e3;
    let begun = clock.monotonic();
    let store = Options::new().open(dir).expect("opens");
    let open = ms(begun);
    let players = store.raw("players").expect("a name");
    let reading = clock.monotonic();
    assert!(players.get(keys / 2).expect("reads").is_some());
    let read = ms(reading);
    let writing = clock.monotonic();
    players.set(keys / 3, &Bytes::from_static(b"the first write")).expect("writes");
    let (write, all) = (ms(writing), ms(begun));
    let report = store.recovery();
    eprintln!("{report}; {}", store.stats());
    drop(store);
    let [judging, replay, estimate] =
        [report.judging, report.replaying, report.estimated].map(|time| time.as_secs_f64() * 1e3);
    [all, open, read, write, judging, replay, estimate]
}

/// Fills what is missing, says so, and overwrites until it is killed.
fn write(dir: &Path, keys: u64, durability: Durability) -> Result<()> {
    let store = Options::new().durability(durability).open(dir)?;
    let players = store.raw("players")?;
    let value: Bytes = (0..VALUE_BYTES).map(|at| (at * at / 7) as u8).collect();
    let mut flow = Flow::new(UNDER_WAY);
    if players.get(keys - 1)?.is_none() {
        for key in 0..keys {
            flow.set(&players, key, &value)?;
        }
        store.sync()?;
    }
    println!("full");
    io::stdout().flush().expect("somebody listens");
    let mut draw = Draw::from_seed(store.time_us());
    loop {
        flow.set(&players, draw.below(keys), &value)?;
    }
}
