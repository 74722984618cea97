//! Pure: which keys belong to which user: a key of `$user` for each user id on a value, in the record that changed it.
//!
//! Invariant: there is a tag exactly where the newest value of a key carries the user's id. What a write must do for that
//! is found from what stood there and what it writes; validation sees to it that what stood there is still so.

use bytes::Bytes;

use crate::attributes::{Attributes, UserId};
use crate::draft::{FullKey, Write};
use crate::entry::{Entry, EntryHead};
use crate::format::Format;
use crate::ids::CollectionId;
use crate::inner_key;
use crate::planted::{self, Fault};

/// What a write to a key, whose value belonged to the users `before`, changes in `$user`; `time_us` is engine time.
pub(crate) fn upkeep(
    (collection, key): &FullKey,
    before: &[UserId],
    write: &Write,
    time_us: impl FnOnce() -> u64,
) -> Vec<(FullKey, Write)> {
    let after = write.entry().map_or(&[][..], |entry| entry.head.attributes.user_ids());
    if before == after || planted::has(Fault::ForgetTags) {
        return Vec::new();
    }
    let tag = |user: &UserId| (CollectionId::USER, inner_key::tag(user.as_str(), *collection, key));
    let put = Write::Put(presence(time_us()));
    let gone = before.iter().filter(|user| !after.contains(user)).map(|user| (tag(user), Write::Remove));
    let new = after.iter().filter(|user| !before.contains(user)).map(|user| (tag(user), put.clone()));
    gone.chain(new).collect()
}

/// A value that says nothing but that it is there.
fn presence(created_us: u64) -> Entry {
    let head =
        EntryHead { created_us, attributes: Attributes::NONE, schema: Bytes::new(), format: Format::Raw };
    Entry { head, value: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn write(users: &[&str]) -> Write {
        let mut entry = presence(1);
        entry.head.attributes = Attributes::NONE.with_user_ids(users.iter().copied());
        Write::Put(entry)
    }

    fn ids(users: &[&str]) -> Vec<UserId> {
        users.iter().map(|user| UserId::from(*user)).collect()
    }

    /// What changes in `$user`, as `+user` and `-user`.
    fn changes(before: &[&str], write: &Write) -> Vec<String> {
        let full = (CollectionId::FIRST, Key::new("k").unwrap());
        let sign = |write: &Write| if write.entry().is_some() { '+' } else { '-' };
        let told = upkeep(&full, &ids(before), write, || 7).into_iter().map(|((collection, key), write)| {
            assert_eq!(collection, CollectionId::USER);
            let (user, collection, inner) = inner_key::tagged(key.as_bytes()).unwrap();
            assert_eq!((collection, inner), full);
            format!("{}{user}", sign(&write))
        });
        told.collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let none: [&str; 0] = [];
        let table = [
            (&none[..], write(&[]), &none[..]),
            (&["a", "b"], write(&["a", "b"]), &[]),
            (&["a", "b"], write(&["b", "a"]), &[]),
            (&[], write(&["a", "b"]), &["+a", "+b"]),
            (&["a", "b"], write(&["b", "c"]), &["-a", "+c"]),
            (&["a", "b"], write(&[]), &["-a", "-b"]),
            (&["a", "b"], Write::Remove, &["-a", "-b"]),
            (&[], Write::Remove, &[]),
        ];
        for (before, write, expected) in table {
            assert_eq!(changes(before, &write), expected, "{before:?} to {write:?}");
        }
    }
}
