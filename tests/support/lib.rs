//! What the whole-system tests share.

pub mod source;
pub mod tokens;
