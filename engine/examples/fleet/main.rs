//! A fleet: one process has the store, several game servers play its players, and each player is played by one of them.
//!
//! ```text
//! fleet                        shows it, and checks what it shows
//! fleet store DIR SOCKET       the process that has the store
//! fleet game SOCKET NAME KEY   a game server that plays one player
//! ```
//!
//! Shown is the case that every other scheme gets wrong: a game server is frozen (here by SIGSTOP) for longer than its
//! lease, another takes its player over and plays on, and the first one wakes up and believes that he is still its own.
//! Its every write is fenced, it learns why, and no coin is lost or there twice.

use std::io::{self, BufRead, BufReader, Lines};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use game::Report;
use savehold::control::Client;
use savehold::{Map, Value};

mod game;
mod store;
mod wire;

const KEY: &str = "42";

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => show(),
        ["store", dir, socket] => store::serve(Path::new(dir), Path::new(socket)),
        ["game", socket, name, key] => game::play(Path::new(socket), name, key),
        _ => Err(io::Error::other("fleet, fleet store DIR SOCKET or fleet game SOCKET NAME KEY")),
    }
}

fn show() -> io::Result<()> {
    let place = tempfile::tempdir()?;
    let (dir, socket) = (place.path().join("data"), place.path().join("fleet"));
    let mut store = Process::start(["store".as_ref(), dir.as_os_str(), socket.as_os_str()])?;
    store.listens(&socket)?;

    println!("red plays player {KEY}");
    let mut red = Process::game(&socket, "red")?;
    let (red_token, mut earned) = red.started()?;
    earned = earned.max(red.coins(5)?);

    println!("red is frozen with {earned} coins saved; blue asks for the player");
    red.signal("-STOP")?;
    let mut blue = Process::game(&socket, "blue")?;
    let (blue_token, found) = blue.started()?;
    assert!(blue_token > red_token, "a later token is a larger one");
    assert!(found >= earned, "{earned} coins were acknowledged, blue found {found}");
    let before = blue.coins(5)?;
    println!("blue found {found}, and has {before} now; red wakes up");

    red.signal("-CONT")?;
    let (mut fenced, mut why) = (0, String::new());
    while let Some(report) = red.report()? {
        match report {
            Report::Saved { coins } => {
                assert!(fenced == 0 && coins <= found, "a write of red's got through: {coins} coins");
                earned = coins; // acknowledged before it froze, and heard now
            }
            Report::Refused { kind, message } => {
                assert_eq!(kind, "Fenced", "{message}");
                fenced += 1;
            }
            Report::Ended { why: told } => why = told,
            other => panic!("red cannot have done that: {other:?}"),
        }
    }
    assert!(found <= earned + 1, "{earned} acknowledged, one perhaps on its way, and blue found {found}");
    assert!(fenced >= 5, "red tried to write on, and was refused {fenced} times only");
    assert!(why == "expired" || why == "taken by blue", "red learnt: {why}");
    println!("red was fenced {fenced} times, and learnt why: {why}");

    let after = blue.coins(5)?;
    println!("green asks for the player; blue hands him over");
    let mut green = Process::game(&socket, "green")?;
    let (_, handed) = green.started()?;
    let last = loop {
        match blue.report()? {
            Some(Report::Saved { .. }) => {}
            Some(Report::Handed { to, coins }) if to == "green" => break coins,
            other => panic!("blue cannot have done that: {other:?}"),
        }
    };
    assert!(last >= after && handed == last, "blue handed over {last} coins, green found {handed}");
    green.coins(5)?;
    drop((red, blue, green));

    let versions = every_version(&dir)?;
    let expected: Vec<u64> = (1..=versions.len() as u64).collect();
    assert_eq!(versions, expected, "each coin is there once, in order");
    println!("every coin of {} is there, once, in order", versions.len());
    Ok(())
}

/// The coins of every version of the player, oldest first, asked of the process that has the store.
fn every_version(dir: &Path) -> io::Result<Vec<u64>> {
    let client = Client::connect(dir).map_err(io::Error::other)?.expect("the store process answers");
    let ask = |verb: &str, at: Value| {
        let mut request = Map::from([("do", verb), ("collection", "players"), ("key", KEY)]);
        request.insert("at", at);
        request.extend((verb == "versions").then_some(("limit", 1000)));
        if verb == "versions" {
            request.remove("at");
        }
        client.ask(&request).map_err(io::Error::other)
    };
    let said = ask("versions", Value::Nil)?;
    let versions = said.get("versions").and_then(Value::as_list).unwrap_or_default();
    let coins = versions.iter().rev().map(|version| {
        let entry = ask("get", version.get("version").cloned().unwrap_or_default())?;
        let coins = entry.get("entry").and_then(|e| e.get("value")).and_then(|v| v.get("coins"));
        Ok(coins.and_then(Value::as_u64).unwrap_or_default())
    });
    coins.collect()
}

/// A process of the fleet; it does not outlive our interest.
struct Process {
    child: Child,
    told: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    fn start<'a>(words: impl IntoIterator<Item = &'a std::ffi::OsStr>) -> io::Result<Self> {
        let program: PathBuf = std::env::current_exe()?;
        let mut child = Command::new(program).args(words).stdout(Stdio::piped()).spawn()?;
        let told = child.stdout.take().map(|out| BufReader::new(out).lines());
        Ok(Self { child, told })
    }

    fn game(socket: &Path, name: &str) -> io::Result<Self> {
        Self::start(["game".as_ref(), socket.as_os_str(), name.as_ref(), KEY.as_ref()])
    }

    /// Waits until it listens.
    #[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
    fn listens(&mut self, socket: &Path) -> io::Result<()> {
        while UnixStream::connect(socket).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the store's process ended: {status}")));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }

    /// What it tells next; `None` once it has ended.
    fn report(&mut self) -> io::Result<Option<Report>> {
        let line = self.told.as_mut().and_then(Iterator::next).transpose()?;
        line.map(|line| serde_json::from_str(&line).map_err(io::Error::other)).transpose()
    }

    fn started(&mut self) -> io::Result<(savehold::Token, u64)> {
        match self.report()? {
            Some(Report::Started { token, coins }) => Ok((token, coins)),
            other => Err(io::Error::other(format!("it does not play: {other:?}"))),
        }
    }

    /// Waits for so many more coins, and says how many there are.
    fn coins(&mut self, more: usize) -> io::Result<u64> {
        let mut last = 0;
        for _ in 0..more {
            match self.report()? {
                Some(Report::Saved { coins }) => last = coins,
                other => return Err(io::Error::other(format!("it does not earn: {other:?}"))),
            }
        }
        Ok(last)
    }

    fn signal(&self, which: &str) -> io::Result<()> {
        let sent = Command::new("kill").arg(which).arg(self.child.id().to_string()).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill {which} failed"))) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
