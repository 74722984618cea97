use super::*;
use crate::tests::Dice;

fn key(dice: &mut Dice) -> Key {
    let length = [1, 2, 9, 127, 128, KEY_BYTES_MAX][dice.below(6)];
    Key::new(dice.bytes(length, length)).unwrap()
}

fn collection(dice: &mut Dice) -> CollectionId {
    CollectionId([16, 127, 128, 1 << 20, u32::MAX][dice.below(5)])
}

#[test]
fn bytes_are_as_drawn() {
    let (collection, key) = (CollectionId(300), Key::new("42").unwrap());
    assert_eq!(lease(collection, &key).as_bytes(), b"\xac\x0242");
    assert_eq!(mailbox(collection, &key).as_bytes(), b"\xac\x02\x0242");
    assert_eq!(message(collection, &key, 258).as_bytes(), b"\xac\x02\x0242\0\0\0\0\0\0\x01\x02");
    assert_eq!(tag("ann", collection, &key).as_bytes(), b"\x03ann\xac\x0242");
    assert_eq!(wiped(collection, &key).as_bytes(), b"wiped/300/42");
}

#[test]
fn every_inner_key_is_read_back() {
    let mut dice = Dice::new(21);
    for _ in 0..2_000 {
        let (collection, key) = (collection(&mut dice), key(&mut dice));
        let (user, seq) = ("u".repeat(1 + dice.below(USER_ID_BYTES_MAX)), dice.number());
        assert_eq!(leased(lease(collection, &key).as_bytes()), Some((collection, key.clone())));
        let mailbox = mailbox(collection, &key);
        assert_eq!(mail(mailbox.as_bytes()), Some(Mail::Box(collection, key.clone())));
        let message = message(collection, &key, seq);
        assert_eq!(mail(message.as_bytes()), Some(Mail::Message(collection, key.clone(), seq)));
        let tag = tag(&user, collection, &key);
        assert_eq!(tagged(tag.as_bytes()), Some((user.as_str(), collection, key.clone())));
        assert!(tag.as_bytes().starts_with(&tags_of(&user)));
    }
}

#[test]
fn the_longest_inner_key_is_within_its_limit() {
    let key = Key::new(&[7; KEY_BYTES_MAX]).unwrap();
    let collection = CollectionId(u32::MAX);
    let user = "u".repeat(USER_ID_BYTES_MAX);
    let longest = [
        lease(collection, &key),
        message(collection, &key, 1),
        tag(&user, collection, &key),
        wiped(collection, &key),
    ];
    for inner in longest {
        assert!((KEY_BYTES_MAX + 1..=RESERVED_KEY_BYTES_MAX).contains(&inner.as_bytes().len()));
    }
}

#[test]
fn messages_stand_behind_their_mailbox_in_the_order_of_their_numbers() {
    let mut dice = Dice::new(22);
    for _ in 0..1_000 {
        let (collection, key) = (collection(&mut dice), key(&mut dice));
        let (one, two) = (dice.number(), dice.number());
        let order = message(collection, &key, one).cmp(&message(collection, &key, two));
        assert_eq!(order, one.cmp(&two));
        assert!(mailbox(collection, &key) < message(collection, &key, 0));
    }
}

#[test]
fn no_mailbox_and_no_user_is_the_beginning_of_another() {
    let mut dice = Dice::new(23);
    for _ in 0..2_000 {
        let of = |dice: &mut Dice| (collection(dice), Key::new(dice.bytes(1, 3)).unwrap());
        let (one, two) = (of(&mut dice), of(&mut dice));
        let message = message(one.0, &one.1, dice.number());
        let begins = message.as_bytes().starts_with(mailbox(two.0, &two.1).as_bytes());
        assert_eq!(begins, one == two);
        let users = ["a", "ab", "b", "aa"];
        let (user, other) = (users[dice.below(4)], users[dice.below(4)]);
        assert_eq!(tag(user, one.0, &one.1).as_bytes().starts_with(&tags_of(other)), user == other);
    }
}

#[test]
fn any_bytes_are_an_answer_and_what_is_accepted_is_canonical() {
    let mut dice = Dice::new(24);
    for _ in 0..50_000 {
        let mut bytes = dice.bytes(1, 16);
        bytes[0] &= 7; // mostly short users and small numbers
        if let Some((collection, key)) = leased(&bytes) {
            assert_eq!(lease(collection, &key).as_bytes(), bytes);
        }
        match mail(&bytes) {
            Some(Mail::Box(collection, key)) => assert_eq!(mailbox(collection, &key).as_bytes(), bytes),
            Some(Mail::Message(collection, key, seq)) => {
                assert_eq!(message(collection, &key, seq).as_bytes(), bytes);
            }
            None => {}
        }
        if let Some((user, collection, key)) = tagged(&bytes) {
            assert_eq!(tag(user, collection, &key).as_bytes(), bytes);
        }
    }
}
