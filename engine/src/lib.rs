//! An embedded storage engine for data that must not be lost and must have one writer at a time.
//!
//! The modules stand in the order of dependence: each uses only those above it.

pub mod error;
pub mod ids;

pub use error::{Error, ErrorKind, Next, Result};
pub use ids::{Token, Version};
