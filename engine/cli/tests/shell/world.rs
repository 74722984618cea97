//! A directory for stores, and the binary to work on them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A directory that goes away with it; the store of calls is `data` in it.
pub(crate) struct World(tempfile::TempDir);

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// A directory without a store.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A directory with an empty store.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.ok(&["init"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("data")
    }

    /// A call on the store, run in the directory.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savehold"));
        command.args(words).current_dir(self.0.path()).env("SAVEHOLD_DIR", "data").env("TZ", "UTC");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().expect("the binary runs")
    }

    /// How a call with this standard input ends.
    pub(crate) fn call_with(&self, words: &[&str], input: &str) -> Ended {
        let mut child = self.start(words);
        let mut stdin = child.stdin.take().expect("a pipe");
        let _ = stdin.write_all(input.as_bytes()); // a call that does not read closes it early
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("savehold writes UTF-8");
        let ended = Ended {
            code: output.status.code().expect("no signal"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ended.err.contains("panicked"), "{words:?}: {ended:?}");
        ended
    }

    pub(crate) fn call(&self, words: &[&str]) -> Ended {
        self.call_with(words, "")
    }

    /// What a call prints that ends well.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ended = self.call(words);
        assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
        ended.out
    }

    /// What a call says that ends with this code: nothing on standard output, one line beside it.
    pub(crate) fn refused(&self, words: &[&str], code: i32) -> String {
        let ended = self.call(words);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{words:?}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{words:?}: {ended:?}");
        assert!(ended.err.starts_with("savehold: "), "{words:?}: {ended:?}");
        ended.err
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("a directory");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Waits until the bytes of the store's files are as wanted.
    pub(crate) fn wait_until(&self, what: &str, wanted: impl Fn(&[Vec<u8>]) -> bool) {
        for _ in 0..10_000 {
            if wanted(&files(&self.store()).into_values().collect::<Vec<_>>()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("it never came to be that {what}");
    }

    /// Changes one byte of the file in the store where `text` stands, and says which file.
    pub(crate) fn damage(&self, text: &str) -> PathBuf {
        for (path, mut bytes) in files(&self.store()) {
            let at = bytes.windows(text.len()).position(|found| found == text.as_bytes());
            if let Some(at) = at {
                bytes[at] ^= 0x20;
                std::fs::write(&path, bytes).expect("written");
                return path;
            }
        }
        panic!("{text} stands nowhere in the store");
    }
}

/// Every file below a directory with its bytes; the one that says who holds a store is left out.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    if dir.is_file() {
        found.extend(std::fs::read(dir).map(|bytes| (dir.to_path_buf(), bytes))); // one may go meanwhile
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.expect("listed");
        if entry.file_name() != "LOCK" {
            found.extend(files(&entry.path()));
        }
    }
    found
}
