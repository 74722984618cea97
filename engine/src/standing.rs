//! Corridor: what a write to a key starts from: what stands there, and what of it is kept where the write is silent.

use std::collections::BTreeSet;

use bytes::Bytes;
use savehold_wal::Lsn;

use crate::attributes::{Attributes, UserId};
use crate::core::{Core, Seen, Stored};
use crate::draft::{FullKey, Write};
use crate::entry::EntryHead;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, KeyRange, Kind};
use crate::inner_key;
use crate::tags;

const PAGE: usize = 256;

/// What a write to a key starts from.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The newest version, a removal too; [`Lsn::NONE`] where there is none.
    pub(crate) lsn: Lsn,
    /// The value that the caller decides on, if there is one that can be read.
    pub(crate) stored: Option<Stored>,
    /// Where a value stands that the caller does not look at, or that cannot be read: what stands beside it, or what could
    /// be found of that.
    beside: Option<EntryHead>,
}

impl Standing {
    /// What a write that does not mention it keeps; `None` where no value stands, damaged or whole.
    pub(crate) fn head(&self) -> Option<&EntryHead> {
        self.stored.as_ref().map(|stored| &stored.entry.head).or(self.beside.as_ref())
    }

    /// The users whose it is.
    pub(crate) fn user_ids(&self) -> &[UserId] {
        self.head().map_or(&[], |head| head.attributes.user_ids())
    }
}

impl From<Seen> for Standing {
    fn from(seen: Seen) -> Self {
        Self { lsn: seen.lsn, stored: seen.stored, beside: None }
    }
}

impl Core {
    /// What stands under a key for a write that does not look at its value. Where the index does not know what stands beside
    /// that, the log is read, and the value verified.
    ///
    /// # Errors
    ///
    /// As [`Core::read`].
    pub(crate) fn beside(&self, collection: CollectionId, key: &[u8]) -> Result<Standing> {
        let Some((version, created_us)) = self.find_newest(collection, key)? else {
            return Ok(Standing { lsn: Lsn::NONE, stored: None, beside: None });
        };
        let beside = match version.kind {
            Kind::Remove => None,
            Kind::Put if created_us != 0 => Some(created_at(created_us)),
            Kind::Put => Some(
                self.look_at(version, |part| EntryHead::decode(part).map(|(head, _)| head))
                    .and_then(|head| head.map_err(|e| e.at(Version::from(version.lsn))))
                    .map_err(|e| self.older(collection, key, version.lsn, e))?,
            ),
        };
        Ok(Standing { lsn: version.lsn, stored: None, beside })
    }

    /// What is found of a key whose newest value is damaged, for who need not read it.
    ///
    /// Metadata and notes on the shape are those of the newest older version that can be read, since the key came to be.
    /// The user ids are those of the damaged value itself: `$user` knows them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy), [`ErrorKind::Io`](crate::ErrorKind::Io): the index cannot tell.
    #[cold]
    pub(crate) fn rescue(&self, full: &FullKey, damaged: &Error) -> Result<Standing> {
        let (collection, key) = full;
        let lsn = damaged.version().map_or(Lsn::NONE, |version| version.lsn());
        let older = self.index.versions(collection.0, key.as_bytes(), lsn, usize::MAX)?;
        let standing = older.into_iter().take_while(|version| version.kind == Kind::Put);
        let older = standing.filter_map(|version| self.stored(version).ok()).next();
        let mut head = older.map_or_else(|| self.unknown(lsn), |stored| stored.entry.head);
        let users = self.users_of(full)?;
        let known: BTreeSet<&UserId> = head.attributes.user_ids().iter().collect();
        if known != users.iter().collect() {
            head.attributes = head.attributes.with_user_ids(users);
        }
        Ok(Standing { lsn, stored: None, beside: Some(head) })
    }

    /// What is known of a value that was written at `lsn` and of which no older version can be read.
    fn unknown(&self, lsn: Lsn) -> EntryHead {
        let written_us = self.wal.time_of(lsn).ok().flatten();
        created_at(written_us.unwrap_or_else(|| self.wal.time_us()))
    }

    /// The users whose a key's newest value is, by their tags: every tag of the store is looked at.
    fn users_of(&self, full: &FullKey) -> Result<BTreeSet<UserId>> {
        let (mut users, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
        loop {
            let (all, newest) = (KeyRange::prefix(b""), Lsn::MAX);
            let after_key = after.as_deref();
            let page =
                self.index.range(CollectionId::USER.0, all, after_key, newest, PAGE, Direction::Ascending)?;
            for (tag, _) in page.iter().filter(|(_, version)| version.kind == Kind::Put) {
                match inner_key::tagged(tag) {
                    Some((user, collection, key)) if (collection, &key) == (full.0, &full.1) => {
                        users.insert(UserId::from(user));
                    }
                    _ => {}
                }
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => return Ok(users),
            }
        }
    }

    /// What a write changes in `$user`, to stand in the same record.
    #[inline]
    pub(crate) fn tags(&self, full: &FullKey, before: &[UserId], write: &Write) -> Vec<(FullKey, Write)> {
        tags::upkeep(full, before, write, || self.wal.time_us())
    }
}

/// Nothing beside a value but the time; its format no write keeps.
fn created_at(created_us: u64) -> EntryHead {
    EntryHead { created_us, attributes: Attributes::NONE, schema: Bytes::new(), format: Format::Raw }
}

/// The error of a write that expected another state of its key.
#[cold]
pub(crate) fn other_version(stands: Option<Version>, expected: Option<Version>) -> Error {
    let say = match (stands, expected) {
        (Some(stands), None) => format!(
            "it is there already, as version {stands}: nothing was written; change it with `update` or `set`, or create another \
             key"
        ),
        (stands, expected) => {
            let text = |version: Option<Version>| {
                version.map_or_else(|| "no value".to_owned(), |v| format!("version {v}"))
            };
            format!(
                "{} stands there, not {}: nothing was written; read it again and decide anew",
                text(stands),
                text(expected)
            )
        }
    };
    let e = Error::new(ErrorKind::Conflict, say);
    match stands {
        Some(version) => e.at(version),
        None => e,
    }
}
