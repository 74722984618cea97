//! Door: standard output for answers, standard error for everything that is said beside them.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use crate::escape;
use crate::exit::{Exit, Failure};

/// Whether anybody still reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody does.
    Listens,
    /// The pipe was closed from the other side (`| head`): what follows would be for nobody, and is no failure.
    Gone,
}

/// Standard output, gathered into large writes.
#[derive(Debug)]
pub struct Out(BufWriter<Stdout>);

impl Out {
    /// Standard output.
    #[must_use]
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout()))
    }

    /// Puts out text, and says whether to go on.
    ///
    /// # Errors
    ///
    /// The system refuses to write.
    pub fn put(&mut self, text: &str) -> Result<Reader, Failure> {
        heard(self.0.write_all(text.as_bytes()))
    }

    /// Puts out what is gathered so far, and says whether to go on.
    ///
    /// # Errors
    ///
    /// The system refuses to write.
    pub fn flush(&mut self) -> Result<Reader, Failure> {
        heard(self.0.flush())
    }

    /// Puts out what is still gathered.
    ///
    /// # Errors
    ///
    /// The system refuses to write.
    pub fn end(mut self) -> Result<(), Failure> {
        heard(self.0.flush()).map(drop)
    }
}

impl Default for Out {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts out a whole answer.
///
/// # Errors
///
/// The system refuses to write.
pub fn answer(text: &str) -> Result<(), Failure> {
    let mut out = Out::new();
    match out.put(text)? {
        Reader::Listens => out.end(),
        Reader::Gone => Ok(()),
    }
}

/// Says something beside the answer, as one line.
pub fn note(text: &str) {
    // Nobody is left to tell where standard error is closed.
    let _ = writeln!(io::stderr(), "savehold: {}", escape::visible(text));
}

/// Asks a question and reads the answer of whoever sits there; empty where nobody does.
///
/// # Errors
///
/// The system refuses to read.
pub fn ask(question: &str) -> Result<String, Failure> {
    let _ = write!(io::stderr(), "savehold: {} ", escape::visible(question));
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(_) => Ok(line),
        Err(e) => Err(Failure::new(Exit::Failed, format!("reading the answer: {e}"), "nothing was done")),
    }
}

/// Whether somebody sits there who can be asked.
#[must_use]
pub fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn heard(written: io::Result<()>) -> Result<Reader, Failure> {
    match written {
        Ok(()) => Ok(Reader::Listens),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(e) => Err(Failure::new(
            Exit::Failed,
            format!("writing to standard output: {e}"),
            "the answer is not complete, the store is untouched by that",
        )),
    }
}
