//! Pure: one simulated file: what the program sees, what is on the medium, and what lies between.

use std::sync::Arc;

use super::choice::{Fate, Pending, What};
use super::digest::Digest;
use super::pages::{PAGE_BYTES, Page, Pages, SECTOR_BYTES, SECTORS, digest_page, page_count, pieces};

/// A file. `cache` minus `events` is not always `durable`: what a failed sync lost is in `cache` alone.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What a read answers.
    pub(super) cache: Pages,
    /// What the medium holds for sure.
    pub(super) durable: Pages,
    /// What a sync has still to do, in order.
    events: Vec<Event>,
    /// Whether a directory shows it.
    pub(super) linked: bool,
    /// Open handles.
    pub(super) handles: u32,
    /// Syncs that lost something.
    pub(super) failed_syncs: u64,
}

#[derive(Clone, Debug)]
struct Event {
    change: u64,
    what: Step,
}

#[derive(Clone, Debug)]
enum Step {
    /// Sectors of a page, by the bits of `sectors`, now read as in `image`. No bits: the page got space only.
    Data {
        page: u32,
        sectors: u8,
        image: Arc<Page>,
    },
    Length {
        to: u64,
    },
    /// Length, and space up to it.
    Space {
        to: u64,
    },
}

impl File {
    /// A file that is on the medium as `pages` say.
    pub(super) fn settled(pages: Pages) -> Self {
        Self { cache: pages.clone(), durable: pages, linked: true, ..Self::default() }
    }

    /// Writes into the cache; `change` is `None` on a disk that never loses anything.
    pub(super) fn write(&mut self, change: Option<u64>, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        if end > self.cache.len() && !bytes.is_empty() {
            self.cache.grow(end);
            self.note(change, Step::Length { to: end });
        }
        for (page, within, at) in pieces(offset, end) {
            let part = &bytes[at..at + within.len()];
            let sectors = change.map(|_| self.sectors_changed_by(page, within.start, part));
            self.cache.write(page, within.start, part);
            let image = self.cache.page(page).cloned();
            if let (Some(sectors), Some(image)) = (sectors, image)
                && (sectors != 0 || !self.durable.is_written(page))
            {
                self.note(change, Step::Data { page: page as u32, sectors, image });
            }
        }
    }

    /// Sectors that `bytes` makes differ from the medium or from the cache.
    fn sectors_changed_by(&self, page: usize, start: usize, bytes: &[u8]) -> u8 {
        let end = start + bytes.len();
        (start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).fold(0, |mask, sector| {
            let (from, to) = (start.max(sector * SECTOR_BYTES), end.min((sector + 1) * SECTOR_BYTES));
            let within = from - sector * SECTOR_BYTES..to - sector * SECTOR_BYTES;
            let (cached, durable) = (self.cache.sector(page, sector), self.durable.sector(page, sector));
            let same = cached[within] == bytes[from - start..to - start] && cached == durable;
            mask | u8::from(!same) << sector
        })
    }

    /// Extends to `to` bytes, all of it with space.
    pub(super) fn allocate(&mut self, change: Option<u64>, to: u64) {
        self.cache.grow(to);
        (0..page_count(to)).for_each(|page| self.cache.reserve(page));
        self.note(change, Step::Space { to });
    }

    pub(super) fn empty(&mut self, change: Option<u64>) {
        if self.cache.len() > 0 {
            self.cache.set_len(0);
            self.note(change, Step::Length { to: 0 });
        }
    }

    fn note(&mut self, change: Option<u64>, what: Step) {
        self.events.extend(change.map(|change| Event { change, what }));
    }

    /// Everything pending reaches the medium.
    pub(super) fn sync(&mut self) {
        for event in std::mem::take(&mut self.events) {
            event.what.carry_out(&mut self.durable);
        }
    }

    /// The sync fails: dirty sectors count as clean from now on, though only those that `reaches` says yes to are on
    /// the medium. Lengths stay pending: a file system keeps those in a journal, not in the page cache. Until such a
    /// length is synced, `durable` may hold bytes past its own.
    pub(super) fn fail_sync(&mut self, mut reaches: impl FnMut() -> bool) {
        self.failed_syncs += 1;
        for event in std::mem::take(&mut self.events) {
            match event.what {
                Step::Data { page, sectors, image } => {
                    let reached = bits(sectors).filter(|_| reaches()).fold(0, |mask, bit| mask | 1 << bit);
                    Step::Data { page, sectors: reached, image }.carry_out(&mut self.durable);
                }
                _ => self.events.push(event),
            }
        }
    }

    /// Clean pages that lie wholly in the range are read from the medium again.
    pub(super) fn drop_cached(&mut self, offset: u64, bytes: u64) {
        let len = self.cache.len();
        let end = if bytes == 0 { len } else { offset.saturating_add(bytes) };
        let end_page = if end >= len { page_count(len) } else { (end / PAGE_BYTES as u64) as usize };
        for page in page_count(offset)..end_page {
            let dirty = |e: &Event| matches!(e.what, Step::Data { page: p, .. } if p as usize == page);
            let Some(cached) = self.cache.page(page) else { continue };
            match self.durable.page(page) {
                Some(medium) if Arc::ptr_eq(medium, cached) => {}
                _ if self.events.iter().any(dirty) => {}
                Some(medium) => self.cache.put(page, Arc::clone(medium)),
                None => {} // space that is still pending: it reads as zeros
            }
        }
        self.cache.clip();
    }

    /// Calls `each` for everything pending, in order.
    pub(super) fn pending(&self, file: u64, each: &mut dyn FnMut(Pending)) {
        for Event { change, what } in &self.events {
            match what {
                Step::Data { page, sectors, .. } => bits(*sectors).for_each(|bit| {
                    each(Pending { change: *change, what: sector_of(file, *page, bit) });
                }),
                Step::Length { to } | Step::Space { to } => {
                    each(Pending { change: *change, what: What::Length { file, to: *to } });
                }
            }
        }
    }

    /// What the medium holds after a power cut in which each pending thing had its `fate`.
    pub(super) fn after_cut(&self, file: u64, fate: &mut dyn FnMut(&Pending) -> Fate) -> Pages {
        let mut medium = self.durable.clone();
        for Event { change, what } in &self.events {
            match what {
                Step::Data { page, sectors, image } => {
                    let mut kept = 0;
                    for bit in bits(*sectors) {
                        match fate(&Pending { change: *change, what: sector_of(file, *page, bit) }) {
                            Fate::Old => {}
                            Fate::New => kept |= 1 << bit,
                            Fate::Torn(tear) => {
                                let place = bit * SECTOR_BYTES..(bit + 1) * SECTOR_BYTES;
                                let old = &mut medium.page_mut(*page as usize)[place.clone()];
                                tear.apply(old, &image[place]);
                            }
                        }
                    }
                    if kept != 0 {
                        put_sectors(&mut medium, *page as usize, kept, image);
                    }
                }
                Step::Length { to } | Step::Space { to } => {
                    if fate(&Pending { change: *change, what: What::Length { file, to: *to } }) == Fate::New {
                        what.carry_out(&mut medium);
                    }
                }
            }
        }
        medium.clip();
        medium
    }

    /// Adds what the program sees, what the medium holds, and what is pending.
    pub(super) fn digest(&self, digest: &mut Digest) {
        self.cache.digest(digest, None);
        self.durable.digest(digest, Some(&self.cache));
        digest.word(self.events.len() as u64);
        for event in &self.events {
            match &event.what {
                Step::Data { page, sectors, image } => {
                    digest.word(1 | u64::from(*sectors) << 8 | u64::from(*page) << 16);
                    digest_page(digest, image, self.cache.page(*page as usize));
                }
                Step::Length { to } => {
                    digest.word(2);
                    digest.word(*to);
                }
                Step::Space { to } => {
                    digest.word(3);
                    digest.word(*to);
                }
            }
        }
    }

    /// Changes what the medium holds and what the program sees alike, behind everybody's back.
    pub(super) fn damage(&mut self, mut how: impl FnMut(&mut Pages)) {
        how(&mut self.cache);
        how(&mut self.durable);
    }

    /// Forgets what is pending.
    pub(super) fn forget_pending(&mut self) {
        self.events.clear();
    }
}

impl Step {
    fn carry_out(&self, medium: &mut Pages) {
        match self {
            Self::Data { page, sectors: 0, .. } => medium.put_zeros(*page as usize),
            Self::Data { page, sectors, image } => put_sectors(medium, *page as usize, *sectors, image),
            Self::Length { to } => medium.set_len(*to),
            Self::Space { to } => {
                medium.grow(*to);
                (0..page_count(*to)).for_each(|page| medium.reserve(page));
            }
        }
    }
}

fn sector_of(file: u64, page: u32, bit: usize) -> What {
    What::Sector { file, sector: u64::from(page) * SECTORS as u64 + bit as u64 }
}

fn bits(mask: u8) -> impl Iterator<Item = usize> {
    (0..SECTORS).filter(move |bit| mask & 1 << bit != 0)
}

/// Puts some sectors of `image`; shares the page where it becomes the same.
fn put_sectors(medium: &mut Pages, page: usize, sectors: u8, image: &Arc<Page>) {
    let differs = |bit: usize| {
        let place = bit * SECTOR_BYTES..(bit + 1) * SECTOR_BYTES;
        medium.sector(page, bit) != &image[place]
    };
    if bits(!sectors).any(differs) {
        let old = medium.page_mut(page);
        for bit in bits(sectors) {
            let place = bit * SECTOR_BYTES..(bit + 1) * SECTOR_BYTES;
            old[place.clone()].copy_from_slice(&image[place]);
        }
    } else {
        medium.put(page, Arc::clone(image));
    }
}
