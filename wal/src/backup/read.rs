//! Corridor: the bytes of a segment out of a destination, front to back, each piece verified to its last byte.

use std::io;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use super::chain::{Broken, Link};
use super::destination::{Destination, Shelf, damaged, failed};
use super::form::{BLOCK_HEADER_BYTES, BLOCK_RAW_MAX, BlockHeader, Form};
use super::inventory::{Held, Inventory, Piece};
use super::packed::Walk;
use super::take::CHUNK_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::header::DATA_OFFSET;
use crate::format::packed::Footer;
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::vfs::{VfsFile, read_exact_at};

/// Hands the bytes of `held` before `limit` to `sink`, in order. All of every piece is read and verified that holds any
/// of them: an error may come after bytes were handed out, and then none of them counts.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): a piece is missing, longer or shorter than it was, or changed. What
/// `sink` answers.
pub(super) fn bytes_of(
    destination: &dyn Destination,
    held: &Held,
    limit: Lsn,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let limit = if held.is_packed() { Lsn::MAX } else { limit };
    for piece in held.pieces.iter().filter(|piece| piece.from < limit) {
        let wanted = limit.min(piece.to).bytes_since(piece.from).unwrap_or(0);
        let mut at = 0_u64;
        piece_of(destination, held, piece, &mut |chunk| {
            let left = usize::try_from(wanted.saturating_sub(at)).unwrap_or(usize::MAX);
            at += chunk.len() as u64;
            match &chunk[..left.min(chunk.len())] {
                [] => Ok(()),
                wanted => sink(wanted),
            }
        })?;
    }
    Ok(())
}

/// Hands the bytes of one piece to `sink`, in order; the last word is whether they were what they should be.
///
/// # Errors
///
/// As [`bytes_of`].
pub(super) fn piece_of(
    destination: &dyn Destination,
    held: &Held,
    piece: &Piece,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let name = held.name(piece);
    let path = destination.place(Shelf::Pieces, &name);
    let file = destination.open(Shelf::Pieces, &name)?;
    let (mut crc, mut said) = (Hasher::new(), None::<Error>);
    raw_of(&*file, &path, held, piece, &mut |chunk, what| {
        crc.update(chunk);
        if what == What::Log
            && said.is_none()
            && let Err(e) = sink(chunk)
        {
            if e.kind() != ErrorKind::Corrupt {
                return Err(e);
            }
            said = Some(e); // the rest of the piece tells whether it is what was backed up
        }
        Ok(())
    })?;
    if crc.finalize() == piece.crc {
        return said.map_or(Ok(()), Err);
    }
    let place = said.and_then(|e| e.lsn());
    let what = place.map(|lsn| format!(", no log can be read from {lsn} on")).unwrap_or_default();
    let e = damaged(&path, &format!("is damaged: its checksum is wrong{what}"));
    Err(place.map_or(e.clone(), |lsn| e.at(lsn)))
}

/// Whether a segment file that holds a piece can be so long.
fn fits(held: &Held, piece: &Piece, len: u64) -> bool {
    let most = if held.is_packed() { piece.bytes() } else { held.capacity };
    (DATA_OFFSET + piece.bytes()..=DATA_OFFSET.saturating_add(most)).contains(&len)
}

/// What a packed segment says at its end, and the note that it carries.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`]: it is damaged.
pub(super) fn end_of(
    destination: &dyn Destination,
    held: &Held,
    store: StoreId,
) -> Result<(Footer, Vec<u8>)> {
    let piece = held.pieces.first().copied().unwrap_or(Piece {
        from: held.base,
        to: held.base,
        crc: 0,
        form: Form::Plain,
    });
    let path = destination.place(Shelf::Pieces, &held.name(&piece));
    let file = destination.open(Shelf::Pieces, &held.name(&piece))?;
    let bad = || damaged(&path, "is damaged: the block at its end is wrong, as `backup verify` says");
    let shift = if piece.form == Form::Segment { 0 } else { DATA_OFFSET }; // where the file begins among its offsets
    let read = |offset: u64, bytes: usize| {
        let mut block = vec![0; bytes];
        let at = offset.checked_sub(shift).ok_or_else(bad)?;
        if piece.form == Form::Lz4 {
            Blocks::new(&*file, &path, &piece)?.read_at(&mut block, at)?;
            return Ok(block);
        }
        read_exact_at(&*file, &mut block, at).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => bad(),
            _ => failed("reading", &path, e),
        })?;
        Ok::<_, Error>(block)
    };
    let offset = (DATA_OFFSET + piece.bytes()).checked_sub(BLOCK_BYTES).ok_or_else(bad)?;
    let block = read(offset, usize::try_from(BLOCK_BYTES).unwrap_or(0))?;
    let footer = Footer::decode(&block, offset, held.binding(store)).map_err(|_| bad())?;
    let note = read(footer.note(), footer.note_bytes as usize)?;
    if crc32fast::hash(&note) != footer.note_crc {
        return Err(bad());
    }
    Ok((footer, note))
}

/// What bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Those of the piece.
    Log,
    /// What stands around them in a segment file.
    Around,
}

/// Hands all that the checksum of a piece covers to `sink`, in whatever form it lies there.
fn raw_of(
    file: &dyn VfsFile,
    path: &Path,
    held: &Held,
    piece: &Piece,
    sink: &mut dyn FnMut(&[u8], What) -> Result<()>,
) -> Result<()> {
    let len = file.len().map_err(|e| failed("asking the length of", path, e))?;
    let log = match piece.form {
        Form::Plain if len == piece.bytes() => 0..len,
        Form::Segment if fits(held, piece, len) => DATA_OFFSET..DATA_OFFSET + piece.bytes(),
        Form::Lz4 => return Blocks::new(file, path, piece)?.all(&mut |raw| sink(raw, What::Log)),
        Form::Plain | Form::Segment => {
            return Err(damaged(path, &format!("has {len} bytes where {} were backed up", piece.bytes())));
        }
    };
    let mut buf = vec![0; CHUNK_BYTES.min(usize::try_from(len).unwrap_or(CHUNK_BYTES))];
    for (range, what) in
        [(0..log.start, What::Around), (log.clone(), What::Log), (log.end..len, What::Around)]
    {
        let mut at = range.start;
        while at < range.end {
            let chunk_len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buf.len());
            let chunk = &mut buf[..chunk_len];
            read_exact_at(file, chunk, at).map_err(|e| failed("reading", path, e))?;
            sink(chunk, what)?;
            at += chunk_len as u64;
        }
    }
    Ok(())
}

/// A compressed piece, block by block.
struct Blocks<'a> {
    file: &'a dyn VfsFile,
    path: &'a Path,
    len: u64,
    /// Where the next block stands in the file.
    at: u64,
    /// Where what it holds stands in the piece, and where the piece ends.
    raw_at: u64,
    raw_end: u64,
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl<'a> Blocks<'a> {
    /// From the front.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Format`]: this program reads no compressed pieces. [`ErrorKind::Io`].
    fn new(file: &'a dyn VfsFile, path: &'a Path, piece: &Piece) -> Result<Self> {
        if !cfg!(feature = "compression") {
            let say = format!(
                "{} is compressed, which this program cannot read: use one that was built with the feature `compression`",
                path.display()
            );
            return Err(Error::new(ErrorKind::Format, say));
        }
        let len = file.len().map_err(|e| failed("asking the length of", path, e))?;
        let room = || vec![0; BLOCK_RAW_MAX];
        Ok(Self { file, path, len, at: 0, raw_at: 0, raw_end: piece.bytes(), stored: room(), raw: room() })
    }

    fn bad(&self) -> Error {
        damaged(self.path, "is damaged: the checksum of a block is wrong")
    }

    /// The header of the next block; `None` behind the last one.
    fn header(&self) -> Result<Option<BlockHeader>> {
        let there = self.len - self.at;
        if there == 0 {
            return Ok(None);
        }
        if there < BLOCK_HEADER_BYTES as u64 {
            return Err(self.bad());
        }
        let mut header = [0; BLOCK_HEADER_BYTES];
        read_exact_at(self.file, &mut header, self.at).map_err(|e| failed("reading", self.path, e))?;
        let header = BlockHeader::decode(&header).ok_or_else(|| self.bad())?;
        let fits = (BLOCK_HEADER_BYTES + header.stored_len) as u64 <= there;
        if !fits || header.raw_len as u64 > self.raw_end - self.raw_at {
            return Err(self.bad());
        }
        Ok(Some(header))
    }

    fn pass(&mut self, header: BlockHeader) {
        self.at += (BLOCK_HEADER_BYTES + header.stored_len) as u64;
        self.raw_at += header.raw_len as u64;
    }

    /// What the block behind `header` holds, verified.
    fn open(&mut self, header: BlockHeader) -> Result<&[u8]> {
        let (stored, raw) = (&mut self.stored[..header.stored_len], &mut self.raw[..header.raw_len]);
        read_exact_at(self.file, stored, self.at + BLOCK_HEADER_BYTES as u64)
            .map_err(|e| failed("reading", self.path, e))?;
        if header.open(stored, raw) { Ok(&self.raw[..header.raw_len]) } else { Err(self.bad()) }
    }

    /// Hands everything to `sink`, in order.
    fn all(mut self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while let Some(header) = self.header()? {
            sink(self.open(header)?)?;
            self.pass(header);
        }
        self.ended()
    }

    fn ended(&self) -> Result<()> {
        match self.raw_end - self.raw_at {
            0 => Ok(()),
            left => Err(damaged(self.path, &format!("ends {left} bytes too early"))),
        }
    }

    /// Fills `out` with what stands at `from` in the piece; blocks before it are passed over unread.
    fn read_at(mut self, out: &mut [u8], from: u64) -> Result<()> {
        let mut filled = 0;
        while filled < out.len() {
            let Some(header) = self.header()? else { return self.ended().and_then(|()| Err(self.bad())) };
            let wanted = from + filled as u64;
            if wanted < self.raw_at + header.raw_len as u64 {
                let skipped = usize::try_from(wanted - self.raw_at).unwrap_or(usize::MAX);
                let found = &self.open(header)?[skipped..];
                let take = found.len().min(out.len() - filled);
                out[filled..filled + take].copy_from_slice(&found[..take]);
                filled += take;
            }
            self.pass(header);
        }
        Ok(())
    }
}

/// Why reading frames ended.
pub(super) enum Ended {
    /// The chain is broken there, though the pieces are what they were.
    Broken(Lsn),
    /// Whoever looked said so.
    Said(Error),
}

impl From<Broken> for Ended {
    fn from(Broken(at): Broken) -> Self {
        Self::Broken(at)
    }
}

/// Reads a segment of a backup frame by frame.
pub(super) struct Frames<'a> {
    inventory: &'a Inventory,
    held: &'a Held,
    path: PathBuf,
    walk: Walk,
}

impl<'a> Frames<'a> {
    /// Of the segment `held` of `inventory`, from its front.
    ///
    /// # Errors
    ///
    /// As [`bytes_of`]: a packed one says at its end where its frames end.
    pub(super) fn new(
        destination: &dyn Destination,
        inventory: &'a Inventory,
        held: &'a Held,
    ) -> Result<Self> {
        let name = held.pieces.first().map_or_else(String::new, |piece| held.name(piece));
        let path = destination.place(Shelf::Pieces, &name);
        let footer = match held.is_packed() {
            true => Some(end_of(destination, held, inventory.store)?.0),
            false => None,
        };
        Ok(Self { inventory, held, path, walk: Walk::new(held, held.base, inventory.store, footer) })
    }

    /// No record that was dropped from the segment before stood at or behind it.
    pub(super) fn complete(&self) -> Lsn {
        self.walk.complete()
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(Link<'_>) -> Result<()>) -> Result<()> {
        let fed = self.walk.feed(bytes, |link| visit(link).map_err(Ended::Said));
        fed.map_err(|ended| match ended {
            Ended::Said(e) => e,
            Ended::Broken(at) => self.broken(at),
        })
    }

    /// No bytes follow.
    pub(super) fn finish(&self) -> Result<()> {
        self.walk.finish().map_err(|Broken(at)| self.broken(at))
    }

    fn broken(&self, at: Lsn) -> Error {
        let through = self.inventory.limit(self.held);
        let what = format!("holds no log from {at} on, where it should through {through}");
        damaged(&self.path, &what).at(at)
    }
}
