//! The hostile disk. Whatever crashes, fails, fills up or rots: the reopened log holds exactly a prefix of what it was
//! given, lacking nothing that was acknowledged, every byte right; places that were told never name something else;
//! opening changes no segment and gives the same again; and then appends work and survive.
//!
//! Everything is decided by seeds, which failures name. Counts are bounded by default; `SAVEHOLD_CRASH=full` runs every
//! case, `SAVEHOLD_CRASH_FROM` from which workload on, and `SAVEHOLD_CRASH_IMAGES` says how many random images.
//! `SAVEHOLD_CRASH_SEED` runs one random workload again, `SAVEHOLD_CRASH_THREADS` says how many with threads.

mod budget;
mod cases;
mod damage;
mod exhaustive;
mod faults;
mod images;
mod places;
mod planted;
mod random;
mod space;
mod threads;
mod windows;
