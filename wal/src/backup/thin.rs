//! Corridor: thinning an archive: several neighbours that it holds become one packed piece of what stays of them.
//!
//! 1. Choose the neighbours: ended, in one timeline, as for packing the log.
//! 2. Read them out of the destination, every byte verified, and write what stays under a temporary name.
//! 3. Where the archive compresses, write that anew in compressed blocks, under a second temporary name.
//! 4. In a step of the archive: give it its name, publish the inventory that has it in place of its sources, take away the
//!    pieces that nobody needs any more.
//!
//! Whatever fails, and wherever a crash comes, the archive is as it was before or after. What stays is the caller's to judge:
//! an ending goes only where nothing before it in the archive can hold what it ended.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use crc32fast::Hasher;

use super::chain::Link;
use super::destination::{Destination, Directory, Shelf, failed};
use super::form::Form;
use super::inventory::{Held, Inventory, Piece};
use super::read::{Frames, bytes_of};
use super::take::{CHUNK_BYTES, Sink, Synced};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind};
use crate::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use crate::format::packed::Survivor;
use crate::lsn::Lsn;
use crate::pack::{Candidate, Out, Packed, Packing, Sealed, Stay, raw_parts, tell};
use crate::segment::catalog::{Timeline, generation_behind};
use crate::segment::packing::PackedFile;
use crate::vfs::{DirLock, VfsFile, read_exact_at};

/// The segments of an archive that may be thinned, oldest first.
pub(super) fn sealed(own: &Inventory) -> Vec<Sealed> {
    let ended = own.segments.iter().filter(|held| held.end.is_some());
    let of = |held: &Held| Sealed {
        base: held.base,
        end: held.end.unwrap_or(held.base),
        space_end: held.capacity_end(),
        bytes: held.bytes(),
        packed: held.is_packed().then_some(held.records),
        judged: held.judgement,
        judged_at: if held.is_packed() { held.judged } else { held.end.unwrap_or(held.base) },
        first: begins_alone(own, held),
    };
    ended.map(of).collect()
}

/// Whether it lies in no other segment's space, as a rest segment does that a recovery wrote.
fn begins_alone(own: &Inventory, held: &Held) -> bool {
    let before =
        own.segments.iter().take_while(|other| (other.base, other.generation) < (held.base, held.generation));
    before.last().is_none_or(|other| other.is_packed() || other.capacity_end() <= held.base)
}

/// Segments of an archive on their way into one.
pub struct Thinning {
    pub(super) destination: Directory,
    sources: Vec<Held>,
    header: SegmentHeader,
    inventory: Inventory,
    /// Everything before it in the archive was judged by the same judgement, or a later one.
    settled: bool,
    /// How what stays will lie there.
    form: Form,
    /// Nobody takes pieces away meanwhile.
    kept: Option<Box<dyn DirLock>>,
}

/// What became of them, not yet in their place.
pub struct Thinned {
    pub(super) destination: Directory,
    /// What goes.
    pub(super) sources: Vec<Held>,
    /// In which timeline the archive was going on.
    pub(super) timeline: Option<Timeline>,
    /// What comes.
    pub(super) held: Held,
    /// The name under which it was begun.
    pub(super) begun: String,
    pub(super) file: Arc<dyn VfsFile>,
    /// What thinning did.
    pub packed: Packed,
    _kept: Option<Box<dyn DirLock>>,
}

impl Thinning {
    /// The segments of `own` that lie in the range; `None` where there is none.
    pub(super) fn begin(
        env: &Env,
        destination: Directory,
        own: &Inventory,
        packing: Packing<'_>,
        form: Form,
    ) -> Result<Option<Self>> {
        packing.judged.check()?;
        let inside = |held: &&Held| held.base >= packing.from && held.base < packing.to && held.end.is_some();
        let sources: Vec<Held> = own.segments.iter().filter(inside).cloned().collect();
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return Ok(None) };
        let one = sources.iter().all(|held| held.base.timeline() == first.base.timeline());
        if !one || !begins_alone(own, first) {
            let say = "segments are thinned from a whole one on, within one timeline: choose another range";
            return Err(Error::new(ErrorKind::Invalid, say).at(first.base));
        }
        let behind = own.segments.iter().map(|held| held.base).filter(|base| *base > last.base).min();
        let end = behind.map_or(last.capacity_end(), |behind| behind.min(last.capacity_end()));
        let same = own.segments.iter().filter(|held| held.base == first.base).map(|held| held.generation);
        let header = SegmentHeader {
            kind: SegmentKind::Packed,
            store: own.store,
            base: first.base,
            capacity: end.bytes_since(first.base).unwrap_or(0),
            number: env.entropy.next_u64(),
            created_us: env.clock.wall_us(),
            generation: generation_behind(same.max().unwrap_or(0))?,
            end,
        };
        // One number for all of it, and not one for each place, as the log is judged (`Wal::settled`): that asks from which places
        // the index dropped anything, and an index that was made anew after its tables were lost knows it of the log's own
        // files alone. What had gone from those before may stand in an older file here.
        let mut before = own.segments.iter().take_while(|held| held.base < first.base);
        let settled = before.all(|held| held.judgement >= packing.judged.number.max(1));
        let kept = destination.keep_pieces()?;
        Ok(Some(Self { destination, sources, header, inventory: own.clone(), settled, form, kept }))
    }

    /// Everything before these segments in the archive was judged by the judgement of this thinning, or a later one: an
    /// ending that no index lists any more may go.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Writes what stays. `judge` and `pace` are as for [`Wal::pack`](crate::Wal::pack).
    ///
    /// # Errors
    ///
    /// As [`Wal::pack`](crate::Wal::pack): nothing was changed.
    pub fn write(
        self,
        packing: Packing<'_>,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Thinned> {
        let mut held = Held {
            base: self.header.base,
            capacity: self.header.capacity,
            number: self.header.number,
            generation: self.header.generation,
            kind: SegmentKind::Packed,
            end: Some(self.header.end),
            judged: packing.judged.at,
            judgement: packing.judged.number,
            records: 0,
            first_us: self.sources.iter().map(|held| held.first_us).filter(|us| *us > 0).min().unwrap_or(0),
            last_us: self.sources.iter().map(|held| held.last_us).max().unwrap_or(0),
            pieces: vec![Piece { from: self.header.base, to: self.header.base, crc: 0, form: Form::Segment }],
        };
        let begun = held.name(&held.pieces[0]);
        let file = self.destination.begin(Shelf::Pieces, &begun)?;
        let written = self.fill(&begun, &file, &mut held, packing, judge, pace);
        let packed = written.inspect_err(|_| self.destination.abandon(Shelf::Pieces, &begun))?;
        let (begun, file) = match self.form {
            Form::Plain | Form::Segment => (begun, file),
            Form::Lz4 => {
                let compressed = self.compressed(&file, &mut held, pace);
                self.destination.abandon(Shelf::Pieces, &begun);
                compressed?
            }
        };
        let timeline = self.inventory.timelines.last().copied();
        let Self { destination, sources, kept, .. } = self;
        Ok(Thinned { destination, sources, timeline, held, begun, file, packed, _kept: kept })
    }

    fn fill(
        &self,
        begun: &str,
        file: &Arc<dyn VfsFile>,
        held: &mut Held,
        packing: Packing<'_>,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Packed> {
        let path = self.destination.place(Shelf::Pieces, begun);
        let mut out = Out::new(PackedFile::over(file.clone(), &path, &self.header));
        for source in &self.sources {
            out.done.bytes_before = out.done.bytes_before.saturating_add(source.bytes());
            let mut frames = Frames::new(&self.destination, &self.inventory, source)?;
            out.stood_before(frames.complete());
            bytes_of(&self.destination, source, self.inventory.limit(source), &mut |chunk| {
                frames.feed(chunk, |link| self.record(&link, &mut out, judge))?;
                tell(chunk.len() as u64, pace)
            })?;
            frames.finish()?;
        }
        held.records = out.done.records;
        let mut done = out.finish(packing.judged)?;
        done.segments = self.sources.len() as u64;
        let len = file.len().map_err(|e| failed("asking the length of", &path, e))?;
        let behind = held.base.checked_add(len.saturating_sub(DATA_OFFSET));
        held.pieces[0].to = behind.ok_or_else(|| self.damaged(held.base))?;
        held.pieces[0].crc = checksum(&**file, len, &path, pace)?;
        Ok(done)
    }

    /// Writes a file anew in compressed blocks, as a piece of its own.
    fn compressed(
        &self,
        from: &Arc<dyn VfsFile>,
        held: &mut Held,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(String, Arc<dyn VfsFile>)> {
        let mut piece = Piece { crc: 0, form: Form::Lz4, ..held.pieces[0] };
        let name = held.name(&piece);
        let path = self.destination.place(Shelf::Pieces, &name);
        let mut sink = Sink::new(
            self.destination.begin(Shelf::Pieces, &name)?,
            path.clone(),
            piece.form,
            Synced::OnTheWay,
        );
        let mut crc = Hasher::new();
        let written = chunks_of(&**from, DATA_OFFSET..DATA_OFFSET + piece.bytes(), &path, &mut |chunk| {
            crc.update(chunk);
            sink.take(chunk)?;
            tell(chunk.len() as u64, pace)
        });
        written.inspect_err(|_| self.destination.abandon(Shelf::Pieces, &name))?;
        piece.crc = crc.finalize();
        held.pieces[0] = piece;
        Ok((name, sink.file))
    }

    fn record(
        &self,
        link: &Link<'_>,
        out: &mut Out,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
    ) -> Result<()> {
        match link {
            Link::Frame { lsn, frame, time_us, .. } if frame.kind == FrameKind::Record => {
                let body_offset =
                    u32::try_from(FRAME_HEADER_BYTES + frame.head.len()).expect("HEAD_BYTES_MAX");
                let parts = raw_parts(frame.body, body_offset).ok_or_else(|| self.damaged(*lsn))?;
                let survivor =
                    Survivor { lsn: *lsn, time_us: *time_us, body_offset, head: frame.head, parts: &parts };
                out.record(survivor, judge)
            }
            Link::Packed(packed) => {
                let parts: Vec<(u32, &[u8])> = packed.raw_parts().collect();
                out.record(packed.survivor(&parts), judge)
            }
            Link::Frame { lsn, frame, .. } if frame.kind == FrameKind::Lost => {
                out.stood_before(lsn.plus(frame.bytes() as u64));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn damaged(&self, at: Lsn) -> Error {
        let say = "a value in the archive is damaged: it stays as it is; run `savehold backup verify`";
        Error::new(ErrorKind::Corrupt, say).at(at)
    }
}

/// The checksum of a file as it can be read again.
fn checksum(
    file: &dyn VfsFile,
    len: u64,
    path: &Path,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<u32> {
    let mut crc = Hasher::new();
    chunks_of(file, 0..len, path, &mut |chunk| {
        crc.update(chunk);
        tell(chunk.len() as u64, pace)
    })?;
    Ok(crc.finalize())
}

/// Hands a range of a file to `sink`, in order.
fn chunks_of(
    file: &dyn VfsFile,
    range: Range<u64>,
    path: &Path,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (mut at, len) = (range.start, range.end - range.start);
    let mut buf = vec![0; CHUNK_BYTES.min(usize::try_from(len).unwrap_or(CHUNK_BYTES))];
    while at < range.end {
        let chunk_len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buf.len());
        read_exact_at(file, &mut buf[..chunk_len], at).map_err(|e| failed("reading", path, e))?;
        sink(&buf[..chunk_len])?;
        at += chunk_len as u64;
    }
    Ok(())
}
