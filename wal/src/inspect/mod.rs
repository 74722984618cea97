//! Corridor: looking through a log without opening it: every byte verified, every record that validates handed out,
//! everything that is damaged or lost named, with what that means. Reads by `pread` and changes nothing; `copy` writes
//! what is sound into a new log.
//!
//! What counts: of files that overlap the newer one, for its range; of each segment what lies before its end, be that
//! stated by MANIFEST, by a later segment or by the file that begins over it. Frames that validate behind an end were
//! given up by a recovery: they are counted and nothing else.

mod bytes;
mod copy;
mod found;
mod layout;
mod manifests;
mod packed;
mod stock;
mod walk;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use copy::{Copied, Keep};
pub use found::{Damage, Inspection, Seen, Weight, What};

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind};
use crate::format::group::GROUP_FRAME_BYTES;
use crate::format::header::{DATA_OFFSET, SegmentKind};
use crate::holder;
use crate::lsn::Lsn;
use crate::options::Progress;
use crate::scan::Span;
use crate::vfs::DirLock;
use bytes::read_data;
use stock::{Plot, Stock};
use walk::{Found, bad_parts, lost_head, walk};

/// Told how far it is, a few times a second at the most; breaking stops it.
pub type Tell<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// A log held for looking through.
#[derive(Debug)]
pub struct Inspector {
    env: Env,
    root: PathBuf,
    stock: Stock,
    /// What the layer above has in MANIFEST of a copy.
    attachment: Vec<u8>,
    _lock: Box<dyn DirLock>,
}

impl Inspector {
    /// Takes the directory's lock and stock of its files. Nothing but the text of LOCK changes.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Locked`]: somebody has it. [`ErrorKind::Missing`], [`ErrorKind::Foreign`]: no log.
    /// - [`ErrorKind::Format`]: a newer one. [`ErrorKind::Corrupt`]: nothing in it can be told to be a record.
    pub fn open(env: &Env, root: &Path, wait: Duration) -> Result<Self> {
        let root = &env.full_path(root)?;
        Stock::look(env, root)?;
        let lock = holder::take(env, root, wait)?;
        let stock = Stock::take(env, root)?;
        holder::write(env, root, holder::read(&*env.vfs, root).unfinished);
        let attachment = Vec::new();
        Ok(Self { env: env.clone(), root: root.to_path_buf(), stock, attachment, _lock: lock })
    }

    /// What the layer above keeps in MANIFEST, as far as one can be read; and the identity of the log.
    #[must_use]
    pub fn attachment(&self) -> (&[u8], StoreId) {
        let catalog = self.stock.catalog.as_ref();
        (catalog.map_or(&[][..], |catalog| &catalog.attachment), self.stock.store)
    }

    /// Has a copy begin with `attachment` as what the layer above keeps in MANIFEST; otherwise it begins with nothing.
    pub fn attach(&mut self, attachment: Vec<u8>) {
        self.attachment = attachment;
    }

    /// The world that it looks through the log in, and the directory.
    #[must_use]
    pub fn place(&self) -> (&Env, &Path) {
        (&self.env, &self.root)
    }

    /// Reads and verifies every byte, and hands every record that validates to `visit`, in the order of places.
    ///
    /// # Errors
    ///
    /// What `visit` answers; [`ErrorKind::Aborted`] where `tell` breaks.
    pub fn inspect(&self, tell: Tell<'_>, visit: impl FnMut(&Seen<'_>) -> Result<()>) -> Result<Inspection> {
        self.inspect_from(Lsn::NONE, tell, visit)
    }

    /// [`Inspector::inspect`] of files that do not end before `from`: what stands in the others is neither read nor judged.
    ///
    /// # Errors
    ///
    /// As [`Inspector::inspect`].
    pub fn inspect_from(
        &self,
        from: Lsn,
        tell: Tell<'_>,
        mut visit: impl FnMut(&Seen<'_>) -> Result<()>,
    ) -> Result<Inspection> {
        let mut pass = Pass::new(self);
        for n in 0..self.stock.plots.len() {
            self.told(n, tell, &pass)?;
            if self.stock.plots[n].entry.end.is_none_or(|end| end > from) {
                pass.plot(n, &mut visit)?;
            }
        }
        self.told(self.stock.plots.len(), tell, &pass)?;
        Ok(pass.finish())
    }

    fn told(&self, n: usize, tell: Tell<'_>, pass: &Pass<'_>) -> Result<()> {
        let bytes = |plots: &[Plot]| plots.iter().map(|plot| plot.there).sum::<u64>();
        let (done_bytes, total_bytes) = (bytes(&self.stock.plots[..n]), bytes(&self.stock.plots));
        let elapsed = self.env.clock.monotonic().saturating_sub(pass.begun);
        let left = total_bytes.saturating_sub(done_bytes) as f64 / done_bytes.max(1) as f64;
        let remaining = if done_bytes == 0 { Duration::ZERO } else { elapsed.mul_f64(left) };
        match tell(Progress { done_bytes, total_bytes, elapsed, remaining }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::new(
                ErrorKind::Aborted,
                "stopped by the progress callback: nothing was changed, call again for the whole",
            )),
        }
    }
}

/// One pass over all segments.
struct Pass<'a> {
    inspector: &'a Inspector,
    begun: Duration,
    seen: Inspection,
    /// Of each segment without a stated end: its number, where its last frame ends, and its last byte that is not zero.
    open: Vec<(usize, Lsn, Lsn)>,
}

impl<'a> Pass<'a> {
    fn new(inspector: &'a Inspector) -> Self {
        let stock = &inspector.stock;
        let seen = Inspection {
            store: stock.store,
            segments: stock.plots.len() as u64,
            groups: 0,
            records: 0,
            bytes: 0,
            bytes_lost_earlier: 0,
            groups_behind: 0,
            proven: stock.floor,
            end: Lsn::NONE,
            time_us: stock.catalog.as_ref().map_or(0, |catalog| catalog.time_us),
            damage: stock.damage.clone(),
        };
        Self { inspector, begun: inspector.env.clock.monotonic(), seen, open: Vec::new() }
    }

    fn plot(&mut self, n: usize, visit: &mut impl FnMut(&Seen<'_>) -> Result<()>) -> Result<()> {
        let plot = &self.inspector.stock.plots[n];
        if plot.entry.kind == SegmentKind::Packed {
            return self.packed(plot, visit);
        }
        let (data, unreadable) = read_data(&*plot.file, plot.there);
        let whole = plot.span(self.inspector.stock.store, &data);
        let sealed = plot.entry.end;
        let span = plot.cut(whole);
        let walked = walk(&span, |found| self.found(plot, found, visit))?;
        self.seen.bytes += walked.bytes_since(span.base).unwrap_or(0) + DATA_OFFSET;
        if walked > span.base {
            self.seen.end = self.seen.end.max(walked);
        }
        match sealed {
            Some(end) => {
                if walked < end {
                    let what = if span.end() < end { What::Short } else { What::Lost };
                    self.damaged(plot, what, walked, end, lost_head(&span, walked));
                } else if plot.there < plot.entry.made() {
                    let at = plot.entry.base.plus(plot.there); // behind its records
                    self.damaged(plot, What::Short, at, at, None);
                }
                for group in whole.probe(end) {
                    self.note_group(group.head.durable_through, group.head.time_us);
                    self.seen.groups_behind += 1;
                }
            }
            None => {
                for (from, to) in unreadable {
                    let (from, to) = (plot.entry.base.plus(from), plot.entry.base.plus(to));
                    if to > walked {
                        self.damaged(plot, What::Unreadable, from.max(walked), to, None);
                    }
                }
                if plot.there < plot.entry.capacity && plot.entry.kind == SegmentKind::Log {
                    let to = plot.entry.capacity_end();
                    self.damaged(plot, What::Short, plot.entry.base.plus(plot.there), to, None);
                }
                self.open.push((n, walked, walk::last_not_zero(&span, walked)));
            }
        }
        Ok(())
    }

    fn found(
        &mut self,
        plot: &Plot,
        found: Found<'_>,
        visit: &mut impl FnMut(&Seen<'_>) -> Result<()>,
    ) -> Result<()> {
        match found {
            Found::Group(_, head) => {
                self.seen.groups += 1;
                self.note_group(head.durable_through, head.time_us);
            }
            Found::Frame { lsn, frame, bytes, time_us } if frame.kind == FrameKind::Record => {
                let bad_parts = bad_parts(lsn, &frame);
                for (offset, bytes) in &bad_parts {
                    let from = lsn.plus(u64::from(*offset));
                    self.damaged(plot, What::Part, from, from.plus(u64::from(*bytes)), None);
                    self.seen.bytes = self.seen.bytes.saturating_sub(u64::from(*bytes));
                }
                self.seen.records += 1;
                visit(&plot.seen(lsn, time_us, bytes, frame.head.len(), &bad_parts))?;
            }
            Found::Frame { frame, .. } => {
                if frame.kind == FrameKind::Lost {
                    self.seen.bytes_lost_earlier += frame.bytes() as u64;
                }
            }
            Found::Rubble { from, to, head } => {
                self.damaged(plot, What::Lost, from, to, head);
                let bytes = to.bytes_since(from).unwrap_or(0);
                self.seen.bytes = self.seen.bytes.saturating_sub(bytes);
            }
            Found::LostGroup(lsn) => {
                self.damaged(plot, What::Group, lsn, lsn.plus(GROUP_FRAME_BYTES as u64), None);
                self.seen.bytes = self.seen.bytes.saturating_sub(GROUP_FRAME_BYTES as u64);
            }
            Found::Padding(lsn) => {
                let to = crate::format::group::align(lsn.plus(1)).unwrap_or(Lsn::MAX);
                self.damaged(plot, What::Padding, lsn, to, None);
            }
        }
        Ok(())
    }

    fn note_group(&mut self, durable_through: Lsn, time_us: u64) {
        self.seen.proven = self.seen.proven.max(durable_through);
        self.seen.time_us = self.seen.time_us.max(time_us);
    }

    fn damaged(&mut self, plot: &Plot, what: What, from: Lsn, to: Lsn, head: Option<&[u8]>) {
        let offset = plot.offset(from);
        let (file, head) = (plot.path.clone(), head.map(<[u8]>::to_vec));
        self.seen.damage.push(Damage { what, weight: Weight::Spare, from, to, file, offset, head });
    }

    /// Now that the proven end is known: what is missing at the ends, and what all of it means.
    fn finish(mut self) -> Inspection {
        let (plots, proven) = (&self.inspector.stock.plots, self.seen.proven);
        for (n, walked, used) in std::mem::take(&mut self.open) {
            let plot = &plots[n];
            let end = plot.entry.capacity_end();
            let before_next = end == proven && n + 1 < plots.len();
            let needed =
                if proven > plot.entry.base && proven <= end && !before_next { proven } else { used };
            if needed.max(used) > walked {
                self.damaged(plot, What::Lost, walked, needed.max(used), None);
            }
        }
        let reached = plots.iter().map(|plot| plot.entry.end.unwrap_or(plot.entry.base)).max();
        let named = self.seen.damage.iter().map(|damage| damage.to).max();
        let reached = reached.max(named).unwrap_or(Lsn::NONE).max(self.seen.end);
        if reached < proven {
            let (what, weight, file) = (What::Lost, Weight::Acknowledged, self.inspector.root.clone());
            let (from, to) = (reached, proven);
            self.seen.damage.push(Damage { what, weight, from, to, file, offset: 0, head: None });
        }
        for damage in &mut self.seen.damage {
            damage.weight = match damage.what {
                What::Group => Weight::Blocking,
                What::Short if damage.from == damage.to => Weight::Blocking,
                what if !what.goes_by_place() => damage.weight,
                _ if damage.from < proven => Weight::Acknowledged,
                _ => Weight::Undecidable,
            };
        }
        self.seen.damage.sort_by_key(|damage| (damage.from, damage.offset));
        self.seen
    }
}

impl Plot {
    fn span<'d>(&self, store: StoreId, data: &'d [u8]) -> Span<'d> {
        Span { base: self.entry.base, binding: self.entry.binding(store), data }
    }

    fn offset(&self, lsn: Lsn) -> u64 {
        DATA_OFFSET + lsn.bytes_since(self.entry.base).unwrap_or(0)
    }

    fn seen<'s>(
        &'s self,
        lsn: Lsn,
        time_us: u64,
        bytes: &'s [u8],
        head_len: usize,
        bad_parts: &'s [(u32, u32)],
    ) -> Seen<'s> {
        let body_offset = u32::try_from(FRAME_HEADER_BYTES + head_len).expect("bounded by HEAD_BYTES_MAX");
        let (file, offset) = (&self.path, self.offset(lsn));
        Seen { lsn, time_us, bytes, head_len, body_offset, bad_parts, file, offset }
    }

    /// The span before the segment's end.
    fn cut<'d>(&self, span: Span<'d>) -> Span<'d> {
        let end = self.entry.end.unwrap_or(self.entry.capacity_end());
        let bytes = end.bytes_since(span.base).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        Span { data: &span.data[..bytes.min(span.data.len())], ..span }
    }
}

#[cfg(test)]
mod tests;
