//! What history keeps, said and changed by the command line.

use crate::world::{World, both_ways};

both_ways!(
    retention_says_what_is_kept_and_changes_it,
    refused_settings_change_nothing,
    to_keep_less_wants_consent_and_to_keep_more_does_not,
    statistics_name_the_pin,
);

fn retention_says_what_is_kept_and_changes_it(world: World) {
    let usual = world.ok(&["retention", "--format", "json"]);
    for part in [
        r#""every":"1 h 00 min""#,
        r#""minutes":"1 d 00 h""#,
        r#""hours":"30 d 00 h""#,
        r#""outcomes":"7 d 00 h""#,
    ] {
        assert!(usual.contains(part), "{usual}");
    }
    world.ok(&["set", "players/42", "1"]);
    let players = world.ok(&["retention", "players", "--autosaves", "1m", "--format", "json"]);
    assert!(players.contains(r#""autosaves":"1 min 00 s","versions":1"#), "{players}");
    assert!(players.contains(r#""explicit":"7 d 00 h""#), "what is not mentioned stays: {players}");
    let more =
        world.ok(&["retention", "players", "--versions", "20", "--explicit", "forever", "--format", "json"]);
    assert!(more.contains(r#""explicit":"for ever","autosaves":"1 min 00 s","versions":20"#), "{more}");
    let newest = world.ok(&["retention", "cache", "--newest-only", "--format", "json"]);
    assert!(newest.contains(r#""collection":"cache","newest_only":true"#), "{newest}");
    assert!(
        world.ok(&["retention", "cache", "--history", "--format", "json"]).contains(r#""newest_only":false"#)
    );
    world.ok(&["retention", "--moments", "2h/none/365d", "--outcomes", "1d", "--yes"]);
    let changed = world.ok(&["retention", "players", "--format", "json"]);
    assert!(changed.contains(
        r#""every":"2 h 00 min","minutes":"not at all","hours":"365 d 00 h","outcomes":"1 d 00 h""#
    ));
    assert!(changed.contains(r#""versions":20"#), "{changed}");
    assert_eq!(world.ok(&["get", "players/42"]), "1\n");
}

fn refused_settings_change_nothing(world: World) {
    for words in [
        &["retention", "--autosaves", "1m"][..],
        &["retention", "players", "--versions", "0"],
        &["retention", "players", "--newest-only", "--versions", "3"],
        &["retention", "players", "--newest-only", "--history"],
        &["retention", "--moments", "1h"],
        &["retention", "players", "--explicit", "soon"],
    ] {
        assert_eq!(world.call(words).code, 2, "{words:?}");
    }
    for moments in ["1h/60d/60d", "1h/1d/forever", "1h/forever/forever"] {
        let refused = world.call(&["retention", "players", "--newest-only", "--moments", moments, "--yes"]);
        assert_eq!(refused.code, 2, "{moments}: {}", refused.err);
        assert!(refused.err.contains("single moments, and a store at most 32768"), "{}", refused.err);
    }
    let unchanged = world.ok(&["retention", "players", "--format", "json"]);
    assert!(unchanged.contains(r#""newest_only":false"#) && unchanged.contains(r#""minutes":"1 d 00 h""#));
    world.ok(&["retention", "--moments", "forever/forever/forever"]);
}

fn to_keep_less_wants_consent_and_to_keep_more_does_not(world: World) {
    world.ok(&["set", "players/42", "1"]);
    let usual = world.ok(&["retention", "players", "--format", "json"]);
    for words in [
        &["retention", "players", "--newest-only"][..],
        &["retention", "players", "--explicit", "1d"],
        &["retention", "--moments", "none/none/none"],
        &["retention", "--moments", "2h/1d/29d"],
        &["retention", "--outcomes", "1d"],
    ] {
        let refused = world.refused(words, 2);
        assert!(
            refused.contains("keep less history (") && refused.contains("`--yes`"),
            "{words:?}: {refused}"
        );
    }
    assert_eq!(world.ok(&["retention", "players", "--format", "json"]), usual);
    for words in [
        &["retention", "players", "--versions", "5", "--explicit", "forever"][..],
        &["retention", "--moments", "30d/none/none"],
        &["retention", "players", "--newest-only", "--yes"],
        &["retention", "players", "--autosaves", "1m"],
    ] {
        assert_eq!(world.call(words).err, "", "{words:?}");
    }
    let unknown = world.call(&["retention", "player", "--newest-only"]);
    assert!(unknown.code == 0 && unknown.err.contains("there is no collection player yet"), "{unknown:?}");
}

fn statistics_name_the_pin(world: World) {
    world.ok(&["set", "a/b", "1"]);
    let stat = world.ok(&["stat", "--format", "json"]);
    assert!(stat.contains(r#""oldest_moment":null"#), "{stat}");
    assert!(stat.contains(r#""every_moment_from":"#), "{stat}");
}
