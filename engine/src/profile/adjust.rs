//! Pure: what loading does to a stored document, one sentence each.

use std::fmt;

use crate::value::Value;

/// One thing that loading changes in a stored document, or leaves although it does not fit. Shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adjustment {
    /// There is no document: it begins as the template.
    Created,
    /// There is no document: `on_absent` gave one.
    Imported,
    /// A migration ran.
    Migrated {
        /// Its name.
        name: String,
    },
    /// A field was absent.
    Filled {
        /// Where it stands.
        path: String,
        /// What the template has there.
        value: Value,
    },
    /// A field was of another kind than the template's.
    Replaced {
        /// Where it stands.
        path: String,
        /// What stood there.
        was: Value,
        /// What the template has there.
        value: Value,
    },
    /// A field is of another kind than the template's, and stays.
    Kept {
        /// Where it stands.
        path: String,
        /// The kind that stands there.
        is: &'static str,
        /// The kind that the template has.
        wanted: &'static str,
    },
    /// A field that the program's type does not know; saves keep it.
    Unknown {
        /// Where it stands.
        path: String,
    },
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("no document: it begins as the template"),
            Self::Imported => f.write_str("no document: imported"),
            Self::Migrated { name } => write!(f, "migrated: {name}"),
            Self::Filled { path, value } => write!(f, "{path}: absent, {} from the template", Short(value)),
            Self::Replaced { path, was, value } => {
                write!(f, "{path}: {}, replaced by {} from the template", Short(was), Short(value))
            }
            Self::Kept { path, is, wanted } => {
                write!(f, "{path}: of kind {is} where the template has {wanted}, kept")
            }
            Self::Unknown { path } => write!(f, "{path}: not known to this program, kept"),
        }
    }
}

/// A value in a few words.
struct Short<'a>(&'a Value);

/// Characters of a text that are shown.
const TEXT_MAX: usize = 40;

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Nil => f.write_str("nil"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::I64(number) => write!(f, "{number}"),
            Value::U64(number) => write!(f, "{number}"),
            Value::F64(number) => write!(f, "{number:?}"),
            Value::String(text) if text.chars().count() <= TEXT_MAX => write!(f, "{text:?}"),
            Value::String(text) => {
                write!(f, "{:?}…", text.chars().take(TEXT_MAX).collect::<String>())
            }
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::List(values) if values.is_empty() => f.write_str("[]"),
            Value::List(values) => write!(f, "a list of {}", values.len()),
            Value::Map(map) if map.is_empty() => f.write_str("{}"),
            Value::Map(map) => write!(f, "a map of {}", map.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    #[test]
    fn adjustments_are_sentences() {
        let path = || "bag.7".to_owned();
        let table = [
            (Adjustment::Created, "no document: it begins as the template"),
            (Adjustment::Imported, "no document: imported"),
            (Adjustment::Migrated { name: "gold is coins".into() }, "migrated: gold is coins"),
            (Adjustment::Filled { path: path(), value: 0.into() }, "bag.7: absent, 0 from the template"),
            (Adjustment::Filled { path: path(), value: 0.5.into() }, "bag.7: absent, 0.5 from the template"),
            (
                Adjustment::Replaced { path: path(), was: "x\n".into(), value: Value::Nil },
                "bag.7: \"x\\n\", replaced by nil from the template",
            ),
            (
                Adjustment::Kept { path: path(), is: "string", wanted: "integer" },
                "bag.7: of kind string where the template has integer, kept",
            ),
            (Adjustment::Unknown { path: path() }, "bag.7: not known to this program, kept"),
        ];
        for (adjustment, sentence) in table {
            assert_eq!(adjustment.to_string(), sentence);
        }
        let long = Value::from("é".repeat(41));
        assert_eq!(Short(&long).to_string(), format!("{:?}…", "é".repeat(40)));
        let members: Value = Map::from([("a", 1)]).into();
        assert_eq!(Short(&members).to_string(), "a map of 1");
        assert_eq!(Short(&Value::List(vec![])).to_string(), "[]");
    }
}
