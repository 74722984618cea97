//! Pure: where a value stands in a document.

use std::fmt;

use crate::value::MapKey;

/// The way from the top of a document to a value in it: names of fields, keys of maps, places in lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(MapKey),
    Place(usize),
}

impl Path {
    /// The document itself.
    pub(crate) const TOP: Self = Self(Vec::new());

    /// Goes to the member `key`.
    pub(crate) fn enter(&mut self, key: &MapKey) {
        self.0.push(Step::Key(key.clone()));
    }

    /// Goes to a place in a list.
    pub(crate) fn enter_place(&mut self, place: usize) {
        self.0.push(Step::Place(place));
    }

    /// Goes back by one.
    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// A number for the path: the same in every program for ever, since it is stored (FNV-1a, 64 bits, over a byte
    /// for the kind of each step, its length as u32 and its bytes).
    pub(crate) fn number(&self) -> u64 {
        let mut number = Fnv(0xcbf2_9ce4_8422_2325);
        for step in &self.0 {
            match step {
                Step::Key(MapKey::Str(text)) => number.step(0, text.as_bytes()),
                Step::Key(other) => number.step(1, other.to_string().as_bytes()),
                Step::Place(place) => number.step(2, &(*place as u64).to_le_bytes()),
            }
        }
        number.0
    }
}

struct Fnv(u64);

impl Fnv {
    fn step(&mut self, kind: u8, bytes: &[u8]) {
        self.add(&[kind]);
        self.add(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the document");
        }
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Place(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> Path {
        let mut path = Path::TOP;
        steps.iter().for_each(|step| path.enter(&MapKey::from(*step)));
        path
    }

    #[test]
    fn paths_read_as_code_does() {
        let mut at = path(&["bag", "sword"]);
        at.enter_place(2);
        at.enter(&MapKey::from(7));
        assert_eq!(at.to_string(), "bag.sword[2].7");
        at.leave();
        assert_eq!(at.to_string(), "bag.sword[2]");
        assert_eq!(Path::TOP.to_string(), "the document");
    }

    #[test]
    fn numbers_of_paths_are_stored_and_never_change() {
        assert_eq!(Path::TOP.number(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(path(&["level"]).number(), 0xefa7_6967_0f2d_0cf8);
        let all = [path(&["a", "b"]), path(&["ab"]), path(&["a"]), path(&["b", "a"]), path(&["a", "b", ""])];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a.number() == b.number(), i == j, "{a} {b}");
            }
        }
    }
}
