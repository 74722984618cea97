//! Pure: one key with its value as a line of JSON: what `dump` writes and `load` reads.
//!
//! ```text
//! {"key": "players/42", "value": {"coins": 100}, "user_ids": ["42"], "metadata": {"build": "812"}}
//! ```
//!
//! The key is written as everywhere on the command line, the value in the JSON form of [`savehold::value::json`].
//! User ids and metadata stand there where there are any, and as `"schema": {"$bytes": "…"}` what profiles note about the
//! value's shape, so that a loaded profile is not migrated again. A member of another name is refused: it may be a
//! misspelt one, and would be lost silently.

use std::fmt;

use savehold::value::json::FromJson;
use savehold::{Attributes, Entry, UserId, Value};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::escape;
use crate::exit::{Exit, Failure};
use crate::keypath::Keypath;
use crate::number;

/// What a line says about a key. What it does not mention is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The key.
    pub key: Keypath,
    /// Its value.
    pub value: Value,
    /// The users whom the value is about.
    pub user_ids: Option<Vec<UserId>>,
    /// Notes about the value.
    pub metadata: Option<Vec<(String, String)>>,
    /// What profiles note about the value's shape.
    pub schema: Option<Vec<u8>>,
}

impl Line {
    /// The line that `text` is; blank lines say nothing.
    ///
    /// # Errors
    ///
    /// Why it is none, as one sentence.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, String> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        if let Some(number) = number::too_large(text) {
            return Err(number::refused(number));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        deserializer.disable_recursion_limit(); // values bound their depth themselves
        let line = Self::deserialize(&mut deserializer).and_then(|line| deserializer.end().map(|()| line));
        let line = line.map_err(|e| without_line(&e))?;
        line.attributes().check().map_err(|e| e.message().to_owned())?;
        Ok(Some(line))
    }

    fn attributes(&self) -> Attributes {
        let attributes = Attributes::NONE.with_user_ids(self.user_ids.iter().flatten().cloned());
        self.metadata.iter().flatten().fold(attributes, |all, (name, text)| all.with_meta(name, text))
    }
}

/// The line of a key, without an end.
///
/// # Errors
///
/// The value is nested too deep for JSON.
pub fn text(key: &Keypath, entry: &Entry<Value>) -> Result<String, Failure> {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let value = savehold::value::json::to_string(&entry.value)
        .map_err(|e| Failure::new(Exit::Failed, format!("{key}: {}", e.message()), ""))?;
    let mut line = format!("{{\"key\":{},\"value\":{value}", string(&key.to_string()));
    if !entry.attributes.user_ids().is_empty() {
        let ids: Vec<String> = entry.attributes.user_ids().iter().map(|id| string(id.as_str())).collect();
        line += &format!(",\"user_ids\":[{}]", ids.join(","));
    }
    if !entry.attributes.meta().is_empty() {
        let meta: Vec<String> = entry
            .attributes
            .meta()
            .iter()
            .map(|(name, text)| format!("{}:{}", string(name), string(text)))
            .collect();
        line += &format!(",\"metadata\":{{{}}}", meta.join(","));
    }
    if !entry.schema.is_empty() {
        let notes = savehold::value::json::to_string(&Value::Bytes(entry.schema.to_vec()));
        line += &format!(",\"schema\":{}", notes.map_err(|e| Failure::new(Exit::Failed, e.message(), ""))?);
    }
    line.push('}');
    Ok(escape::visible_json(&line))
}

/// What the parser says, in plain words, without the line that it counts in a text that is one line.
fn without_line(e: &serde_json::Error) -> String {
    let said = e.to_string();
    match said.rsplit_once(" at line ") {
        Some((what, _)) if e.column() > 0 => format!("{} at character {}", plain(what), e.column()),
        _ => plain(&said),
    }
}

/// How the parser says that a text is no JSON, and what that means.
const PLAIN: &[(&str, &str)] = &[
    ("expected ident", "there is a word that means nothing: a text stands in double quotes,"),
    ("expected value", "a value is missing"),
    ("key must be a string", "the name of a member must stand in double quotes,"),
    ("expected `:`", "a colon is missing behind the name of a member"),
    ("expected `,` or `}`", "a comma is missing, or the closing } is,"),
    ("expected `,` or `]`", "a comma is missing, or the closing ] is,"),
    ("trailing comma", "nothing follows a comma"),
    ("trailing characters", "something stands behind the object"),
    ("EOF while parsing", "the line ends before the object does"),
    ("control character", "a line break or a tab in a text is written \\n or \\t, but stands as it is"),
    ("invalid escape", "a backslash in a text stands before something that it cannot stand before"),
    ("invalid number", "a number is written wrongly"),
    ("number out of range", "a number is larger than any float"),
];

fn plain(said: &str) -> String {
    if let Some((_, plain)) = PLAIN.iter().find(|(begin, _)| said.starts_with(begin)) {
        return (*plain).to_owned();
    }
    let types = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "));
    match types.and_then(|types| types.split_once(", expected ")) {
        Some((found, wanted)) => format!("{wanted} is wanted and not {found},"),
        None => said.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object like {\"key\": \"players/42\", \"value\": 1}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line, A::Error> {
        let (mut key, mut value, mut user_ids, mut metadata, mut schema) = (None, None, None, None, None);
        while let Some(name) = members.next_key::<String>()? {
            let twice = match name.as_str() {
                "key" => key.replace(members.next_value::<String>()?).is_some(),
                "value" => value.replace(members.next_value::<FromJson>()?.0).is_some(),
                "user_ids" => user_ids.replace(members.next_value::<Vec<Id>>()?).is_some(),
                "metadata" => metadata.replace(members.next_value::<Notes>()?.0).is_some(),
                "schema" => schema.replace(members.next_value::<Schema>()?.0).is_some(),
                other => {
                    return Err(de::Error::custom(format!(
                        "the member {other:?} says nothing here: a line has key, value, user_ids, metadata and schema"
                    )));
                }
            };
            if twice {
                return Err(de::Error::custom(format!("the member {name:?} stands there twice")));
            }
        }
        let key = key.ok_or_else(|| de::Error::custom("there is no \"key\""))?;
        Ok(Line {
            key: key.parse().map_err(|e: savehold::Error| de::Error::custom(e.message()))?,
            value: value.ok_or_else(|| de::Error::custom("there is no \"value\""))?,
            user_ids: user_ids.map(|ids| ids.into_iter().map(|Id(id)| id).collect()),
            metadata,
            schema,
        })
    }
}

/// A user id: text, or a whole number, which stands for its decimal text.
struct Id(UserId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text.into())),
            serde_json::Value::Number(n) if n.is_u64() || n.is_i64() => Ok(Self(n.to_string().into())),
            _ => Err(de::Error::custom("a user id is a text or a whole number")),
        }
    }
}

/// What profiles note: bytes.
struct Schema(Vec<u8>);

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match FromJson::deserialize(deserializer)?.0 {
            Value::Bytes(notes) if notes.len() <= savehold::limits::SCHEMA_BYTES_MAX => Ok(Self(notes)),
            _ => Err(de::Error::custom("the schema is {\"$bytes\": \"…\"} of at most 4096 bytes")),
        }
    }
}

/// Notes: an object of texts.
struct Notes(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let notes = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self(notes.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests;
