//! Pure: which keys a bulk change is about.

use std::collections::HashSet;

use crate::at::At;
use crate::key::{Key, KeyRef};
use crate::pattern::Pattern;
use crate::range::Range;

/// Keys of a collection: all of them, those of a range, or named ones; and of those perhaps only the keys that somebody
/// wrote since a moment.
///
/// ```
/// use savehold::{At, Selection};
/// use std::time::Duration;
///
/// let hurt = Selection::collection("players").origin("build 813*").since(At::ago(Duration::from_secs(6 * 3600)));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Selection {
    pub(crate) collection: String,
    pub(crate) range: Range,
    pub(crate) keys: Option<Vec<Key>>,
    pub(crate) origin: Option<Pattern>,
    pub(crate) since: Option<At>,
}

impl Selection {
    /// Every key of a collection.
    pub fn collection(name: impl Into<String>) -> Self {
        Self { collection: name.into(), range: Range::all(), keys: None, origin: None, since: None }
    }

    /// Only keys that begin with `prefix`, or that lie in a range.
    pub fn range(mut self, range: impl Into<Range>) -> Self {
        self.range = range.into();
        self
    }

    /// Only these keys, each once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): one of them
    /// is no key.
    pub fn keys<'k>(
        mut self,
        keys: impl IntoIterator<Item = impl Into<KeyRef<'k>>>,
    ) -> crate::error::Result<Self> {
        let mut seen = HashSet::new();
        let mut chosen = Vec::new();
        for key in keys {
            let key = key.into().to_key()?;
            if seen.insert(key.clone()) {
                chosen.push(key);
            }
        }
        self.keys = Some(chosen);
        Ok(self)
    }

    /// Only keys that a process of this origin wrote; `*` stands for any text: `build 813*`. A
    /// version whose record cannot be read is of none.
    pub fn origin(mut self, pattern: impl Into<String>) -> Self {
        self.origin = Some(Pattern::new(pattern));
        self
    }

    /// Only keys that were written since that moment, by that origin where one is given.
    pub fn since(mut self, moment: impl Into<At>) -> Self {
        self.since = Some(moment.into());
        self
    }
}
