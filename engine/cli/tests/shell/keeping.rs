//! What history keeps, said and changed by the command line.

use crate::world::{World, both_ways};

both_ways!(
    retention_says_what_is_kept_and_changes_it,
    refused_settings_change_nothing,
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
    world.ok(&["retention", "--moments", "2h/none/365d", "--outcomes", "1d"]);
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
        let refused = world.call(&["retention", "players", "--newest-only", "--moments", moments]);
        assert_eq!(refused.code, 2, "{moments}: {}", refused.err);
        assert!(refused.err.contains("single moments, and a store at most 32768"), "{}", refused.err);
    }
    let unchanged = world.ok(&["retention", "players", "--format", "json"]);
    assert!(unchanged.contains(r#""newest_only":false"#) && unchanged.contains(r#""minutes":"1 d 00 h""#));
    world.ok(&["retention", "--moments", "forever/forever/forever"]);
}

fn statistics_name_the_pin(world: World) {
    world.ok(&["set", "a/b", "1"]);
    let stat = world.ok(&["stat", "--format", "json"]);
    assert!(stat.contains(r#""oldest_moment":null"#), "{stat}");
    assert!(stat.contains(r#""every_moment_from":"#), "{stat}");
}
