//! Door: records, and parts of them, by their place.

use bytes::Bytes;

use super::Wal;
use crate::error::Result;
use crate::lsn::Lsn;
use crate::reader::Record;

impl Wal {
    /// The record at `lsn`, every byte of it verified.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone): there is none. [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): it is
    /// damaged; the log stays usable.
    pub fn read(&self, lsn: Lsn) -> Result<Record> {
        self.log.read(lsn)
    }

    /// One part of the record at `lsn`: `offset` bytes behind it, `bytes` long, verified; shares the mapped file's
    /// memory where there is a map. A record that has its place is read so before it is in any file, verified too, and before
    /// anybody knows whether a crash would lose it.
    ///
    /// # Errors
    ///
    /// As [`Wal::read`]; [`ErrorKind::Forked`](crate::ErrorKind::Forked): it is on its way in the process that placed it.
    pub fn read_part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Result<Bytes> {
        self.log.read_part(lsn, offset, bytes)
    }

    /// Lets `look` see one part of the record at `lsn` where it stands, verified: nothing is copied where there is a map and the
    /// record is in its file.
    ///
    /// # Errors
    ///
    /// As [`Wal::read_part`].
    pub fn look_at_part<R>(&self, lsn: Lsn, offset: u32, bytes: u32, look: impl Fn(&[u8]) -> R) -> Result<R> {
        self.log.look_at_part(lsn, offset, bytes, look)
    }

    /// The head of the record at `lsn`, verified; its body is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Wal::read`].
    pub fn read_head(&self, lsn: Lsn) -> Result<Bytes> {
        self.log.read_head(lsn)
    }
}
