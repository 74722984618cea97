//! Pure: which files of the log are packed next.
//!
//! A file whose greater part is dead is packed. Where all files together hold more that is dead than a part of what lives,
//! the one with the greatest dead part is, so that the log stays within its bounds however the dead lies spread. Its neighbours go
//! along where they gain by it or are small: the fewer files, the better. Files that are packed and small are packed
//! together eight at a time, so that a byte is seldom copied for the sake of their number.

use std::ops::Range;

use savehold_wal::Lsn;

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
}

impl File {
    fn live(&self) -> u64 {
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
/// Of a file: it is packed where too much is dead in all, or beside one that is packed.
const SOME: (u64, u64) = (1, 5);
/// Dead bytes of all files, for each live one, over which files are packed of which less is dead.
const DEAD_MAX: (u64, u64) = (3, 10);
/// Live bytes of a neighbour that goes along however little it gains.
const SMALL_BYTES: u64 = 256 << 10;
/// Bytes that are read at most for one packed file, and live ones among them.
const READ_MAX: u64 = 256 << 20;
const LIVE_MAX: u64 = 64 << 20;
/// So many small files beside each other are packed into one.
const MANY: usize = 8;
/// Packed files up to each of these sizes count as small beside each other.
const SIZES: [u64; 4] = [256 << 10, 1 << 20, 4 << 20, 16 << 20];

/// The files to be packed into one, neighbours, oldest first; `None` where nothing is worth it.
pub(crate) fn due(files: &[File]) -> Option<Range<usize>> {
    let dead: u64 = files.iter().map(|file| file.dead).sum();
    let live: u64 = files.iter().map(File::live).sum();
    let much = dead.saturating_mul(DEAD_MAX.1) > live.saturating_mul(DEAD_MAX.0);
    let least = if much { SOME } else { HALF };
    let worth = (0..files.len()).filter(|n| files[*n].is_dead_by(least));
    let most = worth.max_by(|a, b| share(&files[*a]).total_cmp(&share(&files[*b])));
    match most.and_then(|seed| grown(files, seed, |file| file.is_dead_by(SOME) || file.live() <= SMALL_BYTES))
    {
        Some(run) => Some(run),
        None => SIZES.iter().find_map(|size| many(files, *size)),
    }
}

/// Runs of files that a person asks to be packed: all of which more than a little is dead.
pub(crate) fn all_due(files: &[File]) -> Vec<Range<usize>> {
    let worth = |file: &File| file.dead > 0 && file.is_dead_by((1, 16)) || file.bytes <= SMALL_BYTES;
    let mut runs: Vec<Range<usize>> = Vec::new();
    for seed in 0..files.len() {
        if runs.last().is_none_or(|run| run.end <= seed)
            && files[seed].is_dead_by((1, 16))
            && let Some(run) = grown(files, seed, worth)
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
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn file(n: u64, mib: u64, dead_mib: u64) -> File {
        let base = Lsn::new(1 + (n / 100) as u16, n * 64 * MIB);
        File { base, first: true, bytes: mib * MIB, dead: dead_mib * MIB, packed: false }
    }

    fn files(all: &[(u64, u64)]) -> Vec<File> {
        all.iter().zip(0..).map(|((mib, dead), n)| file(n, *mib, *dead)).collect()
    }

    #[test]
    fn what_is_half_dead_goes_and_takes_neighbours_along_that_gain_by_it() {
        for (all, run) in [
            (&[][..], None),
            (&[(64, 0), (64, 10), (64, 0)], None),
            (&[(64, 32), (64, 10), (64, 0)], Some(0..1)),
            (&[(64, 0), (64, 13), (64, 50), (64, 14), (64, 0)], Some(2..4)),
            (&[(64, 64), (64, 64), (64, 64), (64, 64), (64, 64)], Some(1..5)),
            (&[(64, 20), (64, 20), (64, 25)], Some(2..3)),
        ] {
            assert_eq!(due(&files(all)), run, "{all:?}");
        }
    }

    #[test]
    fn a_rest_segment_goes_with_the_one_in_whose_space_it_lies() {
        let mut all = files(&[(64, 0), (64, 60), (64, 0)]);
        all[1].first = false;
        assert_eq!(due(&all), Some(0..2));
        assert_eq!(all_due(&all), vec![0..2]);
        all[0].first = false;
        assert_eq!((due(&all), all_due(&all)), (None, vec![]));
    }

    #[test]
    fn timelines_are_not_mixed() {
        let all = [file(98, 64, 64), file(99, 64, 64), file(100, 64, 64), file(101, 64, 60)];
        assert_eq!(due(&all), Some(2..4));
        assert_eq!(all_due(&all), [0..2, 2..4]);
    }

    #[test]
    fn small_packed_files_become_few() {
        let mut all: Vec<File> = (0..7).map(|n| File { packed: true, ..file(n, 1, 0) }).collect();
        assert_eq!(due(&all), None);
        all.push(File { packed: true, ..file(7, 1, 0) });
        all.push(file(8, 1, 0));
        assert_eq!(due(&all), Some(0..8));
    }

    #[test]
    fn however_the_dead_lies_spread_the_log_stays_within_its_bounds_and_work_ends() {
        let mut all: Vec<File> = (0..64).map(|n| file(n, 64, (n * 7) % 40)).collect();
        let mut copied = 0;
        while let Some(run) = due(&all) {
            let live: u64 = all[run.clone()].iter().map(File::live).sum();
            copied += live;
            let packed = File { bytes: live + 16_384, dead: 0, packed: true, ..all[run.start] };
            all.splice(run, [packed]);
        }
        let (dead, live) = all.iter().fold((0, 0), |(d, l), f| (d + f.dead, l + f.live()));
        assert!(dead * 10 <= live * 3, "{dead} of {live}");
        assert!(copied <= live, "{copied} of {live}");
        assert!(all_due(&all).iter().all(|run| all[run.clone()].iter().any(|file| file.dead > 0)));
    }
}
