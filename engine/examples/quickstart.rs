//! Opens a store, writes, changes, looks back. `cargo run --package savehold --example quickstart`

use savehold::{At, Change, Result, Store};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct House {
    owner: Option<String>,
    price: u64,
}

fn main() -> Result<()> {
    let place = tempfile::tempdir().expect("a place for the example");
    let store = Store::open(place.path().join("data"))?; // made if absent; one process at a time
    let houses = store.collection::<House>("houses")?;

    houses.set("oak-1", &House { owner: None, price: 500 })?; // durable when it returns
    let offered = houses.get("oak-1")?.expect("just written");

    let sold = houses.update("oak-1", |now| match now {
        Some(e) if e.value.owner.is_none() => {
            Change::write(House { owner: Some("42".into()), ..e.value }).user_ids([42])
        }
        _ => Change::keep(), // nothing is written
    })?;
    println!("sold: {}, at version {}", sold.wrote, sold.version);
    let again = houses.update("oak-1", |now| match now {
        Some(e) if e.value.owner.is_none() => Change::write(e.value),
        _ => Change::keep(),
    })?;
    assert!(sold.wrote && !again.wrote, "it is sold once");

    store.collection::<i64>("visits")?.increment("oak-1", 1)?;
    for entry in houses.scan("oak-") {
        let entry = entry?;
        println!("{} belongs to {:?}", entry.key, entry.value.owner);
    }

    let then = houses.get_at("oak-1", At::Version(offered.version))?.expect("every version stays readable");
    assert_eq!(then.value.owner, None);
    println!("at version {} it belonged to nobody", offered.version);
    store.close()
}
