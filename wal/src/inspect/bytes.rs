//! Door: the bytes of a file, as far as the medium gives them.

use crate::format::header::DATA_OFFSET;
use crate::limits::BLOCK_BYTES;
use crate::vfs::{VfsFile, read_exact_at};

/// Bytes that are read at a time; of a piece that cannot be read, the blocks that can.
const PIECE_BYTES: usize = 1 << 20;

/// The data of a segment's file; what cannot be read is zeros, and named.
pub(super) fn read_data(file: &dyn VfsFile, bytes: u64) -> (Vec<u8>, Vec<(u64, u64)>) {
    read_at(file, DATA_OFFSET, bytes)
}

/// The same of any file, from `offset` on.
pub(super) fn read_at(file: &dyn VfsFile, offset: u64, bytes: u64) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut data = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let mut unreadable: Vec<(u64, u64)> = Vec::new();
    for (piece_at, piece) in (0_u64..).step_by(PIECE_BYTES).zip(data.chunks_mut(PIECE_BYTES)) {
        if read_exact_at(file, piece, offset + piece_at).is_ok() {
            continue;
        }
        for (at, block) in
            (piece_at..).step_by(BLOCK_BYTES as usize).zip(piece.chunks_mut(BLOCK_BYTES as usize))
        {
            if read_exact_at(file, block, offset + at).is_ok() {
                continue;
            }
            block.fill(0);
            let to = at + block.len() as u64;
            match unreadable.last_mut().filter(|(_, end)| *end == at) {
                Some((_, end)) => *end = to,
                None => unreadable.push((at, to)),
            }
        }
    }
    (data, unreadable)
}
