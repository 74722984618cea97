use savehold_wal::{ErrorKind as Log, Lsn};

use super::*;

const OF_THE_LOG: [(Log, ErrorKind); 17] = [
    (Log::Locked, ErrorKind::Locked),
    (Log::Missing, ErrorKind::Missing),
    (Log::Foreign, ErrorKind::Foreign),
    (Log::Format, ErrorKind::Format),
    (Log::Corrupt, ErrorKind::Corrupt),
    (Log::Io, ErrorKind::Io),
    (Log::Full, ErrorKind::Full),
    (Log::Busy, ErrorKind::Busy),
    (Log::TooLarge, ErrorKind::TooLarge),
    (Log::Halted, ErrorKind::Halted),
    (Log::Unknown, ErrorKind::Unknown),
    (Log::Closed, ErrorKind::Closed),
    (Log::Gone, ErrorKind::Gone),
    (Log::Forked, ErrorKind::Forked),
    (Log::Invalid, ErrorKind::Invalid),
    (Log::Aborted, ErrorKind::Aborted),
    (Log::ReadOnly, ErrorKind::ReadOnly),
];

#[test]
fn an_error_of_the_log_keeps_kind_sentence_and_next_move() {
    for (log, ours) in OF_THE_LOG {
        let error = Error::from(savehold_wal::Error::new(log, "segment 7: try again"));
        assert_eq!(error.kind(), ours);
        assert_eq!(error.message(), "segment 7: try again");
        assert_eq!(format!("{:?}", error.next()), format!("{:?}", log.next()), "{log:?}");
        assert!(error.source().is_some());
    }
}

#[test]
fn only_unknown_may_have_happened_and_it_names_its_commit() {
    for (log, _) in OF_THE_LOG {
        let error = Error::from(savehold_wal::Error::new(log, "x").at(Lsn::new(3, 4096)));
        assert_eq!(error.may_have_happened(), log == Log::Unknown, "{log:?}");
        assert_eq!(error.version(), Some(Version::from(Lsn::new(3, 4096))));
    }
}

#[test]
fn a_lost_session_ends_and_a_held_key_is_tried_again() {
    let table = [
        (ErrorKind::Fenced, Next::EndSession),
        (ErrorKind::Ended, Next::EndSession),
        (ErrorKind::Leased, Next::Retry),
        (ErrorKind::MailboxFull, Next::Retry),
        (ErrorKind::Conflict, Next::FixCall),
        (ErrorKind::Refused, Next::FixCall),
        (ErrorKind::Damaged, Next::Restore),
        (ErrorKind::Unknown, Next::Reopen),
    ];
    for (kind, next) in table {
        assert_eq!(Error::new(kind, "x").next(), next, "{kind:?}");
    }
}

#[test]
fn naming_a_place_leaves_other_clones_alone() {
    let first = Error::new(ErrorKind::Damaged, "checksum does not match");
    let version = Version::from(Lsn::new(1, 0));
    let second = first.clone().within("players/42").or_older(version);
    assert_eq!(first.to_string(), "checksum does not match");
    assert_eq!(second.to_string(), "players/42: checksum does not match");
    assert_eq!((first.older(), second.older()), (None, Some(version)));
    assert_eq!(format!("{second:?}"), "Damaged: players/42: checksum does not match");
}
