//! Pure: names of files and directories in a store.

use crate::lsn::Lsn;

/// Directory of the segments.
pub const LOG_DIR: &str = "log";
/// Directory of copies of damaged tails.
pub const QUARANTINE_DIR: &str = "quarantine";
/// Directory of the layer above, which can make anew what is in it; the log leaves it alone.
pub const INDEX_DIR: &str = "index";
/// The catalog.
pub const MANIFEST: &str = "MANIFEST";
/// The catalog before the newest.
pub const MANIFEST_PREVIOUS: &str = "MANIFEST.prev";
/// The next catalog, while it is being written.
pub const MANIFEST_NEXT: &str = "MANIFEST.next";
/// What a restore that is under way calls its directory: beside MANIFEST it says nothing.
pub const RESTORING: &str = "RESTORING";
/// Who holds the store.
pub const LOCK: &str = "LOCK";
/// The socket on which the holder of a store answers its command line.
pub const CONTROL: &str = "CONTROL";
/// Ending of a file that is being written; such a file is never read.
pub const UNFINISHED: &str = ".tmp";

/// The file name of a segment: `<base-lsn>-<generation>.seg`, the base as sixteen hexadecimal digits.
#[must_use]
pub fn segment_name(base: Lsn, generation: u32) -> String {
    format!("{:016x}-{generation}.seg", base.raw())
}

/// Base and generation out of a file name; `None` for any name that [`segment_name`] does not make.
#[must_use]
pub fn parse_segment_name(name: &str) -> Option<(Lsn, u32)> {
    let (base, generation) = name.strip_suffix(".seg")?.split_once('-')?;
    let parsed = (Lsn::from_raw(u64::from_str_radix(base, 16).ok()?), generation.parse().ok()?);
    (segment_name(parsed.0, parsed.1) == name).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_we_make_are_ours() {
        let name = segment_name(Lsn::new(2517, 65536), 3);
        assert_eq!(name, "09d5000000010000-3.seg");
        assert_eq!(parse_segment_name(&name), Some((Lsn::new(2517, 65536), 3)));
        for bad in [
            "",
            ".seg",
            "09d5000000010000-3",
            "9d5000000010000-3.seg",
            "09D5000000010000-3.seg",
            "09d5000000010000-+3.seg",
            "09d5000000010000-3.seg.tmp",
        ] {
            assert_eq!(parse_segment_name(bad), None, "{bad}");
        }
    }
}
