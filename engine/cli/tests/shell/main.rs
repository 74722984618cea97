//! The verbs of the command line, on real stores in directories of their own.
#![expect(clippy::disallowed_methods, reason = "tests look at a store's files from outside")]

mod world;

mod answers;
mod changes;
mod keeping;
mod loading;
mod messages;
mod refusals;
mod backups;
mod repairs;
