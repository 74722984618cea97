//! Pure: a packed segment, verified as its bytes come by: every frame, and whether the directory behind them says the same.
//!
//! What stands at its end must be known before: where the frames end is said there. In memory: one frame, and sixteen
//! bytes for each record.

use crc32fast::Hasher;

use super::chain::{Broken, Chain, Link};
use super::inventory::Held;
use crate::format::checksum::{Binding, StoreId};
use crate::format::header::DATA_OFFSET;
use crate::format::packed::{DirectoryEntry, Footer, PackedRef, decode_directory, lengths};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Bytes that say how long a frame is.
const LENGTHS_BYTES: usize = 12;

/// A segment of either kind as far as it came by.
#[derive(Debug)]
pub(super) enum Walk {
    Chain(Chain),
    Packed(Box<PackedChain>),
}

impl Walk {
    /// Of `held`, from `from` on; of a packed one, whose end says `footer`, from its front.
    pub(super) fn new(held: &Held, from: Lsn, store: StoreId, footer: Option<Footer>) -> Self {
        let binding = held.binding(store);
        match footer {
            None => Self::Chain(Chain::new(from, binding)),
            Some(footer) => {
                Self::Packed(Box::new(PackedChain::new((held.base, held.capacity_end()), binding, footer)))
            }
        }
    }

    /// As [`Chain::feed`].
    pub(super) fn feed<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        visit: impl FnMut(Link<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Chain(chain) => chain.feed(bytes, visit),
            Self::Packed(packed) => packed.feed(bytes, visit),
        }
    }

    /// No record that was dropped from it before stood at or behind it.
    pub(super) fn complete(&self) -> Lsn {
        match self {
            Self::Chain(_) => Lsn::NONE,
            Self::Packed(packed) => packed.footer.complete_in(packed.owns.0..packed.owns.1),
        }
    }

    /// As [`Chain::finish`].
    pub(super) fn finish(&self) -> Result<(), Broken> {
        match self {
            Self::Chain(chain) => chain.finish(),
            Self::Packed(packed) => packed.finish(),
        }
    }
}

/// A packed segment as far as it came by.
#[derive(Debug)]
pub(super) struct PackedChain {
    binding: Binding,
    footer: Footer,
    /// Places that the segment owns.
    owns: (Lsn, Lsn),
    /// Where the next byte stands in the file.
    at: u64,
    /// Bytes that are not a whole frame or block yet.
    rest: Vec<u8>,
    entries: Vec<DirectoryEntry>,
    /// Entries that the directory has said so far.
    said: usize,
    note: Hasher,
}

impl PackedChain {
    /// The segment that owns `owns` and whose end says `footer`, from its first frame on.
    pub(super) fn new(owns: (Lsn, Lsn), binding: Binding, footer: Footer) -> Self {
        Self {
            binding,
            footer,
            owns,
            at: DATA_OFFSET,
            rest: Vec::new(),
            entries: Vec::new(),
            said: 0,
            note: Hasher::new(),
        }
    }

    /// Takes the next bytes and hands every record that they complete to `visit`, in order.
    ///
    /// # Errors
    ///
    /// [`Broken`], as `E`; or what `visit` answers.
    pub(super) fn feed<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(Link<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = bytes;
        let mut begun = std::mem::take(&mut self.rest);
        loop {
            let wanted = self.wanted(&begun).ok_or_else(|| self.broken())?;
            if wanted > begun.len() {
                let (more, left) = bytes.split_at((wanted - begun.len()).min(bytes.len()));
                begun.extend_from_slice(more);
                bytes = left;
                if begun.len() < wanted {
                    self.rest = begun;
                    return Ok(());
                }
                continue; // now its length may be known
            }
            if begun.is_empty() {
                // behind the end nothing may follow
                return if bytes.is_empty() { Ok(()) } else { Err(self.broken().into()) };
            }
            self.take(&begun, &mut visit)?;
            self.at += begun.len() as u64;
            begun.clear();
        }
    }

    /// Bytes that the next thing has as far as `begun` says; zero behind the end.
    fn wanted(&self, begun: &[u8]) -> Option<usize> {
        let footer = &self.footer;
        let until = |end: u64| usize::try_from(end.checked_sub(self.at)?).ok();
        if self.at < footer.frames_end {
            if begun.len() < LENGTHS_BYTES {
                return Some(LENGTHS_BYTES);
            }
            let (_, whole) = lengths(begun)?;
            (self.at.checked_add(whole as u64)? <= footer.frames_end).then_some(whole)
        } else if self.at < footer.directory() {
            until(footer.directory())
        } else if self.at <= footer.offset() {
            Some(BLOCK)
        } else {
            Some(0)
        }
    }

    fn take<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        visit: &mut impl FnMut(Link<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let broken = |chain: &Self| E::from(chain.broken());
        let footer = self.footer;
        if self.at < footer.frames_end {
            let packed = PackedRef::decode(bytes, self.binding).map_err(|_| broken(self))?;
            let behind = self.entries.last().is_none_or(|last| last.lsn < packed.lsn);
            let owned = packed.lsn >= self.owns.0 && packed.lsn < self.owns.1;
            if !behind || !owned || packed.bytes() != bytes.len() {
                return Err(broken(self));
            }
            self.entries.push(DirectoryEntry { lsn: packed.lsn, at: self.at });
            return visit(Link::Packed(packed));
        }
        let good = if self.at < footer.directory() {
            bytes.iter().all(|&byte| byte == 0)
        } else if self.at < footer.note() {
            let said = decode_directory(bytes, self.at, self.binding).map_err(|_| broken(self))?;
            let same = self.entries.get(self.said..self.said + said.len()) == Some(&said[..]);
            self.said += said.len();
            same
        } else if self.at < footer.offset() {
            let left = (footer.note() + u64::from(footer.note_bytes)).saturating_sub(self.at);
            let note = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.note.update(&bytes[..note]);
            bytes[note..].iter().all(|&byte| byte == 0)
        } else {
            Footer::decode(bytes, self.at, self.binding).is_ok_and(|other| other == footer)
        };
        if good { Ok(()) } else { Err(broken(self)) }
    }

    /// No bytes follow: whether everything was there.
    pub(super) fn finish(&self) -> Result<(), Broken> {
        let end = self.footer.offset() + BLOCK_BYTES;
        let whole = self.at == end
            && self.rest.is_empty()
            && self.said == self.entries.len()
            && self.entries.len() as u64 == self.footer.records
            && self.note.clone().finalize() == self.footer.note_crc;
        if whole { Ok(()) } else { Err(self.broken()) }
    }

    fn broken(&self) -> Broken {
        Broken(self.entries.last().map_or(self.owns.0, |last| last.lsn.plus(1)))
    }
}
