//! Pure: a segment that was skimmed in pieces, by several who knew nothing of each other.
//!
//! A piece is entered at the first group at a block boundary in it, and left at the first such group behind it. Where each was
//! left just where the next was entered, and nothing stands behind the end of the chain, all of them found what one skim from
//! the front finds.

use std::ops::Range;

use super::Skim;
use crate::lsn::Lsn;

/// What a skim over a piece of a segment finds.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Where it was looked for a group at a block boundary.
    pub(crate) range: Range<Lsn>,
    /// The first of them.
    pub(crate) entered: Option<Lsn>,
    /// The chain from there to where the piece was left.
    pub(crate) chain: Skim,
    /// The chain ended before there was a group at which to leave.
    pub(crate) ended: bool,
    /// Groups stand at block boundaries behind the end of the chain, in this piece.
    pub(crate) strays: bool,
}

/// What one skim over all of a segment finds, from the pieces that it was cut into, in order. `None` where they do not tell:
/// something stands behind the end of the chain, or passed for a group and is none.
pub(crate) fn join(base: Lsn, pieces: &[Piece]) -> Option<Skim> {
    let (mut whole, mut goes_on) = (Skim::at(base), true);
    for piece in pieces {
        match piece.entered {
            Some(at) if goes_on && at == whole.chain_end && !piece.strays => {
                whole.join(&piece.chain);
                goes_on = !piece.ended;
            }
            Some(_) => return None,
            // a group reaches over all of it, or the chain ended where the piece before was left
            None => goes_on &= whole.chain_end >= piece.range.end,
        }
    }
    Some(whole)
}
