//! Pure: what an entry of `$lease` says: who holds the key that its own key names.
//!
//! ```text
//! +--------+--------+-----------------+--------+---------------------+
//! | format | holder | kind            | life   | time                |
//! | u8 = 1 | text   | u8              | u64    | ms, 0: no deadline  |
//! +--------+--------+-----------------+--------+---------------------+
//! kind    0 inside: life is the run of the process · 1 external: life is the number that the holder drew
//! ```
//!
//! Fields as `meta` writes them. 1 ≤ holder ≤ 64 bytes. The entry's version is the token, and all keys of one lease are
//! put by one record. Kinds are on disk for ever: add, never renumber.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};

/// Longest name of a holder, in bytes of UTF-8.
pub(crate) const HOLDER_BYTES_MAX: usize = 64;

const INSIDE: u8 = 0;
const EXTERNAL: u8 = 1;

/// Whose life a lease hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    /// That of a process which has the store open: the random number of this opening.
    Inside(u64),
    /// That of a holder elsewhere: the number that it drew at its start.
    External(u64),
}

/// Who holds, as the log says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The holder's name.
    pub(crate) holder: Arc<str>,
    pub(crate) life: Life,
    /// How long the holder may be silent, whole milliseconds; `None`: it lives while its handle does.
    pub(crate) time: Option<Duration>,
}

impl Grant {
    /// Bytes of an entry of `$lease`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the name may not be one.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        check_name(&self.holder)?;
        meta::encode(self)
    }

    /// What such bytes say. Where they say nothing, the lease is nobody's, and over: that is safe, for its token is
    /// then refused and its keys are free.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        meta::decode(bytes).unwrap_or(Self { holder: "?".into(), life: Life::Inside(0), time: None })
    }
}

/// Whether a holder may have this name.
///
/// # Errors
///
/// [`ErrorKind::Invalid`].
pub(crate) fn check_name(name: &str) -> Result<()> {
    if (1..=HOLDER_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control) {
        return Ok(());
    }
    let message = format!(
        "a holder cannot be called {name:?}: give it 1 to {HOLDER_BYTES_MAX} bytes without control characters"
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

impl Meta for Grant {
    const FORMAT: u8 = 1;
    const WHAT: &'static str = "the grant of a lease";
}

impl Encode for Grant {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let (kind, life) = match self.life {
            Life::Inside(run) => (INSIDE, run),
            Life::External(life) => (EXTERNAL, life),
        };
        let time_ms = self.time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Encode::encode(&*self.holder, encoder)?;
        kind.encode(encoder)?;
        life.encode(encoder)?;
        time_ms.encode(encoder)
    }
}

impl Decode<()> for Grant {
    fn decode<D: Decoder<Context = ()>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let holder = String::decode(decoder)?;
        let (kind, life, time_ms) = (u8::decode(decoder)?, u64::decode(decoder)?, u64::decode(decoder)?);
        let life = match kind {
            INSIDE => Life::Inside(life),
            EXTERNAL => Life::External(life),
            _ => return Err(DecodeError::Other("kind of holder")),
        };
        check_name(&holder).map_err(|_| DecodeError::Other("name of the holder"))?;
        let time = (time_ms > 0).then(|| Duration::from_millis(time_ms));
        Ok(Self { holder: holder.into(), life, time })
    }
}
