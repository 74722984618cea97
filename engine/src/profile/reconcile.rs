//! Pure: a stored document and a template become a document and a list of what was done.
//!
//! What is filled in follows the shape of the template's type: fields of structs, deep, and places of tuples. Maps,
//! enums and lists are leaves: they are filled as a whole, or not at all. A [`Value`] has no structs, so its maps are
//! filled member by member, deep; members that were deleted on purpose stay deleted.

use super::adjust::Adjustment;
use super::path::Path;
use super::read::Kind;
use super::template::{Field, Of, Shape, Template};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Map, Value};

/// What becomes of a stored value of another kind than the template's: text where the template has a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mismatch {
    /// It stays, and the type decides whether it can read it (default).
    #[default]
    Keep,
    /// The template's value takes its place; history keeps the old one.
    Replace,
    /// The session is refused, and nothing is written.
    Refuse,
}

/// Fills in what `stored` lacks. `deleted` are the [numbers](Path::number) of places whose members were deleted on
/// purpose.
///
/// # Errors
///
/// [`ErrorKind::Decode`]: something is of another kind, and `policy` refuses that. `stored` may be half filled then.
pub(crate) fn reconcile(
    stored: &mut Value,
    template: &Template,
    policy: Mismatch,
    deleted: &[u64],
) -> Result<Vec<Adjustment>> {
    let mut filling = Filling { policy, deleted, path: Path::TOP, done: Vec::new() };
    filling.fill(stored, &template.document, &template.shape)?;
    Ok(filling.done)
}

/// The [numbers](Path::number) of members that a template of kind [`Of::Deep`] has and `document` has not: they were
/// deleted on purpose, if the document was filled before.
pub(crate) fn deleted_of(document: &Value, template: &Template) -> Vec<u64> {
    let mut found = Vec::new();
    if template.shape.of == Of::Deep {
        absent(document, &template.document, &mut Path::TOP.clone(), &mut found);
    }
    found.sort_unstable();
    found
}

fn absent(document: &Value, template: &Value, path: &mut Path, found: &mut Vec<u64>) {
    let (Value::Map(document), Value::Map(template)) = (document, template) else { return };
    for (key, value) in template.iter() {
        path.enter(key);
        match document.get(key) {
            None => found.push(path.number()),
            Some(stands) => absent(stands, value, path, found),
        }
        path.leave();
    }
}

struct Filling<'a> {
    policy: Mismatch,
    deleted: &'a [u64],
    path: Path,
    done: Vec<Adjustment>,
}

impl Filling<'_> {
    fn fill(&mut self, stored: &mut Value, template: &Value, shape: &Shape) -> Result<()> {
        if !fits(stored, template, shape) {
            return self.mismatch(stored, template);
        }
        match (&shape.of, stored, template) {
            (Of::Struct { fields, .. }, Value::Map(stored), Value::Map(template)) => {
                fields.iter().try_for_each(|field| self.fill_field(stored, template, field))
            }
            (Of::Tuple(shapes), Value::List(stored), Value::List(template)) => {
                self.fill_places(stored, template, shapes)
            }
            (Of::Deep, Value::Map(stored), Value::Map(template)) => self.fill_members(stored, template),
            _ => Ok(()),
        }
    }

    fn fill_field(&mut self, stored: &mut Map, template: &Map, field: &Field) -> Result<()> {
        let Some(value) = template.get(&field.name) else { return Ok(()) };
        let mut names = std::iter::once(&field.name).chain(&field.aliases);
        let name = names.find(|name| stored.contains_key(*name)).unwrap_or(&field.name);
        self.path.enter(name);
        match stored.get_mut(name) {
            Some(stands) => self.fill(stands, value, &field.shape)?,
            None => {
                stored.insert(name.clone(), value.clone());
                self.filled(value);
            }
        }
        self.path.leave();
        Ok(())
    }

    fn fill_places(&mut self, stored: &mut Vec<Value>, template: &[Value], shapes: &[Shape]) -> Result<()> {
        for (place, (value, shape)) in template.iter().zip(shapes).enumerate() {
            self.path.enter_place(place);
            match stored.get_mut(place) {
                Some(stands) => self.fill(stands, value, shape)?,
                None => {
                    stored.push(value.clone());
                    self.filled(value);
                }
            }
            self.path.leave();
        }
        Ok(())
    }

    fn fill_members(&mut self, stored: &mut Map, template: &Map) -> Result<()> {
        let deep = Shape { optional: false, of: Of::Deep };
        for (key, value) in template.iter() {
            self.path.enter(key);
            match stored.get_mut(key) {
                Some(stands) => self.fill(stands, value, &deep)?,
                None if self.deleted.contains(&self.path.number()) => {}
                None => {
                    stored.insert(key.clone(), value.clone());
                    self.filled(value);
                }
            }
            self.path.leave();
        }
        Ok(())
    }

    fn filled(&mut self, value: &Value) {
        self.done.push(Adjustment::Filled { path: self.path.to_string(), value: value.clone() });
    }

    fn mismatch(&mut self, stored: &mut Value, template: &Value) -> Result<()> {
        let path = self.path.to_string();
        match self.policy {
            Mismatch::Keep => {
                self.done.push(Adjustment::Kept { path, is: stored.kind(), wanted: template.kind() });
            }
            Mismatch::Replace => {
                let was = std::mem::replace(stored, template.clone());
                self.done.push(Adjustment::Replaced { path, was, value: template.clone() });
            }
            Mismatch::Refuse => return Err(other_kind(&path, stored.kind(), template.kind())),
        }
        Ok(())
    }
}

/// Whether a stored value is of a kind that the template's place may hold.
fn fits(stored: &Value, template: &Value, shape: &Shape) -> bool {
    let nil = stored.is_nil() && shape.optional;
    nil || match &shape.of {
        Of::Anything => true,
        Of::Leaf(kind) => is_of(stored, *kind) || template.kind() == stored.kind(),
        Of::Struct { .. } => matches!(stored, Value::Map(_)),
        Of::Tuple(_) => matches!(stored, Value::List(_)),
        // nil in a template says nothing of what may stand there
        Of::Deep => template.is_nil() || stored.kind() == template.kind() || both_numbers(stored, template),
    }
}

fn is_of(stored: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Nil => stored.is_nil(),
        Kind::Bool => matches!(stored, Value::Bool(_)),
        Kind::Whole => matches!(stored, Value::I64(_) | Value::U64(_)),
        Kind::Float => matches!(stored, Value::F64(_) | Value::I64(_) | Value::U64(_)),
        Kind::Text => matches!(stored, Value::String(_)),
        Kind::Bytes | Kind::List => matches!(stored, Value::Bytes(_) | Value::List(_)),
        Kind::Map => matches!(stored, Value::Map(_)),
    }
}

fn both_numbers(a: &Value, b: &Value) -> bool {
    is_of(a, Kind::Float) && is_of(b, Kind::Float)
}

#[cold]
fn other_kind(path: &str, is: &str, wanted: &str) -> Error {
    let message = format!(
        "{path} is of kind {is} and the template has {wanted} there: nothing was written; migrate the document, or \
         choose another policy with `mismatch`"
    );
    Error::new(ErrorKind::Decode, message)
}

#[cfg(test)]
mod tests;
