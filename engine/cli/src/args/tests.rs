use clap::{CommandFactory, Parser};

use super::*;
use crate::keypath::Keypath;
use crate::moment::Moment;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(words(line))
}

fn verb(line: &str) -> Verb {
    parse(line).unwrap_or_else(|e| panic!("{line}: {e}")).verb
}

/// Splits as a shell does, as far as the examples need it: blanks, quotes; a pipe or redirection ends the call.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut word) = (Vec::new(), None, None::<String>);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '>') => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "{line}");
    words.extend(word);
    words
}

/// Every command of the grammar, those of `bench` too, with the words that call it.
fn commands() -> Vec<(String, clap::Command)> {
    let mut found = vec![("savehold".to_owned(), Args::command())];
    let mut at = 0;
    while at < found.len() {
        let (name, command) = found[at].clone();
        let deeper = command.get_subcommands().map(|sub| (format!("{name} {}", sub.get_name()), sub.clone()));
        found.extend(deeper);
        at += 1;
    }
    found
}

#[test]
fn the_grammar_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn every_verb_teaches_with_examples_and_every_example_is_a_call() {
    let mut examples = 0;
    for (name, mut command) in commands() {
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> =
            help.lines().map(str::trim).filter(|line| line.starts_with("savehold ")).collect();
        assert!(name.starts_with("savehold bench ") || !lines.is_empty(), "{name} shows no example");
        for line in lines {
            let outcome = line.split('|').map(str::trim).try_for_each(|call| parse(call).map(drop));
            assert!(outcome.is_ok(), "{line}: {}", outcome.unwrap_err());
            examples += 1;
        }
    }
    assert!(examples >= 30, "found {examples} examples");
}

#[test]
fn every_verb_and_option_is_explained() {
    for (name, command) in commands() {
        assert!(command.get_about().is_some(), "{name}");
        let verb_of_bench = name.starts_with("savehold bench ");
        assert!(
            verb_of_bench || name == "savehold" || command.get_long_about().is_some(),
            "{name} has no long help"
        );
        for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{name}: {}", argument.get_id());
        }
    }
}

#[test]
fn the_help_of_a_verb_is_about_that_verb() {
    for (name, start) in [
        ("set", "Write the value of a key"),
        ("update", "Change the value of a key"),
        ("remove", "Remove a key"),
        ("bench", "Measure a store"),
    ] {
        let command = Args::command().find_subcommand(name).cloned().expect(name);
        let long = command.get_long_about().expect(name).to_string();
        assert!(long.starts_with(start), "{name}: {long}");
    }
}

#[test]
fn exit_codes_keys_and_moments_stand_in_the_long_help() {
    let help = Args::command().render_long_help().to_string();
    for part in [codes().as_str(), "collection/key", "yesterday 18:00", "pin:", "2517.40960"] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn options_for_every_verb_may_stand_before_or_behind_it() {
    for line in [
        "savehold --dir data --format json --yes remove players/42",
        "savehold remove players/42 --yes --dir data --format json",
        "savehold remove --dir=data --yes players/42 --format=json",
    ] {
        let args = parse(line).expect(line);
        assert_eq!(
            (args.dir.as_deref(), args.format, args.yes),
            (Some("data".as_ref()), Format::Json, true),
            "{line}"
        );
        assert_eq!(args.store().map(|dir| dir.display().to_string()).as_deref(), Ok("data"));
    }
    assert_eq!(parse("savehold list").map(|args| args.format).ok(), Some(Format::Table));
}

#[test]
fn a_call_that_names_no_store_is_told_how_to() {
    let args = Args { dir: Some("".into()), ..parse("savehold list").expect("a call") };
    let failure = args.store().expect_err("no store");
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(
        failure.to_string(),
        "no store is named; name its directory with `--dir DIR` or in SAVEHOLD_DIR"
    );
}

#[test]
fn defaults_are_those_that_the_help_promises() {
    let Verb::Demo(demo) = verb("savehold demo") else { panic!("not a demo") };
    assert_eq!((demo.seconds, demo.players, demo.kills), (10, 1000, 10));
    let Verb::Get(get) = verb("savehold get players/42") else { panic!("not a get") };
    assert_eq!((get.key, get.at), ("players/42".parse::<Keypath>().expect("a key"), Moment::Now));
    let Verb::Load(load) = verb("savehold load") else { panic!("not a load") };
    assert_eq!(load.file, PathBuf::from("-"));
    let Verb::Bench(Bench { verb: BenchVerb::Commit(work) }) = verb("savehold bench commit") else {
        panic!("not a bench")
    };
    let (records, value_size, threads, in_flight) = (100_000, 100, 1, 1);
    let (seconds, durability, hot) = (5, Durability::Synced, false);
    assert_eq!(work, Workload { records, value_size, threads, in_flight, seconds, durability, hot });
}

#[test]
fn values_that_begin_with_a_hyphen_are_values() {
    let Verb::Update(update) = verb("savehold update visits/1 --increment -5") else {
        panic!("not an update")
    };
    assert_eq!(update.increment, Some(-5));
    let Verb::Get(get) = verb("savehold get players/42 --at -2h30m") else { panic!("not a get") };
    assert_eq!(get.at, "-2h30m".parse().expect("a moment"));
    let Verb::Set(set) = verb("savehold set scores/1 -7.5 --if-absent") else { panic!("not a set") };
    assert_eq!((set.value, set.if_absent), (Json::Value((-7.5).into()), true));
    let Verb::Set(set) = verb("savehold set scores/1 -") else { panic!("not a set") };
    assert_eq!(set.value, Json::Stdin);
}

#[test]
fn a_wrong_call_is_refused_in_one_line_that_says_where_to_read_on() {
    for (line, what, next) in [
        ("savehold gett players/42", "unrecognized subcommand 'gett'", "see `savehold --help`"),
        ("savehold get", "<KEY>", "see `savehold get --help`"),
        ("savehold get players", "collection/key", "see `savehold get --help`"),
        ("savehold get players/42 --at 25:00", "a moment is written like", "see `savehold get --help`"),
        ("savehold get players/42 --format xml", "table, json, jsonl", "see `savehold get --help`"),
        ("savehold set players/42 hello", "quotes of its own", "see `savehold set --help`"),
        ("savehold set players/42 1 --meta build", "NAME=TEXT", "see `savehold set --help`"),
        (
            "savehold set players/42 1 --if-absent --if-version 1.2",
            "cannot be used with",
            "see `savehold set --help`",
        ),
        ("savehold set players/42 1 --id ''", "an id has 1 to 64 bytes", "see `savehold set --help`"),
        ("savehold update players/42", "--increment", "see `savehold update --help`"),
        (
            "savehold update a/b --increment 1 --merge-json '{}'",
            "cannot be used with",
            "see `savehold update --help`",
        ),
        ("savehold update a/b --merge-json '[1]'", "a JSON object", "see `savehold update --help`"),
        ("savehold list --values", "<SCOPE>", "see `savehold list --help`"),
        ("savehold repair --to data.new", "--report", "see `savehold repair --help`"),
        ("savehold demo --players 1", "1 is not in 2..", "see `savehold demo --help`"),
        (
            "savehold bench commit --value-size 65MiB",
            "not in 0..=67108864",
            "see `savehold bench commit --help`",
        ),
        ("savehold bench get --records 0", "0 is not in 1..", "see `savehold bench get --help`"),
    ] {
        let error = parse(line).expect_err(line);
        let failure = Failure::usage(&error, &command_of(&words(line)));
        let shown = failure.to_string();
        assert_eq!(failure.exit, Exit::Usage, "{line}");
        assert_eq!(shown.lines().count(), 1, "{line}: {shown}");
        assert!(shown.contains(what) && shown.ends_with(next), "{line}: {shown}");
    }
}

#[test]
fn a_message_names_the_command_as_far_as_it_was_called() {
    for (line, expected) in [
        ("savehold", "savehold"),
        ("savehold --dir data get players/42", "savehold get"),
        ("savehold bench --format json commit --threads x", "savehold bench commit"),
        ("savehold nonsense", "savehold"),
    ] {
        assert_eq!(command_of(&words(line)), expected);
    }
}

#[test]
fn a_call_without_a_verb_shows_the_help() {
    for line in ["savehold", "savehold bench"] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        assert!(error.to_string().contains("Usage: "), "{line}");
    }
}
