//! Pure: what stays of a record: the entries that the index lists, and their parts.

use savehold_wal::{Candidate, Stay};

use crate::error::Result;
use crate::ids::CollectionId;
use crate::record::{Author, Effect, Head, HeadEntry, HeadWriter};

/// What stays of a record, of which `lists` says entry by entry what the index lists: by collection and key, of this very
/// version, and whether it is an ending. The id that it carries is listed as a key of `$once`.
///
/// # Errors
///
/// What `lists` answers; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), [`ErrorKind::Format`](crate::ErrorKind::Format):
/// the head makes no sense.
pub(crate) fn cull(
    record: &Candidate<'_>,
    mut lists: impl FnMut(CollectionId, &[u8], bool) -> Result<bool>,
) -> Result<Stay> {
    let head = Head::decode(record.head)?;
    let id = match head.author.id {
        Some(id) if lists(CollectionId::ONCE, id, false)? => Some(id),
        _ => None,
    };
    let (mut kept, mut whole) = (Vec::new(), id == head.author.id);
    for entry in head.entries() {
        let entry = entry?;
        match lists(entry.collection, entry.key, matches!(entry.effect, Effect::Remove))? {
            true => kept.push(entry),
            false => whole = false,
        }
    }
    match (kept.is_empty() && id.is_none(), whole) {
        (true, _) => Ok(Stay::Nothing),
        (false, true) => Ok(Stay::Whole),
        (false, false) => rewritten(record, Author { id, ..head.author }, &kept),
    }
}

fn rewritten(record: &Candidate<'_>, author: Author<'_>, kept: &[HeadEntry<'_>]) -> Result<Stay> {
    let (mut head, mut parts) = (Vec::new(), Vec::new());
    let mut writer = HeadWriter::begin(&mut head, &author)?;
    for entry in kept {
        match entry.effect {
            Effect::Put(part) => {
                writer.put(entry.collection, entry.key, part)?;
                parts.push(record.body_offset.saturating_add(part.offset));
            }
            Effect::Remove => writer.remove(entry.collection, entry.key)?,
        }
    }
    parts.sort_unstable();
    parts.dedup();
    Ok(Stay::Parts { head, parts })
}

#[cfg(test)]
mod tests {
    use savehold_wal::Lsn;

    use super::*;
    use crate::record::{Cause, Part};

    const PLAYERS: CollectionId = CollectionId(16);

    fn head(id: Option<&[u8]>, keys: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        let author = Author { cause: Cause::Autosave, origin: 3, token: None, id };
        let mut writer = HeadWriter::begin(&mut out, &author).unwrap();
        for (key, n) in keys.iter().zip(0..) {
            match key.strip_prefix('-') {
                Some(key) => writer.remove(PLAYERS, key.as_bytes()).unwrap(),
                None => writer.put(PLAYERS, key.as_bytes(), Part { offset: n * 100, bytes: 92 }).unwrap(),
            }
        }
        out
    }

    #[test]
    fn what_is_listed_stays_at_its_offset_and_all_else_goes() {
        /// Keys and id of a record, those that are listed, and the offsets of the parts that stay, if any record does.
        type Case = (
            &'static [&'static str],
            Option<&'static [u8]>,
            &'static [&'static str],
            Option<&'static [u8]>,
            Option<&'static [u32]>,
        );
        let cases: [Case; 7] = [
            (&["a", "b", "-c"], None, &["a", "b", "c"], None, Some(&[])),
            (&["a", "b", "-c"], None, &["b"], None, Some(&[340])),
            (&["a", "b", "-c"], None, &["a", "c"], None, Some(&[240])),
            (&["a", "b", "-c"], None, &[], None, None),
            (&["a"], Some(b"id"), &[], Some(b"id"), Some(&[])),
            (&["a"], Some(b"id"), &["a"], None, Some(&[240])),
            (&["-a"], Some(b"id"), &[], None, None),
        ];
        for (keys, id, listed, id_listed, parts) in cases {
            let before = head(id, keys);
            let record = Candidate { lsn: Lsn::new(1, 8), head: &before, body_offset: 240, parts: &[] };
            let stay = cull(&record, |collection, key, _| match collection {
                CollectionId::ONCE => Ok(id_listed == Some(key)),
                _ => Ok(listed.iter().any(|listed| listed.as_bytes() == key)),
            });
            let whole = listed.len() == keys.len() && id == id_listed;
            match (stay.unwrap(), parts) {
                (Stay::Nothing, None) => {}
                (Stay::Whole, _) => assert!(whole),
                (Stay::Parts { head, parts: found }, Some(parts)) => {
                    assert!(!whole && head.len() <= before.len());
                    assert_eq!(found, parts, "{keys:?} of {listed:?}");
                    let head = Head::decode(&head).unwrap();
                    let kept: Vec<&[u8]> = head.entries().map(|entry| entry.unwrap().key).collect();
                    assert_eq!(kept, listed.iter().map(|key| key.as_bytes()).collect::<Vec<_>>());
                    assert_eq!((head.author.id, head.author.origin), (id_listed, 3));
                }
                other => panic!("{keys:?} of {listed:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_head_that_makes_no_sense_is_an_error_and_nothing_goes() {
        let record = Candidate { lsn: Lsn::new(1, 8), head: &[0, 0, 16, 9], body_offset: 20, parts: &[] };
        assert!(cull(&record, |_, _, _| Ok(true)).is_err());
    }
}
