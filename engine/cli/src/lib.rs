//! The rooms of savehold's command line: what a call means, and how an answer looks.
//!
//! The binary `savehold` joins them with the store. They are a library of their own so that they can be read and
//! tested one by one; nothing here promises to stay as it is.
//!
//! The modules stand in the order of dependence: each uses only those above it.

pub mod escape;
pub mod quantity;
pub mod keypath;
pub mod moment;
pub mod output;
pub mod exit;
pub mod answer;
pub mod consent;
pub mod number;
pub mod line;
pub mod args;
pub mod progress;
pub mod bench;
pub mod demo;
pub mod commands;
