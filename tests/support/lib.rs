//! What the whole-system tests share.

pub mod check;
pub mod history;
pub mod mirror;
pub mod source;
pub mod tokens;
pub mod world;
