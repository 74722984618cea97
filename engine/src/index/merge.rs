//! Pure: merging neighbouring tables into one, a few versions at a time, so that other work goes on between.

use std::sync::Arc;

use super::entry::{Entry, VersionRef};
use super::judge::Judge;
use super::table::{Cursor, Facts, Sink, Table, Writer};
use crate::error::Result;

/// Merges tables, newest first, into a writer.
pub struct Merge<'t, S> {
    sources: Vec<Cursor<'t>>,
    writer: Writer<S>,
    oldest: bool,
    full: Vec<u8>,
    versions: Vec<VersionRef>,
    keep: Vec<bool>,
}

impl<'t, S: Sink> Merge<'t, S> {
    /// Begins to merge `tables`, newest first. `oldest` says that no table is older than these.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): a table is damaged. [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn new(tables: &'t [Arc<Table>], writer: Writer<S>, oldest: bool) -> Result<Self> {
        let mut sources: Vec<Cursor<'t>> = tables.iter().map(|table| table.cursor()).collect();
        sources.iter_mut().try_for_each(Cursor::seek_first)?;
        Ok(Self { sources, writer, oldest, full: Vec::new(), versions: Vec::new(), keep: Vec::new() })
    }

    /// Goes on for about `count` versions; false once nothing is left.
    ///
    /// # Errors
    ///
    /// As [`Merge::new`], and those of the sink.
    pub fn step(&mut self, judge: &mut dyn Judge, count: usize) -> Result<bool> {
        let mut done = 0;
        while done < count {
            if !self.gather()? {
                return Ok(false);
            }
            done += self.versions.len();
            let (collection, key) = self.full.split_first_chunk().expect("a collection stands in front");
            let collection = u32::from_be_bytes(*collection);
            self.keep.clear();
            self.keep.resize(self.versions.len(), true);
            judge.judge(collection, key, &self.versions, self.oldest, &mut self.keep);
            for (version, _) in self.versions.iter().zip(&self.keep).filter(|(_, keep)| **keep) {
                self.writer.push(Entry { collection, key, version: *version })?;
            }
        }
        Ok(true)
    }

    /// Ends the table.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    pub fn finish(self) -> Result<(Facts, S)> {
        self.writer.finish()
    }

    /// The next key and all its versions, newest first; false where there is none. A table whose keys or versions do not stand in
    /// order is damaged.
    fn gather(&mut self) -> Result<bool> {
        let mut first: Option<(&[u8], usize)> = None;
        for (n, source) in self.sources.iter_mut().enumerate() {
            if let Some((full, _)) = source.peek()?
                && first.is_none_or(|(first, _)| full < first)
            {
                first = Some((full, n));
            }
        }
        let Some((first, n)) = first else { return Ok(false) };
        if first <= &self.full[..] {
            return Err(self.sources[n].disordered()); // what is out of order may not get into the next table
        }
        self.full.clear();
        self.full.extend_from_slice(first);
        self.versions.clear();
        for source in &mut self.sources {
            while let Some((_, version)) = source.peek()?.filter(|(full, _)| *full == self.full) {
                if self.versions.last().is_some_and(|newer| newer.lsn <= version.lsn) {
                    return Err(source.disordered());
                }
                self.versions.push(version);
                source.next()?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
