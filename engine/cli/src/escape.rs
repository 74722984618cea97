//! Pure: text that a terminal shows and obeys nothing of.
//!
//! Escaped is whatever a terminal would act on or hide: control characters, marks that turn the direction of writing,
//! what has no width. For reading, not for reading back: a key that must come back is shown by [`savehold::Key`].

/// `text` with everything escaped that a terminal would act on or hide, line ends included.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| shown += &format!("\\x{byte:02x}"));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON text that means the same, with everything written as `\uNNNN` that a terminal would act on or hide.
///
/// Outside of strings JSON has no such characters but line ends and tabs, which must not be in `json`.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown += &format!("\\u{unit:04x}"));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// True for what a terminal acts on or does not show.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out_and_the_rest_stays() {
        for (original, expected) in [
            ("Zo\u{eb} e\u{301} \u{1f600} a\\b", "Zo\u{eb} e\u{301} \u{1f600} a\\b"),
            ("a\x1b[31mb", r"a\x1b[31mb"),
            ("line\r\nbreak\t", r"line\x0d\x0abreak\x09"),
            ("\u{202e}txt", r"\xe2\x80\xaetxt"),
            ("\u{9b}31m\u{7f}", r"\xc2\x9b31m\x7f"),
        ] {
            assert_eq!(visible(original), expected);
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        for c in (0..=0x2100).chain(0xfe00..0x1_0100).chain(0xe_0000..0xe_0100).filter_map(char::from_u32) {
            let text = format!("a{c}\\b");
            let shown = visible_json(&serde_json::Value::from(text.as_str()).to_string());
            assert!(!shown.contains(is_hidden), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).expect("still JSON"), text);
        }
    }
}
