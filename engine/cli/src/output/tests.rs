use super::*;

const COLUMNS: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "Size", name: "size_bytes" },
    Column { title: "Value", name: "value" },
];

fn column(title: &'static str, name: &'static str) -> Column {
    Column { title, name }
}

fn answer(format: Format, rows: &[(&str, u64, &str)]) -> String {
    let mut answer = Rows::new(format, COLUMNS, TimeZone::UTC);
    let mut text = String::new();
    for (key, size, value) in rows {
        text += &answer.row(vec![Cell::Text((*key).into()), Cell::Bytes(*size), Cell::Json((*value).into())]);
    }
    text + &answer.finish()
}

const ROWS: [(&str, u64, &str); 2] = [("a\u{1b}[2J", 1536, r#"{"n":1}"#), ("Zo\u{eb}", 7, "null")];

#[test]
fn a_table_lines_up_and_obeys_nothing() {
    let expected = concat!(
        "Key           Size  Value\n",
        "a\\x1b[2J  1.50 KiB  {\"n\":1}\n",
        "Zo\u{eb}            7 B  null\n",
    );
    assert_eq!(answer(Format::Table, &ROWS), expected);
    assert_eq!(answer(Format::Table, &[]), "Key  Size  Value\n");
}

#[test]
fn json_is_one_text_and_jsonl_one_a_line() {
    let (first, second) = (
        r#"{"key":"a\u001b[2J","size_bytes":1536,"value":{"n":1}}"#,
        r#"{"key":"Zoë","size_bytes":7,"value":null}"#,
    );
    assert_eq!(answer(Format::Json, &ROWS), format!("[\n  {first},\n  {second}\n]\n"));
    assert_eq!(answer(Format::Jsonl, &ROWS), format!("{first}\n{second}\n"));
    assert_eq!(answer(Format::Json, &[]), "[]\n");
    assert_eq!(answer(Format::Jsonl, &[]), "");
}

#[test]
fn a_long_answer_is_printed_in_tables_as_it_comes() {
    let mut rows = Rows::new(Format::Table, COLUMNS, TimeZone::UTC);
    let mut printed = Vec::new();
    for at in 0..2 * TABLE_ROWS_MAX {
        printed.push(rows.row(vec![Cell::Count(at as u64), Cell::Nothing, Cell::Nothing]));
    }
    let lines: Vec<usize> = printed.iter().map(|text| text.lines().count()).filter(|n| *n > 0).collect();
    assert_eq!(lines, [TABLE_ROWS_MAX + 1; 2]);
    assert_eq!(rows.finish(), "", "nothing waits, and no empty table follows");
}

#[test]
fn each_cell_has_a_form_for_people_and_one_for_programs() {
    let time = Timestamp::from_microsecond(1_795_366_800_250_000).expect("a time");
    for (cell, shown, json) in [
        (Cell::Nothing, "", "null"),
        (Cell::Bool(true), "yes", "true"),
        (Cell::Count(2941), "2,941", "2941"),
        (Cell::Bytes(1 << 20), "1.00 MiB", "1048576"),
        (Cell::Duration(Duration::from_micros(3219)), "3.21 ms", "3.219"),
        (Cell::Duration(Duration::from_secs(3600)), "1 h 00 min", "3600000.000"),
        (Cell::Float(0.75), "0.750", "0.75"),
        (Cell::Float(f64::NAN), "NaN", "null"),
        (Cell::Text("a\"\u{202e}".into()), r#"a"\xe2\x80\xae"#, r#""a\"\u202e""#),
        (Cell::Version("2517.40960".parse().expect("a version")), "2517.40960", r#""2517.40960""#),
        (
            Cell::Time(time),
            "2026-11-22 17:00:00.25 +00:00 (2026-11-22T17:00:00.25Z)",
            r#""2026-11-22T17:00:00.25Z""#,
        ),
        (Cell::Json(r#"["\u{7f}"]"#.into()), r#"["\u{7f}"]"#, r#"["\u{7f}"]"#),
        (Cell::Json("[\"\u{7f}\"]".into()), r#"["\u007f"]"#, r#"["\u007f"]"#),
    ] {
        assert_eq!(cell.shown(&TimeZone::UTC), shown, "{cell:?}");
        assert_eq!(cell.json(), json, "{cell:?}");
    }
}

#[test]
fn a_table_shortens_what_json_writes_whole() {
    let long = "\u{e9}".repeat(TABLE_CHARS_MAX + 1);
    assert_eq!(
        Cell::Text(long.clone()).shown(&TimeZone::UTC),
        format!("{}…", "\u{e9}".repeat(TABLE_CHARS_MAX))
    );
    assert_eq!(Cell::Text(long.clone()).json(), format!("\"{long}\""));
    let fits = "x".repeat(TABLE_CHARS_MAX);
    assert_eq!(Cell::Text(fits.clone()).shown(&TimeZone::UTC), fits);
}

#[test]
fn one_thing_is_a_list_of_fields_or_an_object() {
    let fields =
        [(column("Keys", "keys"), Cell::Count(1000)), (column("On disk", "disk_bytes"), Cell::Bytes(2048))];
    assert_eq!(record(Format::Table, &fields, &TimeZone::UTC), "Keys     1,000\nOn disk  2.00 KiB\n");
    for format in [Format::Json, Format::Jsonl] {
        assert_eq!(record(format, &fields, &TimeZone::UTC), "{\"keys\":1000,\"disk_bytes\":2048}\n");
    }
}
