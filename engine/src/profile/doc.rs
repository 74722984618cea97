//! Pure: a stored document in the hands of a migration.

use crate::error::{Error, ErrorKind, Result};
use crate::value::{Map, MapKey, Value};

/// A stored document that a migration changes, before the program's type reads it.
#[derive(Debug)]
pub struct Doc<'a>(&'a mut Value);

impl<'a> Doc<'a> {
    pub(crate) fn new(value: &'a mut Value) -> Self {
        Self(value)
    }

    /// All of it.
    #[must_use]
    pub fn value(&mut self) -> &mut Value {
        self.0
    }

    /// What stands under `name`, `None` where it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The document inside: a struct or a map under `name`; `None` where there is none.
    #[must_use]
    pub fn inside(&mut self, name: &str) -> Option<Doc<'_>> {
        let value = self.0.as_map_mut()?.get_mut(name)?;
        matches!(value, Value::Map(_)).then_some(Doc(value))
    }

    /// Renames a field. Where it is absent nothing happens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: there is a field `to` already, whose value would be lost.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let map = self.map()?;
        if from == to || !map.contains_key(from) {
            return Ok(());
        }
        if map.contains_key(to) {
            let say =
                format!("{from} cannot become {to}, which is there already: say what becomes of both values");
            return Err(Error::new(ErrorKind::Conflict, say));
        }
        let members = std::mem::take(map).into_iter();
        let renamed = members.map(|(key, value)| match key.as_str() == Some(from) {
            true => (MapKey::from(to), value),
            false => (key, value),
        });
        *map = renamed.collect();
        Ok(())
    }

    /// Writes a field, whatever stands there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the document has no fields.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.map()?.insert(name, value.into());
        Ok(())
    }

    /// Takes a field out; `None` where it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the document has no fields.
    pub fn remove(&mut self, name: &str) -> Result<Option<Value>> {
        Ok(self.map()?.remove(name))
    }

    /// Changes a field, if it is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the document has no fields.
    pub fn change<V: Into<Value>>(&mut self, name: &str, f: impl FnOnce(Value) -> V) -> Result<()> {
        if let Some(value) = self.map()?.get_mut(name) {
            *value = f(std::mem::take(value)).into();
        }
        Ok(())
    }

    fn map(&mut self) -> Result<&mut Map> {
        let kind = self.0.kind();
        let say = format!("the document is of kind {kind} and has no fields: change it through `value`");
        self.0.as_map_mut().ok_or_else(|| Error::new(ErrorKind::WrongType, say))
    }
}
