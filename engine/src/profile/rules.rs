//! Pure: what the profiles of a collection are made by: template, migrations, checks, and the program's own say.

use std::any::Any;
use std::time::Duration;

use super::adjust::Adjustment;
use super::keep::Unknown;
use super::migrate::{self, Migration};
use super::playable::Playable;
use super::read::read;
use super::reconcile::{Mismatch, deleted_of, reconcile};
use super::schema::Schema;
use super::template::{Template, document_of};
use super::validate::{Check, validate};
use crate::attributes::UserId;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::key::Key;
use crate::lease::Ended;
use crate::planted::{self, Fault};
use crate::value::{Value, codec};
use bytes::Bytes;

/// Most members of a template that a document without a type may have deleted: they are noted beside it.
const DELETED_MAX: usize = 200;

/// Says whose document stands under a key.
type UserOf = dyn Fn(&Key) -> Option<UserId> + Send + Sync;
/// Gives the first document of a key that never was.
type OnAbsent<T> = dyn Fn(&Key) -> Result<Option<T>, String> + Send + Sync;
/// Edits a document before it is saved.
pub(crate) type BeforeSave<T> = dyn Fn(&Key, &mut T) + Send + Sync;
/// Edits a document before its session ends.
pub(crate) type BeforeRelease<T> = dyn Fn(&Key, &mut T, &Ended) + Send + Sync;

/// What the profiles of a collection are made by.
pub(crate) struct Rules<T> {
    pub(crate) template: Template,
    pub(crate) fresh: T,
    pub(crate) mismatch: Mismatch,
    pub(crate) migrations: Vec<Migration>,
    /// Migrations that this program does not have are older ones, whatever they are.
    pub(crate) knows_all: bool,
    pub(crate) check: Option<Box<Check<T>>>,
    pub(crate) bytes_max: usize,
    pub(crate) user_id: Option<Box<UserOf>>,
    pub(crate) on_absent: Option<Box<OnAbsent<T>>>,
    pub(crate) before_save: Option<std::sync::Arc<BeforeSave<T>>>,
    pub(crate) before_release: Option<std::sync::Arc<BeforeRelease<T>>>,
    pub(crate) autosave: Duration,
    pub(crate) unsaved_max: Duration,
    pub(crate) hook_time: Duration,
}

/// A document that was loaded.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) value: T,
    pub(crate) unknown: Unknown,
    pub(crate) schema: Schema,
    /// What loading did.
    pub(crate) changes: Vec<Adjustment>,
    /// What is to be stored, where loading changed anything.
    pub(crate) store: Option<Value>,
}

impl<T: Playable> Rules<T> {
    /// What a stored document is to the program.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`], [`ErrorKind::WrongType`]: it is no `T`, whatever is filled in. [`ErrorKind::Format`]: only
    /// a newer program may touch it. What a migration answers.
    pub(crate) fn load(&self, stored: &Entry) -> Result<Loaded<T>> {
        let mut document = match stored.head.format {
            Format::Raw => return Err(raw()),
            format => codec::view(format, &stored.value)?,
        };
        let mut schema = Schema::from_bytes(&stored.head.schema)?;
        let migrate = if self.knows_all { migrate::by_hand } else { migrate::migrate };
        let ran = migrate(&mut document, &mut schema.applied, &self.migrations)?;
        let mut changes: Vec<Adjustment> =
            ran.into_iter().map(|name| Adjustment::Migrated { name }).collect();
        changes.extend(reconcile(&mut document, &self.template, self.mismatch, &schema.deleted)?);
        let (value, unknown) = {
            let (value, asked) = read::<T>(&document).map_err(|e| unreadable::<T>(&e.to_string()))?;
            (value, Unknown::of(&document, &asked))
        };
        let changed = changes.iter().any(|change| !matches!(change, Adjustment::Kept { .. }));
        changes.extend(unknown.sentences());
        Ok(Loaded { value, unknown, schema, changes, store: changed.then_some(document) })
    }

    /// The first document of a key: what `on_absent` gave at the time `now_us`, or the template.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub(crate) fn first(&self, imported: Option<T>, now_us: u64) -> Result<Loaded<T>> {
        let applied = migrate::all_of(&self.migrations);
        let (value, change, imported_us) = match imported {
            Some(value) => (value, Adjustment::Imported, Some(now_us)),
            None => (self.fresh.clone(), Adjustment::Created, None),
        };
        self.validate(&value)?;
        let document = document_of(&value)?;
        let schema = Schema { applied, deleted: self.deleted_of(&value), imported_us };
        let unknown = Unknown::default();
        Ok(Loaded { value, unknown, schema, changes: vec![change], store: Some(document) })
    }

    /// Asks `on_absent`, where there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`]: it answered an error.
    pub(crate) fn ask(&self, key: &Key) -> Result<Option<T>> {
        let Some(on_absent) = &self.on_absent else { return Ok(None) };
        on_absent(key).map_err(|says| {
            let say = format!(
                "`on_absent` gave no document: {says}; nothing was written, and it is asked again next time"
            );
            Error::new(ErrorKind::Refused, say)
        })
    }

    /// Whether a value may be stored; the bytes that it takes.
    ///
    /// # Errors
    ///
    /// As [`validate`].
    pub(crate) fn validate(&self, value: &T) -> Result<usize> {
        let bytes = validate(value, self.bytes_max, self.check.as_deref())?;
        match self.deleted_of(value).len() {
            0..=DELETED_MAX => Ok(bytes),
            deleted => Err(too_many_deleted(deleted)),
        }
    }

    /// What of the template was deleted on purpose: of documents without a type only.
    fn deleted_of(&self, value: &T) -> Vec<u64> {
        let document = (value as &dyn Any).downcast_ref::<Value>();
        document.map_or_else(Vec::new, |document| deleted_of(document, &self.template))
    }

    /// The stored form of a value, with what its type does not know, and what is to be noted beside it.
    ///
    /// # Errors
    ///
    /// As [`codec::encode`].
    pub(crate) fn encode(&self, value: &T, unknown: &Unknown, schema: &Schema) -> Result<Encoded> {
        let (mut bytes, mut unknown, mut schema) = (Vec::new(), unknown.clone(), schema.clone());
        let format = if unknown.is_empty() || planted::has(Fault::ForgetUnknown) {
            codec::encode(value, &mut bytes)?
        } else {
            let mut document = document_of(value)?;
            unknown.prune(&document);
            unknown.put_back(&mut document);
            codec::encode(&document, &mut bytes)?
        };
        schema.deleted = self.deleted_of(value);
        Ok(Encoded { format, bytes: bytes.into(), section: schema.to_bytes()?, schema, unknown })
    }
}

/// A document as it is stored.
pub(crate) struct Encoded {
    pub(crate) format: Format,
    pub(crate) bytes: Bytes,
    /// What stands beside it.
    pub(crate) section: Bytes,
    pub(crate) schema: Schema,
    /// What of the unknown fields was kept.
    pub(crate) unknown: Unknown,
}

#[cold]
fn too_many_deleted(deleted: usize) -> Error {
    let message = format!(
        "the change was refused, and the old value stands: {deleted} members of the template are deleted, and {DELETED_MAX} may \
         be; set them to nil instead"
    );
    Error::new(ErrorKind::TooLarge, message)
}

#[cold]
fn raw() -> Error {
    let say =
        "what stands there is raw bytes, no document: it stands unchanged; open the collection with `raw`";
    Error::new(ErrorKind::WrongType, say)
}

#[cold]
fn unreadable<T>(why: &str) -> Error {
    let message = format!(
        "the document cannot be read as {}: {why}; it stands unchanged and the session is refused: add a migration, give new \
         fields inside lists, maps and enums a serde default, or restore an older version",
        std::any::type_name::<T>()
    );
    Error::new(ErrorKind::Decode, message)
}
