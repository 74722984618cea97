//! An embedded storage engine for data that must not be lost and must have one writer at a time.
//!
//! The modules stand in the order of dependence: each uses only those above it.

pub mod limits;
pub mod ids;
pub mod error;
pub mod key;
pub mod name;
mod varint;
pub mod record;
pub mod format;
pub mod attributes;
pub mod entry;
pub mod value;
#[allow(dead_code, reason = "the commit path comes next")]
mod index;

#[cfg(test)]
mod tests;

pub use attributes::{Attributes, UserId};
pub use error::{Error, ErrorKind, Next, Result};
pub use ids::{Token, Version};
pub use key::{Key, KeyRef};
pub use value::{Map, MapKey, MapKeyRef, Value};
