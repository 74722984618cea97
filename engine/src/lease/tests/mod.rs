//! The rules of leases, by tables and by enumeration.

mod claims;
mod grants;
mod lives;
mod plans;
mod stales;
mod world;
