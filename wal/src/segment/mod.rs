//! Corridor: the files of the log: their names, the catalog of them, and one open file.

pub mod beside;
pub mod catalog;
pub mod fill;
pub mod file;
pub mod manifest;
pub mod name;
pub mod packed;
pub mod packing;
