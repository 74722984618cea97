//! Pure: what the process that has a store answers, as values of our own.

use savehold::{Attributes, Entry, Error, ErrorKind, Map, Result, Value, Version};

/// One member of an answer after the other, each of which must be there.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a>(pub &'a Map);

impl<'a> Said<'a> {
    /// A member, null where it is missing.
    #[must_use]
    pub fn get(self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Nil)
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn count(self, name: &str) -> Result<u64> {
        self.get(name).as_u64().ok_or_else(|| strange(name))
    }

    /// True or false; false where it is missing.
    #[must_use]
    pub fn flag(self, name: &str) -> bool {
        self.get(name).as_bool().unwrap_or(false)
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn text(self, name: &str) -> Result<&'a str> {
        self.get(name).as_str().ok_or_else(|| strange(name))
    }

    /// A version.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn version(self, name: &str) -> Result<Version> {
        self.text(name)?.parse().map_err(|_| strange(name))
    }

    /// A list of objects.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn objects(self, name: &str) -> Result<Vec<Said<'a>>> {
        let list = self.get(name).as_list().ok_or_else(|| strange(name))?;
        list.iter().map(|one| one.as_map().map(Said).ok_or_else(|| strange(name))).collect()
    }

    /// An object, if there is one.
    #[must_use]
    pub fn object(self, name: &str) -> Option<Said<'a>> {
        self.get(name).as_map().map(Said)
    }

    /// A key with its value, as `get` and `scan` tell it.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn entry(self) -> Result<Entry<Value>> {
        let texts = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| strange("a text"));
        let ids = self.get("user_ids").as_list().unwrap_or_default();
        let ids: Vec<String> = ids.iter().map(texts).collect::<Result<_>>()?;
        let mut attributes = Attributes::NONE.with_user_ids(ids);
        for (name, text) in self.get("metadata").as_map().into_iter().flat_map(Map::iter) {
            attributes = attributes.with_meta(name.to_string(), texts(text)?);
        }
        Ok(Entry {
            key: self.text("key")?.parse()?,
            value: self.0.get("value").ok_or_else(|| strange("value"))?.clone(),
            version: self.version("version")?,
            created_us: self.count("created_us")?,
            attributes,
            schema: match self.get("schema") {
                Value::Bytes(notes) => notes.clone().into(),
                _ => bytes::Bytes::new(),
            },
        })
    }
}

#[cold]
fn strange(name: &str) -> Error {
    let say = format!("the holder's answer lacks {name:?}: use the command line of its version");
    Error::new(ErrorKind::Format, say)
}

#[cfg(test)]
mod tests {
    use savehold::value::json;

    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_told_and_what_lacks_is_named() {
        let told = r#"{"key":"4\\x00","value":{"$bytes":"AA=="},"version":"7.8","created_us":9,"user_ids":["4"],
            "metadata":{"b":"8"}}"#;
        let Value::Map(told) = json::from_str(told).expect("JSON") else { panic!("an object") };
        let entry = Said(&told).entry().expect("an entry");
        assert_eq!((entry.key.as_bytes(), entry.value.as_bytes()), (&b"4\0"[..], Some(&b"\0"[..])));
        assert_eq!((entry.version.to_string().as_str(), entry.created_us), ("7.8", 9));
        assert_eq!(
            (entry.attributes.user_ids()[0].as_str(), entry.attributes.meta()["b"].as_str()),
            ("4", "8")
        );
        for name in ["key", "value", "version", "created_us"] {
            let mut less = told.clone();
            less.remove(name);
            assert!(Said(&less).entry().expect_err(name).message().contains(name));
        }
    }
}
