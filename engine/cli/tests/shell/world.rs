//! A directory for stores, and the binary to work on them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use savehold::{Create, Options, Store};

/// A directory that goes away with it; the store of calls is `data` in it.
pub(crate) struct World {
    dir: tempfile::TempDir,
    /// The store, where this process has it and answers for it.
    held: Option<Store>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    /// What it said, without the line about the way.
    pub(crate) err: String,
    /// How it came to the store, where it said so.
    pub(crate) way: Option<Way>,
}

/// How a call comes to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nobody had the store: it was opened.
    Alone,
    /// This process had it, and was asked.
    Beside,
}

/// Tests of verbs, each twice: on a store that nobody has, and beside a process that has it. They answer the same.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod alone {
            $(#[test]
            fn $name() {
                super::$name(crate::world::World::new());
            })*
        }

        mod beside {
            $(#[test]
            fn $name() {
                super::$name(crate::world::World::held());
            })*
        }
    };
}

pub(crate) use both_ways;

impl World {
    /// A directory without a store.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory"), held: None }
    }

    /// A directory with an empty store.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.ok(&["init"]);
        world
    }

    /// A directory with an empty store, which this process has.
    pub(crate) fn held() -> Self {
        let mut world = Self::new();
        let options = Options::new().create(Create::Never).origin("savehold command line");
        world.held = Some(options.open(world.store()).expect("opened"));
        world
    }

    /// Leases a key to a game server elsewhere, and says by which token.
    pub(crate) fn leased(&self, path: &str, server: &str, life: u64) -> String {
        let opened = self.held.is_none().then(|| Store::open(self.store()).expect("opened"));
        let store = self.held.as_ref().or(opened.as_ref()).expect("one of them");
        let (collection, key) = path.split_once('/').expect("a path");
        let documents = store.any(collection).expect("a collection");
        let holder = store.external_holder(server, life).expect("a holder");
        let session = holder.acquire([documents.key(key)], savehold::Start::new()).expect("free");
        let token = session.token().to_string();
        opened.into_iter().for_each(|store| store.close().expect("closed")); // not some time after it is dropped
        token
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("data")
    }

    /// A call on the store, run in the directory.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_savehold"));
        command.args(words).current_dir(self.dir.path()).env("SAVEHOLD_DIR", "data").env("TZ", "UTC");
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
        let (way, err) = way(&text(output.stderr));
        let code = output.status.code().expect("no signal");
        let ended = Ended { code, out: text(output.stdout), err, way };
        let own = !words.contains(&"--dir");
        if own && let Some(way) = way {
            let expected = if self.held.is_some() { Way::Beside } else { Way::Alone };
            assert_eq!(way, expected, "{words:?}: {ended:?}");
        }
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

/// How a call says that it came to its store, and what else it says.
pub(crate) fn way(err: &str) -> (Option<Way>, String) {
    let beside = format!("savehold: asked process {}, which has ", std::process::id());
    let way = |line: &str| match line {
        line if line.starts_with("savehold: opened ") => Some(Way::Alone),
        line if line.starts_with(&beside) => Some(Way::Beside),
        _ => None,
    };
    let found = err.lines().find_map(way);
    let rest = err.split_inclusive('\n').filter(|line| way(line).is_none()).collect();
    (found, rest)
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
