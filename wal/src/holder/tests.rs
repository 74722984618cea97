use super::*;

const HOLDER: Holder = Holder { pid: 4711, since_us: 1_767_225_600_000_000, unfinished: 2 };

#[test]
fn text_is_one_field_a_line_and_reversible() {
    assert_eq!(HOLDER.encode(), "pid 4711\nsince_us 1767225600000000\nunfinished 2\n");
    for holder in
        [HOLDER, Holder::default(), Holder { pid: u32::MAX, since_us: u64::MAX, unfinished: u32::MAX }]
    {
        assert_eq!(Holder::decode(&holder.encode()), holder);
    }
}

#[test]
fn fields_are_found_in_any_order_and_what_cannot_be_read_is_zero() {
    let cases = [
        ("", Holder::default()),
        ("unfinished 2\nnewer field\nsince_us 1767225600000000\r\npid 4711", HOLDER),
        ("pid", Holder::default()),
        ("pid -1\nunfinished 4294967296\nsince_us many", Holder::default()),
        ("pids 1\npid 7\npid 8", Holder { pid: 7, ..Holder::default() }),
        ("pid 7\nsince", Holder { pid: 7, ..Holder::default() }),
        ("\u{fffd}\0\0", Holder::default()),
    ];
    for (text, holder) in cases {
        assert_eq!(Holder::decode(text), holder, "{text:?}");
    }
}

#[test]
fn every_truncation_is_read_without_complaint() {
    let text = HOLDER.encode();
    for len in 0..text.len() {
        let read = Holder::decode(&text[..len]);
        assert!(read.unfinished == 0 || read.unfinished == 2, "{len} bytes");
    }
}

#[test]
fn who_is_refused_learns_who_has_it() {
    let root = Path::new("somewhere");
    let said = |pid| held_by(root, Holder { pid, ..HOLDER }).message().to_owned();
    assert!(said(0).contains("another process"));
    assert!(said(4711).contains("process 4711"));
    assert!(said(std::process::id()).contains("another handle"));
    assert_eq!(held_by(root, HOLDER).kind(), ErrorKind::Locked);
}
