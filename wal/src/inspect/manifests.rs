//! Corridor: the generations of MANIFEST, as far as they can be read.

use std::io;
use std::path::Path;

use super::{Damage, Weight, What};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::Bad;
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::segment::catalog::{CATALOG_BYTES_MAX, Catalog};
use crate::segment::name::{MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS};
use crate::vfs::{OpenMode, read_exact_at};

/// The newest catalog that can be read, and whether it is the one that an open would go by.
pub(super) fn catalogs(env: &Env, root: &Path, damage: &mut Vec<Damage>) -> Result<(Option<Catalog>, bool)> {
    let mut note = |what, weight, name: &str| {
        let file = root.join(name);
        damage.push(Damage { what, weight, from: Lsn::NONE, to: Lsn::NONE, file, offset: 0, head: None });
    };
    let now = catalog(env, &root.join(MANIFEST))?;
    let next = catalog(env, &root.join(MANIFEST_NEXT)).unwrap_or(Some(Err(Bad::Nothing)));
    let previous = catalog(env, &root.join(MANIFEST_PREVIOUS))?;
    if let Some(Err(_)) = previous {
        note(What::SpareManifest, Weight::Spare, MANIFEST_PREVIOUS);
    }
    let whole = [next, previous].into_iter().flatten().flatten();
    let older = whole.max_by_key(|catalog| catalog.generation);
    match now {
        Some(Ok(catalog)) => Ok((Some(catalog), true)),
        None if older.is_some() => Ok((older, true)),
        _ => {
            note(What::Manifest, Weight::Blocking, MANIFEST);
            Ok((older, false))
        }
    }
}

fn catalog(env: &Env, path: &Path) -> Result<Option<Result<Catalog, Bad>>> {
    let file = match env.vfs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(ErrorKind::Io, "opening", path, e)),
    };
    let len = file.len().unwrap_or(0);
    if len > CATALOG_BYTES_MAX as u64 + BLOCK_BYTES {
        return Ok(Some(Err(Bad::Length)));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("bounded by CATALOG_BYTES_MAX")];
    if read_exact_at(&*file, &mut bytes, 0).is_err() {
        return Ok(Some(Err(Bad::Checksum)));
    }
    match Catalog::decode(&bytes) {
        Err(Bad::Kind) => {
            let say =
                format!("{} is of a newer format than this program: use the newer program", path.display());
            Err(Error::new(ErrorKind::Format, say))
        }
        decoded => Ok(Some(decoded)),
    }
}
