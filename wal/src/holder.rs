//! Door: who holds the directory. The lock itself is the directory's; LOCK says whose it is.

use std::io::{self, IoSlice};
use std::path::Path;
use std::time::Duration;

use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::schedule;
use crate::segment::name::LOCK;
use crate::vfs::{DirLock, OpenMode, Vfs, read_exact_at};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(10);
const LOCK_BYTES_MAX: u64 = 4096;

/// What LOCK says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Process that took the lock last.
    pub(crate) pid: u32,
    /// When, microseconds since 1970.
    pub(crate) since_us: u64,
    /// Opens that began and did not end.
    pub(crate) unfinished: u32,
}

impl Holder {
    fn encode(self) -> String {
        format!("pid {}\nsince_us {}\nunfinished {}\n", self.pid, self.since_us, self.unfinished)
    }

    fn decode(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|digits| digits.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let small = |name| u32::try_from(field(name)).unwrap_or(0);
        Self { pid: small("pid"), since_us: field("since_us"), unfinished: small("unfinished") }
    }
}

/// Takes the lock of `root`, waiting up to `wait` for another holder.
///
/// # Errors
///
/// [`ErrorKind::Locked`]: somebody has it, and the message says who. [`ErrorKind::Io`].
pub fn take(env: &Env, root: &Path, wait: Duration) -> Result<Box<dyn DirLock>> {
    let deadline = env.clock.monotonic().saturating_add(wait);
    loop {
        match env.vfs.lock(root) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if env.threads == Threads::Own && env.clock.monotonic() < deadline => {
                schedule::pause(ASK_AGAIN_AFTER);
            }
            Ok(None) => return Err(held_by(root, read(&*env.vfs, root))),
            Err(e) => return Err(Error::io(ErrorKind::Io, "locking", root, e)),
        }
    }
}

fn held_by(root: &Path, holder: Holder) -> Error {
    let who = match holder.pid {
        0 => "another process".to_owned(),
        pid if pid == std::process::id() => format!("this process ({pid}), through another handle"),
        pid => format!("process {pid}"),
    };
    let say =
        format!("{} is held by {who}: one writer at a time; close that one, or wait longer", root.display());
    Error::new(ErrorKind::Locked, say)
}

/// What LOCK says; the default where it says nothing.
pub(crate) fn read(vfs: &dyn Vfs, root: &Path) -> Holder {
    let text = || -> io::Result<String> {
        let file = vfs.open(&root.join(LOCK), OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?.min(LOCK_BYTES_MAX)).unwrap_or(0)];
        read_exact_at(&*file, &mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Holder::decode(&text().unwrap_or_default())
}

/// Writes LOCK. It informs and counts; nothing depends on it, so it is not synced, and a full disk is no matter.
pub(crate) fn write(env: &Env, root: &Path, unfinished: u32) {
    _ = try_write(env, root, unfinished);
}

fn try_write(env: &Env, root: &Path, unfinished: u32) -> io::Result<()> {
    let holder = Holder { pid: std::process::id(), since_us: env.clock.wall_us(), unfinished };
    let file = env.vfs.open(&root.join(LOCK), OpenMode::Truncate)?;
    file.write_at(&mut [IoSlice::new(holder.encode().as_bytes())], 0)
}

/// Why nothing in the directory can be written, if that is so: what holds for LOCK, which is written by every open, holds for all.
pub(crate) fn unwritable(env: &Env, root: &Path, unfinished: u32) -> Option<Error> {
    let refused = |e: &io::Error| {
        matches!(e.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    };
    let e = try_write(env, root, unfinished).err().filter(refused)?;
    Some(Error::io(ErrorKind::ReadOnly, "writing", &root.join(LOCK), e))
}

#[cfg(test)]
mod tests;
