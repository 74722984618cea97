use super::*;
use crate::limits::VALUE_DEPTH_MAX;
use crate::value::tests::nested;

/// What an answer says.
fn answered(said: &[u8]) -> Result<Map> {
    match line(said)? {
        Line::Answer(said) => Ok(said),
        Line::Progress(at) => panic!("it goes on: {at:?}"),
    }
}

#[test]
fn how_far_something_has_come_travels() {
    let ms = Duration::from_millis;
    let bytes = Progress { done_bytes: 7, total_bytes: 1 << 60, elapsed: ms(3), remaining: ms(40) };
    let keys = Advance::Keys { looked_at: 1 << 60, set_back: 7, elapsed: ms(3) };
    for at in [Advance::Bytes(bytes), keys] {
        let told = progress(&at);
        assert!(!told.contains('\n'), "{told}");
        assert_eq!(line(told.as_bytes()).unwrap(), Line::Progress(at));
    }
}

#[test]
fn every_kind_of_error_travels_with_all_it_says() {
    for kind in KINDS.iter().copied() {
        let version: Version = "7.4096".parse().unwrap();
        let sent = Error::new(kind, format!("{kind:?}: \"do\" this\n"))
            .at(version)
            .or_older(Version::from(Lsn::new(7, 8)));
        let line = answer(Err(sent.clone()));
        assert!(!line.contains('\n'), "{line}");
        let came = answered(line.as_bytes()).unwrap_err();
        assert_eq!((came.kind(), came.message()), (kind, sent.message()));
        assert_eq!((came.version(), came.older()), (sent.version(), sent.older()));
    }
}

#[test]
fn what_an_error_knows_of_a_lease_travels() {
    let (held, current): (Token, Token) = ("7.8".parse().unwrap(), "7.16".parse().unwrap());
    let leased = Error::new(ErrorKind::Leased, "m").held_by("red", Some(Duration::from_millis(1500)));
    let came = answered(answer(Err(leased)).as_bytes()).unwrap_err();
    assert_eq!((came.holder(), came.time_left()), (Some("red"), Some(Duration::from_millis(1500))));
    let fenced = Error::new(ErrorKind::Fenced, "m").fenced(held, Some(current));
    let came = answered(answer(Err(fenced)).as_bytes()).unwrap_err();
    assert_eq!((came.held(), came.current(), came.holder()), (Some(held), Some(current), None));
}

#[test]
fn a_kind_of_a_newer_holder_asks_for_the_same_next_move() {
    for (next, kind) in [
        ("Retry", ErrorKind::Busy),
        ("EndSession", ErrorKind::Ended),
        ("FixCall", ErrorKind::Invalid),
        ("Restore", ErrorKind::Corrupt),
        ("Reopen", ErrorKind::Halted),
        ("Dance", ErrorKind::Halted),
    ] {
        let line = format!(r#"{{"error":{{"kind":"Brandnew","next":"{next}","message":"m"}}}}"#);
        assert_eq!(answered(line.as_bytes()).unwrap_err().kind(), kind, "{next}");
    }
}

#[test]
fn the_deepest_value_travels_in_a_request_and_in_an_answer() {
    let deepest = nested(VALUE_DEPTH_MAX);
    let entry = Map::from([("value", deepest.clone())]);
    let said = Map::from([("entries", Value::List(vec![entry.into()]))]);
    let line = answer(Ok(said));
    let back = answered(line.as_bytes()).unwrap();
    assert_eq!(back.get("entries").unwrap().as_list().unwrap()[0].get("value"), Some(&deepest));
    assert_eq!(read(&vec![b'['; 100_000]).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn what_is_no_answer_is_said() {
    for line in ["", "7", "{}", r#"{"ok":7}"#, r#"{"error":7}"#, "[", "\u{0}"] {
        assert_eq!(answered(line.as_bytes()).unwrap_err().kind(), ErrorKind::Decode, "{line:?}");
    }
}

#[test]
fn members_are_what_the_verb_wants_or_refused_by_name() {
    let asked =
        Map::from([("do", Value::from("x")), ("n", (-1).into()), ("t", "7.8".into()), ("z", Value::Nil)]);
    let asked = Asked(&asked);
    assert!(asked.only(&["n", "t"]).unwrap_err().message().contains('z'));
    assert!(asked.only(&["n", "t", "z"]).is_ok());
    assert!(asked.count_if("n").is_err() && asked.text("n").is_err() && asked.flag("t").is_err());
    assert!(asked.text("z").is_err() && asked.value("z").is_ok() && asked.value("y").is_err());
    assert_eq!(asked.at("t").unwrap(), At::Version(Version::from(Lsn::new(7, 8))));
    assert_eq!(asked.at("z").unwrap(), At::Now);
    assert!(asked.at("n").is_err());
}
