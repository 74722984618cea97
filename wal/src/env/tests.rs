use super::*;

fn bytes_of(entropy: &dyn Entropy) -> [u8; 100] {
    let mut bytes = [0; 100];
    entropy.fill(&mut bytes);
    bytes
}

#[test]
fn system_gives_other_bytes_each_time() {
    assert_ne!(bytes_of(&OsEntropy), bytes_of(&OsEntropy));
    assert_ne!(OsEntropy.next_u64(), OsEntropy.next_u64());
}

#[test]
fn same_seed_gives_the_same_bytes_and_goes_on_from_there() {
    let (a, b) = (SimEntropy::new(5), SimEntropy::new(5));
    let first = bytes_of(&a);
    assert_eq!(first, bytes_of(&b));
    assert_ne!(first, bytes_of(&a));
    assert_ne!(first, bytes_of(&SimEntropy::new(6)));
}
