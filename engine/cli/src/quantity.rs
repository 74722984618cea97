//! Pure: durations, bytes and counts as people write and read them.

use std::fmt;
use std::time::Duration;

/// Units of a duration, largest first, in microseconds.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

const BYTES_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
];

const COUNT_UNITS: [(&str, u64); 3] = [("", 1), ("k", 1000), ("m", 1_000_000)];

/// A text that is no quantity; says how one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantityError(&'static str);

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for QuantityError {}

/// A duration: `90m`, `2h30m`, `1d`, `250ms`. Whole numbers, each unit (w d h m s ms us) once, larger ones first.
///
/// # Errors
///
/// Anything else, and what does not fit.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let error = QuantityError("a duration is written like 90m, 2h30m, 1d or 250ms");
    let (mut rest, mut units, mut total) = (text, &DURATION_UNITS[..], 0_u64);
    while !rest.is_empty() || text.is_empty() {
        let (number, behind) = leading_number(rest).ok_or(error)?;
        let len = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let at = units.iter().position(|(unit, _)| *unit == &behind[..len]).ok_or(error)?;
        total = number.checked_mul(units[at].1).and_then(|us| total.checked_add(us)).ok_or(error)?;
        (rest, units) = (&behind[len..], &units[at + 1..]);
    }
    Ok(Duration::from_micros(total))
}

/// A number of bytes: `100`, `64KiB`, `1MiB`, `2GB`. Units are KiB, MiB, GiB (by 1024) and kB, MB, GB (by 1000).
///
/// # Errors
///
/// Anything else, and what does not fit.
pub fn bytes(text: &str) -> Result<u64, QuantityError> {
    scaled(text, &BYTES_UNITS).ok_or(QuantityError("a size is written like 100, 64KiB or 1MiB"))
}

/// A count: `1000000`, `1_000_000`, `50k`, `1M`.
///
/// # Errors
///
/// Anything else, and what does not fit.
pub fn count(text: &str) -> Result<u64, QuantityError> {
    let error = QuantityError("a count is written like 1000000, 1_000_000, 50k or 1M");
    if text.starts_with('_') || text.ends_with('_') {
        return Err(error);
    }
    scaled(&text.replace('_', ""), &COUNT_UNITS).ok_or(error)
}

/// A number of bytes for people: `512 B`, `1.50 MiB`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let units = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("PiB", 50), ("EiB", 60)];
    let (unit, shift) = *units.iter().rev().find(|(_, shift)| bytes >> shift > 0).unwrap_or(&units[0]);
    if shift == 0 { format!("{bytes} B") } else { format!("{} {unit}", digits(bytes, 1 << shift)) }
}

/// A duration for people: `850 µs`, `3.21 ms`, `12.3 s`, `5 min 12 s`, `2 h 05 min`, `3 d 04 h`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let (secs, us) = (duration.as_secs(), u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    match secs {
        0 if us < 1000 => format!("{us} µs"),
        0 => format!("{} ms", digits(us, 1000)),
        1..60 => format!("{} s", digits(us, 1_000_000)),
        60..3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {:02} min", secs / 3600, secs / 60 % 60),
        _ => format!("{} d {:02} h", secs / 86_400, secs / 3600 % 24),
    }
}

/// A count for people: `2,941`.
#[must_use]
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `value / unit` cut to three digits that count: `1.50`, `15.0`, `150`. Never rounded up: 1023.9 KiB is no MiB.
fn digits(value: u64, unit: u64) -> String {
    let (value, unit) = (u128::from(value), u128::from(unit));
    match value / unit {
        0..10 => format!("{}.{:02}", value / unit, value % unit * 100 / unit),
        10..100 => format!("{}.{}", value / unit, value % unit * 10 / unit),
        whole => whole.to_string(),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let unit = unit.to_ascii_lowercase();
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let len = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..len].parse().ok()?, &text[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, secs) in
            [("90m", 5400), ("2h30m", 9000), ("1d", 86_400), ("1w2d3h4m5s", 788_645), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        assert_eq!(duration("1s250ms7us"), Ok(Duration::from_micros(1_250_007)));
        for text in [
            "",
            "90",
            "m",
            "-1m",
            "1.5h",
            "30m2h",
            "1m1m",
            "1 h",
            "1x",
            "1min",
            "99999999999999w",
            "18446744073709551616s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_counts_are_read_as_written() {
        for (text, expected) in [
            ("0", 0),
            ("100", 100),
            ("100B", 100),
            ("64KiB", 65_536),
            ("1mib", 1 << 20),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "KiB", "1K", "1.5MiB", "-1", "1 KiB", "17179869184GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for (text, expected) in [("7", 7), ("1_000_000", 1_000_000), ("50k", 50_000), ("1M", 1_000_000)] {
            assert_eq!(count(text), Ok(expected), "{text}");
        }
        for text in ["", "_1", "1_", "1G", "k", "1.5M", "1,000"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_shown_with_three_digits_and_never_rounded_up() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (15 << 10, "15.0 KiB"),
            ((1 << 20) - 1, "1023 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(show_bytes(bytes), expected);
        }
        for (us, expected) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (3219, "3.21 ms"),
            (999_999, "999 ms"),
            (12_345_678, "12.3 s"),
            (59_999_999, "59.9 s"),
            (312_000_000, "5 min 12 s"),
            (7_500_000_000, "2 h 05 min"),
            (273_600_000_000, "3 d 04 h"),
        ] {
            assert_eq!(show_duration(Duration::from_micros(us)), expected);
        }
        for (count, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (2941, "2,941"), (1_234_567, "1,234,567")]
        {
            assert_eq!(show_count(count), expected);
        }
    }
}
