//! Pure: what a document may be.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a profile's document may be: any type of the program's own that serde reads and writes, or a
/// [`Value`](crate::Value). A refused change must leave the old value standing, so it is cloned for each.
///
/// Every type with these traits has this one.
pub trait Playable: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Playable for T {}
