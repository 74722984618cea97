//! Pure: what a template says beside its values: which of its maps are structs, and what each place may hold.

use std::any::{TypeId, type_name};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::read::{Asked, Kind, What, read};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::value::{MapKey, Value, codec};

/// A new document, and the shape of its type.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) document: Value,
    pub(crate) shape: Shape,
}

/// What the type of a template has at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Nil may stand there too.
    pub(crate) optional: bool,
    pub(crate) of: Of,
}

/// What stands at a place of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Whatever stands there: enums, types that look first.
    Anything,
    /// One value of a kind; maps and lists are filled as a whole.
    Leaf(Kind),
    /// A struct: filled field by field.
    Struct {
        /// The fields that the template writes.
        fields: Vec<Field>,
        /// Names that the type reads too: other names of fields, and fields that it does not write.
        others: Vec<&'static str>,
    },
    /// A tuple or an array: filled place by place.
    Tuple(Vec<Shape>),
    /// A [`Value`]: its maps are filled member by member, as deep as they go.
    Deep,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: MapKey,
    /// Other names that the type reads it by.
    pub(crate) aliases: Vec<MapKey>,
    pub(crate) shape: Shape,
}

impl Template {
    /// None yet.
    pub(crate) const NOT_YET: Self =
        Self { document: Value::Nil, shape: Shape { optional: false, of: Of::Anything } };

    /// The template that `value` is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`], [`ErrorKind::TooLarge`]: it cannot be stored. [`ErrorKind::Invalid`]: what it writes it
    /// does not read.
    pub(crate) fn of<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<Self> {
        let document = document_of(value)?;
        if TypeId::of::<T>() == TypeId::of::<Value>() {
            return Ok(Self { document, shape: Shape { optional: false, of: Of::Deep } });
        }
        let shape = {
            let (_, asked) = read::<T>(&document).map_err(|e| unread::<T>(&e.to_string()))?;
            shape_of(asked)
        };
        let mut template = Self { document, shape };
        template.find_aliases::<T>();
        Ok(template)
    }

    /// Tells the other names of fields from fields that are read and not written: a template in which a field stands
    /// under its other name reads as the same value.
    fn find_aliases<T: Serialize + DeserializeOwned>(&mut self) {
        let document = &self.document;
        let is_alias = |at: &[Step], name: &MapKey, other: &str| {
            let mut renamed = document.clone();
            rename(&mut renamed, at, name, other);
            let again = read::<T>(&renamed).ok().and_then(|(value, _)| document_of(&value).ok());
            again.as_ref() == Some(document)
        };
        name_aliases(&mut self.shape, &mut Vec::new(), &is_alias);
    }
}

/// A step from a struct or a tuple to what it holds.
enum Step {
    Field(MapKey),
    Place(usize),
}

fn name_aliases(shape: &mut Shape, at: &mut Vec<Step>, is_alias: &dyn Fn(&[Step], &MapKey, &str) -> bool) {
    match &mut shape.of {
        Of::Struct { fields, others } => {
            for field in fields {
                let aliases = others.iter().filter(|other| is_alias(at, &field.name, other));
                field.aliases = aliases.map(|other| MapKey::from(*other)).collect();
                at.push(Step::Field(field.name.clone()));
                name_aliases(&mut field.shape, at, is_alias);
                at.pop();
            }
        }
        Of::Tuple(places) => {
            for (place, shape) in places.iter_mut().enumerate() {
                at.push(Step::Place(place));
                name_aliases(shape, at, is_alias);
                at.pop();
            }
        }
        Of::Anything | Of::Leaf(_) | Of::Deep => {}
    }
}

fn rename(document: &mut Value, at: &[Step], name: &MapKey, other: &str) {
    let inside = at.iter().try_fold(document, |value, step| match step {
        Step::Field(name) => value.as_map_mut()?.get_mut(name),
        Step::Place(place) => value.as_list_mut()?.get_mut(*place),
    });
    if let Some(map) = inside.and_then(Value::as_map_mut)
        && let Some(value) = map.remove(name)
    {
        map.insert(other, value);
    }
}

fn shape_of(asked: Asked<'_>) -> Shape {
    let of = match asked.what {
        What::Anything | What::Ignored => Of::Anything,
        What::Plain(kind) => Of::Leaf(kind),
        What::Members(_) => Of::Leaf(Kind::Map),
        What::Places(places) => Of::Tuple(places.into_iter().map(shape_of).collect()),
        What::Fields(names, members) => {
            let written = |name: &&str| members.iter().any(|(key, _)| key.as_str() == Some(name));
            let others = names.iter().copied().filter(|name| !written(name)).collect();
            let field = |(key, asked): (&MapKey, Asked<'_>)| Field {
                name: key.clone(),
                aliases: Vec::new(),
                shape: shape_of(asked),
            };
            Of::Struct { others, fields: members.into_iter().map(field).collect() }
        }
    };
    Shape { optional: asked.optional, of }
}

/// The document that `value` is stored as.
///
/// # Errors
///
/// As [`codec::encode`].
pub(crate) fn document_of<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes)?;
    codec::view(Format::MessagePack, &bytes)
}

#[cold]
fn unread<T>(why: &str) -> Error {
    let message = format!(
        "the template of {} does not read what it writes ({why}): its Serialize and Deserialize must agree",
        type_name::<T>()
    );
    Error::new(ErrorKind::Invalid, message)
}
