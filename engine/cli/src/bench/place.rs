//! Door: the directory in which is measured: one of its own that goes away at the end, or the caller's, which stays.

use std::path::{Path, PathBuf};

use savehold_wal::env::Env;
use tempfile::TempDir;

use super::failed;
use crate::exit::{Exit, Failure};

/// A directory to measure in.
pub(super) struct Place {
    path: PathBuf,
    /// Goes away with everything in it when this goes.
    _own: Option<TempDir>,
}

impl Place {
    /// Makes `dir`, which must not exist yet, or a directory of its own where the system keeps what is temporary.
    pub(super) fn make(env: &Env, dir: Option<&Path>) -> Result<Self, Failure> {
        let Some(dir) = dir.filter(|dir| !dir.as_os_str().is_empty()) else {
            let own = tempfile::Builder::new().prefix("savehold-bench-").tempdir();
            let own = own.map_err(|e| failed("making a directory to measure in", &e))?;
            return Ok(Self { path: own.path().to_path_buf(), _own: Some(own) });
        };
        if env.vfs.list(dir).is_ok() {
            let say = format!("{} exists already", dir.display());
            return Err(Failure::new(
                Exit::Usage,
                say,
                "name a directory that does not exist yet: it is made",
            ));
        }
        env.vfs.create_dir(dir).map_err(|e| failed(&format!("making {}", dir.display()), &e))?;
        Ok(Self { path: dir.to_path_buf(), _own: None })
    }

    /// The path of something in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_exists_is_never_measured_in() {
        let env = Env::os();
        let above = tempfile::tempdir().expect("a directory");
        assert!(Place::make(&env, Some(above.path())).is_err());
        let new = above.path().join("new");
        let made = Place::make(&env, Some(&new)).expect("it did not exist");
        assert_eq!(made.join("store"), new.join("store"));
        drop(made);
        assert!(env.vfs.list(&new).is_ok(), "what the caller named stays");
    }

    #[test]
    fn a_directory_of_its_own_goes_away() {
        let env = Env::os();
        let place = Place::make(&env, None).expect("a directory");
        let path = place.join("");
        assert!(env.vfs.list(&path).is_ok());
        drop(place);
        assert!(env.vfs.list(&path).is_err());
    }
}
