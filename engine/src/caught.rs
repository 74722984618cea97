//! Door: the program's own code where nobody waits for its answer: hooks, callbacks, documents on their way into the log. A
//! panic of it ends there; what failed is counted, and the newest kept.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use savehold_wal::sync::Mutex;

use crate::error::{Error, ErrorKind};

/// What `call` answers.
///
/// # Errors
///
/// It panicked: what it said.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(said_by)
}

/// What else was thrown is not dropped: it is the program's, and might panic once more, where nobody catches it.
fn said_by(panic: Box<dyn Any + Send>) -> String {
    let other = match panic.downcast::<&str>() {
        Ok(text) => return (*text).to_owned(),
        Err(other) => other,
    };
    match other.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => {
            std::mem::forget(other);
            "no text".to_owned()
        }
    }
}

/// The error of program's code that panicked: what it was, and what to do about it.
#[cold]
pub(crate) fn panicked(what: &str, said: &str, then: &str) -> Error {
    Error::new(ErrorKind::Panicked, format!("{what} panicked ({said}): {then}"))
}

/// What failed since open.
#[derive(Default)]
pub(crate) struct Failures(Mutex<(u64, Option<Error>)>);

impl Failures {
    /// One more.
    #[cold]
    pub(crate) fn note(&self, e: Error) {
        let mut failures = self.0.lock();
        failures.0 += 1;
        failures.1 = Some(e);
    }

    /// How many, and the newest.
    pub(crate) fn all(&self) -> (u64, Option<Error>) {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_with_what_it_said() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(caught(|| panic!("on purpose")), Err::<(), _>("on purpose".to_owned()));
        assert_eq!(caught(|| panic!("by {}", 1)), Err::<(), _>("by 1".to_owned()));
        assert_eq!(caught(|| std::panic::panic_any(7)), Err::<(), _>("no text".to_owned()));
        struct Throws;
        impl Drop for Throws {
            fn drop(&mut self) {
                panic!("once more");
            }
        }
        assert_eq!(caught(|| std::panic::panic_any(Throws)), Err::<(), _>("no text".to_owned()));
    }
}
