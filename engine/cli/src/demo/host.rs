//! Door: the machine under the demo: clock, threads, chance, a directory that goes away, the server as a process.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ledger::{Ledger, Report};
use crate::exit::{Exit, Failure};

/// In the environment of a process that is to be the server: the number of its round.
pub const ROUND: &str = "SAVEHOLD_DEMO_ROUND";

/// How long a server may take until it has opened the store, or closed it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The clock, for measuring.
#[expect(clippy::disallowed_methods, reason = "the demo measures its own run, not the store's time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the demo lets a real server play in real time")]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Runs `work` beside; it ends with the process if nobody waits for it.
///
/// # Errors
///
/// The system gives no thread.
#[expect(clippy::disallowed_methods, reason = "threads of the demo begin here")]
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().spawn(work)
}

/// A number that nobody foresees.
pub fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// The directory of the demo's store: goes away at the end, unless it was named by the user or is kept.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    stays: bool,
}

impl Place {
    /// The directory that the user named, which must not exist yet; or one of its own.
    ///
    /// # Errors
    ///
    /// It exists.
    pub fn choose(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) else {
            let path = std::env::temp_dir().join(format!("savehold-demo-{:016x}", seed()));
            return Ok(Self { path, stays: false });
        };
        if path.symlink_metadata().is_ok() {
            let what = format!("{} exists already, and the demo works in a new store only", path.display());
            return Err(Failure::new(
                Exit::Usage,
                what,
                "name a directory that does not exist, or leave out --dir and SAVEHOLD_DIR",
            ));
        }
        Ok(Self { path: path.to_owned(), stays: true })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there after the demo.
    pub const fn stays(&self) -> bool {
        self.stays
    }

    /// It stays, so that somebody can look what happened.
    pub const fn keep(&mut self) {
        self.stays = true;
    }
}

/// Deletes a directory of the demo's and all that is in it.
///
/// # Errors
///
/// The system's.
#[expect(clippy::disallowed_methods, reason = "directories that the demo made, and nobody else's")]
pub fn delete(dir: &Path) -> Result<(), Failure> {
    let gone = std::fs::remove_dir_all(dir);
    gone.map_err(|e| {
        Failure::new(Exit::Failed, format!("deleting {}: {e}", dir.display()), "delete it by hand")
    })
}

impl Drop for Place {
    #[expect(clippy::disallowed_methods, reason = "a directory that the demo made, and nobody else's")]
    fn drop(&mut self) {
        if !self.stays {
            // Nobody is left to tell; the system empties its directory of temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A server as its parent has it: a process, and all that it reported.
#[derive(Debug)]
pub struct Server {
    process: Child,
    heard: Option<JoinHandle<Result<Ledger, String>>>,
    ready: Receiver<()>,
}

impl Server {
    /// Starts this program as a server and waits until it plays.
    ///
    /// # Errors
    ///
    /// It cannot be started, or ends before it plays, or takes too long.
    pub fn start(dir: &Path, players: u64, round: u16) -> Result<Self, Failure> {
        let mut process = std::env::current_exe()
            .and_then(|program| {
                Command::new(program)
                    .arg("demo")
                    .args(["--players", &players.to_string()])
                    .arg("--dir")
                    .arg(dir)
                    .env(ROUND, round.to_string())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
            })
            .map_err(|e| failed(format!("starting the server: {e}")))?;
        let (tell, ready) = sync_channel(1);
        let reports = process.stdout.take().ok_or_else(|| failed("the server has no output".into()))?;
        let mut server = Self { process, heard: None, ready };
        let listen = move || hear(BufReader::new(reports), || tell.try_send(()).unwrap_or_default());
        server.heard = Some(beside(listen).map_err(|e| failed(format!("starting a thread: {e}")))?);
        match server.ready.recv_timeout(PATIENCE) {
            Ok(()) => Ok(server),
            Err(RecvTimeoutError::Timeout) => {
                Err(failed(format!("the server did not open the store within {} s", PATIENCE.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => Err(server.gone()),
        }
    }

    /// Kills it with SIGKILL, which no process can see coming, and answers what it had reported.
    ///
    /// # Errors
    ///
    /// It had ended by itself, or its reports make no sense.
    pub fn kill(mut self) -> Result<Ledger, Failure> {
        if self.status()?.is_some() {
            return Err(self.gone());
        }
        self.process.kill().map_err(|e| failed(format!("killing the server: {e}")))?;
        self.process.wait().map_err(|e| failed(format!("waiting for the server: {e}")))?;
        self.reports()
    }

    /// Lets it come to its end: it stops playing, closes the store and goes.
    ///
    /// # Errors
    ///
    /// It failed, or takes too long, or its reports make no sense.
    pub fn stop(mut self) -> Result<Ledger, Failure> {
        drop(self.process.stdin.take());
        let begun = now();
        let status = loop {
            match self.status()? {
                Some(status) => break status,
                None if begun.elapsed() > PATIENCE => {
                    return Err(failed(format!("the server did not stop within {} s", PATIENCE.as_secs())));
                }
                None => sleep(Duration::from_millis(2)),
            }
        };
        let ledger = self.reports()?;
        if status.success() && ledger.ended { Ok(ledger) } else { Err(self.gone()) }
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.process.try_wait().map_err(|e| failed(format!("looking after the server: {e}")))
    }

    fn reports(&mut self) -> Result<Ledger, Failure> {
        let heard = self.heard.take().and_then(|heard| heard.join().ok());
        heard.unwrap_or_else(|| Err("nobody listened to the server".to_owned())).map_err(failed)
    }

    /// Why it is not there any more; it has said more on standard error.
    fn gone(&mut self) -> Failure {
        let status = self.process.wait();
        let damaged = matches!(&status, Ok(status) if status.code() == Some(i32::from(Exit::Damaged.code())));
        let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
        let what = format!("the server ended by itself ({status}); what it said stands above");
        Failure::new(if damaged { Exit::Damaged } else { Exit::Failed }, what, "")
    }
}

/// No server outlives its parent's interest.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Listens until the server closes its end of the pipe; what a kill left in the pipe is heard too.
fn hear(mut reports: impl BufRead, mut ready: impl FnMut()) -> Result<Ledger, String> {
    let (mut ledger, mut line) = (Ledger::default(), String::new());
    loop {
        line.clear();
        reports.read_line(&mut line).map_err(|e| format!("listening to the server: {e}"))?;
        // Without an end it was cut off, or there is none: the server is no more.
        let Some(text) = line.strip_suffix('\n') else { return Ok(ledger) };
        let report = Report::read(text).ok_or_else(|| format!("the server reported {text:?}"))?;
        if report == Report::Ready {
            ready();
        }
        ledger.take(report)?;
    }
}

fn failed(what: String) -> Failure {
    Failure::new(Exit::Failed, what, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_was_cut_off_says_nothing() {
        let mut told = 0;
        let cut =
            "ready\n+ r1-t0-0 earn 1 2 3\n= r1-t0-0 7.64\n+ r1-t0-1 earn 1 2 3\n= r1-t0-1 7.1".as_bytes();
        let ledger = hear(cut, || told += 1).unwrap();
        assert_eq!((told, ledger.acknowledged.len(), ledger.in_doubt.len()), (1, 1, 1));
    }

    #[test]
    fn a_whole_line_that_is_no_report_is_refused() {
        assert!(hear(&b"ready\n= r1-t0\n"[..], || ()).unwrap_err().contains("= r1-t0"));
    }

    #[test]
    fn a_directory_that_is_there_is_not_touched() {
        let here = std::env::temp_dir();
        assert_eq!(Place::choose(Some(&here)).unwrap_err().exit, Exit::Usage);
        let own = Place::choose(None).unwrap();
        assert!(!own.stays() && own.path().starts_with(&here));
    }
}
