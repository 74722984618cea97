//! Pure: how a key of a collection stands inside a key of a reserved collection.
//!
//! ```text
//! $lease          +------------+-----+
//!                 | collection | key |                   key: to the end
//!                 | varint     |     |
//!                 +------------+-----+
//! $mail, mailbox  +------------+---------+-----+
//!                 | collection | key len | key |
//!                 | varint     | varint  |     |
//!                 +------------+---------+-----+------------+
//! $mail, message  | as its mailbox             | seq        |
//!                 |                            | u64 big-e. |
//!                 +----------------------------+------------+
//! $user           +----------+---------+------------+-----+
//!                 | user len | user id | collection | key | key: to the end
//!                 | u8       |         | varint     |     |
//!                 +----------+---------+------------+-----+
//! $set, wiped     +----------+--------+---+-----+
//!                 | "wiped/" | number | / | key |           number of the collection, decimal; key: to the end
//!                 +----------+--------+---+-----+
//! ```
//!
//! Varints in their shortest form only. No mailbox's key is the beginning of another's, and in the order of bytes a
//! mailbox stands right before its messages, these in the order of their numbers. The tags of a user stand together.
//! 1 ≤ key len ≤ 1024, 1 ≤ user len ≤ 64: so such a key has at most `RESERVED_KEY_BYTES_MAX` bytes.

use crate::ids::CollectionId;
use crate::key::{FullKey, Key};
use crate::limits::{KEY_BYTES_MAX, RESERVED_KEY_BYTES_MAX, USER_ID_BYTES_MAX};
use crate::varint;

/// Bytes of a message's number.
const SEQ_BYTES: usize = size_of::<u64>();

/// What keys of `$set` begin with that note an id which a restore undid; the id follows.
pub(crate) const UNDONE: &[u8] = b"undone/";

/// What keys of `$set` begin with that are marks of wiped profiles.
const WIPED: &[u8] = b"wiped/";

const _: () = assert!(5 + 2 + KEY_BYTES_MAX + SEQ_BYTES <= RESERVED_KEY_BYTES_MAX);
const _: () = assert!(1 + USER_ID_BYTES_MAX + 5 + KEY_BYTES_MAX <= RESERVED_KEY_BYTES_MAX);
const _: () = assert!(WIPED.len() + 10 + 1 + KEY_BYTES_MAX <= RESERVED_KEY_BYTES_MAX);

/// The key in `$lease` of the lease on a key.
pub(crate) fn lease(collection: CollectionId, key: &Key) -> Key {
    let mut bytes = begun(collection, key);
    bytes.extend_from_slice(key.as_bytes());
    Key::of_reserved(&bytes)
}

/// The key that is leased, of a key in `$lease`.
pub(crate) fn leased(bytes: &[u8]) -> Option<(CollectionId, Key)> {
    let (collection, key) = varint::take_u32(bytes)?;
    Some((CollectionId(collection), Key::new(key).ok()?))
}

/// The key in `$mail` of the mailbox of a key.
pub(crate) fn mailbox(collection: CollectionId, key: &Key) -> Key {
    Key::of_reserved(&mailbox_bytes(collection, key))
}

/// The key in `$mail` of a message to a key.
pub(crate) fn message(collection: CollectionId, key: &Key, seq: u64) -> Key {
    let mut bytes = mailbox_bytes(collection, key);
    bytes.extend_from_slice(&seq.to_be_bytes());
    Key::of_reserved(&bytes)
}

/// What a key in `$mail` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mail {
    /// The mailbox of this key.
    Box(CollectionId, Key),
    /// The message of this number to this key.
    Message(CollectionId, Key, u64),
}

/// What a key in `$mail` is, if it is one.
pub(crate) fn mail(bytes: &[u8]) -> Option<Mail> {
    let (collection, rest) = varint::take_u32(bytes)?;
    let (len, rest) = varint::take(rest)?;
    let (key, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    let (collection, key) = (CollectionId(collection), Key::new(key).ok()?);
    match rest {
        [] => Some(Mail::Box(collection, key)),
        seq => Some(Mail::Message(collection, key, u64::from_be_bytes(seq.try_into().ok()?))),
    }
}

/// The key in `$user` that says that a key's value is of a user, whose id has 1 to 64 bytes.
pub(crate) fn tag(user: &str, collection: CollectionId, key: &Key) -> Key {
    let mut bytes = tags_of(user);
    varint::put(&mut bytes, u64::from(collection.0));
    bytes.extend_from_slice(key.as_bytes());
    Key::of_reserved(&bytes)
}

/// What the keys in `$user` of all tags of a user begin with, and no others do.
pub(crate) fn tags_of(user: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + user.len() + 5 + KEY_BYTES_MAX);
    varint::put(&mut bytes, user.len() as u64);
    bytes.extend_from_slice(user.as_bytes());
    bytes
}

/// The user and the key that a key in `$user` is about, if it is one.
pub(crate) fn tagged(bytes: &[u8]) -> Option<(&str, CollectionId, Key)> {
    let (len, rest) = varint::take(bytes)?;
    let len = usize::try_from(len).ok().filter(|len| (1..=USER_ID_BYTES_MAX).contains(len))?;
    let (user, rest) = rest.split_at_checked(len)?;
    let (collection, key) = varint::take_u32(rest)?;
    Some((std::str::from_utf8(user).ok()?, CollectionId(collection), Key::new(key).ok()?))
}

/// The key in `$set` of the mark that the profile of a key was wiped.
pub(crate) fn wiped(collection: CollectionId, key: &Key) -> Key {
    Key::of_reserved(&[WIPED, collection.0.to_string().as_bytes(), b"/", key.as_bytes()].concat())
}

/// Whether a key is such a mark.
pub(crate) fn is_wiped((collection, key): &FullKey) -> bool {
    *collection == CollectionId::SET && key.as_bytes().starts_with(WIPED)
}

/// Whether a key says what became of a commit with an id: all such keys lapse together.
pub(crate) fn is_outcome(collection: u32, key: &[u8]) -> bool {
    collection == CollectionId::ONCE.0 || collection == CollectionId::SET.0 && key.starts_with(UNDONE)
}

fn begun(collection: CollectionId, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + 2 + key.as_bytes().len() + SEQ_BYTES);
    varint::put(&mut bytes, u64::from(collection.0));
    bytes
}

fn mailbox_bytes(collection: CollectionId, key: &Key) -> Vec<u8> {
    let mut bytes = begun(collection, key);
    varint::put(&mut bytes, key.as_bytes().len() as u64);
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
