//! Pure: counters, whole numbers that are added to.

use super::Value;
use crate::error::{Error, ErrorKind, Result};

/// The number after adding `by` to `now`; an absent value counts as 0.
///
/// # Errors
///
/// - [`ErrorKind::NotANumber`]: `now` is not a whole number; floats are not converted.
/// - [`ErrorKind::Overflow`]: the result is no `i64`.
pub fn add(now: Option<&Value>, by: i64) -> Result<i64> {
    let number = match now {
        None => 0,
        Some(value) => value.as_whole().ok_or_else(|| not_a_number(value))?,
    };
    i64::try_from(number + i128::from(by)).map_err(|_| overflow(number, by))
}

#[cold]
fn not_a_number(value: &Value) -> Error {
    let message =
        format!("a {} cannot be incremented: store a whole number, or change it with `update`", value.kind());
    Error::new(ErrorKind::NotANumber, message)
}

#[cold]
fn overflow(number: i128, by: i64) -> Error {
    let message = format!(
        "{number} and {by} add up to more than a counter holds (i64): keep larger numbers with `update`"
    );
    Error::new(ErrorKind::Overflow, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_counter_starts_at_zero_and_the_range_is_exact() {
        let table = [
            (None, 5, Ok(5)),
            (Some(Value::from(2)), -3, Ok(-1)),
            (Some(Value::from(i64::MAX)), 0, Ok(i64::MAX)),
            (Some(Value::from(i64::MAX)), 1, Err(ErrorKind::Overflow)),
            (Some(Value::from(i64::MIN)), -1, Err(ErrorKind::Overflow)),
            (Some(Value::from(u64::MAX)), i64::MIN, Ok(i64::MAX)),
            (Some(Value::from(u64::MAX)), 0, Err(ErrorKind::Overflow)),
            (Some(Value::from(1.0)), 1, Err(ErrorKind::NotANumber)),
            (Some(Value::from("1")), 1, Err(ErrorKind::NotANumber)),
            (Some(Value::Nil), 1, Err(ErrorKind::NotANumber)),
        ];
        for (now, by, sum) in table {
            assert_eq!(add(now.as_ref(), by).map_err(|e| e.kind()), sum, "{now:?} + {by}");
        }
    }
}
