//! Pure: the names of a simulated disk: what the program sees, what is on the medium, and what lies between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use rustix::io::Errno;

use super::choice::{Fate, Pending, What};
use super::digest::{Digest, Weight};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Dir,
}

impl Node {
    fn digest(self, digest: &mut Digest, name: &str, weight: Weight) {
        if weight == Weight::Nothing {
            return;
        }
        digest.text(name);
        match self {
            Self::Dir => digest.word(u64::MAX),
            Self::File(file) => digest.file(file, weight),
        }
    }
}

type Names = Arc<BTreeMap<Arc<str>, Node>>;

/// Every directory by its path; a directory is never renamed or removed. One whose name is not durable in the
/// directory above goes with a power cut, and all below it, synced or not.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    cache: BTreeMap<Arc<str>, Names>,
    durable: BTreeMap<Arc<str>, Names>,
    ops: Vec<Op>,
}

#[derive(Clone, Debug)]
struct Op {
    change: u64,
    dir: Arc<str>,
    what: Entry,
}

/// A change of one directory: carried out whole or not at all.
#[derive(Clone, Debug)]
enum Entry {
    Put(Arc<str>, Node),
    Remove(Arc<str>),
    Rename(Arc<str>, Arc<str>, u64),
}

/// A directory and a name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: Arc<str>,
    pub(super) name: Arc<str>,
}

impl Tree {
    /// The root directory and nothing else.
    pub(super) fn new() -> Self {
        let root = BTreeMap::from([(Arc::from(""), Names::default())]);
        Self { cache: root.clone(), durable: root, ops: Vec::new() }
    }

    /// What a place holds.
    pub(super) fn node(&self, place: &Place) -> io::Result<Option<Node>> {
        Ok(self.names(&place.dir)?.get(&place.name).copied())
    }

    /// The number of the file at a place. `NotFound` where there is none, `IsADirectory` for a directory.
    pub(super) fn file(&self, place: &Place) -> io::Result<u64> {
        match self.node(place)? {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir) => Err(Errno::ISDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// The names in a directory. `NotFound` where there is none, `NotADirectory` for a file.
    pub(super) fn names(&self, dir: &str) -> io::Result<&BTreeMap<Arc<str>, Node>> {
        self.cache.get(dir).map(|n| &**n).ok_or_else(|| self.why_no_dir(dir).into())
    }

    fn why_no_dir(&self, dir: &str) -> Errno {
        let (above, name) = dir.rsplit_once('/').unwrap_or(("", dir));
        match self.cache.get(above).map(|names| names.get(name)) {
            Some(Some(Node::File(_))) => Errno::NOTDIR,
            Some(_) => Errno::NOENT,
            None => self.why_no_dir(above),
        }
    }

    /// All files with their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, u64)> {
        self.cache.iter().flat_map(|(dir, names)| {
            names.iter().filter_map(move |(name, node)| match node {
                Node::File(file) => Some((format!("{dir}/{name}"), *file)),
                Node::Dir => None,
            })
        })
    }

    /// All files that have a name, each once.
    pub(super) fn file_numbers(&self) -> BTreeSet<u64> {
        let nodes = self.cache.values().flat_map(|names| names.values());
        nodes.filter_map(|node| if let Node::File(file) = node { Some(*file) } else { None }).collect()
    }

    pub(super) fn create(&mut self, change: Option<u64>, place: Place, file: u64) {
        self.carry_out(change, place.dir, Entry::Put(place.name, Node::File(file)));
    }

    pub(super) fn remove(&mut self, change: Option<u64>, place: Place) {
        self.carry_out(change, place.dir, Entry::Remove(place.name));
    }

    /// Inside a directory one operation; between two directories a name put and a name removed, each durable only
    /// when its own directory is.
    pub(super) fn rename(&mut self, change: Option<u64>, from: Place, to: Place, file: u64) {
        if from.dir == to.dir {
            self.carry_out(change, from.dir, Entry::Rename(from.name, to.name, file));
        } else {
            self.create(change, to, file);
            self.remove(change, from);
        }
    }

    /// Makes a directory and those above it that are missing.
    pub(super) fn create_dir(&mut self, change: Option<u64>, dir: &str) -> io::Result<()> {
        if self.cache.contains_key(dir) {
            return Ok(());
        }
        if self.why_no_dir(dir) == Errno::NOTDIR {
            return Err(Errno::NOTDIR.into());
        }
        let (above, name) = dir.rsplit_once('/').unwrap_or(("", dir));
        self.create_dir(change, above)?;
        self.cache.insert(dir.into(), Names::default());
        self.durable.insert(dir.into(), Names::default());
        self.carry_out(change, above.into(), Entry::Put(name.into(), Node::Dir));
        Ok(())
    }

    /// Makes the names in one directory durable.
    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.names(dir)?;
        let names = Arc::make_mut(self.durable.entry(dir.into()).or_default());
        self.ops.retain(|op| {
            let here = &*op.dir == dir;
            if here {
                op.what.carry_out(names);
            }
            !here
        });
        Ok(())
    }

    fn carry_out(&mut self, change: Option<u64>, dir: Arc<str>, what: Entry) {
        what.carry_out(Arc::make_mut(self.cache.entry(Arc::clone(&dir)).or_default()));
        self.ops.extend(change.map(|change| Op { change, dir, what }));
    }

    pub(super) fn pending(&self, each: &mut dyn FnMut(Pending)) {
        self.ops.iter().for_each(|op| each(Pending { change: op.change, what: What::Name }));
    }

    /// The tree after a power cut in which each pending operation had its `fate`.
    pub(super) fn after_cut(&self, fate: &mut dyn FnMut(&Pending) -> Fate) -> Self {
        let mut medium = self.durable.clone();
        for op in &self.ops {
            if fate(&Pending { change: op.change, what: What::Name }) == Fate::New {
                op.what.carry_out(Arc::make_mut(medium.entry(Arc::clone(&op.dir)).or_default()));
            }
        }
        let reached = reachable(&medium);
        medium.retain(|dir, _| reached.contains(dir));
        Self { cache: medium.clone(), durable: medium, ops: Vec::new() }
    }

    /// Adds all names that count, and what is to become of them.
    pub(super) fn digest(&self, digest: &mut Digest, weigh: &dyn Fn(&str) -> Weight) {
        for dirs in [&self.cache, &self.durable] {
            for (dir, names) in dirs {
                digest.text(dir);
                names.iter().for_each(|(name, node)| node.digest(digest, name, weigh(name)));
                digest.word(0); // no name is empty
            }
            digest.word(u64::MAX); // and no path is so long
        }
        for op in &self.ops {
            op.what.digest(digest, &op.dir, weigh);
        }
    }

    /// True where a power cut might still show the file under some name.
    pub(super) fn may_return(&self, file: u64) -> bool {
        let node = Node::File(file);
        let op_names = |op: &Op| match &op.what {
            Entry::Put(_, n) => *n == node,
            Entry::Rename(_, _, f) => *f == file,
            Entry::Remove(_) => false,
        };
        shows(&self.durable, node) || self.ops.iter().any(op_names)
    }

    /// True where the program sees the file under some name.
    pub(super) fn shows(&self, file: u64) -> bool {
        shows(&self.cache, Node::File(file))
    }
}

impl Entry {
    fn carry_out(&self, names: &mut BTreeMap<Arc<str>, Node>) {
        match self {
            Self::Put(name, node) => {
                names.insert(Arc::clone(name), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, file) => {
                if names.get(from) == Some(&Node::File(*file)) {
                    names.remove(from);
                }
                names.insert(Arc::clone(to), Node::File(*file));
            }
        }
    }
}

impl Entry {
    fn digest(&self, digest: &mut Digest, dir: &str, weigh: &dyn Fn(&str) -> Weight) {
        let (kind, old, name, node) = match self {
            Self::Put(name, node) => (1, "", name, Some(*node)),
            Self::Remove(name) => (2, "", name, None),
            Self::Rename(from, to, file) => (3, &**from, to, Some(Node::File(*file))),
        };
        let weight = weigh(name);
        if weight == Weight::Nothing {
            return;
        }
        digest.word(kind);
        digest.text(dir);
        digest.text(old);
        match node {
            Some(node) => node.digest(digest, name, weight),
            None => digest.text(name),
        }
    }
}

fn shows(dirs: &BTreeMap<Arc<str>, Names>, node: Node) -> bool {
    dirs.values().any(|names| names.values().any(|n| *n == node))
}

/// Directories that can be walked to from the root.
fn reachable(dirs: &BTreeMap<Arc<str>, Names>) -> BTreeSet<Arc<str>> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<Arc<str>> = vec![Arc::from("")];
    while let Some(dir) = next.pop() {
        let subdirs = dirs.get(&dir).into_iter().flat_map(|names| names.iter());
        next.extend(
            subdirs.filter(|(_, node)| **node == Node::Dir).map(|(name, _)| below(&dir, name).into()),
        );
        reached.insert(dir);
    }
    reached
}

fn below(dir: &str, name: &str) -> String {
    format!("{dir}/{name}")
}

/// A directory's path as the tree knows it: `""` for the root, `"/a/b"` below it.
pub(super) fn dir_of(path: &Path) -> String {
    let mut dir = String::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => dir = below(&dir, &name.to_string_lossy()),
            Component::ParentDir => dir.truncate(dir.rfind('/').unwrap_or(0)),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    dir
}

/// Where a file's path leads.
pub(super) fn place_of(path: &Path) -> Place {
    let whole = dir_of(path);
    let (dir, name) = whole.rsplit_once('/').unwrap_or(("", ""));
    Place { dir: dir.into(), name: name.into() }
}
