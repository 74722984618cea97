//! Corridor: a store set back where it stands; what stood there is kept aside.
//!
//! 1. Look where the store stands, behind all links, and whether its name can be exchanged there.
//! 2. Take the store's directory: nobody may have it open.
//! 3. Restore beside it, above every timeline that it knows.
//! 4. Exchange the two names in one step, where the system can; then give the old one its name for keeping.
//!
//! A crash leaves the old store or the new one under the name, and the other beside it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use savehold_wal::env::Env;
use savehold_wal::segment::manifest;
use savehold_wal::segment::name::{LOG_DIR, MANIFEST, RESTORING, parse_segment_name};

use super::restore::{Restore, Restored, restore_in};
use crate::at::At;
use crate::error::{Error, ErrorKind, Result};

/// What [`restore_in_place`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InPlace {
    /// What was restored.
    pub restored: Restored,
    /// Where the store of before lies now.
    pub kept: PathBuf,
}

/// Sets the store in the directory `store` back to the moment `at`, out of the backups in `from`. The store of before is
/// kept beside it, under a name that says when. Nobody may have it open. Where `store` is a link, both are on the disk that
/// it leads to, and it leads to the new one.
///
/// # Errors
///
/// As [`restore`](super::restore); [`ErrorKind::Locked`]: somebody has the store. [`ErrorKind::Invalid`]: it is a mount
/// point, or this process works in it. The store is then as it was.
pub fn restore_in_place(
    from: impl AsRef<Path>,
    store: impl AsRef<Path>,
    at: impl Into<At>,
    how: Restore<'_>,
) -> Result<InPlace> {
    let env = Env::os();
    let store = &standing(&env, store.as_ref())?;
    let lock = env.vfs.lock(store).map_err(|e| io("locking", store, e))?;
    let _lock = lock.ok_or_else(|| {
        let say = format!("{} is held by another process: close that one first", store.display());
        Error::new(ErrorKind::Locked, say)
    })?;
    let made = beside(store, ".restoring");
    check_room(&env, &made)?;
    let how = how.above(highest(&env, store));
    let restored = restore_in(&env, from.as_ref(), &made, &at.into(), how)?;
    let kept = beside(store, &format!(".before-{}", restored.timeline));
    exchange(&env, store, &made, &kept).map_err(|e| io("exchanging", store, e))?;
    let above = match store.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    env.vfs.sync_dir(above).map_err(|e| io("syncing", above, e))?;
    Ok(InPlace { restored, kept })
}

/// Where the store stands, with no link on the way: the link would be exchanged, and the new store lie beside it.
fn standing(env: &Env, named: &Path) -> Result<PathBuf> {
    let store = env.vfs.real_path(named).map_err(|e| io("looking for", named, e))?;
    let refused = |say: &str| Err(Error::new(ErrorKind::Invalid, format!("{} {say}", store.display())));
    if store.file_name().is_none() || env.vfs.is_mount(&store).map_err(|e| io("looking at", &store, e))? {
        return refused(
            "is a mount point, and the name of one cannot be exchanged: restore into a new directory, and open that one",
        );
    }
    if env.vfs.real_path(Path::new(".")).is_ok_and(|here| here.starts_with(&store)) {
        return refused(
            "is where you are, and you would go on in the store of before: do it from another directory",
        );
    }
    Ok(store)
}

fn io(doing: &str, path: &Path, e: io::Error) -> Error {
    savehold_wal::Error::io(savehold_wal::ErrorKind::Io, doing, path, e).into()
}

/// What a restore that was cut short left beside the store: begun, it is begun anew; finished, it may be the store of
/// before, and nobody but a person knows.
fn check_room(env: &Env, made: &Path) -> Result<()> {
    let names = env.vfs.list(made).unwrap_or_default();
    let there = |wanted: &str| names.iter().any(|name| name == wanted);
    if names.is_empty() || there(RESTORING) && !there(MANIFEST) {
        return Ok(());
    }
    let say = format!(
        "{} was left by a restore in place that was cut short: it is what was restored then, or the store of before; see \
         `savehold stat --dir`, then move it away or remove it",
        made.display()
    );
    Err(Error::new(ErrorKind::Invalid, say))
}

fn exchange(env: &Env, store: &Path, made: &Path, kept: &Path) -> io::Result<()> {
    match env.vfs.exchange(store, made) {
        Ok(()) => env.vfs.rename(made, kept),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            env.vfs.rename(store, kept)?;
            env.vfs.rename(made, store)
        }
        Err(e) => Err(e),
    }
}

/// The highest timeline that a store knows of, however damaged it is.
fn highest(env: &Env, store: &Path) -> u16 {
    let said = manifest::load(&*env.vfs, store).ok().flatten();
    let said = said.iter().flat_map(|catalog| {
        catalog.timelines.iter().map(|timeline| timeline.number).chain([catalog.frontier.timeline()])
    });
    let names = env.vfs.list(&store.join(LOG_DIR)).unwrap_or_default();
    let named = names.iter().filter_map(|name| parse_segment_name(name)).map(|(base, _)| base.timeline());
    said.chain(named).max().unwrap_or(0)
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = store.file_name().unwrap_or(store.as_os_str()).to_owned();
    name.push(ending);
    store.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mount_point_is_refused_before_anything_is_made() {
        for mount in ["/", "/proc", "/proc/self/.."] {
            let refused = standing(&Env::os(), Path::new(mount)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{mount}: {refused}");
            assert!(refused.message().contains("mount point"), "{mount}: {refused}");
        }
    }
}
