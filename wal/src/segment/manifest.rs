//! Door: MANIFEST in the store's directory, replaced as a whole.
//!
//! Replacing: write `MANIFEST.next` and sync it; rename `MANIFEST` to `MANIFEST.prev`; rename `MANIFEST.next` to
//! `MANIFEST`; sync the directory. A crash in between leaves, whatever subset of the renames survives, either
//! `MANIFEST` (old or new) or no `MANIFEST` and a whole `MANIFEST.next` or `MANIFEST.prev`: then the newest whole one
//! counts. Nobody acts on the new catalog before the directory is synced, so the older of the two is never wrong; and
//! an open makes what it finds durable first, and gives a new one its name.

use std::io;
use std::path::Path;

use super::catalog::{CATALOG_BYTES_MAX, Catalog};
use super::name::{MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::Bad;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::vfs::{OpenMode, Vfs, VfsDir, is_full, lacks_files, read_exact_at};

/// Reads the catalog of the store in `root`; `None` where no store is.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`]: MANIFEST is there and unreadable. [`ErrorKind::Format`]: it is of a newer format.
pub fn load(vfs: &dyn Vfs, root: &Path) -> Result<Option<Catalog>> {
    let path = root.join(MANIFEST);
    match read(vfs, &path)? {
        Some(bytes) => Catalog::decode(&bytes).map(Some).map_err(|bad| unreadable(&path, bad)),
        None => Ok(newest_of_two(vfs, root)?.map(|(catalog, _)| catalog)),
    }
}

/// Finishes a replacement that a crash cut short: the new catalog gets its name, durably. To be called before anything
/// is done that only the new catalog allows. The next replacement begins by emptying `MANIFEST.next`, and a crash then
/// leaves the older one; and what a killed process renamed may be in the cache only.
///
/// # Errors
///
/// [`NotReplaced::Short`]: no space; both catalogs still count. [`NotReplaced::Failed`]: as [`load`], or the system
/// refuses.
pub fn finish(vfs: &dyn Vfs, root: &Path) -> Result<(), NotReplaced> {
    let (next, now) = (root.join(MANIFEST_NEXT), root.join(MANIFEST));
    let unnamed =
        || Ok(read(vfs, &now)?.is_none() && matches!(newest_of_two(vfs, root)?, Some((_, MANIFEST_NEXT))));
    let refused = |doing, path: &Path, e: io::Error| match is_full(&e) {
        true => NotReplaced::Short(Error::io(ErrorKind::Full, doing, path, e)),
        false => NotReplaced::Failed(Error::io(ErrorKind::Io, doing, path, e)),
    };
    if unnamed().map_err(NotReplaced::Failed)? {
        settle(vfs, &next).map_err(|e| refused("syncing", &next, e))?;
        vfs.rename(&next, &now).map_err(|e| refused("renaming", &next, e))?;
    }
    vfs.sync_dir(root).map_err(|e| refused("syncing", root, e))
}

/// Makes the bytes that a file shows durable. Whoever wrote them may have died before the sync, or been told that it
/// failed, and the cache shows them all the same: so they are written again. The same bytes over the same bytes cannot
/// tear.
fn settle(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    let file = vfs.open(path, OpenMode::Write)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).expect("bounded: it was decoded")];
    read_exact_at(&*file, &mut bytes, 0)?;
    file.write_at(&mut [io::IoSlice::new(&bytes)], 0)?;
    file.sync()
}

fn newest_of_two(vfs: &dyn Vfs, root: &Path) -> Result<Option<(Catalog, &'static str)>> {
    let mut newest: Option<(Catalog, &str)> = None;
    for name in [MANIFEST_NEXT, MANIFEST_PREVIOUS] {
        let Some(bytes) = read(vfs, &root.join(name))? else { continue };
        match Catalog::decode(&bytes) {
            Ok(catalog) if newest.as_ref().is_none_or(|(n, _)| n.generation < catalog.generation) => {
                newest = Some((catalog, name))
            }
            Ok(_) => {}
            Err(Bad::Kind) => return Err(unreadable(&root.join(name), Bad::Kind)),
            Err(_) if name == MANIFEST_NEXT => {} // never finished: nobody acted on it
            Err(bad) => return Err(unreadable(&root.join(name), bad)),
        }
    }
    Ok(newest)
}

fn read(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |e| Error::io(ErrorKind::Io, "reading", path, e);
    let file = match vfs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let len = file.len().map_err(failed)?;
    if len > CATALOG_BYTES_MAX as u64 {
        return Err(unreadable(path, Bad::Length));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("bounded by CATALOG_BYTES_MAX")];
    read_exact_at(&*file, &mut bytes, 0).map_err(failed)?;
    Ok(Some(bytes))
}

fn unreadable(path: &Path, bad: Bad) -> Error {
    if bad == Bad::Kind {
        let say = format!("{} is of a newer format than this program: use the newer program", path.display());
        return Error::new(ErrorKind::Format, say);
    }
    let say = format!(
        "{} is damaged ({bad:?}): the log itself may be whole; run `savehold repair --to NEW_DIR --report FILE`",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}

/// Why a catalog could not be replaced.
#[derive(Debug)]
pub enum NotReplaced {
    /// No space, or too many files are open: nothing changed, the same may be tried again.
    Short(Error),
    /// A write, sync or rename failed: which catalog the disk holds is known only after reopening.
    Failed(Error),
}

impl NotReplaced {
    /// The error, whichever it was.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Short(e) | Self::Failed(e) => e,
        }
    }
}

/// Makes `catalog` the durable catalog of the store in `root`.
///
/// # Errors
///
/// [`NotReplaced`].
pub fn replace(vfs: &dyn Vfs, root: &Path, catalog: &Catalog) -> Result<(), NotReplaced> {
    let (next, now, previous) = (root.join(MANIFEST_NEXT), root.join(MANIFEST), root.join(MANIFEST_PREVIOUS));
    let file = vfs.open(&next, OpenMode::Truncate).map_err(|e| not_written(&next, e))?;
    let bytes = catalog.encode();
    file.write_at(&mut [io::IoSlice::new(&bytes)], 0).map_err(|e| not_written(&next, e))?;
    file.sync().map_err(|e| failed("syncing", &next, e))?;
    drop(file); // the directory is opened to be synced: where few files may be open, there is this one
    match vfs.rename(&now, &previous) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("renaming", &now, e)),
        _ => {}
    }
    vfs.rename(&next, &now).map_err(|e| failed("renaming", &next, e))?;
    #[cfg(feature = "planted")]
    if planted::is(Planted::SkipManifestDirSync) {
        return Ok(());
    }
    vfs.sync_dir(root).map_err(|e| failed("syncing", root, e))
}

/// Makes `catalog` the first catalog of a store, in a directory that is held and that messages call `root`.
///
/// # Errors
///
/// [`NotReplaced`].
pub fn place(dir: &dyn VfsDir, root: &Path, catalog: &Catalog) -> Result<(), NotReplaced> {
    let next = root.join(MANIFEST_NEXT);
    let file = dir.open(MANIFEST_NEXT, OpenMode::Truncate).map_err(|e| not_written(&next, e))?;
    let bytes = catalog.encode();
    file.write_at(&mut [io::IoSlice::new(&bytes)], 0).map_err(|e| not_written(&next, e))?;
    file.sync().map_err(|e| failed("syncing", &next, e))?;
    dir.rename(MANIFEST_NEXT, MANIFEST).map_err(|e| failed("renaming", &next, e))?;
    dir.sync().map_err(|e| failed("syncing", root, e))
}

/// Gives the catalog before the present one up, durably: it needs no space. A store has a catalog still.
///
/// # Errors
///
/// [`ErrorKind::Io`]: it may come back.
pub fn forget_previous(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    let previous = root.join(MANIFEST_PREVIOUS);
    match vfs.remove(&previous) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io(ErrorKind::Io, "removing", &previous, e));
        }
        _ => {}
    }
    vfs.sync_dir(root).map_err(|e| Error::io(ErrorKind::Io, "syncing", root, e))
}

fn failed(doing: &str, path: &Path, e: io::Error) -> NotReplaced {
    NotReplaced::Failed(Error::io(ErrorKind::Halted, doing, path, e))
}

fn not_written(path: &Path, e: io::Error) -> NotReplaced {
    if is_full(&e) {
        return NotReplaced::Short(Error::io(ErrorKind::Full, "no space to write", path, e));
    }
    if lacks_files(&e) {
        return NotReplaced::Short(Error::io(ErrorKind::Busy, "opening", path, e));
    }
    NotReplaced::Failed(Error::io(ErrorKind::Halted, "writing", path, e))
}
