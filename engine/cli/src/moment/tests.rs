use super::*;

/// One hour ahead of UTC, two from the last Sunday of March to the last of October.
fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a time zone")
}

fn clock(utc: &str) -> ZonedDateTime {
    utc.parse::<Timestamp>().expect("a time").to_zoned_datetime(zone())
}

/// What `text` means when clocks show `now` (in UTC), as it is told to people.
fn told(text: &str, now: &str) -> Result<String, MomentError> {
    let now = clock(now);
    Ok(text.parse::<Moment>()?.at(&now)?.show(now.time_zone()))
}

#[test]
fn each_way_to_name_a_moment_means_what_it_says() {
    for (text, expected) in [
        ("now", "now"),
        ("2517.40960", "version 2517.40960"),
        ("2026-11-22T18:00:00Z", "2026-11-22 19:00:00 +01:00 (2026-11-22T18:00:00Z)"),
        ("2026-11-22t18:00:00.5z", "2026-11-22 19:00:00.5 +01:00 (2026-11-22T18:00:00.5Z)"),
        ("2026-11-22T18:00:00-05:00", "2026-11-23 00:00:00 +01:00 (2026-11-22T23:00:00Z)"),
        ("2026-11-22 18:00:00+01:00", "2026-11-22 18:00:00 +01:00 (2026-11-22T17:00:00Z)"),
        ("2026-11-22 18:00", "2026-11-22 18:00:00 +01:00 (2026-11-22T17:00:00Z)"),
        ("2026-07-01T18:00:30", "2026-07-01 18:00:30 +02:00 (2026-07-01T16:00:30Z)"),
        ("today 09:30", "2026-11-23 09:30:00 +01:00 (2026-11-23T08:30:00Z)"),
        ("yesterday 18:00", "2026-11-22 18:00:00 +01:00 (2026-11-22T17:00:00Z)"),
        ("21:40", "2026-11-22 21:40:00 +01:00 (2026-11-22T20:40:00Z)"),
        ("12:00", "2026-11-23 12:00:00 +01:00 (2026-11-23T11:00:00Z)"),
        ("11:59:59", "2026-11-23 11:59:59 +01:00 (2026-11-23T10:59:59Z)"),
        ("-90m", "2026-11-23 10:30:00 +01:00 (2026-11-23T09:30:00Z)"),
        ("-2h30m", "2026-11-23 09:30:00 +01:00 (2026-11-23T08:30:00Z)"),
        ("before update 2.0", "pin \"before update 2.0\""),
        ("pin:2.0", "pin \"2.0\""),
        ("pin:now", "pin \"now\""),
        ("todayish", "pin \"todayish\""),
    ] {
        assert_eq!(told(text, "2026-11-23T11:00:00Z").as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_text_that_begins_like_a_time_is_never_taken_for_a_pin() {
    for text in [
        "",
        "-",
        "-90",
        "-m",
        "-1.5h",
        "25:00",
        "21:60",
        "21:40pm",
        "2026-13-01 10:00",
        "2026-02-30 10:00",
        "2026-11-22x18:00",
        "2026-11-22 ",
        "2026-11-22 18",
        "2026-11-22 18:00 CET",
        "22.11.2026",
        "1.2.3",
        "65536.0",
        "today 9",
        "yesterday 18",
        "yesterday  18:00",
        "pin:",
        "20\u{e9}6-11-22 18:00",
        "2026-11-2\u{e9}",
    ] {
        assert_eq!(text.parse::<Moment>(), Err(MomentError::Form), "{text}");
    }
    for text in ["today", "yesterday", "2026-11-22"] {
        assert_eq!(text.parse::<Moment>(), Err(MomentError::WantsTime), "{text}");
    }
}

#[test]
fn a_moment_ahead_of_the_clock_is_refused() {
    for text in ["today 12:01", "2026-11-23 12:00:01", "2027-11-22 18:00", "2026-11-23T11:00:00.000001Z"] {
        assert!(matches!(told(text, "2026-11-23T11:00:00Z"), Err(MomentError::Ahead(_))), "{text}");
    }
    for text in ["1969-12-31 18:00", "-3000w", "0000-01-01T00:00:00Z"] {
        assert_eq!(told(text, "2026-11-23T11:00:00Z"), Err(MomentError::TooEarly), "{text}");
    }
    assert_eq!(told("-0s", "2026-11-23T11:00:00Z"), told("12:00", "2026-11-23T11:00:00Z"));
}

#[test]
fn clock_changes_skip_forward_and_repeat_the_earlier() {
    // Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 back to 02:00 on 2026-10-25.
    for (text, now, expected) in [
        ("02:30", "2026-03-29T10:00:00Z", "2026-03-29 03:30:00 +02:00 (2026-03-29T01:30:00Z)"),
        ("02:30", "2026-10-25T10:00:00Z", "2026-10-25 02:30:00 +02:00 (2026-10-25T00:30:00Z)"),
        ("yesterday 12:00", "2026-03-29T10:00:00Z", "2026-03-28 12:00:00 +01:00 (2026-03-28T11:00:00Z)"),
        ("-1d", "2026-03-29T10:00:00Z", "2026-03-28 11:00:00 +01:00 (2026-03-28T10:00:00Z)"),
    ] {
        assert_eq!(told(text, now).as_deref(), Ok(expected), "{text} at {now}");
    }
}

#[test]
fn a_clock_means_the_last_time_it_was_shown_whatever_the_time_of_day() {
    for hour in 0..24 {
        for minute in [0, 1, 30, 59] {
            let now = clock("2026-11-23T11:00:00Z");
            let Ok(At::Time(time)) = Moment::Last(Time::constant(hour, minute, 0, 0)).at(&now) else {
                panic!("{hour}:{minute} has no time")
            };
            let ago = now.timestamp().duration_since(time).as_secs();
            assert!((0..86_400).contains(&ago), "{hour}:{minute} was {ago} s ago");
        }
    }
}
