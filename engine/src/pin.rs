//! Corridor: pins: moments with a name, kept until they are unpinned.

use savehold_wal::{Lsn, Urgency};

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::limits::{PIN_BYTES_MAX, PINS_MAX};
use crate::noted::Noted;
use crate::setting::{Setting, is_unread};
use crate::value::{Map, Value};

const PIN: &str = "pin/";
const VERSION: &str = "version";

/// A moment with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// The moment.
    pub version: Version,
    /// Engine time at which it was pinned, microseconds since 1970.
    pub pinned_us: u64,
}

impl Core {
    /// Pins a moment that is held meanwhile. Durable on return.
    pub(crate) fn pin(&self, name: &str, moment: Lsn) -> Result<()> {
        check(name)?;
        let mut value = Map::default();
        value.insert(VERSION, Version::from(moment).to_string());
        let value = Value::Map(value);
        let done = self.change_setting(PIN, name, Urgency::Ordinary, |stands| match stands {
            Some(other) => Err(taken(other)),
            None if self.behind(PIN, self.visible())?.len() >= PINS_MAX => Err(too_many()),
            None => Ok(Some(value.clone())),
        });
        done.map(drop)
    }

    /// Gives a pin up; says whether there was one. Durable on return.
    pub(crate) fn unpin(&self, name: &str) -> Result<bool> {
        check(name)?;
        let mut there = true;
        let done = self.change_setting(PIN, name, Urgency::Ordinary, |stands| match stands {
            Some(_) => Ok(None),
            None => {
                there = false;
                Err(absent(name))
            }
        });
        match done {
            Err(e) if !there && e.kind() == ErrorKind::Gone => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// Every pin, by name.
    pub(crate) fn pins(&self) -> Result<Vec<Pin>> {
        self.listed_pins()?.into_iter().collect()
    }

    /// Every pin, by name; for each that cannot be read, why, and what to do about it.
    pub(crate) fn listed_pins(&self) -> Result<Vec<Result<Pin>>> {
        let all = self.settings(PIN, self.visible())?.into_iter();
        Ok(all.map(|(name, pin)| pin.and_then(pin_of).map_err(|e| unread(&name, e))).collect())
    }

    /// Every pin that can be read.
    pub(crate) fn known_pins(&self) -> Vec<Pin> {
        self.listed_pins().unwrap_or_default().into_iter().flatten().collect()
    }

    /// What a backup notes of the store.
    pub(crate) fn noted(&self) -> Vec<u8> {
        let pins = self.known_pins(); // one that cannot be read is one that cannot be gone back to
        Noted { pins: pins.into_iter().map(|pin| (pin.name, pin.version)).collect() }.to_bytes()
    }

    /// The moment of a pin.
    pub(crate) fn pinned(&self, name: &str) -> Result<Lsn> {
        check(name)?;
        let pin = match self.setting(PIN, name, self.visible()) {
            Ok(Some(setting)) => pin_of(setting),
            Ok(None) => return Err(absent(name)),
            Err(e) => Err(e),
        };
        Ok(pin.map_err(|e| unread(name, e))?.version.lsn())
    }
}

fn pin_of(setting: Setting) -> Result<Pin> {
    let version = setting.value.get(VERSION).and_then(Value::as_str).and_then(|text| text.parse().ok());
    match version {
        Some(version) => Ok(Pin { name: setting.name, version, pinned_us: setting.made_us }),
        None => {
            let say = "it names no version";
            Err(Error::new(ErrorKind::Corrupt, say).at(setting.version))
        }
    }
}

#[cold]
fn unread(name: &str, e: Error) -> Error {
    if !is_unread(&e) {
        return e;
    }
    e.within(format!(
        "the pin {name:?} cannot be read, so no moment is given up that it may hold: give it up with `savehold unpin`"
    ))
}

fn check(name: &str) -> Result<()> {
    let refuse = |say: &str| Err(Error::new(ErrorKind::Invalid, format!("the name of a pin {say}")));
    match name {
        "" => refuse("is empty: give it at least one character"),
        name if name.len() > PIN_BYTES_MAX => {
            let say = format!(
                "the name of a pin has {} bytes: at most {PIN_BYTES_MAX} are allowed, so shorten it",
                name.len()
            );
            Err(Error::new(ErrorKind::TooLarge, say))
        }
        name if name.contains(char::is_control) => {
            refuse("holds a control character: use letters, digits and blanks")
        }
        _ => Ok(()),
    }
}

fn taken(other: &Setting) -> Error {
    let say =
        format!("there is a pin {:?} already: choose another name, or unpin that one first", other.name);
    Error::new(ErrorKind::Conflict, say).at(other.version)
}

fn too_many() -> Error {
    let say = format!(
        "there are {PINS_MAX} pins, and a store keeps no more of them: unpin one that nobody needs any more"
    );
    Error::new(ErrorKind::TooLarge, say)
}

fn absent(name: &str) -> Error {
    Error::new(
        ErrorKind::Gone,
        format!("there is no pin {name:?}: `savehold pins` and `Store::pins` list those that there are"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pin_more_than_fits_is_refused_until_another_goes() {
        let store = crate::Store::in_memory().unwrap();
        (0..PINS_MAX).for_each(|n| _ = store.pin(&format!("pin {n}")).unwrap());
        let e = store.pin("another").unwrap_err();
        assert!(e.kind() == ErrorKind::TooLarge && e.message().contains(&PINS_MAX.to_string()), "{e}");
        assert!(store.thin().unwrap() && store.unpin("pin 7").unwrap());
        store.pin("another").unwrap();
        assert_eq!(store.pins().unwrap().len(), PINS_MAX);
    }
}
