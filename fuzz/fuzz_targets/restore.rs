//! A backup that is damaged as disks damage, or forged with its checksums right: what is restored is what was backed up,
//! and whatever is not, is refused; nothing panics, and no name or length of a stranger's is obeyed.

#![no_main]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use savehold_wal::backup::{Carry, Copying, Cut, Inventory, Moment, Packing, Passing, Restored, Source};
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Draw, Sim, SimClock, SimDisk, SimEntropy};
use savehold_wal::{Frame, Lsn, Options, Progress, Result, Wal};

const STORE: &str = "/store";
const BACKUPS: &str = "/backups";
const TO: &str = "/restored";

/// Bytes of each record.
type Written = BTreeMap<Lsn, Vec<u8>>;

/// A destination with two backups, and what the log held at each.
struct Left {
    disk: SimDisk,
    files: Vec<(PathBuf, Vec<u8>)>,
    held: [Written; 2],
}

fn worlds() -> &'static [Left] {
    static WORLDS: OnceLock<Vec<Left>> = OnceLock::new();
    WORLDS.get_or_init(|| (0..32).map(world).collect())
}

fn options() -> Options {
    Options { segment_bytes_min: 8 << 10, segment_bytes_max: 16 << 10, ..Options::default() }
}

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn world(seed: u64) -> Left {
    let (mut sim, mut draw) = (Sim::new(seed), Draw::from_seed(seed));
    let log = Wal::open_in(sim.env(), Path::new(STORE), options()).expect("a healthy disk");
    let packing = if seed % 3 == 1 { Packing::Lz4 } else { Packing::Plain };
    let copying = Copying { packing, ..Copying::default() };
    if seed % 3 == 2 {
        sim.disk().one_file_system(); // sealed segments are linked
    }
    let mut written = Written::new();
    let held = [(); 2].map(|()| {
        for _ in 0..1 + draw.below(6) {
            let body = vec![draw.below(256) as u8; draw.below(3000) as usize];
            let ticket = log.append(&body[..body.len().min(9)], &body).expect("a healthy disk");
            written.insert(ticket.wait().expect("a healthy disk"), body);
        }
        let made = log.back_up(Path::new(BACKUPS), b"note", copying, &mut go);
        made.expect("a healthy disk");
        written.clone()
    });
    log.close().expect("a healthy disk");
    let disk = sim.disk();
    let names = disk.files().into_iter().map(|(path, _)| PathBuf::from(path));
    let ours = names.filter(|path| path.starts_with(BACKUPS) && !path.ends_with("LOCK"));
    let files = ours.map(|path| (path.clone(), disk.read(&path).expect("there"))).collect();
    Left { disk, files, held }
}

struct Nothing;

impl Carry for Nothing {
    fn record(&mut self, passing: &Passing<'_>) -> Result<()> {
        assert!(passing.part(0, passing.head().len() as u32).is_none_or(|part| part.len() <= 1 << 20));
        Ok(())
    }

    fn first_records(&mut self) -> Result<Vec<Frame>> {
        Ok(Vec::new())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut draw = Draw::from_bytes(data);
    let left = &worlds()[draw.below(32) as usize];
    let disk = left.disk.fork();
    let forged = draw.below(2) == 0;
    for _ in 0..1 + draw.below(4) {
        let (path, bytes) = &left.files[draw.below(left.files.len() as u64) as usize];
        let bytes = if forged { forge(bytes, &mut draw) } else { hurt(bytes, &mut draw) };
        match bytes {
            Some(bytes) => disk.plant(path, &bytes).expect("a healthy disk"),
            None => _ = disk.uproot(path),
        }
    }
    let env = Env {
        vfs: Arc::new(disk),
        clock: Arc::<SimClock>::default(),
        entropy: Arc::new(SimEntropy::new(1)),
        threads: Threads::None,
    };
    let Ok(source) = Source::open(&env, Path::new(BACKUPS)) else { return };
    let sound = source.verify(&mut go).is_ok_and(|checked| checked.faults.is_empty());
    let restored = restore(&env, &source, &mut draw);
    if let (Ok((restored, cut)), false) = (&restored, forged) {
        let found = contents(&env).expect("what was restored opens");
        let kept = |held: &Written| -> Written {
            held.iter().filter(|(lsn, _)| cut.keeps(**lsn, 0)).map(|(lsn, b)| (*lsn, b.clone())).collect()
        };
        assert!(left.held.iter().any(|held| kept(held) == found), "{restored:?}");
    } else if restored.is_ok() {
        _ = contents(&env);
    } else {
        assert!(!sound || forged || matches!(restored, Err(savehold_wal::ErrorKind::Gone)), "{restored:?}");
        assert!(Wal::open_in(env.clone(), Path::new(TO), Options { create: savehold_wal::Create::Never, ..options() }).is_err());
    }
});

fn restore(
    env: &Env,
    source: &Source,
    draw: &mut Draw,
) -> std::result::Result<(Restored, Cut), savehold_wal::ErrorKind> {
    let moment = match draw.below(3) {
        0 => Moment::Latest,
        1 => Moment::At(Lsn::from_raw((2192 << 48) + draw.below(64 << 10))),
        _ => Moment::Time(draw.below(1 << 52)),
    };
    _ = env;
    let (name, cut) = source.choose(moment).map_err(|e| e.kind())?;
    let done = source.restore(name, cut, Path::new(TO), 0, &mut Nothing, &mut go);
    done.map(|done| (done, cut)).map_err(|e| e.kind())
}

fn contents(env: &Env) -> Result<Written> {
    let log = Wal::open_in(env.clone(), Path::new(TO), options())?;
    let mut found = Written::new();
    for record in log.replay(Lsn::NONE)? {
        let lsn = record?.lsn;
        found.insert(lsn, log.read(lsn)?.body().to_vec());
    }
    Ok(found)
}

/// Flipped, cut off, put together wrong, gone.
fn hurt(bytes: &[u8], draw: &mut Draw) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let at = draw.below(bytes.len().max(1) as u64) as usize;
    match draw.below(5) {
        0 => return None,
        1 => bytes.truncate(at),
        2 => bytes.extend_from_slice(&[0; 4096]),
        3 => bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << draw.below(8)),
    }
    Some(bytes)
}

/// An inventory that says other things, its checksum right; any other file as a disk hurts it.
fn forge(bytes: &[u8], draw: &mut Draw) -> Option<Vec<u8>> {
    let Ok(mut inventory) = Inventory::decode(bytes) else { return hurt(bytes, draw) };
    let lsn = |draw: &mut Draw| Lsn::from_raw((2192 << 48) + draw.below(1 << 17));
    for _ in 0..1 + draw.below(4) {
        let n = draw.below(inventory.segments.len().max(1) as u64) as usize;
        let Some(held) = inventory.segments.get_mut(n) else { continue };
        match draw.below(9) {
            0 => held.end = Some(lsn(draw)),
            1 => held.capacity = draw.below(1 << 31),
            2 => held.base = lsn(draw),
            3 => held.number = draw.below(u64::MAX),
            4 => held.pieces.iter_mut().for_each(|piece| piece.crc = draw.below(1 << 32) as u32),
            5 => held.pieces.iter_mut().for_each(|piece| piece.to = Lsn::from_raw(piece.to.raw() + (1 << 30))),
            6 => held.judged = lsn(draw),
            7 => inventory.through = lsn(draw),
            _ => inventory.frontier = Lsn::from_raw(draw.below(u64::MAX)),
        }
    }
    if draw.below(2) == 0 {
        return Some(inventory.encode());
    }
    let mut bytes = inventory.encode();
    let body = 16..bytes.len() - 4;
    let at = body.start + draw.below(body.len() as u64) as usize;
    bytes[at] = draw.below(256) as u8;
    let end = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    Some(bytes)
}
