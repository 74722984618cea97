//! Pure: documents and types that the rooms of profiles are tested with.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::keep::Unknown;
use super::read::read;
use super::reconcile::{Mismatch, reconcile};
use super::template::{Template, document_of};
use crate::value::{Map, Value};

/// Loads a stored document through a type: filled, read, with what the type does not know.
pub(super) fn load<T>(stored: &Value, template: &T) -> (T, Unknown, Vec<String>)
where
    T: Serialize + serde::de::DeserializeOwned + 'static,
{
    let template = Template::of(template).expect("a template");
    let mut document = stored.clone();
    let done = reconcile(&mut document, &template, Mismatch::Keep, &[]).expect("it is filled");
    let (value, asked) = read::<T>(&document).unwrap_or_else(|e| panic!("{e}: {document:?}"));
    let unknown = Unknown::of(&document, &asked);
    (value, unknown, done.iter().map(ToString::to_string).collect())
}

/// Saves a value through its type.
pub(super) fn save<T: Serialize>(value: &T, unknown: &Unknown) -> Value {
    let mut document = document_of(value).expect("it is written");
    unknown.put_back(&mut document);
    document
}

pub(super) fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Map::from(members).into()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Weapon {
    Fist,
    Sword { edge: u32 },
    Bow(u32, u32),
    Wand(Charge),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Charge {
    left: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Pet {
    Cat { lives: u32 },
    Dog { tricks: u32 },
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
struct Place {
    x: f64,
    y: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Id(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u32, Place);

/// Everything that a player may have had for long, and everything that came later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Hero {
    coins: u64,
    weapon: Weapon,
    second: Weapon,
    pet: Pet,
    bag: HashMap<String, u32>,
    home: Option<Place>,
    friend: Option<Id>,
    stats: Stats,
    span: (u32, u32),
    pair: Pair,
    id: Id,
    slots: [u32; 3],
    titles: Vec<String>,
    notes: BTreeMap<u32, Place>,
    any: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stats {
    level: u32,
    best: Best,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Best {
    kills: u32,
    at: Place,
}

fn hero() -> Hero {
    Hero {
        coins: 5,
        weapon: Weapon::Sword { edge: 3 },
        second: Weapon::Fist,
        pet: Pet::Cat { lives: 9 },
        bag: HashMap::from([("bread".into(), 1), ("map".into(), 1)]),
        home: Some(Place { x: 1.0, y: 2.0 }),
        friend: None,
        stats: Stats { level: 1, best: Best { kills: 0, at: Place::default() } },
        span: (1, 2),
        pair: Pair(1, Place { x: 7.0, y: 8.0 }),
        id: Id(1),
        slots: [1, 2, 3],
        titles: vec!["new".into()],
        notes: BTreeMap::from([(1, Place::default())]),
        any: map([("x", 1.into())]),
    }
}

/// The document of a hero with some fields as they stood long ago.
fn old<const N: usize>(changed: [(&str, Option<Value>); N]) -> Value {
    let mut document = document_of(&hero()).expect("a document");
    let fields = document.as_map_mut().expect("a struct");
    for (name, value) in changed {
        match value {
            Some(value) => {
                fields.insert(name, value);
            }
            None => {
                fields.remove(name).expect("it was there");
            }
        }
    }
    document
}

#[test]
fn a_document_written_before_a_field_existed_gets_it_from_the_template() {
    for name in [
        "coins", "weapon", "second", "pet", "bag", "home", "friend", "stats", "span", "pair", "id", "slots",
        "titles", "notes", "any",
    ] {
        let (loaded, unknown, done) = load(&old([(name, None)]), &hero());
        assert_eq!(loaded, hero(), "{name}");
        assert!(unknown.is_empty() && done.len() == 1, "{name}: {done:?}");
        assert!(done[0].starts_with(&format!("{name}: absent, ")), "{done:?}");
    }
    let (loaded, _, done) = load(&Map::new().into(), &hero());
    assert_eq!((loaded, done.len()), (hero(), 15), "nothing but fields that are new");
}

#[test]
fn an_enum_with_another_variant_stays_what_it_is() {
    let bow = map([("Bow", [4, 5].into_iter().collect())]);
    let (loaded, _, done) = load(&old([("weapon", Some(bow.clone()))]), &hero());
    assert_eq!((loaded.weapon, done.len()), (Weapon::Bow(4, 5), 0));
    let (loaded, _, _) = load(&old([("weapon", Some("Fist".into())), ("second", Some(bow))]), &hero());
    assert_eq!((loaded.weapon, loaded.second), (Weapon::Fist, Weapon::Bow(4, 5)));
    let dog = map([("kind", "Dog".into()), ("tricks", 2.into())]);
    let (loaded, unknown, done) = load(&old([("pet", Some(dog.clone()))]), &hero());
    assert_eq!(
        (loaded.pet.clone(), done.len()),
        (Pet::Dog { tricks: 2 }, 0),
        "not mixed with the cat's lives"
    );
    assert_eq!(save(&loaded, &unknown).get("pet"), Some(&dog));
}

#[test]
fn a_template_key_that_was_taken_out_of_a_hash_map_stays_out() {
    let bag = map([("bread", 2.into())]);
    let (loaded, _, done) = load(&old([("bag", Some(bag))]), &hero());
    assert_eq!((loaded.bag, done.len()), (HashMap::from([("bread".into(), 2)]), 0));
    let (loaded, _, _) = load(&old([("bag", Some(map([])))]), &hero());
    assert!(loaded.bag.is_empty());
}

#[test]
fn an_option_may_be_nothing_and_its_struct_is_filled() {
    let (loaded, _, done) = load(&old([("home", Some(Value::Nil))]), &hero());
    assert_eq!((loaded.home, done.len()), (None, 0));
    let (loaded, _, done) = load(&old([("home", Some(map([("x", 5.0.into())])))]), &hero());
    assert_eq!(loaded.home, Some(Place { x: 5.0, y: 2.0 }));
    assert_eq!(done, ["home.y: absent, 2.0 from the template"]);
    let (loaded, _, done) = load(&old([("friend", Some(7.into()))]), &hero());
    assert_eq!((loaded.friend, done.len()), (Some(Id(7)), 0));
}

#[test]
fn a_nested_struct_is_filled_deep() {
    let stats = map([("best", map([("at", map([("y", 1.5.into())]))]))]);
    let (loaded, _, done) = load(&old([("stats", Some(stats))]), &hero());
    let at = Place { x: 0.0, y: 1.5 };
    assert_eq!(loaded.stats, Stats { level: 1, best: Best { kills: 0, at } });
    assert_eq!(
        done,
        [
            "stats.level: absent, 1 from the template",
            "stats.best.kills: absent, 0 from the template",
            "stats.best.at.x: absent, 0.0 from the template",
        ]
    );
}

#[test]
fn tuples_and_arrays_are_filled_place_by_place_and_newtypes_are_what_they_hold() {
    let list = |numbers: &[i32]| numbers.iter().copied().collect::<Value>();
    let pair = Value::List(vec![3.into(), map([("x", 9.0.into())])]);
    let stored = old([
        ("span", Some(list(&[7]))),
        ("pair", Some(pair)),
        ("slots", Some(list(&[9]))),
        ("id", Some(8.into())),
    ]);
    let (loaded, _, done) = load(&stored, &hero());
    assert_eq!((loaded.span, loaded.slots, loaded.id), ((7, 2), [9, 2, 3], Id(8)));
    assert_eq!(loaded.pair, Pair(3, Place { x: 9.0, y: 8.0 }));
    assert_eq!(done.len(), 4, "{done:?}");
    assert!(done.contains(&"pair[1].y: absent, 8.0 from the template".to_owned()));
}

#[test]
fn lists_maps_and_values_are_filled_as_a_whole() {
    let notes: Value = Map::from([(9, map([("x", 1.0.into()), ("y", 1.0.into())]))]).into();
    let stored = old([
        ("titles", Some(Value::List(vec![]))),
        ("notes", Some(notes)),
        ("any", Some(Value::List(vec![1.into()]))),
    ]);
    let (loaded, _, done) = load(&stored, &hero());
    assert!(loaded.titles.is_empty() && done.is_empty());
    assert_eq!(loaded.notes, BTreeMap::from([(9, Place { x: 1.0, y: 1.0 })]));
    assert_eq!(loaded.any, Value::List(vec![1.into()]));
}

/// What two builds of a game know of a player, side by side.
mod builds {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct Old {
        pub(super) coins: u64,
        pub(super) home: OldHome,
        pub(super) bag: BTreeMap<u32, OldItem>,
        pub(super) wears: Option<OldItem>,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct OldHome {
        pub(super) rooms: u32,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct OldItem {
        pub(super) count: u32,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct New {
        pub(super) coins: u64,
        pub(super) gems: u64,
        pub(super) home: NewHome,
        pub(super) bag: BTreeMap<u32, NewItem>,
        pub(super) wears: Option<NewItem>,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct NewHome {
        pub(super) rooms: u32,
        pub(super) garden: bool,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct NewItem {
        pub(super) count: u32,
        #[serde(default)]
        pub(super) worn: u32,
    }
}

#[test]
fn a_new_field_survives_the_save_of_the_old_build() {
    use builds::*;
    let item = |count, worn| NewItem { count, worn };
    let new = New {
        coins: 1,
        gems: 2,
        home: NewHome { rooms: 3, garden: true },
        bag: BTreeMap::from([(7, item(1, 50)), (8, item(1, 60))]),
        wears: Some(item(1, 70)),
    };
    let (mut old, unknown, _) = load(&save(&new, &Unknown::default()), &Old::default());
    let sentences: Vec<String> = unknown.sentences().iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), 5, "{sentences:?}");
    assert_eq!(sentences[0], "gems: not known to this program, kept");
    old.coins = 10;
    old.home.rooms = 4;
    old.bag.remove(&8);
    old.bag.insert(9, OldItem { count: 5 });
    old.bag.get_mut(&7).expect("it is there").count = 2;
    let stored = save(&old, &unknown);
    let (back, _, _) = load(&stored, &New::default());
    let expected = New {
        coins: 10,
        gems: 2,
        home: NewHome { rooms: 4, garden: true },
        bag: BTreeMap::from([(7, item(2, 50)), (9, item(5, 0))]),
        wears: Some(item(1, 70)),
    };
    assert_eq!(back, expected);
    old.wears = None;
    old.bag.clear();
    let mut kept = unknown;
    kept.prune(&save(&old, &kept));
    old.bag.insert(7, OldItem { count: 1 });
    let (back, _, _) = load(&save(&old, &kept), &New::default());
    assert_eq!(back.bag[&7].worn, 0, "another item under the same key");
    assert_eq!((back.wears, back.gems, back.home.garden), (None, 2, true));
}

/// Fields that are read under another name, or not written always, are known: nothing of them comes back.
#[test]
fn fields_with_other_names_and_fields_left_out_are_not_taken_for_unknown() {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Now {
        #[serde(alias = "gold", alias = "money")]
        coins: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guild: Option<String>,
        #[serde(default, skip_serializing)]
        legacy: u32,
        #[serde(rename = "class")]
        kind: String,
        #[serde(skip)]
        cache: u32,
    }
    let stored = map([
        ("money", 7.into()),
        ("guild", "red".into()),
        ("legacy", 3.into()),
        ("class", "mage".into()),
        ("new", true.into()),
    ]);
    let (mut loaded, unknown, done) = load(&stored, &Now::default());
    assert_eq!((loaded.coins, loaded.legacy, done.len()), (7, 3, 0), "{done:?}");
    loaded.guild = None;
    let saved = save(&loaded, &unknown);
    assert_eq!(saved, map([("coins", 7.into()), ("class", "mage".into()), ("new", true.into())]));
    let (again, _, _) = load(&saved, &Now::default());
    assert_eq!((again.coins, again.guild), (7, None));
}
