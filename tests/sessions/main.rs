//! Leases: who may write a key, who is told, who waits, on a simulated machine and with real threads.
//!
//! Counts are small so that the suite ends in seconds; `SAVEHOLD_SCHEDULES` says how many schedules to run instead.

mod fences;
mod handoff;
mod lives;
mod queue;
mod schedules;
mod threads;
mod world;
