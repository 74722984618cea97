//! Corridor: a store's files as a kill at this moment would leave them.

use std::io;
use std::path::Path;
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::schedule;
use savehold_wal::segment::name::{CONTROL, INDEX_DIR, LOG_DIR, MANIFEST};
use savehold_wal::vfs::{Advice, OpenMode, read_exact_at};

use super::failed;
use crate::exit::Failure;

/// Bytes copied at a time.
const STEP_BYTES: u64 = 1 << 20;

/// How often a store is copied that does not hold still.
const TRIES_MAX: usize = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Copies the files of the store in `from`, which nobody writes to, to `to`, and makes them durable: what the system
/// has of them is what is left when the process dies.
///
/// The store may be preparing a segment or writing a table meanwhile. What is copied is what its catalog said at the
/// beginning; if a file of that time went before all were copied, or a segment came, everything is copied again.
pub(super) fn copy(env: &Env, from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = (0..TRIES_MAX).find_map(|tried| {
        if tried > 0 {
            schedule::pause(BETWEEN_TRIES); // there is no catalog while it is being replaced, for as long as a sync takes
        }
        whole(env, from, to).transpose()
    });
    let copied = copied.unwrap_or_else(|| Err(io::Error::other("the store changed all the while")));
    copied.map_err(|e| failed(&format!("copying {} to {}", from.display(), to.display()), &e))
}

/// One try; `None` where the store changed meanwhile, and then nothing of it is left.
fn whole(env: &Env, from: &Path, to: &Path) -> io::Result<Option<()>> {
    let catalog = || -> io::Result<Option<Vec<u8>>> {
        let file = match env.vfs.open(&from.join(MANIFEST), OpenMode::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None), // just being replaced
            file => file?,
        };
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        read_exact_at(&*file, &mut bytes, 0)?;
        Ok(Some(bytes))
    };
    let Some(before) = catalog()? else { return Ok(None) };
    let dirs = || [LOG_DIR, INDEX_DIR].into_iter().filter(|dir| env.vfs.list(&from.join(dir)).is_ok());
    let names = || -> io::Result<Vec<(&str, String)>> {
        let each =
            dirs().map(|dir| Ok(env.vfs.list(&from.join(dir))?.into_iter().map(move |name| (dir, name))));
        Ok(each.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let there = names()?;
    if catalog()?.as_ref() != Some(&before) {
        return Ok(None); // what it names may not be there any more
    }
    copy_files(env, from, to)?;
    dirs().try_for_each(|dir| copy_files(env, &from.join(dir), &to.join(dir)))?;
    let file = env.vfs.open(&to.join(MANIFEST), OpenMode::CreateNew)?;
    file.write_at(&mut [io::IoSlice::new(&before)], 0)?;
    file.sync()?;
    env.vfs.sync_dir(to)?;
    let left = names()?;
    let came = left.iter().any(|(dir, name)| *dir == LOG_DIR && !there.contains(&(dir, name.clone())));
    if !came && there.iter().all(|name| left.contains(name)) {
        return Ok(Some(()));
    }
    for dir in ["", LOG_DIR, INDEX_DIR].map(|dir| to.join(dir)) {
        let names = env.vfs.list(&dir).unwrap_or_default(); // one that is not there holds nothing
        for name in names.into_iter().filter(|name| env.vfs.list(&dir.join(name)).is_err()) {
            env.vfs.remove(&dir.join(name))?;
        }
    }
    Ok(None)
}

/// Copies the files of one directory to another, durably, but for catalogs: they change all the time.
pub(super) fn copy_files(env: &Env, from: &Path, to: &Path) -> io::Result<()> {
    env.vfs.create_dir(to)?;
    for name in env.vfs.list(from)? {
        if name != CONTROL && !name.starts_with(MANIFEST) && env.vfs.list(&from.join(&name)).is_err() {
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

/// Has the system drop what it has of the store's log in its cache: the next read asks the disk.
pub(super) fn drop_cached(env: &Env, store: &Path) -> Result<(), Failure> {
    let dir = store.join(LOG_DIR);
    let drop_all = || -> io::Result<()> {
        for name in env.vfs.list(&dir)? {
            env.vfs.open(&dir.join(name), OpenMode::Read)?.advise(0, 0, Advice::Drop)?;
        }
        Ok(())
    };
    drop_all().map_err(|e| failed(&format!("dropping {} from the cache", dir.display()), &e))
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
