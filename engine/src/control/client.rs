//! Door: the other end of CONTROL: asking the process that has a store.

use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::segment::name::CONTROL;
use savehold_wal::socket;

use super::wire::{self, Advance, Line};
use crate::desk::LINE_BYTES_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Map, Value};

/// How long the holder may say nothing before it is asked for a sign of life. Who is greeted answers at once, whatever else it
/// does.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a holder that lives may say nothing: longer than it waits for anybody.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Verbs after which it matters whether they were done.
const WRITING: [&str; 12] = [
    "set",
    "increment",
    "merge",
    "remove",
    "load",
    "break",
    "revert",
    "restore_keys",
    "pin",
    "unpin",
    "migrate",
    "retention",
];

/// Verbs that take as long as the store is large, and how long the holder may then say nothing.
const LONG: [&str; 5] = ["backup", "revert", "restore_keys", "digest", "compact"];
const LONG_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Asks the process that has a store. Every request has a connection of its own, so that nothing waits in the holder.
#[derive(Clone, Debug)]
pub struct Client {
    dir: PathBuf,
    pid: u64,
    silence: Duration,
}

impl Client {
    /// Greets the holder of the store in `dir`; `None` where nobody listens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`]: the holder says nothing: it is stopped, or stuck. [`ErrorKind::Io`]: the system's.
    /// [`ErrorKind::Format`]: the holder speaks another protocol. Otherwise what the holder answers.
    pub fn connect(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        Self::connect_within(dir.as_ref(), SILENCE)
    }

    fn connect_within(dir: &Path, silence: Duration) -> Result<Option<Self>> {
        let mut client = Self { dir: Env::os().full_path(dir)?, pid: 0, silence };
        let said = match client.greet() {
            Ok(Some(said)) => said,
            Ok(None) => return Ok(None),
            Err(e) if e.kind() == ErrorKind::Io => return Ok(None), // it went away just now
            Err(e) => return Err(e),
        };
        if said.get("protocol").and_then(Value::as_u64) != Some(wire::PROTOCOL) {
            let version = said.get("version").and_then(Value::as_str).unwrap_or("another version");
            let say = format!("the holder of {} is savehold {version}: use its command line", dir.display());
            return Err(Error::new(ErrorKind::Format, say));
        }
        client.pid = said.get("pid").and_then(Value::as_u64).unwrap_or(0);
        Ok(Some(client))
    }

    /// What the holder answers to a greeting; `None` where nobody listens.
    fn greet(&self) -> Result<Option<Map>> {
        let stream = match socket::connect_within(&self.dir, CONTROL, self.silence) {
            Ok(stream) => stream,
            Err(e) if nobody(&e) => return Ok(None),
            Err(e) if silent(&e) => return Err(self.stuck(e)),
            Err(e) => return Err(self.failed("asking", e)),
        };
        let hello = Map::from([("do", "hello")]);
        self.exchange(stream, &hello, |_| ControlFlow::Continue(())).map(Some)
    }

    /// The process that has the store.
    #[must_use]
    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// Has a request answered.
    ///
    /// # Errors
    ///
    /// What the holder answers. [`ErrorKind::Busy`]: it is gone, and nothing was done. [`ErrorKind::Locked`]: it says nothing
    /// any more, to a greeting either: it is stopped, or stuck. [`ErrorKind::Unknown`]: it went away over a request that writes,
    /// or says nothing; whether that was done says `savehold history`.
    pub fn ask(&self, request: &Map) -> Result<Map> {
        self.ask_telling(request, |_| ControlFlow::Continue(()))
    }

    /// Has a request answered, and is told how far that has come where the request asks for it; `Break` stops it.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`]; [`ErrorKind::Aborted`]: `progress` stopped it.
    pub fn ask_telling(
        &self,
        request: &Map,
        progress: impl FnMut(Advance) -> ControlFlow<()>,
    ) -> Result<Map> {
        let stream = socket::connect_within(&self.dir, CONTROL, self.silence).map_err(|e| match e {
            e if nobody(&e) => {
                let say = format!("process {}, which had the store, is gone: call again", self.pid);
                Error::new(ErrorKind::Busy, say).caused_by(e)
            }
            e if silent(&e) => self.stuck(e),
            e => self.failed("asking", e),
        })?;
        self.exchange(stream, request, progress)
    }

    fn exchange(
        &self,
        mut stream: UnixStream,
        request: &Map,
        mut progress: impl FnMut(Advance) -> ControlFlow<()>,
    ) -> Result<Map> {
        let line = wire::write(&request.clone().into())? + "\n";
        let verb = request.get("do").and_then(Value::as_str).unwrap_or_default();
        let patience = match verb {
            "hello" => Duration::ZERO, // it is the sign of life
            verb if LONG.contains(&verb) => LONG_PATIENCE,
            _ => PATIENCE,
        };
        let limits = [stream.set_read_timeout(Some(self.silence)), stream.set_write_timeout(Some(PATIENCE))];
        limits.into_iter().collect::<io::Result<()>>().map_err(|e| self.failed("asking", e))?;
        // A holder that is crowded answers before it has read: what it says counts, not that it stopped listening.
        let written = stream.write_all(line.as_bytes());
        let mut lines = BufReader::with_capacity(READ_BYTES, stream);
        loop {
            let line = self.read_line(&mut lines, patience).map_err(|e| {
                self.unanswered(request, written.as_ref().err().map_or(e, |e| e.kind().into()))
            })?;
            match wire::line(&line)? {
                Line::Answer(said) => return Ok(said),
                Line::Progress(at) => {
                    if progress(at).is_break() {
                        let say = match writes(request) {
                            true => "it was stopped: what was done so far stays; the same call goes on",
                            false => "it was stopped: nothing was written; call again",
                        };
                        return Err(Error::new(ErrorKind::Aborted, say));
                    }
                }
            }
        }
    }

    /// The next line, without its end. A holder that says nothing for a while is greeted: as long as it answers that it is at
    /// work, and `patience` is how long it may be so.
    fn read_line(&self, lines: &mut BufReader<UnixStream>, patience: Duration) -> io::Result<Vec<u8>> {
        let (mut line, mut waited) = (Vec::new(), Duration::ZERO);
        loop {
            let part = match lines.fill_buf() {
                Ok([]) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(part) => part,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if silent(&e) && waited < patience && self.lives() => {
                    waited += self.silence;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let end = part.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(part.len());
            line.extend_from_slice(&part[..taken]);
            lines.consume(end.map_or(taken, |end| end + 1));
            waited = Duration::ZERO;
            if end.is_some() {
                return Ok(line);
            }
            if line.len() > 2 * LINE_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
    }

    /// Whether the holder answers a greeting, were it with a refusal; one that is gone the connection tells of.
    fn lives(&self) -> bool {
        !matches!(self.greet(), Err(e) if e.kind() == ErrorKind::Locked)
    }

    #[cold]
    fn unanswered(&self, request: &Map, e: io::Error) -> Error {
        let verb = request.get("do").and_then(Value::as_str).unwrap_or_default();
        if WRITING.contains(&verb) && writes(request) {
            let says = match verb {
                "pin" | "unpin" => "savehold pins",
                "retention" => "savehold retention",
                _ => "savehold history",
            };
            let say = format!(
                "process {}, which has the store, did not answer ({e}): whether the change was made says `{says}`",
                self.pid
            );
            return Error::new(ErrorKind::Unknown, say).caused_by(e);
        }
        if silent(&e) {
            return self.stuck(e);
        }
        self.failed("waiting for an answer of", e)
    }

    #[cold]
    fn stuck(&self, e: io::Error) -> Error {
        let (who, sign) = match self.pid {
            0 => ("the process that has the store".to_owned(), "its process".to_owned()),
            pid => (format!("process {pid}, which has the store,"), pid.to_string()),
        };
        let say = format!(
            "{who} says nothing, to a greeting either: it is stopped, or stuck; let it go on (`kill -CONT` of {sign}) or end \
             it, then call again"
        );
        Error::new(ErrorKind::Locked, say).caused_by(e)
    }

    #[cold]
    fn failed(&self, doing: &str, e: io::Error) -> Error {
        let say = format!("{doing} {}: {e}; call again", self.dir.join(CONTROL).display());
        Error::new(ErrorKind::Io, say).caused_by(e)
    }
}

/// Whether a request of a verb that may write asks for that: it is no dry run, and not only what is kept is asked.
fn writes(request: &Map) -> bool {
    let dry = request.get("dry_run").and_then(Value::as_bool).unwrap_or_default();
    !dry && request.iter().any(|(name, _)| !matches!(name.as_str(), Some("do" | "collection")))
}

fn nobody(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Nothing came for as long as was waited.
fn silent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_dies_leaves_in_doubt_only_what_it_was_asked_to_write() {
        let client = Client { dir: PathBuf::from("s"), pid: 7, silence: SILENCE };
        let asked = |verb, dry| Map::from([("do", Value::from(verb)), ("dry_run", Value::from(dry))]);
        for (verb, dry, kind) in [
            ("revert", false, ErrorKind::Unknown),
            ("revert", true, ErrorKind::Io),
            ("restore_keys", false, ErrorKind::Unknown),
            ("restore_keys", true, ErrorKind::Io),
            ("pin", false, ErrorKind::Unknown),
            ("digest", false, ErrorKind::Io),
        ] {
            let (here, there) = UnixStream::pair().unwrap();
            drop(there);
            let said = client.exchange(here, &asked(verb, dry), |_| ControlFlow::Continue(()));
            let e = said.unwrap_err();
            assert_eq!(e.kind(), kind, "{verb}, dry: {dry}: {e:?}");
        }
    }

    /// Long enough for anybody who answers at once.
    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn a_holder_that_never_answers_is_stuck_however_many_called_before() {
        let dir = tempfile::tempdir().unwrap();
        let _stopped = socket::Listener::bind(dir.path(), CONTROL).unwrap();
        for call in 0..20 {
            let e = Client::connect_within(dir.path(), MOMENT).expect_err("nobody answers");
            assert_eq!(e.kind(), ErrorKind::Locked, "call {call}: {e:?}");
        }
        let client = Client { dir: dir.path().to_owned(), pid: 7, silence: MOMENT };
        for (verb, kind) in
            [("get", ErrorKind::Locked), ("digest", ErrorKind::Locked), ("set", ErrorKind::Unknown)]
        {
            let (here, _there) = UnixStream::pair().unwrap();
            let asked = Map::from([("do", verb), ("key", "k")]);
            let e = client.exchange(here, &asked, |_| ControlFlow::Continue(())).unwrap_err();
            assert_eq!(e.kind(), kind, "{verb}: {e:?}");
            assert!(e.message().contains("process 7"), "{e:?}");
        }
    }

    #[test]
    fn a_holder_that_is_at_work_and_answers_greetings_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let listener = socket::Listener::bind(dir.path(), CONTROL).unwrap();
        let client = Client { dir: dir.path().to_owned(), pid: 7, silence: 20 * MOMENT };
        let (here, mut there) = UnixStream::pair().unwrap();
        let said = std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..3 {
                    let Some(mut greeted) = listener.accept() else { return };
                    _ = greeted.write_all(b"{\"ok\":{}}\n"); // it may have gone already
                }
                there.write_all(b"{\"ok\":{\"digest\":\"00\"}}\n").unwrap();
            });
            let said = client.exchange(here, &Map::from([("do", "digest")]), |_| ControlFlow::Continue(()));
            listener.stop(); // whoever gave up greeting leaves nobody waiting for one
            said
        });
        assert_eq!(said.unwrap().get("digest").and_then(Value::as_str), Some("00"));
    }
}
