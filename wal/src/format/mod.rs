//! Pure: every byte of the log. `wal/README.md` draws the whole map; here each picture stands above its encoder.

pub mod ascending;
pub mod checksum;
pub mod cursor;
pub mod envelope;
pub mod frame;
pub mod group;
pub mod header;
pub mod packed;
