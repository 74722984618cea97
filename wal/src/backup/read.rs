//! Corridor: the bytes of a segment out of a destination, front to back, each piece verified to its last byte.

use std::path::PathBuf;

use crc32fast::Hasher;

use super::chain::{Broken, Chain, Link};
use super::copy::CHUNK_BYTES;
use super::destination::{Destination, Shelf, damaged, failed};
use super::inventory::{Held, Inventory, Piece};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::vfs::read_exact_at;

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
    let len = file.len().map_err(|e| failed("asking the length of", &path, e))?;
    if len != piece.bytes() {
        return Err(damaged(&path, &format!("has {len} bytes where {} were backed up", piece.bytes())));
    }
    let mut buf = vec![0; CHUNK_BYTES.min(usize::try_from(len).unwrap_or(CHUNK_BYTES))];
    let (mut crc, mut at) = (Hasher::new(), 0);
    while at < len {
        let chunk_len = usize::try_from(len - at).unwrap_or(usize::MAX).min(buf.len());
        let chunk = &mut buf[..chunk_len];
        read_exact_at(&*file, chunk, at).map_err(|e| failed("reading", &path, e))?;
        crc.update(chunk);
        sink(chunk)?;
        at += chunk_len as u64;
    }
    if crc.finalize() == piece.crc {
        Ok(())
    } else {
        Err(damaged(&path, "is damaged: its checksum is wrong"))
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
    chain: Chain,
}

impl<'a> Frames<'a> {
    /// Of the segment `held` of `inventory`, from its front.
    pub(super) fn new(destination: &dyn Destination, inventory: &'a Inventory, held: &'a Held) -> Self {
        let name = held.pieces.first().map_or_else(String::new, |piece| held.name(piece));
        let path = destination.place(Shelf::Pieces, &name);
        Self { inventory, held, path, chain: Chain::new(held.base, held.binding(inventory.store)) }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(Link<'_>) -> Result<()>) -> Result<()> {
        let fed = self.chain.feed(bytes, |link| visit(link).map_err(Ended::Said));
        fed.map_err(|ended| match ended {
            Ended::Said(e) => e,
            Ended::Broken(at) => self.broken(at),
        })
    }

    /// No bytes follow.
    pub(super) fn finish(&self) -> Result<()> {
        self.chain.finish().map_err(|Broken(at)| self.broken(at))
    }

    fn broken(&self, at: Lsn) -> Error {
        let through = self.inventory.limit(self.held);
        let what = format!("holds no log from {at} on, where it should through {through}");
        damaged(&self.path, &what).at(at)
    }
}
