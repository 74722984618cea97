//! A small log is written on a simulated machine, then damaged as disks damage: flipped bits, lost, stale and
//! misdirected sectors, lost ends. Nothing is read from it that was not written.
//!
//! Damage never writes bytes of the input's choosing: a fuzzer that is shown a checksum would forge it.

#![no_main]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use savehold_wal::env::{Env, Threads};
use savehold_wal::format::checksum::Binding;
use savehold_wal::format::frame::FrameKind;
use savehold_wal::format::header::{SegmentHeader, SegmentKind};
use savehold_wal::format::packed::{Footer, PackedRef, decode_directory};
use savehold_wal::scan::tail::{Facts, Verdict, judge};
use savehold_wal::scan::{Span, Verify, first_bad, skim};
use savehold_wal::sim::{Draw, Sim, SimClock, SimDisk, SimEntropy};
use savehold_wal::{Append, Durability, Frame, Judged, Lsn, Options, Packing, Stay, Wal};

type Written = BTreeMap<Lsn, (Vec<u8>, Vec<Vec<u8>>)>;

/// A log as it was left, before any damage.
struct Left {
    disk: SimDisk,
    files: Vec<(PathBuf, Vec<u8>)>,
    written: Written,
}

const ROOT: &str = "/store";

/// Logs of many shapes are written once; each run damages one of them.
fn logs() -> &'static [Left] {
    static LOGS: OnceLock<Vec<Left>> = OnceLock::new();
    LOGS.get_or_init(|| {
        (0..256)
            .map(|seed| {
                let mut sim = Sim::new(seed);
                let written = write(&mut sim, &mut Draw::from_seed(seed));
                let disk = sim.disk();
                Left { files: segment_files(&disk), disk, written }
            })
            .collect()
    })
}

fuzz_target!(|data: &[u8]| {
    let mut draw = Draw::from_bytes(data);
    let left = &logs()[draw.below(256) as usize];
    let opened = draw.below(2) == 0;
    let disk = left.disk.fork();
    for (path, bytes) in damaged(&left.files, &mut draw) {
        scan(&bytes, &left.written);
        disk.plant(&path, &bytes).expect("the disk is healthy");
    }
    if opened {
        open(disk, &left.written);
    }
});

fn options() -> Options {
    let never = Duration::from_secs(1 << 30);
    Options {
        sync_after: never,
        mark_after: never,
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 16 << 10,
        ..Options::default()
    }
}

/// A few records, drawn; then a close or a kill.
fn write(sim: &mut Sim, draw: &mut Draw) -> Written {
    assert_eq!(sim.dir(), Path::new(ROOT));
    let log = Wal::open_in(sim.env(), sim.dir(), options()).expect("the machine is healthy");
    let mut written = Written::new();
    for n in 0..1 + draw.below(8) {
        let head = vec![n as u8; draw.below(40) as usize];
        let parts: Vec<Vec<u8>> = (0..draw.below(3))
            .map(|part| vec![part as u8; [0, 1, 100, 3000][draw.below(4) as usize]])
            .collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let durability = if draw.below(2) == 0 { Durability::Synced } else { Durability::Buffered };
        let frame = Frame::record(&head, &slices).expect("small");
        let lsn =
            log.commit(frame, Append { durability, ..Append::default() }).expect("the machine is healthy");
        written.insert(lsn, (head, parts));
    }
    if draw.below(3) == 0 {
        let packing = Packing { from: Lsn::NONE, to: Lsn::MAX, judged: Judged::default() };
        log.pack(packing, |_| Ok(Stay::Whole), |_| ControlFlow::Continue(()))
            .expect("the machine is healthy");
    }
    if draw.below(2) == 0 {
        log.close().expect("the machine is healthy");
    } else {
        sim.kill();
    }
    written
}

fn segment_files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let names = disk.files().into_iter().map(|(name, _)| PathBuf::from(name));
    let segments = names.filter(|name| name.extension().is_some_and(|ending| ending == "seg"));
    let read = |path: PathBuf| disk.read(&path).map(|bytes| (path, bytes)).expect("it was listed");
    segments.map(read).collect()
}

/// The files that damage changed. At most three bits flip in all: what a CRC-32 always notices.
fn damaged(files: &[(PathBuf, Vec<u8>)], draw: &mut Draw) -> Vec<(PathBuf, Vec<u8>)> {
    const SECTOR: usize = 512;
    let mut changed: BTreeMap<PathBuf, Vec<u8>> = files.iter().cloned().collect();
    let mut flips = 0;
    for _ in 0..1 + draw.below(4) {
        let (path, _) = &files[draw.below(files.len() as u64) as usize];
        let (other, _) = &files[draw.below(files.len() as u64) as usize];
        let source = changed[other].clone();
        let bytes = changed.get_mut(path).expect("all files are there");
        if bytes.is_empty() || source.is_empty() {
            continue;
        }
        let sector = |len: usize, draw: &mut Draw| draw.below(len.div_ceil(SECTOR) as u64) as usize * SECTOR;
        let at = sector(bytes.len(), draw);
        let end = bytes.len().min(at + SECTOR);
        match draw.below(5) {
            0 if flips < 3 => {
                flips += 1;
                bytes[(at + draw.below(SECTOR as u64) as usize).min(end - 1)] ^= 1 << draw.below(8);
            }
            0 | 1 => bytes[at..end].fill(0),
            2 => {
                let from = sector(source.len(), draw);
                let len = (end - at).min(source.len() - from);
                bytes[at..at + len].copy_from_slice(&source[from..from + len]);
            }
            3 => {
                let len = 1 + draw.below(16) as usize;
                let end = bytes.len().min(at + len * SECTOR);
                bytes[at..end].fill(0);
            }
            _ => bytes.truncate(at + draw.below(SECTOR as u64) as usize),
        }
    }
    changed.into_iter().collect()
}

fn scan(file: &[u8], written: &Written) {
    let Ok(header) = SegmentHeader::decode(file) else { return };
    let data = file.get(8192..).unwrap_or_default();
    if header.kind == SegmentKind::Packed {
        return scan_packed(data, header.binding(), written);
    }
    let span = Span { base: header.base, binding: header.binding(), data };
    let skimmed = skim(&span);
    let mut groups = 0;
    for group in span.groups(span.base).chain(span.probe(span.base)) {
        groups += 1;
        for verify in [Verify::Heads, Verify::Bodies] {
            _ = span.walk(group, verify, |lsn, frame| {
                if frame.kind != FrameKind::Record {
                    return;
                }
                let (head, parts) = written.get(&lsn).expect("a record that was not written");
                assert_eq!(frame.head, head, "{lsn}");
                if verify == Verify::Bodies {
                    let found: Vec<&[u8]> = frame.parts(lsn).map(|part| part.expect("verified").1).collect();
                    assert_eq!(found, *parts, "{lsn}");
                }
            });
        }
    }
    assert!(groups >= skimmed.groups + skimmed.groups_behind);
    let bad = first_bad(&span, span.base);
    assert!(bad >= span.base);
    let facts = Facts {
        proven: skimmed.durable_through,
        first_bad: bad,
        clean_end: None,
        groups_behind: skimmed.groups_behind,
    };
    match judge(&facts) {
        Verdict::Corrupt { at, proven } => assert!(at < proven),
        Verdict::Torn { proven, end } => assert!(proven <= end),
        Verdict::Clean { .. } => panic!("nothing said that it was closed"),
    }
}

/// What stands in a packed file, frame by frame as far as they are good, and at its end.
fn scan_packed(data: &[u8], binding: Binding, written: &Written) {
    let mut at = 0;
    while let Ok(record) = PackedRef::decode(data.get(at..).unwrap_or_default(), binding) {
        let (head, parts) = written.get(&record.lsn).expect("a record that was not written");
        assert_eq!(record.head, head);
        let found: Vec<_> = record.parts().collect();
        assert_eq!(found.len(), parts.len());
        for ((_, found), part) in found.iter().zip(parts) {
            assert!(found.is_err() || *found == Ok(part.as_slice()), "{}", record.lsn);
        }
        at += record.bytes();
    }
    for (n, block) in data.chunks(4096).enumerate() {
        let offset = 8192 + 4096 * n as u64;
        if let Ok(entries) = decode_directory(block, offset, binding) {
            assert!(entries.iter().all(|entry| written.contains_key(&entry.lsn)));
        }
        _ = Footer::decode(block, offset, binding);
    }
}

/// Opening refuses, or gives back what was written, in order; a damaged record is an error and nothing else.
fn open(disk: SimDisk, written: &Written) {
    let (clock, entropy) = (Arc::<SimClock>::default(), Arc::new(SimEntropy::new(7)));
    let env = Env { vfs: Arc::new(disk), clock, entropy, threads: Threads::None };
    let Ok(log) = Wal::open_in(env, Path::new(ROOT), options()) else { return };
    let mut last = Lsn::NONE;
    for record in log.replay(Lsn::NONE).expect("from the beginning").map_while(Result::ok) {
        assert!(record.lsn > last);
        last = record.lsn;
        let (head, parts) = written.get(&record.lsn).expect("a record that was not written");
        assert_eq!(record.head, *head);
        let found: Vec<_> = record.parts.into_iter().map(|(_, part)| part).collect();
        assert_eq!(found, *parts);
    }
    let Ok(ticket) = log.append(b"new", b"") else { return };
    let lsn = ticket.wait().expect("the machine is healthy");
    assert!(written.keys().all(|old| *old < lsn), "a place was given away twice");
}
