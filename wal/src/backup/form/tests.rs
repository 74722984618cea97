use super::*;
use crate::draw::Draw;

fn block(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_block(raw, &mut out);
    out
}

fn opened(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = BlockHeader::decode(bytes.first_chunk()?)?;
    let stored = bytes.get(BLOCK_HEADER_BYTES..).filter(|stored| stored.len() == header.stored_len)?;
    let mut raw = vec![0; header.raw_len];
    header.open(stored, &mut raw).then_some(raw)
}

#[test]
fn a_block_holds_what_was_put_in_and_is_never_longer_than_that() {
    let mut draw = Draw::from_seed(1);
    let noise: Vec<u8> = (0..5000).map(|_| draw.next_u64() as u8).collect();
    for raw in [&b"a"[..], &[7; 3000], &noise, &[0; BLOCK_RAW_MAX]] {
        let block = block(raw);
        assert_eq!(opened(&block).as_deref(), Some(raw));
        assert!(block.len() <= raw.len() + BLOCK_HEADER_BYTES);
    }
    assert!(block(&[7; 3000]).len() < 100);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_block_is_noticed() {
    let whole = block(&[b"abcabcabc".repeat(40), vec![9; 200]].concat());
    for bit in 0..whole.len() * 8 {
        let mut hurt = whole.clone();
        hurt[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&hurt), None, "bit {bit}");
    }
    for len in 0..whole.len() {
        assert_eq!(opened(&whole[..len]), None, "{len} bytes");
    }
}

#[test]
fn lengths_that_no_block_has_are_refused_before_anything_is_made_for_them() {
    let header = |raw: u32, stored: u32| {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[..4].copy_from_slice(&raw.to_le_bytes());
        bytes[4..8].copy_from_slice(&stored.to_le_bytes());
        BlockHeader::decode(&bytes)
    };
    let most = BLOCK_RAW_MAX as u32;
    for (raw, stored) in [(0, 0), (0, 1), (1, 0), (1, 2), (most + 1, 1), (u32::MAX, u32::MAX), (10, 11)] {
        assert_eq!(header(raw, stored), None, "{raw} {stored}");
    }
    assert!(header(most, 1).is_some() && header(1, 1).is_some());
}
