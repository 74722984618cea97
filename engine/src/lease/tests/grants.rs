//! What stands in `$lease`.

use std::time::Duration;

use crate::lease::{Grant, Life};

#[test]
fn a_grant_comes_back_as_it_was_written() {
    for life in [Life::Inside(0), Life::Inside(u64::MAX), Life::External(0), Life::External(7)] {
        for time in [None, Some(Duration::from_millis(1)), Some(Duration::from_millis(u64::MAX))] {
            for holder in ["x", "eu-1", &"ü".repeat(32)] {
                let grant = Grant { holder: holder.into(), life, time };
                assert_eq!(Grant::decode(&grant.encode().unwrap()), grant);
            }
        }
    }
}

#[test]
fn bytes_that_are_no_grant_are_nobodys_and_over() {
    let good = Grant { holder: "eu-1".into(), life: Life::External(7), time: None }.encode().unwrap();
    let nobody = Grant::decode(&[]);
    assert_eq!(nobody.life, Life::Inside(0));
    for len in 0..good.len() {
        assert_eq!(Grant::decode(&good[..len]), nobody, "{len} bytes");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Grant::decode(&bytes)
    };
    assert_eq!(with(0, 9), nobody, "a newer format");
    assert_eq!(with(6, 2), nobody, "a kind that nobody knows");
    assert_eq!(with(2, b'\n'), nobody, "no name");
    assert_eq!(Grant::decode(&[&good[..], &[0]].concat()), nobody, "bytes behind it");
}

#[test]
fn the_bytes_of_a_grant_are_for_ever() {
    let grant = Grant { holder: "eu-1".into(), life: Life::External(7), time: Some(Duration::from_secs(30)) };
    let expected = [1, 4, b'e', b'u', b'-', b'1', 1, 7, 251, 0x30, 0x75];
    assert_eq!(grant.encode().unwrap(), expected);
}

#[test]
fn names_of_holders_have_bounds() {
    for bad in ["", "a\u{7f}", &"x".repeat(65)] {
        assert!(Grant { holder: bad.into(), life: Life::Inside(1), time: None }.encode().is_err());
    }
}
