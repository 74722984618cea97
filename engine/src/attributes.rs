//! Pure: what a value carries beside itself: whom it belongs to, and notes about it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{META_BYTES_MAX, META_MAX, USER_ID_BYTES_MAX, USER_IDS_MAX};

/// User ids and metadata of a value. A write that does not mention them keeps them.
///
/// At most [`USER_IDS_MAX`] user ids and [`META_MAX`] names of metadata, these with their texts at most
/// [`META_BYTES_MAX`] bytes; checked when the value is written.
#[derive(Clone, Default)]
pub struct Attributes(Option<Arc<Held>>);

/// Attributes of a value that has any.
#[derive(Clone, Default)]
struct Held {
    user_ids: Vec<UserId>,
    meta: BTreeMap<String, String>,
}

static NO_META: BTreeMap<String, String> = BTreeMap::new();

impl Attributes {
    /// No user ids and no metadata.
    pub const NONE: Self = Self(None);

    /// The same metadata with these user ids in place of all former ones; an id given twice counts once.
    #[must_use]
    pub fn with_user_ids(mut self, ids: impl IntoIterator<Item = impl Into<UserId>>) -> Self {
        let mut user_ids = Vec::new();
        for id in ids {
            let id = id.into();
            if !user_ids.contains(&id) {
                user_ids.push(id);
            }
        }
        self.held().user_ids = user_ids;
        self
    }

    /// The same attributes with `name` saying `text`.
    #[must_use]
    pub fn with_meta(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.held().meta.insert(name.into(), text.into());
        self
    }

    /// The same attributes without `name`.
    #[must_use]
    pub fn without_meta(mut self, name: &str) -> Self {
        if self.meta().contains_key(name) {
            self.held().meta.remove(name);
        }
        self
    }

    /// The users whose data the value is, in the order in which they were given.
    #[must_use]
    pub fn user_ids(&self) -> &[UserId] {
        self.0.as_ref().map_or(&[], |held| &held.user_ids)
    }

    /// Names and texts of the metadata, by name.
    #[must_use]
    pub fn meta(&self) -> &BTreeMap<String, String> {
        self.0.as_ref().map_or(&NO_META, |held| &held.meta)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user_ids().is_empty() && self.meta().is_empty()
    }

    /// Whether there surely are none.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What is there, to be changed: nobody else's.
    fn held(&mut self) -> &mut Held {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Whether they may be stored.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: a user id or a name is empty.
    /// - [`ErrorKind::TooLarge`]: over a limit.
    pub fn check(&self) -> Result<()> {
        let Some(Held { user_ids, meta }) = self.0.as_deref() else { return Ok(()) };
        if user_ids.len() > USER_IDS_MAX {
            return Err(over("user ids", user_ids.len(), USER_IDS_MAX));
        }
        user_ids.iter().try_for_each(UserId::check)?;
        if meta.len() > META_MAX {
            return Err(over("names in the metadata", meta.len(), META_MAX));
        }
        if meta.contains_key("") {
            return Err(empty("name in the metadata"));
        }
        match meta.iter().map(|(name, text)| name.len() + text.len()).sum() {
            0..=META_BYTES_MAX => Ok(()),
            len => Err(over("bytes of metadata", len, META_BYTES_MAX)),
        }
    }

    /// The same attributes with what is given in place of what was; an id given twice counts once.
    #[must_use]
    pub(crate) fn changed(
        mut self,
        user_ids: Option<Vec<UserId>>,
        meta: Option<BTreeMap<String, String>>,
    ) -> Self {
        if let Some(meta) = meta {
            self.held().meta = meta;
        }
        match user_ids {
            Some(ids) => self.with_user_ids(ids),
            None => self,
        }
    }

    /// Attributes from their stored form, still to be [checked](Attributes::check).
    pub(crate) fn stored(user_ids: Vec<UserId>, meta: BTreeMap<String, String>) -> Self {
        Self(Some(Arc::new(Held { user_ids, meta })))
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.user_ids() == other.user_ids() && self.meta() == other.meta()
    }
}

impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Attributes");
        shown.field("user_ids", &self.user_ids()).field("meta", self.meta()).finish()
    }
}

#[cold]
fn empty(what: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("a {what} is empty: leave it out or give it at least one character"),
    )
}

#[cold]
fn over(what: &str, is: usize, may_be: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{is} {what}: at most {may_be} are allowed, so store fewer"))
}

/// The user whom a value belongs to: text of 1 to [`USER_ID_BYTES_MAX`] bytes, checked when it is written. A
/// number is its decimal text, so `42` and `"42"` are one user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Box<str>);

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may be stored.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            0 => Err(empty("user id")),
            1..=USER_ID_BYTES_MAX => Ok(()),
            len => Err(over("bytes in a user id", len, USER_ID_BYTES_MAX)),
        }
    }
}

impl From<&str> for UserId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for UserId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

macro_rules! from_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for UserId {
            fn from(number: $number) -> Self {
                Self(number.to_string().into())
            }
        }
    )*};
}

from_numbers!(u32, u64, i32, i64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_text_are_one_user() {
        let attributes = Attributes::NONE.with_user_ids([UserId::from(42), "42".into(), (-1).into()]);
        assert_eq!(attributes.user_ids(), ["42".into(), UserId::from("-1")]);
        assert_eq!(UserId::from(u64::MAX).as_str(), "18446744073709551615");
    }

    #[test]
    fn limits_are_exact() {
        let ids = |n: usize| Attributes::NONE.with_user_ids((0..n as u64).map(UserId::from));
        let id = |n: usize| Attributes::NONE.with_user_ids(["u".repeat(n)]);
        let names = |n: usize| (0..n).fold(Attributes::NONE, |a, i| a.with_meta(format!("n{i}"), ""));
        let text = |n: usize| Attributes::NONE.with_meta("name", "t".repeat(n - 4));
        let table = [
            ("ids", ids(USER_IDS_MAX), ids(USER_IDS_MAX + 1), ErrorKind::TooLarge),
            ("bytes of an id", id(USER_ID_BYTES_MAX), id(USER_ID_BYTES_MAX + 1), ErrorKind::TooLarge),
            ("an empty id", id(1), id(0), ErrorKind::Invalid),
            ("names", names(META_MAX), names(META_MAX + 1), ErrorKind::TooLarge),
            ("an empty name", names(1), Attributes::NONE.with_meta("", "t"), ErrorKind::Invalid),
            ("bytes of metadata", text(META_BYTES_MAX), text(META_BYTES_MAX + 1), ErrorKind::TooLarge),
        ];
        for (what, most, over, kind) in table {
            assert!(most.check().is_ok(), "{what}");
            assert_eq!(over.check().unwrap_err().kind(), kind, "{what}");
        }
    }

    #[test]
    fn metadata_is_changed_name_by_name_and_user_ids_as_a_whole() {
        let first = Attributes::NONE.with_user_ids([42]).with_meta("a", "1").with_meta("b", "2");
        let second = first.clone().with_meta("a", "3").without_meta("b").with_user_ids([43]);
        assert_eq!(second, Attributes::NONE.with_meta("a", "3").with_user_ids([43]));
        assert!(!second.is_empty() && second.with_user_ids([0u64; 0]).without_meta("a").is_empty());
    }
}
