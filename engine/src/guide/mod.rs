//! Pure: guides: what the parts are for, with programs that are compiled and run as they stand here.

pub mod moving_from_roblox;
pub mod schema_change;
pub mod sessions;
