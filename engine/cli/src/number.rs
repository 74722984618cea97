//! Pure: whole numbers in JSON text that no value holds as they are written.
//!
//! The library reads a whole number of more than 64 bits as the nearest float. On the command line that would be another number
//! than somebody typed, and a whole one no more, so it is refused.

/// The first whole number in a JSON text that takes more than 64 bits.
#[must_use]
pub fn too_large(text: &[u8]) -> Option<&str> {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        at += match rest[0] {
            b'"' => string(rest),
            b'-' | b'0'..=b'9' => {
                let number = number(rest);
                if !fits(number) {
                    return Some(number);
                }
                number.len()
            }
            _ => 1,
        };
    }
    None
}

/// Why such a number is refused, and what to write instead.
#[must_use]
pub fn refused(number: &str) -> String {
    format!(
        "{number} takes more than 64 bits, and a float would not be the same number: write it as a text, \"{number}\", or \
         as a float, {number}.0, if it may be rounded"
    )
}

/// Bytes of the string that the text begins with.
fn string(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text[1..].iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// The number that the text begins with, or what looks like one.
fn number(text: &[u8]) -> &str {
    let part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let bytes = text.iter().position(|byte| !part(byte)).unwrap_or(text.len());
    std::str::from_utf8(&text[..bytes]).unwrap_or_default()
}

fn fits(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    !whole || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_number_outside_a_text_can_be_too_large() {
        for (text, found) in [
            ("18446744073709551616", Some("18446744073709551616")),
            ("18446744073709551615", None),
            ("-9223372036854775808", None),
            (r#"{"a":[1,-9223372036854775809]}"#, Some("-9223372036854775809")),
            (r#"{"18446744073709551616":"\"18446744073709551616\\"}"#, None),
            (r#"{"a\\":18446744073709551616}"#, Some("18446744073709551616")),
            ("18446744073709551616.0", None),
            ("1e400", None),
            ("-", None),
            ("\"18446744073709551616", None),
        ] {
            assert_eq!(too_large(text.as_bytes()), found, "{text}");
        }
    }
}
