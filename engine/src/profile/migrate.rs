//! Pure: which migrations a stored document still needs, and whether this program may touch it at all.
//!
//! A document says which migrations made it what it is. Those of this program that it lacks run in their order. Names
//! that this program does not have are either older than one it has, and then they were given up, or newer: then a newer
//! program wrote the document, and an older one may write it only if all of them are [`Compatible::Yes`].

use super::doc::Doc;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

/// Whether programs without a migration may go on reading and writing documents that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatible {
    /// They may: it only adds what they do not know and keep.
    Yes,
    /// They may not: their sessions are refused until they are brought up to date.
    No,
}

/// A migration that made a document what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) name: String,
    pub(crate) compatible: Compatible,
}

/// Changes one document; an error refuses it.
type Step = dyn Fn(&mut Doc<'_>) -> Result<()> + Send + Sync;

/// A migration of this program.
pub(crate) struct Migration {
    pub(crate) name: String,
    pub(crate) compatible: Compatible,
    pub(crate) run: Box<Step>,
}

impl Migration {
    fn applied(&self) -> Applied {
        Applied { name: self.name.clone(), compatible: self.compatible }
    }
}

/// The migrations of this program, as a document that is made today has them.
pub(crate) fn all_of(migrations: &[Migration]) -> Vec<Applied> {
    migrations.iter().map(Migration::applied).collect()
}

/// Runs what `applied` lacks, in order, and notes it there. Answers the names of what ran.
///
/// # Errors
///
/// - [`ErrorKind::Format`]: a newer program wrote the document and this one must not touch it.
/// - What a migration answers, named. `document` may be half changed then.
pub(crate) fn migrate(
    document: &mut Value,
    applied: &mut Vec<Applied>,
    migrations: &[Migration],
) -> Result<Vec<String>> {
    if let Some(newer) = too_new(applied, migrations) {
        return Err(newer_program(&newer.name));
    }
    let ran = run(document, applied, migrations)?;
    forget(applied, migrations);
    Ok(ran)
}

/// [`migrate`], whoever wrote the document, for who does not know which of its migrations a program still has: none is
/// forgotten, for the program would run it again.
///
/// # Errors
///
/// - [`ErrorKind::TooLarge`]: more names would be remembered than may be. Nothing ran.
/// - What a migration answers, named. `document` may be half changed then.
pub(crate) fn by_hand(
    document: &mut Value,
    applied: &mut Vec<Applied>,
    migrations: &[Migration],
) -> Result<Vec<String>> {
    let mut after = applied.clone();
    after.extend(
        migrations.iter().filter(|m| !applied.iter().any(|a| a.name == m.name)).map(Migration::applied),
    );
    if after.len() > applied.len() && bytes(&after) > NAMES_BYTES_MAX {
        return Err(too_many(bytes(&after)));
    }
    run(document, applied, migrations)
}

fn run(document: &mut Value, applied: &mut Vec<Applied>, migrations: &[Migration]) -> Result<Vec<String>> {
    let mut ran = Vec::new();
    for migration in migrations {
        if applied.iter().any(|a| a.name == migration.name) {
            continue;
        }
        (migration.run)(&mut Doc::new(document))
            .map_err(|e| e.within(format_args!("migration {:?}", migration.name)))?;
        applied.push(migration.applied());
        ran.push(migration.name.clone());
    }
    Ok(ran)
}

/// Forgets the oldest migrations that were given up, where too many names are remembered.
fn forget(applied: &mut Vec<Applied>, migrations: &[Migration]) {
    while bytes(applied) > NAMES_BYTES_MAX {
        let known = |a: &Applied| migrations.iter().any(|m| m.name == a.name);
        let Some(last) = applied.iter().rposition(known) else { return };
        let Some(oldest) = applied[..last].iter().position(|a| !known(a)) else { return };
        applied.remove(oldest);
    }
}

/// What the names take in the document's section.
fn bytes(applied: &[Applied]) -> usize {
    applied.iter().map(|a| a.name.len() + 3).sum()
}

/// The first migration of a newer program that this one must know and does not.
fn too_new<'a>(applied: &'a [Applied], migrations: &[Migration]) -> Option<&'a Applied> {
    let known = |a: &Applied| migrations.iter().any(|m| m.name == a.name);
    let newer = applied.iter().rposition(known).map_or(0, |last| last + 1);
    applied[newer..].iter().find(|a| a.compatible == Compatible::No)
}

/// Whether the migrations of a program may stand together.
///
/// # Errors
///
/// [`ErrorKind::Invalid`]: a name is empty or stands twice. [`ErrorKind::TooLarge`]: a name is too long, or all of them
/// together are.
pub(crate) fn check(migrations: &[Migration]) -> Result<()> {
    for (at, migration) in migrations.iter().enumerate() {
        let name = &migration.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let say =
                format!("the migration {name:?} has {} bytes: give it 1 to {NAME_BYTES_MAX}", name.len());
            return Err(Error::new(ErrorKind::TooLarge, say));
        }
        if migrations[..at].iter().any(|m| m.name == *name) {
            let say = format!("two migrations are named {name:?}: a name is for ever, so give one another");
            return Err(Error::new(ErrorKind::Invalid, say));
        }
    }
    let bytes: usize = migrations.iter().map(|m| m.name.len() + 3).sum();
    if bytes > NAMES_BYTES_MAX {
        let say = format!(
            "the names of all migrations have {bytes} bytes together, and {NAMES_BYTES_MAX} are allowed: give up the oldest"
        );
        return Err(Error::new(ErrorKind::TooLarge, say));
    }
    Ok(())
}

/// Longest name of a migration, in bytes of UTF-8.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Most bytes of the names of all migrations that a document remembers.
pub(crate) const NAMES_BYTES_MAX: usize = 2048;

#[cold]
fn too_many(bytes: usize) -> Error {
    let say = format!(
        "the names of all migrations that the document remembers would have {bytes} bytes, and {NAMES_BYTES_MAX} are allowed: give \
         this one a shorter name, or make it one of the program, which forgets those that were given up"
    );
    Error::new(ErrorKind::TooLarge, say)
}

#[cold]
fn newer_program(name: &str) -> Error {
    let message = format!(
        "the document was changed by the migration {name:?}, which this program does not know and which is not compatible: nothing \
         was written; run the newer program"
    );
    Error::new(ErrorKind::Format, message)
}

#[cfg(test)]
mod tests;
