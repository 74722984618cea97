use super::*;

fn report() -> RecoveryReport {
    RecoveryReport {
        clean: false,
        at_us: 1_767_225_600_000_000,
        proven: Lsn::new(2, 8192),
        end: Lsn::new(2, 9000),
        groups_dropped: 2,
        segments: 5,
        scanned_bytes: 65_536,
        replayed_records: 7,
        judging: Duration::from_micros(1500),
        replaying: Duration::from_micros(500),
        clock: ClockNote::Ahead,
        lacking_bytes: 0,
        estimated: Duration::ZERO,
    }
}

#[test]
fn every_field_is_reversible() {
    for clean in [false, true] {
        for clock in [ClockNote::Fine, ClockNote::Ahead, ClockNote::Behind] {
            let report = RecoveryReport { clean, clock, ..report() };
            assert_eq!(RecoveryReport::decode(&report.encode()), Some(report));
        }
    }
    assert_eq!(RecoveryReport::decode(&RecoveryReport::default().encode()), Some(RecoveryReport::default()));
}

#[test]
fn an_estimate_is_kept_where_there_was_one_and_said_beside_the_time() {
    let report = RecoveryReport { estimated: Duration::from_micros(2300), ..report() };
    assert_eq!(RecoveryReport::decode(&report.encode()), Some(report));
    let zero = [&report.encode()[..report.encode().len() - 8], &[0; 8]].concat();
    assert_eq!(RecoveryReport::decode(&zero), None, "one form only");
    assert!(report.to_string().contains("(estimated: 2.3 ms)"), "{report}");
}

#[test]
fn cut_or_unknown_bytes_are_refused() {
    let bytes = report().encode();
    for len in 0..bytes.len() {
        assert_eq!(RecoveryReport::decode(&bytes[..len]), None, "{len} bytes");
    }
    assert_eq!(RecoveryReport::decode(&[&bytes[..], &[0]].concat()), None, "a byte too many");
    for (at, value) in [(0, 2), (1, 3), (2, 1), (3, 1), (4, 1), (7, 1)] {
        let mut newer = bytes.clone();
        newer[at] = value;
        assert_eq!(RecoveryReport::decode(&newer), None, "byte {at}");
    }
}

#[test]
fn sentence_says_what_was_kept_and_what_was_not() {
    let said = |report: RecoveryReport| report.to_string();
    assert_eq!(
        said(report()),
        "recovered after an unclean stop in 2.0 ms: log proven through 2.8192, 808 bytes behind it kept, though nobody \
         can tell whether they were acknowledged; 2 groups of an unfinished sync dropped; the wall clock is more than a \
         day past the last record"
    );
    let nothing =
        RecoveryReport { end: Lsn::new(2, 8192), groups_dropped: 0, clock: ClockNote::Fine, ..report() };
    assert_eq!(
        said(nothing),
        "recovered after an unclean stop in 2.0 ms: log proven through 2.8192, nothing behind it"
    );
    assert_eq!(
        said(RecoveryReport { lacking_bytes: 8192, ..nothing }),
        "recovered after an unclean stop in 2.0 ms: log proven through 2.8192, nothing behind it; open to read only, for \
         recovery lacks 8192 bytes of disk: free them, then close and open again"
    );
    let clean = RecoveryReport { clean: true, clock: ClockNote::Behind, ..report() };
    assert_eq!(
        said(clean),
        "opened after a clean close at 2.9000, in 2.0 ms; the wall clock is before the last record, time goes on from \
         there"
    );
}

#[test]
fn bytes_behind_the_proven_end_are_counted_in_one_timeline_only() {
    assert_eq!(report().unproven_bytes(), 808);
    assert_eq!(RecoveryReport { end: Lsn::new(2, 1), ..report() }.unproven_bytes(), 0);
    assert_eq!(RecoveryReport { end: Lsn::new(3, 9000), ..report() }.unproven_bytes(), 0);
}
