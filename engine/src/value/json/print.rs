//! Pure: values as JSON text.

use super::write::name_of;
use super::{BYTES, F64, Layout, MAP, U64, base64};
use crate::value::serial::too_deep;
use crate::value::{Map, MapKey, Value};

/// The text of a value that may be nested so many lists and maps deep.
pub(super) fn text(value: &Value, layout: Layout, levels: usize) -> Result<String, String> {
    let mut printer = Printer { out: String::new(), layout, indent: 0 };
    printer.value(value, levels)?;
    Ok(printer.out)
}

struct Printer {
    out: String,
    layout: Layout,
    indent: usize,
}

impl Printer {
    fn value(&mut self, value: &Value, levels: usize) -> Result<(), String> {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::I64(number) => self.out.push_str(&number.to_string()),
            Value::U64(number) => self.whole(*number),
            Value::F64(number) if number.is_finite() => self.out.push_str(&format!("{number:?}")),
            Value::F64(number) => self.one(F64, &name_of(*number)),
            Value::String(text) => self.quoted(text),
            Value::Bytes(bytes) => self.one(BYTES, &base64::encode(bytes)),
            Value::List(_) | Value::Map(_) if levels == 0 => return Err(too_deep()),
            Value::List(values) => {
                self.row('[', ']', values.iter(), |printer, value| printer.value(value, levels - 1))?;
            }
            Value::Map(map) if map.iter().all(|(key, _)| key.as_str().is_some()) => {
                self.object(map, levels - 1)?;
            }
            Value::Map(map) => self.pairs(map, levels - 1)?,
        }
        Ok(())
    }

    /// A whole number, as text where it is above `i64::MAX`.
    fn whole(&mut self, number: u64) {
        match i64::try_from(number) {
            Ok(number) => self.out.push_str(&number.to_string()),
            Err(_) => self.one(U64, &number.to_string()),
        }
    }

    /// An object with one member that is text.
    fn one(&mut self, name: &str, text: &str) {
        let member = [(name, text)];
        let said = self.row('{', '}', member.iter(), |printer, (name, text)| {
            printer.name(name);
            printer.quoted(text);
            Ok(())
        });
        debug_assert!(said.is_ok(), "text is nested nowhere");
    }

    fn object(&mut self, map: &Map, levels: usize) -> Result<(), String> {
        self.row('{', '}', map.iter(), |printer, (key, value)| {
            let name = key.as_str().unwrap_or_default();
            if name.starts_with('$') {
                printer.name(&format!("${name}"))
            } else {
                printer.name(name)
            }
            printer.value(value, levels)
        })
    }

    fn pairs(&mut self, map: &Map, levels: usize) -> Result<(), String> {
        self.row('{', '}', [map].iter(), |printer, map| {
            printer.name(MAP);
            printer.row('[', ']', map.iter(), |printer, (key, value)| {
                let pair = [Ok(key), Err(value)];
                printer.row('[', ']', pair.iter(), |printer, half| match half {
                    Ok(MapKey::Str(text)) => {
                        printer.quoted(text);
                        Ok(())
                    }
                    Ok(MapKey::I64(number)) => {
                        printer.out.push_str(&number.to_string());
                        Ok(())
                    }
                    Ok(MapKey::U64(number)) => {
                        printer.whole(*number);
                        Ok(())
                    }
                    Err(value) => printer.value(value, levels),
                })
            })
        })
    }

    /// Elements between brackets, laid out as asked.
    fn row<T>(
        &mut self,
        open: char,
        close: char,
        elements: impl Iterator<Item = T>,
        mut element: impl FnMut(&mut Self, T) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        self.indent += 1;
        let mut empty = true;
        for each in elements {
            if !empty {
                self.out.push(',');
            }
            empty = false;
            self.end_line();
            element(self, each)?;
        }
        self.indent -= 1;
        if !empty {
            self.end_line();
        }
        self.out.push(close);
        Ok(())
    }

    fn end_line(&mut self) {
        if self.layout == Layout::Indented {
            self.out.push('\n');
            (0..self.indent).for_each(|_| self.out.push_str("  "));
        }
    }

    fn name(&mut self, name: &str) {
        self.quoted(name);
        self.out.push_str(if self.layout == Layout::Indented { ": " } else { ":" });
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0x08 => "\\b",
                0x0c => "\\f",
                0..0x20 => "",
                _ => continue,
            };
            self.out.push_str(&text[plain..at]);
            if escape.is_empty() {
                self.out.push_str(&format!("\\u{byte:04x}"));
            } else {
                self.out.push_str(escape);
            }
            plain = at + 1;
        }
        self.out.push_str(&text[plain..]);
        self.out.push('"');
    }
}
