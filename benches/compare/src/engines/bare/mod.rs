//! Door: the floor: what no engine can do without, and nothing else.
//!
//! Durable, one thread: a write of 4 KiB and `fdatasync` on a file that was written before. Durable, several: a thread
//! that writes and syncs what was handed to it meanwhile, and wakes those who wait one by one. Buffered: one `pwrite` for
//! each record. Opening: one pass over the mapped file, a checksum over every byte, a slot in a flat table for each key.
//! Reading: that slot, then the record, whose checksum is verified. No index while writing, no history, no order, no end
//! of the file that would be judged.

mod append;
mod group;
mod lone;
mod pair;
mod slots;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::case::Setting;
use crate::engine::{Engine, Opening, Result};
use crate::keys::Key;

/// The unit of a write that is synced.
const BLOCK_BYTES: usize = 4096;
/// Of a prepared file, which is written round and round.
const PREPARED_BYTES: u64 = 64 << 20;
/// Checksum and length.
const HEADER_BYTES: usize = 8;

/// Which floor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each lone commit in a block of its own: what was synced is never written again. One sync at a time, one thread replays.
    Plain,
    /// A lone commit behind the one before, in the same block: a write that is torn can take that one with it.
    BlocksAgain,
    /// Two groups are synced at once; two threads replay a half each.
    TwoAtOnce,
}

/// Opens it.
pub fn open(opening: &Opening, way: Way) -> Result<Box<dyn Engine>> {
    let path = opening.dir.join("bare");
    Ok(match opening.setting {
        Setting::Durable if way == Way::TwoAtOnce => Box::new(pair::Pair::make(&path)?),
        Setting::Durable if opening.threads == 1 => Box::new(lone::Lone::make(&path, way)?),
        Setting::Durable => Box::new(group::Group::make(&path)?),
        _ => Box::new(append::Append::open(&path, if way == Way::TwoAtOnce { 2 } else { 1 })?),
    })
}

/// A file of zeros that are on the medium, written in small steps: what one write puts in the page cache stays one piece there,
/// and each sync of a block in it goes through all of that.
fn prepared(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; 64 << 10];
    for at in (0..PREPARED_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Puts a record behind others: checksum over all that follows, length of the value, key, value.
fn encode(key: &Key, value: &[u8], into: &mut Vec<u8>) {
    let begin = into.len();
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&(value.len() as u32).to_le_bytes());
    into.extend_from_slice(key);
    into.extend_from_slice(value);
    let sum = crc32fast::hash(&into[begin + 4..]);
    into[begin..begin + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The record at the front of `bytes`: its key and value; `None` where none is whole and right.
#[inline(always)]
fn decode(bytes: &[u8]) -> Option<(&Key, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *header;
    let (key, rest) = rest.split_first_chunk::<16>()?;
    let value = rest.get(..u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
    let covered = &bytes[4..HEADER_BYTES + key.len() + value.len()];
    (crc32fast::hash(covered) == u32::from_le_bytes([c0, c1, c2, c3])).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::key;

    #[test]
    fn a_record_comes_back_unless_a_byte_of_it_is_wrong() {
        let mut bytes = Vec::new();
        encode(&key(7), b"value", &mut bytes);
        assert_eq!(decode(&bytes), Some((&key(7), &b"value"[..])));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(decode(&wrong), None, "byte {at}");
        }
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn what_was_appended_is_found_after_opening_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let opening = Opening { dir: dir.path().into(), setting: Setting::InLog, threads: 1, updates: false };
        let engine = open(&opening, Way::Plain).expect("it opens");
        let value = vec![1u8; 100];
        let mut session = engine.session(0).expect("a session");
        session.put_many(&mut (0..1000).map(|n| (key(n), &*value))).expect("written");
        session.put(&key(7), b"other").expect("written");
        drop(session);
        drop(engine);
        for way in [Way::Plain, Way::TwoAtOnce] {
            let engine = open(&opening, way).expect("it opens");
            assert_eq!(engine.recovered(), Some(1001));
            let mut session = engine.session(0).expect("a session");
            assert_eq!(session.get(&key(0)).expect("read"), Some(100));
            assert_eq!(session.get(&key(999)).expect("read"), Some(100));
            assert_eq!(session.get(&key(7)).expect("read"), Some(5));
            assert_eq!(session.get(&key(1000)).expect("read"), None);
        }
    }

    #[test]
    fn every_commit_of_a_group_is_answered() {
        [Way::Plain, Way::TwoAtOnce].into_iter().for_each(every_commit_is_answered);
    }

    fn every_commit_is_answered(way: Way) {
        let dir = tempfile::tempdir().expect("a directory");
        let opening =
            Opening { dir: dir.path().into(), setting: Setting::Durable, threads: 4, updates: false };
        let engine = open(&opening, way).expect("it opens");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let engine = &engine;
                scope.spawn(move || {
                    let mut session = engine.session(thread).expect("a session");
                    (0..20).for_each(|n| session.put(&key(n), b"value").expect("written"));
                    let mut answered = Vec::new();
                    let mut items = (0..300).map(|n| (key(n), &b"value"[..]));
                    session.flow(64, &mut items, &mut |n| answered.push(n)).expect("written");
                    assert_eq!(answered, (0..300).collect::<Vec<u64>>());
                });
            }
        });
        engine.close().expect("closed");
    }
}
