//! Pure: which files of the log are packed next.
//!
//! A file whose greater part is dead is packed. Where all files together hold more that is dead than a part of what lives,
//! the one with the greatest dead part is, so that the log stays within its bounds however the dead lies spread. Its neighbours go
//! along where they gain nearly as much by it, or are small: the fewer files, the better, but who is packed too soon is copied
//! for little. Files that are packed and small are packed together eight at a time, so that a byte is seldom copied for the
//! sake of their number. A packed file stays small enough that what is packed and what it was packed from take little
//! more than what they are.
//!
//! A file that holds a value which merges dropped keeps the endings behind it in the index (see `thinning`), and may be worth
//! nothing by all of this. Where many endings wait, such files are packed too, each once as much was logged since the last time
//! as all of them have: no more is copied for endings than is written.

use std::ops::Range;

use savehold_wal::Lsn;

use crate::waste::PACKED_FROM;

/// A file that may be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its first place.
    pub(crate) base: Lsn,
    /// It may be the first of those that are packed together.
    pub(crate) first: bool,
    /// Bytes that it has.
    pub(crate) bytes: u64,
    /// Bytes of them that packing would free, about.
    pub(crate) dead: u64,
    /// It is packed already.
    pub(crate) packed: bool,
    /// It is not settled, and so many bytes were logged since it was judged, or written.
    pub(crate) unsettled: Option<u64>,
}

impl File {
    /// Bytes that would stay.
    pub(crate) fn live(&self) -> u64 {
        self.bytes.saturating_sub(self.dead)
    }

    fn is_dead_by(&self, share: (u64, u64)) -> bool {
        self.dead >= LEAST_BYTES && self.dead.saturating_mul(share.1) >= self.bytes.saturating_mul(share.0)
    }
}

/// Less than this is not worth a file.
const LEAST_BYTES: u64 = 32 << 10;
/// Of a file: it is packed for itself.
const HALF: (u64, u64) = (1, 2);
/// Of a file: it is packed where too much is dead in all, or beside one that is packed…
const SOME: (u64, u64) = (3, 20);
/// …of which no more than this is dead for each byte that is dead in it.
const BESIDE: f64 = 0.6;
/// Live bytes of a neighbour that goes along however little it gains.
const SMALL_BYTES: u64 = 256 << 10;
/// Bytes that are read at most for one packed file, and live ones among them.
const READ_MAX: u64 = 256 << 20;
const LIVE_MAX: u64 = 32 << 20;
/// So many small files beside each other are packed into one.
const MANY: usize = 8;
/// Packed files up to each of these sizes count as small beside each other.
const SIZES: [u64; 4] = [256 << 10, 1 << 20, 4 << 20, 16 << 20];

/// The files to be packed into one, neighbours, oldest first; `None` where nothing is worth it.
pub(crate) fn due(files: &[File]) -> Option<Range<usize>> {
    let dead: u64 = files.iter().map(|file| file.dead).sum();
    let live: u64 = files.iter().map(File::live).sum();
    let much = dead.saturating_mul(PACKED_FROM.1) > live.saturating_mul(PACKED_FROM.0);
    let least = if much { SOME } else { HALF };
    let worth = (0..files.len()).filter(|n| files[*n].is_dead_by(least));
    let most = worth.max_by(|a, b| share(&files[*a]).total_cmp(&share(&files[*b])));
    let run = most.and_then(|seed| {
        let gains = |file: &File| file.is_dead_by(SOME) && share(file) >= BESIDE * share(&files[seed]);
        grown(files, seed, |file| gains(file) || file.live() <= SMALL_BYTES)
    });
    run.or_else(|| SIZES.iter().find_map(|size| many(files, *size)))
}

/// Runs of files that a person asks to be packed: all of which more than a little is dead.
pub(crate) fn all_due(files: &[File]) -> Vec<Range<usize>> {
    let worth = |file: &File| file.dead > 0 && file.is_dead_by((1, 16)) || file.bytes <= SMALL_BYTES;
    runs(files, |file| file.is_dead_by((1, 16)), worth)
}

/// The first run of files that are to be settled, where endings wait for it.
pub(crate) fn settling_due(files: &[File]) -> Option<Range<usize>> {
    let all = files.iter().filter(|file| file.unsettled.is_some()).map(|file| file.bytes).sum();
    settling(files, all).into_iter().next()
}

/// Runs of files that are to be settled where somebody asks for it: those behind which at least so many bytes were logged.
pub(crate) fn settling(files: &[File], least: u64) -> Vec<Range<usize>> {
    let open = |file: &File| file.unsettled.is_some_and(|since| since >= least);
    runs(files, open, open)
}

/// Neighbours that go together: each that is worth it, with those that go along.
fn runs(
    files: &[File],
    worth: impl Fn(&File) -> bool,
    along: impl Fn(&File) -> bool + Copy,
) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for seed in 0..files.len() {
        if runs.last().is_none_or(|run| run.end <= seed)
            && worth(&files[seed])
            && let Some(run) = grown(files, seed, along)
        {
            let from = runs.last().map_or(0, |run| run.end);
            runs.push(run.start.max(from)..run.end);
        }
    }
    runs.retain(|run| files[run.start].first);
    runs
}

fn share(file: &File) -> f64 {
    file.dead as f64 / file.bytes.max(1) as f64
}

/// `seed` and the neighbours that go along with it; `None` where no first one is among them.
fn grown(files: &[File], seed: usize, along: impl Fn(&File) -> bool) -> Option<Range<usize>> {
    let (mut run, timeline) = (seed..seed + 1, files[seed].base.timeline());
    let (mut bytes, mut live) = (files[seed].bytes, files[seed].live());
    let mut takes = |file: &File, must: bool| {
        let (all, left) = (bytes + file.bytes, live + file.live());
        let takes =
            file.base.timeline() == timeline && (must || along(file) && all <= READ_MAX && left <= LIVE_MAX);
        if takes {
            (bytes, live) = (all, left);
        }
        takes
    };
    while run.start > 0 && takes(&files[run.start - 1], !files[run.start].first) {
        run.start -= 1;
    }
    while run.end < files.len() && takes(&files[run.end], !files[run.end].first) {
        run.end += 1;
    }
    files[run.start].first.then_some(run)
}

/// Enough packed files beside each other that have no more than `size` bytes.
fn many(files: &[File], size: u64) -> Option<Range<usize>> {
    let small = |file: &File| file.packed && file.bytes <= size;
    let mut begin = 0;
    while begin < files.len() {
        let end = begin + files[begin..].iter().take_while(|file| small(file)).count();
        if end - begin >= MANY
            && let Some(run) = grown(files, begin, small)
            && run.len() >= MANY
        {
            return Some(run);
        }
        begin = end.max(begin + 1);
    }
    None
}

#[cfg(test)]
mod tests;
