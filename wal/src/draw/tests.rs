use super::*;

#[test]
fn seed_zero_gives_the_numbers_that_splitmix64_is_known_for() {
    let mut draw = Draw::from_seed(0);
    assert_eq!([draw.next_u64(), draw.next_u64()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
}

#[test]
fn numbers_below_a_bound_reach_all_of_it_and_nothing_else() {
    for bound in [1_u64, 2, 7, 256, 257] {
        let mut draw = Draw::from_seed(bound);
        let seen: std::collections::BTreeSet<u64> = (0..bound * 40).map(|_| draw.below(bound)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..bound).collect::<Vec<_>>());
    }
    assert_eq!(Draw::from_seed(9).below(0), 0);
}

#[test]
fn given_bytes_are_used_front_to_back_and_then_only_zeros_come() {
    let mut draw = Draw::from_bytes(&[3, 1, 2, 9]);
    assert_eq!(draw.below(1), 0, "no choice uses up no byte");
    assert_eq!(draw.below(256), 3);
    assert_eq!(draw.below(1 << 16), 0x0102);
    assert_eq!(draw.below(10), 9);
    assert_eq!([draw.below(10), draw.next_u64()], [0, 0]);
}
