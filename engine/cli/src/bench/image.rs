//! Corridor: a store's files as a kill at this moment would leave them.

use std::io;
use std::path::Path;

use savehold_wal::env::Env;
use savehold_wal::segment::name::{CONTROL, INDEX_DIR, LOG_DIR};
use savehold_wal::vfs::{OpenMode, read_exact_at};

use super::failed;
use crate::exit::Failure;

/// Bytes copied at a time.
const STEP_BYTES: u64 = 1 << 20;

/// Copies the files of the store in `from`, which nobody writes to, to `to`, and makes them durable: what the system
/// has of them is what is left when the process dies.
///
/// The store may be preparing a segment meanwhile. So the catalog is copied first: what it does not name yet does no
/// harm, and a file that goes away between being listed and being opened was a catalog not yet in its place.
pub(super) fn copy(env: &Env, from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = ["", LOG_DIR, INDEX_DIR].into_iter().try_for_each(|dir| {
        let there = env.vfs.list(&from.join(dir)).is_ok();
        if there { copy_files(env, &from.join(dir), &to.join(dir)) } else { Ok(()) }
    });
    copied.map_err(|e| failed(&format!("copying {} to {}", from.display(), to.display()), &e))
}

/// Copies the files of one directory to another, durably.
pub(super) fn copy_files(env: &Env, from: &Path, to: &Path) -> io::Result<()> {
    env.vfs.create_dir(to)?;
    for name in env.vfs.list(from)? {
        if name != CONTROL && env.vfs.list(&from.join(&name)).is_err() {
            copy_file(env, &from.join(&name), &to.join(&name))?;
        }
    }
    env.vfs.sync_dir(to)
}

fn copy_file(env: &Env, from: &Path, to: &Path) -> io::Result<()> {
    let from = match env.vfs.open(from, OpenMode::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let to = env.vfs.open(to, OpenMode::CreateNew)?;
    let (bytes, mut at, mut buf) = (from.len()?, 0, Vec::new());
    while at < bytes {
        buf.resize(usize::try_from((bytes - at).min(STEP_BYTES)).unwrap_or(0), 0);
        read_exact_at(&*from, &mut buf, at)?;
        to.write_at(&mut [io::IoSlice::new(&buf)], at)?;
        at += buf.len() as u64;
    }
    to.sync()
}

/// Reads every byte of the files in the store's log; says how many there are.
pub(super) fn read(env: &Env, store: &Path) -> Result<u64, Failure> {
    let (dir, mut total, mut buf) = (store.join(LOG_DIR), 0, vec![0; STEP_BYTES as usize]);
    let mut read = || {
        for name in env.vfs.list(&dir)? {
            let (file, mut at) = (env.vfs.open(&dir.join(name), OpenMode::Read)?, 0);
            loop {
                let got = file.read_at(&mut buf, at)? as u64;
                at += got;
                total += got;
                if got < STEP_BYTES {
                    break;
                }
            }
        }
        Ok(total)
    };
    read().map_err(|e| failed(&format!("reading {}", dir.display()), &e))
}
