//! A player goes from one room to another: the first is told, saves what it has, and gives him up.
//! `cargo run --package savehold --example handoff`

use std::time::Duration;

use savehold::{Collection, Ended, ErrorKind, Policy, Result, Session, Start, Store};

/// A room that plays a player: it earns until another room wants him.
#[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
fn play(coins: &Collection<u64>, session: Session) -> Result<u64> {
    let mine = coins.with_token(session.token());
    let wanted = session.wanted();
    let mut earned = 0;
    loop {
        earned = mine.update("42", |now| Some(now.map_or(0, |e| e.value) + 1))?.value.unwrap_or(earned);
        if let Some(wanted) = wanted.now() {
            println!("red: {} wants him; last save: {earned} coins", wanted.by);
            session.release()?;
            return Ok(earned);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
fn main() -> Result<()> {
    let place = tempfile::tempdir().expect("a place for the example");
    let store = Store::open(place.path().join("data"))?;
    let coins = store.collection::<u64>("coins")?;
    let (red, blue) = (store.holder("room-red")?, store.holder("room-blue")?);

    let in_red = red.acquire([coins.key("42")], Start::new())?;
    let (token, ended) = (in_red.token(), in_red.ended());
    let refused =
        blue.acquire([coins.key("42")], Start::new().policy(Policy::Fail)).expect_err("red has him");
    assert_eq!((refused.kind(), refused.holder()), (ErrorKind::Leased, Some("room-red")));

    let room = {
        let coins = coins.clone();
        std::thread::spawn(move || play(&coins, in_red))
    };
    let handoff = Start::new().policy(Policy::Handoff { after: Duration::from_secs(10) });
    let in_blue = blue.acquire([coins.key("42")], handoff)?; // told, not polling: red gives him up at once
    let saved = room.join().expect("red does not panic")?;
    assert_eq!(coins.get("42")?.map(|e| e.value), Some(saved), "red's last save is there");
    println!("blue: has him, with {saved} coins");

    assert_eq!(ended.now(), Some(Ended::HandedOver("room-blue".into())));
    let late = coins.with_token(token).set("42", &0).expect_err("he is not red's any more");
    assert_eq!(late.kind(), ErrorKind::Fenced);
    assert!(in_blue.token() > token);
    coins.with_token(in_blue.token()).set("42", &(saved + 1))?;
    in_blue.release()?;
    store.close()
}
