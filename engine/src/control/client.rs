//! Door: the other end of CONTROL: asking the process that has a store.

use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use savehold_wal::segment::name::CONTROL;
use savehold_wal::socket;

use super::wire::{self, Advance, Line};
use crate::desk::LINE_BYTES_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Map, Value};

/// How long the holder may say nothing: longer than it waits for anybody.
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
}

impl Client {
    /// Greets the holder of the store in `dir`; `None` where nobody listens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]: the system's. [`ErrorKind::Format`]: the holder speaks another protocol. Otherwise what the
    /// holder answers.
    pub fn connect(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let mut client = Self { dir: dir.as_ref().to_owned(), pid: 0 };
        let stream = match socket::connect(&client.dir, CONTROL) {
            Ok(stream) => stream,
            Err(e) if nobody(&e) => return Ok(None),
            Err(e) => return Err(client.failed("asking", e)),
        };
        let hello = Map::from([("do", "hello")]);
        let said = match client.exchange(stream, &hello, |_| ControlFlow::Continue(())) {
            Ok(said) => said,
            Err(e) if e.kind() == ErrorKind::Io => return Ok(None), // it went away just now
            Err(e) => return Err(e),
        };
        if said.get("protocol").and_then(Value::as_u64) != Some(wire::PROTOCOL) {
            let version = said.get("version").and_then(Value::as_str).unwrap_or("another version");
            let say = format!(
                "the holder of {} is savehold {version}: use its command line",
                dir.as_ref().display()
            );
            return Err(Error::new(ErrorKind::Format, say));
        }
        client.pid = said.get("pid").and_then(Value::as_u64).unwrap_or(0);
        Ok(Some(client))
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
    /// What the holder answers. [`ErrorKind::Busy`]: it is gone, and nothing was done. [`ErrorKind::Unknown`]: it went
    /// away over a request that writes, or says nothing; whether that was done says `savehold history`.
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
        let stream = socket::connect(&self.dir, CONTROL).map_err(|e| match nobody(&e) {
            true => {
                let say = format!("process {}, which had the store, is gone: call again", self.pid);
                Error::new(ErrorKind::Busy, say).caused_by(e)
            }
            false => self.failed("asking", e),
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
        let patience = if LONG.contains(&verb) { LONG_PATIENCE } else { PATIENCE };
        let limits = [stream.set_read_timeout(Some(patience)), stream.set_write_timeout(Some(PATIENCE))];
        limits.into_iter().collect::<io::Result<()>>().map_err(|e| self.failed("asking", e))?;
        // A holder that is crowded answers before it has read: what it says counts, not that it stopped listening.
        let written = stream.write_all(line.as_bytes());
        let mut lines = BufReader::with_capacity(READ_BYTES, stream);
        loop {
            let line = read_line(&mut lines).map_err(|e| {
                self.unanswered(request, written.as_ref().err().map_or(e, |e| e.kind().into()))
            })?;
            match wire::line(&line)? {
                Line::Answer(said) => return Ok(said),
                Line::Progress(at) => {
                    if progress(at).is_break() {
                        let say = match writes(request) {
                            true => "it was stopped: what was done so far stays",
                            false => "it was stopped: nothing was written",
                        };
                        return Err(Error::new(ErrorKind::Aborted, say));
                    }
                }
            }
        }
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
        self.failed("waiting for an answer of", e)
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

fn read_line(lines: &mut BufReader<UnixStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let part = match lines.fill_buf() {
            Ok([]) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(part) => part,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(part.len());
        line.extend_from_slice(&part[..taken]);
        lines.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(line);
        }
        if line.len() > 2 * LINE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_dies_leaves_in_doubt_only_what_it_was_asked_to_write() {
        let client = Client { dir: PathBuf::from("s"), pid: 7 };
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
}
