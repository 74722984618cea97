//! Pure: a simulated disk as a value: its names, its files, and all that can happen to them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::choice::{Choice, Decider, Fate, Pending};
use super::digest::{Digest, Weight};
use super::file::File;
use super::pages::{PAGE_BYTES, Pages, page_count};
use super::tree::{Node, Place, Tree};
use crate::draw::Draw;
use crate::vfs::OpenMode;

/// No simulated file is longer.
const FILE_BYTES_MAX: u64 = 1 << 40;

/// A disk's whole content. Copies share all pages.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) tree: Tree,
    files: BTreeMap<u64, Arc<File>>,
    next_file: u64,
    /// Bytes of space; unlimited where `None`.
    pub(super) capacity: Option<u64>,
    /// False for a disk that never loses anything: nothing is kept of what a power cut might take.
    forgetful: bool,
}

impl Image {
    pub(super) fn new(forgetful: bool) -> Self {
        Self { tree: Tree::new(), files: BTreeMap::new(), next_file: 1, capacity: None, forgetful }
    }

    /// False where a power cut takes nothing.
    pub(super) fn forgets(&self) -> bool {
        self.forgetful
    }

    /// The change, where it has to be kept as pending.
    fn noted(&self, change: u64) -> Option<u64> {
        self.forgetful.then_some(change)
    }

    // Files by name.

    pub(super) fn open(&mut self, change: u64, place: Place, mode: OpenMode) -> io::Result<u64> {
        let change = self.noted(change);
        let file = match (self.tree.node(&place)?, mode) {
            (Some(Node::Dir), OpenMode::CreateNew) => return Err(Errno::EXIST.into()),
            (Some(Node::Dir), _) => return Err(Errno::ISDIR.into()),
            (Some(Node::File(_)), OpenMode::CreateNew) => return Err(Errno::EXIST.into()),
            (Some(Node::File(file)), _) => file,
            (None, OpenMode::Read | OpenMode::Plain | OpenMode::Write) => return Err(Errno::NOENT.into()),
            (None, OpenMode::CreateNew | OpenMode::Truncate) => self.create(change, place),
        };
        let opened = self.file_mut(file);
        opened.handles += 1;
        if mode == OpenMode::Truncate {
            opened.empty(change);
        }
        Ok(file)
    }

    fn create(&mut self, change: Option<u64>, place: Place) -> u64 {
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Arc::new(File::settled(Pages::default())));
        self.tree.create(change, place, file);
        file
    }

    pub(super) fn close(&mut self, file: u64) {
        let closed = self.file_mut(file);
        closed.handles -= 1;
        self.bury(file);
    }

    pub(super) fn rename(&mut self, change: u64, from: Place, to: Place) -> io::Result<()> {
        let file = self.tree.file(&from)?;
        let replaced = match self.tree.node(&to)? {
            Some(Node::Dir) => return Err(Errno::ISDIR.into()),
            Some(Node::File(replaced)) if replaced == file => return Ok(()),
            Some(Node::File(replaced)) => Some(replaced),
            None => None,
        };
        self.tree.rename(self.noted(change), from, to, file);
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, change: u64, place: Place) -> io::Result<()> {
        let file = self.tree.file(&place)?;
        self.tree.remove(self.noted(change), place);
        self.unlink(file);
        Ok(())
    }

    pub(super) fn link(&mut self, change: u64, file: Place, name: Place) -> io::Result<()> {
        let number = self.tree.file(&file)?;
        if self.tree.node(&name)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        self.tree.create(self.noted(change), name, number);
        Ok(())
    }

    pub(super) fn create_dir(&mut self, change: u64, dir: &str) -> io::Result<()> {
        self.tree.create_dir(self.noted(change), dir)
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.tree.sync_dir(dir)?;
        let unlinked: Vec<u64> = self.files.iter().filter(|(_, f)| !f.linked).map(|(n, _)| *n).collect();
        unlinked.into_iter().for_each(|file| self.bury(file));
        Ok(())
    }

    fn unlink(&mut self, file: u64) {
        self.file_mut(file).linked = self.tree.shows(file); // a power cut inside a rename may have left two names
        self.bury(file);
    }

    /// Frees a file that nobody can see any more, now or after a power cut.
    fn bury(&mut self, file: u64) {
        let dead = self.files.get(&file).is_some_and(|f| !f.linked && f.handles == 0);
        if dead && !self.tree.may_return(file) {
            self.files.remove(&file);
        }
    }

    // Files by number.

    pub(super) fn file(&self, file: u64) -> &File {
        &self.files[&file]
    }

    /// # Panics
    ///
    /// Where there is no such file: names, handles and pending operations keep theirs alive.
    pub(super) fn file_mut(&mut self, file: u64) -> &mut File {
        Arc::make_mut(self.files.get_mut(&file).expect("a file outlives its names and handles"))
    }

    /// Writes as many bytes as there is space for; `StorageFull` where that is not all.
    pub(super) fn write(&mut self, change: u64, file: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= FILE_BYTES_MAX);
        let fits = self.fitting(file, offset, end.ok_or(Errno::FBIG)?);
        let change = self.noted(change);
        self.file_mut(file).write(change, &bytes[..fits], offset);
        if fits < bytes.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    pub(super) fn allocate(&mut self, change: u64, file: u64, to: u64) -> io::Result<()> {
        if to > FILE_BYTES_MAX {
            return Err(Errno::FBIG.into());
        }
        let pages = &self.file(file).cache;
        let holes = (0..page_count(to)).filter(|page| pages.page(*page).is_none()).count() as u64;
        if holes == 0 && to <= pages.len() {
            return Ok(());
        }
        if holes * PAGE_BYTES as u64 > self.free() {
            return Err(Errno::NOSPC.into());
        }
        let change = self.noted(change);
        self.file_mut(file).allocate(change, to);
        Ok(())
    }

    /// Bytes of `offset..end` that can be written before space runs out.
    fn fitting(&self, file: u64, offset: u64, end: u64) -> usize {
        let wanted = (end - offset) as usize;
        if self.capacity.is_none() {
            return wanted;
        }
        let (pages, mut free) = (&self.file(file).cache, self.free());
        for page in (offset / PAGE_BYTES as u64) as usize..page_count(end) {
            if pages.page(page).is_none() {
                if free < PAGE_BYTES as u64 {
                    return ((page * PAGE_BYTES) as u64).saturating_sub(offset) as usize;
                }
                free -= PAGE_BYTES as u64;
            }
        }
        wanted
    }

    /// Bytes of space that files take: those with a name, and those that are open without one.
    pub(super) fn used(&self) -> u64 {
        self.files.values().filter(|f| f.linked || f.handles > 0).map(|f| f.cache.space()).sum()
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.map_or(i64::MAX as u64, |capacity| capacity.saturating_sub(self.used()))
    }

    // What survives.

    /// The disk as the next process finds it: the cache is there, handles are not.
    pub(super) fn after_kill(&self) -> Self {
        let mut image = self.clone();
        let open: Vec<u64> = image.files.iter().filter(|(_, f)| f.handles > 0).map(|(n, _)| *n).collect();
        for file in open {
            image.file_mut(file).handles = 0;
            image.bury(file);
        }
        image
    }

    /// The disk after a power cut in which each pending thing had its `fate`, asked in the order of `pending`.
    pub(super) fn after_cut(&self, fate: &mut dyn FnMut(&Pending) -> Fate) -> Self {
        if !self.forgetful {
            return self.after_kill();
        }
        let tree = self.tree.after_cut(fate);
        let mut media: BTreeMap<u64, Pages> =
            self.files.iter().map(|(number, file)| (*number, file.after_cut(*number, fate))).collect();
        let files = tree.file_numbers();
        let settled = |n: u64| media.remove(&n).map(|pages| (n, Arc::new(File::settled(pages))));
        let files = files.into_iter().filter_map(settled).collect();
        Self { tree, files, next_file: self.next_file, capacity: self.capacity, forgetful: true }
    }

    pub(super) fn after_choice(&self, choice: Choice) -> Self {
        match choice {
            Choice::KeepNone => self.after_cut(&mut |_| Fate::Old),
            Choice::KeepAll => self.after_cut(&mut |_| Fate::New),
            Choice::Seed(seed) => self.after_draws(&mut Draw::from_seed(seed)),
            Choice::Pattern(bits) => {
                let mut asked = 0;
                self.after_cut(&mut |_| {
                    asked += 1;
                    if asked <= 128 && bits >> (asked - 1) & 1 == 1 { Fate::New } else { Fate::Old }
                })
            }
        }
    }

    pub(super) fn after_draws(&self, draw: &mut Draw) -> Self {
        let (mut count, mut first, mut last) = (0, u64::MAX, 0);
        self.pending(&mut |pending| {
            count += 1;
            first = first.min(pending.change);
            last = last.max(pending.change);
        });
        if count == 0 {
            return self.after_cut(&mut |_| Fate::Old);
        }
        let mut decider = Decider::new(draw, count, (first, last));
        self.after_cut(&mut |pending| decider.fate(pending))
    }

    /// Calls `each` for everything that a power cut might take: names in the order they were changed, then what
    /// each file has to sync, in order.
    pub(super) fn pending(&self, each: &mut dyn FnMut(Pending)) {
        self.tree.pending(each);
        self.files.iter().for_each(|(number, file)| file.pending(*number, each));
    }

    /// A number for the state, as far as it counts.
    pub(super) fn digest(&self, weigh: &dyn Fn(&str) -> Weight) -> u128 {
        let mut digest = Digest::new();
        digest.word(self.capacity.unwrap_or(u64::MAX));
        self.tree.digest(&mut digest, weigh);
        for number in digest.whole() {
            if let Some(file) = self.files.get(&number) {
                file.digest(&mut digest);
            }
        }
        digest.sum()
    }

    /// Puts a file on the medium, whatever was there.
    pub(super) fn plant(&mut self, place: Place, bytes: &[u8]) -> io::Result<()> {
        let file = match self.tree.node(&place)? {
            Some(Node::File(file)) => file,
            Some(Node::Dir) => return Err(Errno::ISDIR.into()),
            None => self.create(self.noted(0), place.clone()),
        };
        let planted = self.file_mut(file);
        planted.forget_pending();
        planted.damage(|pages| {
            pages.set_len(0);
            pages.set_len(bytes.len() as u64);
            bytes.chunks(PAGE_BYTES).enumerate().for_each(|(page, part)| pages.write(page, 0, part));
        });
        self.sync_dir(&place.dir)
    }
}
