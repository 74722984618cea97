//! What the golden logs hold.

/// A record: its place, its head, the parts of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) lsn: String,
    pub(crate) head: Vec<u8>,
    pub(crate) parts: Vec<Vec<u8>>,
}

fn held(lsn: &str, head: &[u8], parts: &[&[u8]]) -> Held {
    Held { lsn: lsn.to_owned(), head: head.to_vec(), parts: parts.iter().map(|part| part.to_vec()).collect() }
}

/// Bytes that look like anything.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * n / 7 + n) as u8).collect()
}

/// `closed`: a group each, then two buffered and three synced in one segment, then large ones; closed.
pub(crate) fn closed() -> Vec<Held> {
    vec![
        held("2192.72", b"first head", &[b"first body"]),
        held("2192.4144", b"no body", &[]),
        held("2192.8240", b"", &[b"no head"]),
        held("2192.16480", b"three parts", &[b"one", b"", b"three"]),
        held("2192.16587", b"buffered", &[b"right behind"]),
        held("2192.16679", b"batch 1", &[b"a"]),
        held("2192.16711", b"batch 2", &[b"bb"]),
        held("2192.16744", b"batch 3", &[b"ccc"]),
        held("2192.49248", b"large", &[&noise(40_000)]),
        held("2192.94304", &noise(5000), &[b"large head"]),
    ]
}

/// `recovered`: two proven; two that were kept without being proven, in a rest segment; two in a new segment.
pub(crate) fn recovered() -> Vec<Held> {
    vec![
        held("2192.72", b"proven", &[b"so says the next group"]),
        held("2192.4144", b"synced", &[b"the group behind it says so"]),
        held("2192.8240", b"buffered 1", &[b"x"]),
        held("2192.8323", b"buffered 2", &[b"y", b"z"]),
        held("2192.49272", b"after recovery", &[b"in a new segment"]),
        held("2192.53296", b"the last", &[b"unproven again"]),
    ]
}
