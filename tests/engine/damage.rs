//! Absent, deleted and damaged are three answers, and a damaged value closes one version, not the store.

use std::path::PathBuf;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{ErrorKind, Next, Options, Result};

/// A store with one value damaged on the medium, of which an older version can be read.
fn damaged() -> (Sim, savehold::Version, savehold::Version) {
    let mut sim = Sim::new(1);
    let store = sim.open().expect("opens");
    let raw = store.raw("raw").expect("a name");
    let older = raw.set("hurt", &Bytes::from_static(b"older and readable")).expect("writes");
    let hurt = raw.set("hurt", &Bytes::from_static(b"newer and to be hurt")).expect("writes");
    raw.set("deleted", &Bytes::from_static(b"x")).expect("writes");
    raw.remove("deleted").expect("writes");
    raw.set("well", &Bytes::from_static(b"whole")).expect("writes");
    store.close().expect("nothing failed");
    let disk = sim.disk();
    for (path, _) in disk.files() {
        let path = PathBuf::from(path);
        let text = disk.read(&path).expect("a file");
        let hit = text.windows(9).position(|bytes| bytes == b"newer and");
        if let Some(at) = hit {
            disk.flip_bit(&path, at as u64, 3).expect("it has that byte");
        }
    }
    (sim, older, hurt)
}

#[test]
fn absent_deleted_and_damaged_are_three_answers() -> Result<()> {
    let (mut sim, older, hurt) = damaged();
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    assert_eq!((raw.get("absent")?, raw.versions("absent")?.count()), (None, 0));
    let removed: Vec<bool> = raw.versions("deleted")?.map(|v| v.map(|v| v.removed)).collect::<Result<_>>()?;
    assert_eq!((raw.get("deleted")?, removed), (None, vec![true, false]));
    let e = raw.get("hurt").unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::Damaged, Next::Restore));
    assert_eq!((e.version(), e.older()), (Some(hurt), Some(older)));
    assert!(e.message().starts_with("raw/hurt: ") && e.message().contains(".seg"), "{e}");
    Ok(())
}

#[test]
fn a_damaged_value_closes_one_version_and_all_else_goes_on() -> Result<()> {
    let (mut sim, older, hurt) = damaged();
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    assert_eq!(raw.get_at("hurt", older)?.expect("kept").value, "older and readable");
    assert_eq!(raw.get_at("hurt", hurt).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(raw.get("well")?.expect("whole").value, "whole");
    let listed: Vec<_> = raw.scan("").map(|e| e.map(|e| e.key.to_string()).map_err(|e| e.kind())).collect();
    assert_eq!(listed, [Err(ErrorKind::Damaged), Ok("well".to_owned())]);
    assert_eq!(raw.keys("").count(), 2);
    assert_eq!(raw.update("hurt", |_| Some(Bytes::new())).unwrap_err().kind(), ErrorKind::Damaged);
    raw.set("well", &Bytes::from_static(b"goes on"))?;
    store.close()?;
    let e = sim.open_with(Options::new().verify_on_open(true)).unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::Corrupt, Next::Restore), "{e}");
    Ok(())
}
