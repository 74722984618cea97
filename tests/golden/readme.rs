//! The worked example of `wal/README.md` is the golden files' own bytes, and its crash cases keep their numbers.

use crate::golden;

fn readme() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../wal/README.md");
    std::fs::read_to_string(path).expect("the log has a README")
}

/// A line of a worked example: the golden file, the offset in it, the bytes.
fn hex_lines(text: &str) -> Vec<(String, u64, Vec<u8>)> {
    let (mut file, mut lines) = (None, Vec::new());
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            file = info.strip_prefix("text ").map(str::to_owned);
        } else if let (Some(file), Some((offset, rest))) = (&file, line.split_once(": ")) {
            let offset = u64::from_str_radix(offset, 16).expect("an offset of eight hexadecimal digits");
            let bytes = rest.split("  ").next().unwrap_or_default().split(' ');
            let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits"));
            lines.push((file.clone(), offset, bytes.collect()));
        }
    }
    lines
}

#[test]
fn worked_example_is_the_golden_files_bytes() {
    let lines = hex_lines(&readme());
    for (file, offset, bytes) in &lines {
        let held = std::fs::read(golden(file)).expect("a golden file");
        let offset = usize::try_from(*offset).expect("small");
        assert_eq!(held.get(offset..offset + bytes.len()), Some(&bytes[..]), "{file} at {offset:08x}");
    }
    let drawn = |name: &str| {
        lines.iter().filter(|(file, ..)| file.starts_with(name)).map(|l| l.2.len()).sum::<usize>()
    };
    assert!(drawn("closed/log/") > 250 && drawn("closed/MANIFEST") > 150, "the example went missing");
}

#[test]
fn first_group_of_the_worked_example_is_drawn_without_a_gap() {
    let first = |l: &&(String, u64, Vec<u8>)| {
        l.0.ends_with("0890000000000000-0.seg") && (8192..12_288).contains(&l.1)
    };
    let text = readme();
    let lines = hex_lines(&text);
    let mut at = 8192;
    for (_, offset, bytes) in lines.iter().filter(first) {
        assert_eq!(*offset, at);
        at += bytes.len() as u64;
    }
    assert!(at >= 8192 + 116, "the group has 116 bytes");
}

#[test]
fn crash_cases_are_numbered_one_after_the_other() {
    let text = readme();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| C")?.split(' ').next());
    let numbers: Vec<usize> = cells.map(|cell| cell.parse().expect("a number")).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    assert!(numbers.len() >= 74, "a case is never taken out");
    for reference in
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.strip_prefix('C'))
    {
        if let Ok(number) = reference.parse::<usize>() {
            assert!((1..=numbers.len()).contains(&number), "C{number} is no case");
        }
    }
}
