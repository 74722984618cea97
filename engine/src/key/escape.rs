//! Pure: keys as text, on one line, every byte told apart, and back.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Writes `bytes` with unprintable ones as `\xNN` and a backslash as `\\`.
pub(super) fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                c if is_printable(c) => fmt::Write::write_char(f, c)?,
                c => write_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), f)?,
            }
        }
        write_bytes(chunk.invalid(), f)?;
    }
    Ok(())
}

fn write_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "\\x{b:02x}"))
}

/// What a terminal shows as one visible mark of its own: no control, no direction change, no combining mark.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || c.escape_debug().len() == 1
}

/// The bytes that `text` stands for.
pub(super) fn read(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', b'x', high, low, rest @ ..] => {
                bytes.push((nibble(*high, text)? << 4) | nibble(*low, text)?);
                rest
            }
            [b'\\', ..] => return Err(wrong(text)),
            [plain, rest @ ..] => {
                bytes.push(*plain);
                rest
            }
        };
    }
}

fn nibble(digit: u8, text: &str) -> Result<u8> {
    let value = char::from(digit).to_digit(16).ok_or_else(|| wrong(text))?;
    Ok(value as u8)
}

#[cold]
fn wrong(text: &str) -> Error {
    let message = format!(
        "the key {text:?} has a backslash that stands for nothing: write a byte as \\xNN and a backslash as \\\\"
    );
    Error::new(ErrorKind::Invalid, message)
}
