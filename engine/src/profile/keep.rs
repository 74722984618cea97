//! Pure: what a stored document has and the program's type does not know, and how a save through the type keeps it.
//!
//! An old and a new program can so play side by side: the old one saves the new one's fields unseen. Unknown fields
//! are kept at every struct that is reached through structs and maps; in a list, a tuple or the variant of an enum
//! nothing says which of the new elements is which of the old ones.

use super::adjust::Adjustment;
use super::path::Path;
use super::read::{Asked, What};
use crate::value::{Map, MapKey, Value};

/// Fields that a document has and a type has not, by where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unknown {
    fields: Vec<(MapKey, Value)>,
    inside: Vec<(MapKey, Unknown)>,
}

impl Unknown {
    /// What a type left alone in `document` when it read it.
    pub(crate) fn of(document: &Value, asked: &Asked<'_>) -> Self {
        let mut unknown = Self::default();
        let (Value::Map(map), What::Fields(_, members) | What::Members(members)) = (document, &asked.what)
        else {
            return unknown;
        };
        for (key, asked) in members {
            let Some(value) = map.get(*key) else { continue };
            if matches!(asked.what, What::Ignored) {
                unknown.fields.push(((*key).clone(), value.clone()));
                continue;
            }
            let inside = Self::of(value, asked);
            if !inside.is_empty() {
                unknown.inside.push(((*key).clone(), inside));
            }
        }
        unknown
    }

    /// Whether the type knows everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.inside.is_empty()
    }

    /// Puts the unknown fields back where they stood, into what the type wrote.
    pub(crate) fn put_back(&self, document: &mut Value) {
        let Value::Map(map) = document else { return };
        self.put_back_into(map);
    }

    fn put_back_into(&self, map: &mut Map) {
        for (key, value) in &self.fields {
            if !map.contains_key(key) {
                map.insert(key.clone(), value.clone());
            }
        }
        for (key, inside) in &self.inside {
            if let Some(value) = map.get_mut(key) {
                inside.put_back(value);
            }
        }
    }

    /// Forgets what stood in members that `document` no longer has: a new member under an old key is a new one.
    pub(crate) fn prune(&mut self, document: &Value) {
        self.inside.retain_mut(|(key, inside)| match document.get(&*key) {
            Some(value @ Value::Map(_)) => {
                inside.prune(value);
                !inside.is_empty()
            }
            _ => false,
        });
    }

    /// One sentence for each field.
    pub(crate) fn sentences(&self) -> Vec<Adjustment> {
        let mut sentences = Vec::new();
        self.say(&mut Path::TOP.clone(), &mut sentences);
        sentences
    }

    fn say(&self, path: &mut Path, sentences: &mut Vec<Adjustment>) {
        for (key, _) in &self.fields {
            path.enter(key);
            sentences.push(Adjustment::Unknown { path: path.to_string() });
            path.leave();
        }
        for (key, inside) in &self.inside {
            path.enter(key);
            inside.say(path, sentences);
            path.leave();
        }
    }
}

#[cfg(test)]
mod tests;
