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
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::inspect::Inspector;
use savehold_wal::segment::manifest;
use savehold_wal::segment::name::{LOG_DIR, MANIFEST, RESTORING, parse_segment_name};
use savehold_wal::vfs::DirLock;

use super::restore::{Restore, Restored, restore_for};
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
/// point, or this process works in it. The store is then as it was. [`ErrorKind::Io`] may come behind the restore, when the
/// names are exchanged: the message says what lies where.
pub fn restore_in_place(
    from: impl AsRef<Path>,
    store: impl AsRef<Path>,
    at: impl Into<At>,
    how: Restore<'_>,
) -> Result<InPlace> {
    let env = Env::os();
    let store = &standing(&env, store.as_ref())?;
    let held = Held::take(&env, store)?;
    let made = beside(store, ".restoring");
    check_room(&env, &made)?;
    let how = how.above(highest(&env, store));
    let restored = restore_for(&env, from.as_ref(), &made, &at.into(), how, held.before())?;
    let kept = beside(store, &format!(".before-{}", restored.timeline));
    Names { env: &env, store, made: &made, kept: &kept }.exchange()?;
    drop(held);
    Ok(InPlace { restored, kept })
}

/// The store's directory, which is nobody else's until the names are exchanged.
enum Held {
    /// To be looked through.
    Whole(Box<Inspector>),
    /// It is too damaged for that.
    Damaged { _lock: Box<dyn DirLock> },
}

impl Held {
    fn take(env: &Env, store: &Path) -> Result<Self> {
        match Inspector::open(env, store, Duration::ZERO) {
            Ok(before) => Ok(Self::Whole(Box::new(before))),
            Err(e) if e.kind() == savehold_wal::ErrorKind::Locked => Err(e.into()),
            Err(_) => Ok(Self::Damaged { _lock: savehold_wal::take_lock(env, store, Duration::ZERO)? }),
        }
    }

    const fn before(&self) -> Option<&Inspector> {
        match self {
            Self::Whole(before) => Some(before),
            Self::Damaged { .. } => None,
        }
    }
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

/// The names that are exchanged; where that fails, a person goes on, and is told what lies where.
struct Names<'a> {
    env: &'a Env,
    store: &'a Path,
    /// What was restored.
    made: &'a Path,
    /// To become the name of the store of before.
    kept: &'a Path,
}

impl Names<'_> {
    fn exchange(&self) -> Result<()> {
        let Self { env, store, made, kept } = *self;
        match env.vfs.exchange(store, made) {
            Ok(()) => env.vfs.rename(made, kept).map_err(|e| self.exchanged_but(made, e))?,
            Err(e) if e.kind() == io::ErrorKind::Unsupported => self.rename_both()?,
            Err(e) => return Err(self.as_it_was(e)),
        }
        let above = store.parent().filter(|above| *above != Path::new("")).unwrap_or(Path::new("."));
        env.vfs.sync_dir(above).map_err(|e| self.exchanged_but(kept, e))
    }

    /// For a moment nothing has the store's name.
    fn rename_both(&self) -> Result<()> {
        let Self { env, store, made, kept } = *self;
        env.vfs.rename(store, kept).map_err(|e| self.as_it_was(e))?;
        env.vfs.rename(made, store).map_err(|e| match env.vfs.rename(kept, store) {
            Ok(()) => self.as_it_was(e),
            Err(_) => self.failed(
                e,
                format!(
                    "no store lies there now: what was restored is {}, the store of before {}; give one of them the name",
                    made.display(),
                    kept.display()
                ),
            ),
        })
    }

    fn as_it_was(&self, e: io::Error) -> Error {
        let made = self.made.display();
        let say = format!(
            "it is as it was; what was restored lies whole in {made}: open it there, give it the name once the store of before \
             is moved away, or remove it before the next restore in place"
        );
        self.failed(e, say)
    }

    fn exchanged_but(&self, before: &Path, e: io::Error) -> Error {
        let say = format!(
            "it is what was restored, but a power cut may bring the store of before back until the system has written the \
             names; that one lies in {}: move it away or remove it",
            before.display()
        );
        self.failed(e, say)
    }

    fn failed(&self, e: io::Error, say: String) -> Error {
        let say = format!("exchanging {}: {e}; {say}", self.store.display());
        Error::new(ErrorKind::Io, say).caused_by(e)
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

    #[test]
    fn a_store_that_this_very_process_has_open_is_refused_and_the_message_says_so() {
        let (backups, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let _store = crate::Store::open(dir.path()).unwrap();
        let refused = restore_in_place(backups.path(), dir.path(), At::Now, Restore::new()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked);
        for word in ["this process", "another handle", "close that one"] {
            assert!(refused.message().contains(word), "{word}: {refused}");
        }
    }

    /// A store of before and a restored one, in a directory of their own.
    fn names(look: impl FnOnce(&Names<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (store, made, kept) = (path("store"), path("store.restoring"), path("store.before-2"));
        let env = Env::os();
        for (dir, file) in [(&store, "before"), (&made, "restored")] {
            env.vfs.create_dir(&dir.join(file)).unwrap();
        }
        look(&Names { env: &env, store: &store, made: &made, kept: &kept });
    }

    fn told(names: &Names<'_>, refused: Result<()>, words: [&str; 2]) {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
        for word in words.into_iter().chain(names.store.to_str()) {
            assert!(refused.message().contains(word), "{word}: {refused}");
        }
    }

    #[test]
    fn a_failed_exchange_says_what_lies_where() {
        let is = |names: &Names<'_>, path: &Path, file: &str| {
            assert_eq!(names.env.vfs.list(path).unwrap(), [file], "{}", path.display());
        };
        names(|names| {
            names.exchange().unwrap();
            is(names, names.store, "restored");
            is(names, names.kept, "before");
        });
        names(|names| {
            names.rename_both().unwrap();
            is(names, names.store, "restored");
            is(names, names.kept, "before");
        });
        names(|names| {
            let nowhere = names.store.join("before/nothing");
            let lost = Names { store: &nowhere, ..*names };
            told(names, lost.exchange(), ["it is as it was", "store.restoring: open it there"]);
            is(names, names.made, "restored");
        });
        names(|names| {
            names.env.vfs.create_dir(&names.kept.join("taken")).unwrap();
            told(names, names.exchange(), ["it is what was restored", "lies in "]);
            is(names, names.store, "restored");
            is(names, names.made, "before");
        });
        names(|names| {
            let nowhere = names.made.join("nothing");
            let lost = Names { made: &nowhere, ..*names };
            told(names, lost.rename_both(), ["it is as it was", "remove it before the next"]);
            is(names, names.store, "before");
        });
    }
}
