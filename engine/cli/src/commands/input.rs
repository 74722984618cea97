//! Door: what a call reads beside the store: standard input, and files that the user names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use savehold::Value;
use savehold::limits::VALUE_BYTES_MAX;
use savehold::value::json;

use crate::exit::{Exit, Failure};
use crate::number;

/// Longest JSON text that is read for one value: the largest value, were each of its bytes escaped, and its frame.
pub const TEXT_BYTES_MAX: u64 = 6 * VALUE_BYTES_MAX as u64 + (1 << 20);

/// The JSON value that standard input holds.
///
/// # Errors
///
/// It cannot be read, is too long, or is no JSON value.
pub fn value() -> Result<Value, Failure> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(TEXT_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|e| {
        Failure::new(Exit::Failed, format!("reading standard input: {e}"), "nothing was written")
    })?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        let say = format!("standard input has more than {TEXT_BYTES_MAX} bytes");
        return Err(Failure::new(Exit::Usage, say, "store it in parts"));
    }
    if let Some(number) = number::too_large(&text) {
        let say = format!("standard input: {}", number::refused(number));
        return Err(Failure::new(Exit::Usage, say, "nothing was written"));
    }
    json::from_slice(&text)
        .map_err(|e| Failure::new(Exit::Usage, format!("standard input: {}", e.message()), ""))
}

/// Lines of a file, or of standard input.
pub struct Lines {
    from: Box<dyn BufRead>,
    name: String,
    bytes: Option<u64>,
    number: u64,
}

impl Lines {
    /// The lines of `path`; `-` is standard input.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let from = Box::new(BufReader::with_capacity(1 << 16, io::stdin()));
            return Ok(Self { from, name: "standard input".to_owned(), bytes: None, number: 0 });
        }
        let name = path.display().to_string();
        let refused = |e: io::Error| {
            Failure::new(
                Exit::Usage,
                format!("reading {name}: {e}"),
                "name a file of JSON lines, or - for standard input",
            )
        };
        let file = opened(path).map_err(refused)?;
        let about = file.metadata().map_err(refused)?;
        if about.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        let bytes = about.is_file().then_some(about.len());
        Ok(Self { from: Box::new(BufReader::with_capacity(1 << 16, file)), name, bytes, number: 0 })
    }

    /// Bytes of the file, where somebody knows.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Where the line was that came last: `players.jsonl, line 17`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}, line {}", self.name, self.number)
    }

    /// The next line, its end included; `None` behind the last.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is too long.
    pub fn read(&mut self, line: &mut Vec<u8>) -> Result<Option<u64>, Failure> {
        line.clear();
        self.number += 1;
        let read = self.from.by_ref().take(TEXT_BYTES_MAX + 1).read_until(b'\n', line);
        match read {
            Ok(0) => Ok(None),
            Ok(bytes) if bytes as u64 > TEXT_BYTES_MAX => {
                let say = format!("{} has more than {TEXT_BYTES_MAX} bytes", self.place());
                Err(Failure::new(Exit::Usage, say, "a line holds one value: break the file into lines"))
            }
            Ok(bytes) => Ok(Some(bytes as u64)),
            Err(e) => Err(Failure::new(Exit::Failed, format!("reading {}: {e}", self.place()), "")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of the user's, not of the store")]
fn opened(path: &Path) -> io::Result<File> {
    File::open(path)
}
