//! Pure: what looking through a log finds: records, and what is damaged.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::format::checksum::StoreId;
use crate::format::frame::{FRAME_HEADER_BYTES, decode_part};
use crate::lsn::Lsn;

/// What damage means, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Nothing: the same stands elsewhere too, or nothing ever stood there.
    Spare,
    /// It lies behind the proven end: nobody can tell whether it was ever acknowledged, and an open goes on without it.
    Undecidable,
    /// Every record is there, but the log does not open: a repair makes one that does.
    Blocking,
    /// Something that was acknowledged as durable is missing or changed.
    Acknowledged,
}

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// MANIFEST is missing or unreadable.
    Manifest,
    /// The generation of MANIFEST before the newest is unreadable.
    SpareManifest,
    /// A segment's header is unreadable, or another's.
    Header,
    /// One of the two copies of a segment's header is unreadable.
    HeaderCopy,
    /// A segment is not there.
    Missing,
    /// A segment holds records and is not named in MANIFEST.
    Unnamed,
    /// A file belongs to another store.
    Foreign,
    /// The frame that begins a group is lost; every record of the group is there.
    Group,
    /// A run of bytes holds no record, though records stood there.
    Lost,
    /// A part of a record's body is damaged; its head and its other parts are whole.
    Part,
    /// The bytes are as they were written, and mean nothing to the layer above the log.
    Senseless,
    /// A part of a record's body is as it was written, and means nothing to the layer above the log.
    SenselessPart,
    /// The directory of a packed segment, or what stands behind it, is unreadable. Records that are lost with it are named
    /// besides: where nothing says how many there were, all that may have stood behind the last.
    Directory,
    /// A byte between two groups is not zero.
    Padding,
    /// A file is shorter than it was made.
    Short,
    /// The medium does not give these bytes.
    Unreadable,
}

impl What {
    pub(super) fn goes_by_place(self) -> bool {
        matches!(self, Self::Lost | Self::Part | Self::Short | Self::Unreadable)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "MANIFEST is missing or unreadable",
            Self::SpareManifest => "the older MANIFEST is unreadable",
            Self::Header => "the segment's header is unreadable",
            Self::HeaderCopy => "one copy of the segment's header is unreadable",
            Self::Missing => "the segment is missing",
            Self::Unnamed => "the segment is not named in MANIFEST",
            Self::Foreign => "the file belongs to another store",
            Self::Group => "the beginning of a group of records is lost",
            Self::Lost => "records are lost",
            Self::Part => "a part of a record is damaged",
            Self::Senseless => "a record makes no sense",
            Self::SenselessPart => "a part of a record makes no sense",
            Self::Directory => "the directory of the packed segment is unreadable",
            Self::Padding => "unused bytes are not zero",
            Self::Short => "the file is shorter than it was made",
            Self::Unreadable => "the medium does not give these bytes",
        })
    }
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged.
    pub what: What,
    /// What that means.
    pub weight: Weight,
    /// First place of the log that it covers; [`Lsn::NONE`] for a file that holds none.
    pub from: Lsn,
    /// Behind the last.
    pub to: Lsn,
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// The head of the record that was lost at `from`, if that much survived.
    pub head: Option<Vec<u8>>,
}

impl Damage {
    /// Whether records stood there, whole ones, that are gone: not so where only a part is, or a spare copy.
    #[must_use]
    pub fn loses_records(&self) -> bool {
        match self.what {
            What::Lost | What::Missing | What::Short | What::Unreadable => self.to > self.from,
            What::Header => self.weight == Weight::Acknowledged,
            _ => false,
        }
    }

    /// Whether a copy has it too: the record stands, and is copied as it is.
    #[must_use]
    pub fn stays_in_a_copy(&self) -> bool {
        matches!(self.what, What::Part | What::SenselessPart)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, offset {}", self.what, self.file.display(), self.offset)?;
        if self.to > self.from { write!(f, ", {} to {})", self.from, self.to) } else { f.write_str(")") }
    }
}

/// A record that validates: its head; its parts as far as they do.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Parts that are damaged: offset in the record and bytes, the part's header included.
    pub bad_parts: &'a [(u32, u32)],
    /// The file in which it stands.
    pub file: &'a Path,
    /// Where in the file.
    pub offset: u64,
    pub(super) bytes: &'a [u8],
    pub(super) head_len: usize,
    pub(super) body_offset: u32,
}

impl<'a> Seen<'a> {
    /// Its head.
    #[must_use]
    pub fn head(&self) -> &'a [u8] {
        self.bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + self.head_len).unwrap_or_default()
    }

    /// Where its body began in it, as it was first written.
    #[must_use]
    pub fn body_offset(&self) -> u32 {
        self.body_offset
    }

    /// The part of `bytes` bytes that stands `offset` bytes behind the record's place; `None` where it is damaged, or
    /// where no such part stands.
    #[must_use]
    pub fn part(&self, offset: u32, bytes: u32) -> Option<&'a [u8]> {
        let part = decode_part(self.bytes.get(offset as usize..)?, self.lsn, offset).ok()?;
        (part.len() == bytes as usize).then_some(part)
    }

    /// Damage at `offset` in this record, `bytes` long.
    #[must_use]
    pub fn damage(&self, what: What, weight: Weight, offset: u32, bytes: u32) -> Damage {
        let from = self.lsn.plus(u64::from(offset).min(self.bytes.len() as u64));
        let to = self.lsn.plus((u64::from(offset) + u64::from(bytes)).min(self.bytes.len() as u64)).max(from);
        let offset = self.offset + u64::from(offset);
        Damage { what, weight, from, to, file: self.file.to_path_buf(), offset, head: None }
    }
}

/// What looking through a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The identity of the log.
    pub store: StoreId,
    /// Segments that are there.
    pub segments: u64,
    /// Groups whose first frame validates.
    pub groups: u64,
    /// Records whose head validates.
    pub records: u64,
    /// Bytes of log and headers that were verified and are good.
    pub bytes: u64,
    /// Bytes that an earlier repair marked as lost.
    pub bytes_lost_earlier: u64,
    /// Groups behind the ends of segments: a recovery gave them up, or wrote them anew.
    pub groups_behind: u64,
    /// The proven end: everything before it was acknowledged as durable.
    pub proven: Lsn,
    /// Behind the last record.
    pub end: Lsn,
    /// The newest engine time, microseconds since 1970.
    pub time_us: u64,
    /// Everything that is damaged, in the order of places.
    pub damage: Vec<Damage>,
}

impl Inspection {
    /// Bytes that are there behind the proven end: nobody can tell whether they were acknowledged.
    #[must_use]
    pub fn unproven_bytes(&self) -> u64 {
        self.end.bytes_since(self.proven).unwrap_or(0)
    }

    /// The heaviest of all damage; `None` where there is none.
    #[must_use]
    pub fn worst(&self) -> Option<Weight> {
        self.damage.iter().map(|damage| damage.weight).max()
    }
}
