use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::*;
use crate::env::Env;
use crate::format::checksum::{StoreId, Unplaced};
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::format::packed::Survivor;
use crate::segment::file::{Access, entry_of};
use crate::segment::name::{LOG_DIR, segment_name};
use crate::segment::packing::{Judged, PackedFile};
use crate::vfs::OpenMode;

const HEAD: &[u8] = b"a head";
const BODY_OFFSET: u32 = (FRAME_HEADER_BYTES + HEAD.len()) as u32;

/// A record, and what stays of it: parts by their offsets in it as first written, and one that went.
struct Kept {
    lsn: Lsn,
    parts: Vec<(u32, Vec<u8>)>,
    went: (u32, u32),
}

fn header() -> SegmentHeader {
    let base = Lsn::new(3, 0);
    SegmentHeader {
        kind: SegmentKind::Packed,
        store: StoreId([7; 16]),
        base,
        capacity: 64 << 20,
        number: 5,
        created_us: 0,
        generation: 1,
        end: base.plus(64 << 20),
    }
}

/// Records of three parts, some of them long, of which the middle one went; places leap now and then.
fn records(count: u32) -> Vec<Kept> {
    let mut at = 4096;
    let record = |n: u32| {
        let lsn = Lsn::new(3, at);
        let lengths = [n % 90, 30, if n % 64 == 1 { 5000 } else { n % 7 }];
        let (mut offset, mut parts) = (BODY_OFFSET, Vec::new());
        for (which, bytes) in lengths.into_iter().enumerate() {
            parts.push((offset, vec![(n + which as u32) as u8; bytes as usize]));
            offset += PART_HEADER_BYTES as u32 + bytes;
        }
        let (went, _) = parts.remove(1);
        at += u64::from(offset) + if n % 100 == 3 { 30_000 } else { 0 };
        Kept { lsn, parts, went: (went, lengths[1]) }
    };
    (0..count).map(record).collect()
}

/// Writes them into a file; where each frame begins in it.
fn write(root: &Path, records: &[Kept]) -> (PathBuf, Vec<u64>) {
    let (env, header) = (Env::os(), header());
    env.vfs.create_dir(&root.join(LOG_DIR)).unwrap();
    let path = root.join(LOG_DIR).join(segment_name(header.base, header.generation));
    let mut file = PackedFile::new(&*env.vfs, &path, &header).unwrap();
    let (mut at, mut begins) = (header.encode().len(), Vec::new());
    for Kept { lsn, parts, .. } in records {
        let whole = |(offset, bytes): &(u32, Vec<u8>)| {
            let crc = Unplaced::of(bytes).part_at(*lsn, *offset);
            let mut whole = [crc.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
            whole.extend_from_slice(bytes);
            (*offset, whole)
        };
        let parts: Vec<(u32, Vec<u8>)> = parts.iter().map(whole).collect();
        let parts: Vec<(u32, &[u8])> = parts.iter().map(|(offset, part)| (*offset, &part[..])).collect();
        let survivor =
            Survivor { lsn: *lsn, time_us: 9, body_offset: BODY_OFFSET, head: HEAD, parts: &parts };
        begins.push(at as u64);
        let mut frame = Vec::new();
        survivor.encode(header.binding(), &mut frame).unwrap();
        at += frame.len();
        file.put(&survivor).unwrap();
    }
    file.finish(Judged::default(), 0, Lsn::NONE).unwrap();
    (path, begins)
}

fn open(root: &Path, access: Access) -> Segment {
    let header = header();
    Segment::open(&*Env::os().vfs, root, &entry_of(&header), header.store, access, OpenMode::Read).unwrap()
}

/// What asking for a part comes to, as it is shared and, where there is a map, as it is lent: both the same.
fn read(
    segment: &Segment,
    lsn: Lsn,
    offset: u32,
    bytes: u32,
) -> std::result::Result<Option<Vec<u8>>, ErrorKind> {
    let shared = segment.packed_part(lsn, offset, bytes).map(|part| part.map(|part| part.to_vec()));
    let shared = shared.map_err(|e| e.kind());
    if let Some(map) = segment.mapped().unwrap() {
        let lent = segment.packed_part_in(map, lsn, offset, bytes).map(|part| part.map(<[u8]>::to_vec));
        assert_eq!(lent.map_err(|e| e.kind()), shared);
    }
    shared
}

#[test]
fn parts_are_found_by_place_and_offset_whether_they_are_mapped_or_read() {
    let dir = tempfile::tempdir().unwrap();
    for count in [1, 254, 255, 256, 3000] {
        let records = records(count);
        let (path, begins) = write(dir.path(), &records);
        for access in [Access::Mapped, Access::Pread] {
            let segment = open(dir.path(), access);
            assert_eq!(segment.mapped().unwrap().is_some(), access == Access::Mapped);
            for (n, Kept { lsn, parts, went }) in records.iter().enumerate() {
                for (offset, part) in parts {
                    let bytes = part.len() as u32;
                    assert_eq!(read(&segment, *lsn, *offset, bytes), Ok(Some(part.clone())), "{lsn}");
                    assert_eq!(read(&segment, *lsn, *offset, bytes + 1), Err(ErrorKind::Corrupt), "{lsn}");
                }
                assert_eq!(read(&segment, *lsn, went.0, went.1), Ok(None), "{lsn}");
                assert_eq!(read(&segment, lsn.plus(1), parts[0].0, 0), Ok(None), "nothing stands there");
                for at in [*lsn, lsn.plus(1)] {
                    let last = DirectoryEntry { lsn: *lsn, at: begins[n] };
                    assert_eq!(segment.last_until(at).unwrap(), Some(last));
                }
            }
            assert_eq!(segment.last_until(Lsn::new(3, 4095)).unwrap(), None);
            assert_eq!(read(&segment, Lsn::new(3, 100), BODY_OFFSET, 1), Ok(None), "before all");
        }
        Env::os().vfs.remove(&path).unwrap();
    }
}

#[test]
fn whatever_byte_of_a_record_is_damaged_no_other_part_is_given_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let records = records(3);
    let (path, begins) = write(dir.path(), &records);
    let file = Env::os().vfs.open(&path, OpenMode::Write).unwrap();
    let flip = |at: u64| {
        let mut byte = [0];
        assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
        file.write_at(&mut [IoSlice::new(&[byte[0] ^ 0x55])], at).unwrap();
    };
    let Kept { lsn, parts, went } = &records[1];
    for at in begins[1]..begins[2] {
        flip(at);
        for access in [Access::Mapped, Access::Pread] {
            let segment = open(dir.path(), access);
            for (offset, part) in parts {
                match read(&segment, *lsn, *offset, part.len() as u32) {
                    Ok(Some(read)) => assert_eq!(&read, part, "byte {at}"),
                    other => assert_eq!(other, Err(ErrorKind::Corrupt), "byte {at}"),
                }
            }
            match read(&segment, *lsn, went.0, went.1) {
                Ok(None) | Err(ErrorKind::Corrupt) => {}
                other => panic!("byte {at}: {other:?}"),
            }
        }
        flip(at);
    }
}
