use super::*;
use crate::profile::tests::map;

fn migration(name: &str, compatible: Compatible, run: fn(&mut Doc<'_>) -> Result<()>) -> Migration {
    Migration { name: name.into(), compatible, run: Box::new(run) }
}

fn names(names: &[(&str, Compatible)]) -> Vec<Applied> {
    names.iter().map(|(name, compatible)| Applied { name: (*name).into(), compatible: *compatible }).collect()
}

use Compatible::{No, Yes};

fn ours() -> Vec<Migration> {
    vec![
        migration("gold is coins", No, |doc| doc.rename("gold", "coins")),
        migration("coins are cents", Yes, |doc| {
            doc.change("coins", |coins| coins.as_i64().unwrap_or(0) * 100)
        }),
    ]
}

#[test]
fn what_a_document_lacks_runs_in_order_and_is_noted() {
    let table = [
        (names(&[]), 700, vec!["gold is coins", "coins are cents"]),
        (names(&[("gold is coins", No)]), 700, vec!["coins are cents"]),
        (names(&[("gold is coins", No), ("coins are cents", Yes)]), 7, vec![]),
        (names(&[("given up", No), ("gold is coins", No)]), 700, vec!["coins are cents"]),
        (names(&[("gold is coins", No), ("newer", Yes)]), 700, vec!["coins are cents"]),
    ];
    for (mut applied, coins, expected) in table {
        let was = applied.clone();
        let field = if was.iter().any(|a| a.name == "gold is coins") { "coins" } else { "gold" };
        let mut document = map([("a", 1.into()), (field, 7.into())]);
        let ran = migrate(&mut document, &mut applied, &ours()).expect("it runs");
        assert_eq!(ran, expected);
        assert_eq!(document, map([("a", 1.into()), ("coins", coins.into())]), "{was:?}");
        assert!(applied.starts_with(&was) && applied.len() == was.len() + ran.len());
        assert!(all_of(&ours()).iter().all(|a| applied.contains(a)));
        let again = document.clone();
        assert!(migrate(&mut document, &mut applied, &ours()).expect("nothing to do").is_empty());
        assert_eq!(document, again);
    }
}

#[test]
fn an_older_program_may_write_only_what_newer_ones_say_it_may() {
    let table = [
        (names(&[("gold is coins", No), ("newer", Yes), ("newest", Yes)]), true),
        (names(&[("gold is coins", No), ("newer", No)]), false),
        (names(&[("gold is coins", No), ("newer", Yes), ("newest", No)]), false),
        (names(&[("newer", No)]), false),
        (names(&[("newer", Yes)]), true),
        (names(&[("given up", No), ("coins are cents", Yes)]), true),
    ];
    for (mut applied, may) in table {
        let ran = migrate(&mut map([]), &mut applied, &ours());
        assert_eq!(ran.err().map(|e| e.kind()), (!may).then_some(ErrorKind::Format), "{applied:?}");
    }
    assert!(
        migrate(&mut map([]), &mut names(&[("a", No)]), &[]).is_err(),
        "a program without migrations too"
    );
}

#[test]
fn a_migration_that_refuses_is_named_and_notes_nothing() {
    let both = vec![migration("gold is coins", No, |doc| doc.rename("gold", "coins"))];
    let mut applied = Vec::new();
    let mut document = map([("gold", 1.into()), ("coins", 2.into())]);
    let e = migrate(&mut document, &mut applied, &both).expect_err("both are there");
    assert_eq!((e.kind(), applied.len()), (ErrorKind::Conflict, 0));
    assert!(e.message().starts_with("migration \"gold is coins\": gold cannot become coins"), "{e}");
}

#[test]
fn names_of_migrations_are_short_and_stand_once() {
    let nothing = |name: &str| migration(name, Yes, |_| Ok(()));
    let long = "n".repeat(NAME_BYTES_MAX);
    assert!(check(&[nothing("a"), nothing(&long)]).is_ok());
    assert_eq!(check(&[nothing("a"), nothing("a")]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(check(&[nothing("")]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(check(&[nothing(&format!("{long}x"))]).unwrap_err().kind(), ErrorKind::TooLarge);
    let many: Vec<Migration> = (0..31).map(|n| nothing(&format!("{n:064}"))).collect();
    assert_eq!(check(&many).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn of_too_many_names_those_that_were_given_up_are_forgotten() {
    let old: Vec<(String, Compatible)> = (0..60).map(|n| (format!("{n:060}"), No)).collect();
    let old: Vec<(&str, Compatible)> = old.iter().map(|(name, c)| (name.as_str(), *c)).collect();
    let mut applied = names(&[old, vec![("gold is coins", No), ("newer", Yes)]].concat());
    migrate(&mut map([]), &mut applied, &ours()).expect("it runs");
    assert!(applied.len() < 40 && applied.iter().map(|a| a.name.len() + 3).sum::<usize>() <= NAMES_BYTES_MAX);
    let kept: Vec<&str> = applied.iter().map(|a| a.name.as_str()).collect();
    assert!(["gold is coins", "newer", "coins are cents"].iter().all(|name| kept.contains(name)), "{kept:?}");
}

/// Who knows one migration does not know which of the others a program still has, and would run again.
#[test]
fn by_hand_no_name_is_forgotten_and_one_too_many_is_refused() {
    let programs: Vec<String> = (0..32).map(|n| format!("{n:060}")).collect();
    let was = names(&programs.iter().map(|name| (name.as_str(), No)).collect::<Vec<_>>());
    let hand = |bytes| vec![migration(&"h".repeat(bytes), Yes, |doc| doc.set("a", 1))];
    for (name_bytes, fits) in [(29, true), (30, false), (40, false)] {
        let (mut document, mut applied) = (map([]), was.clone());
        match by_hand(&mut document, &mut applied, &hand(name_bytes)) {
            Ok(ran) => assert!(fits && ran.len() == 1 && applied.starts_with(&was)),
            Err(e) => {
                assert!(!fits && e.kind() == ErrorKind::TooLarge && e.message().contains("shorter"), "{e}")
            }
        }
        assert!(fits || (applied == was && document == map([])), "nothing came of it");
    }
    let mut many = [was.clone(), names(&[(&"n".repeat(64), Yes)])].concat();
    let before = many.clone();
    let newest = vec![migration(&"n".repeat(64), Yes, |doc| doc.set("a", 1))];
    assert!(
        by_hand(&mut map([]), &mut many, &newest).unwrap().is_empty(),
        "it ran before: nothing is too large"
    );
    assert_eq!(many, before);
}

#[test]
fn a_document_in_the_hands_of_a_migration() -> Result<()> {
    let mut value = map([("a", 1.into()), ("b", map([("c", 2.into())])), ("d", 3.into())]);
    let mut doc = Doc::new(&mut value);
    doc.rename("a", "z")?;
    doc.rename("absent", "d")?;
    doc.rename("d", "d")?;
    doc.inside("b").expect("a map").rename("c", "e")?;
    assert!(doc.inside("z").is_none() && doc.inside("absent").is_none());
    assert_eq!(doc.remove("d")?, Some(3.into()));
    assert_eq!(doc.remove("d")?, None);
    doc.set("f", 4)?;
    doc.change("absent", |_| 5)?;
    assert_eq!(doc.get("f"), Some(&4.into()));
    assert_eq!(value, map([("z", 1.into()), ("b", map([("e", 2.into())])), ("f", 4.into())]));
    let mut number = Value::from(5);
    let mut doc = Doc::new(&mut number);
    assert_eq!(doc.rename("a", "b").unwrap_err().kind(), ErrorKind::WrongType);
    *doc.value() = Value::from(6);
    assert_eq!(number, Value::from(6));
    Ok(())
}
