//! Pure: the options of `retention`.

use std::time::Duration;

use clap::Args;
use savehold::Moments;

use crate::quantity;

/// Options of `retention`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Retention {
    /// The collection; without it the moments of the whole store
    #[arg(value_name = "COLLECTION")]
    pub collection: Option<String>,
    /// Versions that a call asked for stay so long for themselves; also `none` and `forever`
    #[arg(long, value_name = "TIME", value_parser = time, requires = "collection", conflicts_with = "newest_only")]
    pub explicit: Option<Duration>,
    /// Versions that the autosave wrote stay so long for themselves; also `none` and `forever`
    #[arg(long, value_name = "TIME", value_parser = time, requires = "collection", conflicts_with = "newest_only")]
    pub autosaves: Option<Duration>,
    /// The newest N versions of a key stay, however old
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        requires = "collection",
        conflicts_with = "newest_only"
    )]
    pub versions: Option<u32>,
    /// The collection has no history: only the newest version of a key stays
    #[arg(long, requires = "collection", conflicts_with = "history")]
    pub newest_only: bool,
    /// The collection has history again, from now on
    #[arg(long, requires = "collection")]
    pub history: bool,
    /// How long every moment stays, then one a minute, then one an hour: 1h/1d/30d; for the whole store
    #[arg(long, value_name = "EVERY/MINUTES/HOURS", value_parser = moments)]
    pub moments: Option<Moments>,
    /// How long it is known what became of an idempotency id; for the whole store
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub outcomes: Option<Duration>,
    /// The clock is right after a long pause: what has lapsed may go at once
    #[arg(long)]
    pub trust_clock: bool,
}

/// A time to keep something.
fn time(text: &str) -> Result<Duration, String> {
    match text {
        "none" => Ok(Duration::ZERO),
        "forever" => Ok(Duration::MAX),
        text => quantity::duration(text).map_err(|e| format!("{e}; or none, or forever")),
    }
}

fn moments(text: &str) -> Result<Moments, String> {
    let times: Vec<Duration> = text.split('/').map(time).collect::<Result<_, _>>()?;
    match times[..] {
        [every, minutes, hours] => Ok(Moments { every, minutes, hours }),
        _ => {
            Err("three times are written like 1h/1d/30d: for every moment, one a minute, one an hour"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_moments_are_written_as_people_say_them() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        for (text, expected) in [
            ("none", Some(Duration::ZERO)),
            ("forever", Some(Duration::MAX)),
            ("2h", Some(hours(2))),
            ("x", None),
        ] {
            assert_eq!(time(text).ok(), expected, "{text}");
        }
        assert_eq!(moments("1h/1d/30d"), Ok(Moments::default()));
        assert_eq!(moments("none/none/none"), Ok(Moments::NONE));
        assert!(moments("1h").is_err() && moments("1h/1d/30d/1w").is_err());
    }
}
