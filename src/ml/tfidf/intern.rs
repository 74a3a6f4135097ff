//! Which number has a token? Each distinct one is kept once, and found again by its bytes.

use super::Terms;

/// Distinct tokens, numbered from 0 in the order in which they came.
#[derive(Debug)]
pub(super) struct Interner {
    slots: Vec<Slot>,
    tokens: Terms,
}

/// A token of up to eight bytes is its `key` and `length`; of a longer one the key is a hash.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    length: u32,
    number: u32,
}

const EMPTY: Slot = Slot { key: 0, length: 0, number: u32::MAX };

/// Odd constants without pattern (wyhash's).
const MIX: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

impl Interner {
    pub(super) fn new() -> Interner {
        Interner { slots: vec![EMPTY; 1 << 10], tokens: Terms::default() }
    }

    /// The tokens by number.
    pub(super) fn into_tokens(self) -> Terms {
        self.tokens
    }

    /// The number of `token`.
    pub(super) fn number(&mut self, token: &str) -> u32 {
        let (key, length) = (key(token.as_bytes()), u32::try_from(token.len()).unwrap_or(u32::MAX));
        let mask = self.slots.len() - 1;
        let mut at = place(key, length) & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == EMPTY.number {
                break;
            }
            if (slot.key, slot.length) == (key, length)
                && (length <= 8 || self.tokens.term(slot.number as usize) == token)
            {
                return slot.number;
            }
            at = (at + 1) & mask;
        }
        let number = self.tokens.len() as u32;
        self.slots[at] = Slot { key, length, number };
        self.tokens.push(token);
        if 2 * self.tokens.len() > self.slots.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = 2 * self.slots.len() - 1;
        let mut slots = vec![EMPTY; mask + 1];
        for slot in self.slots.iter().filter(|slot| slot.number != EMPTY.number) {
            let mut at = place(slot.key, slot.length) & mask;
            while slots[at].number != EMPTY.number {
                at = (at + 1) & mask;
            }
            slots[at] = *slot;
        }
        self.slots = slots;
    }
}

fn place(key: u64, length: u32) -> usize {
    folded(key ^ MIX[0], u64::from(length) ^ MIX[1]) as usize
}

/// The upper and the lower half of the product, one upon the other.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Up to eight bytes as they are (with the length, no two are alike); of more, a hash.
fn key(bytes: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk::<8>().filter(|_| bytes.len() > 8) {
        let (whole, _) = bytes.as_chunks::<8>();
        let hash = whole.iter().fold(MIX[1], |hash, &word| folded(hash ^ u64::from_le_bytes(word), MIX[0]));
        return folded(hash ^ u64::from_le_bytes(*last), MIX[0]);
    }
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32,
        _ => bytes.iter().fold(0, |key, &byte| key << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustc_hash::FxHashMap;

    use super::*;

    proptest! {
        #[test]
        fn tokens_are_told_apart_as_a_map_does(tokens in prop::collection::vec("[ab\0é]{0,12}", 0..3000)) {
            let mut first: FxHashMap<&str, u32> = FxHashMap::default();
            let mut interner = Interner::new();
            for token in &tokens {
                let next = first.len() as u32;
                prop_assert_eq!(interner.number(token), *first.entry(token).or_insert(next));
            }
            prop_assert_eq!(interner.into_tokens().len(), first.len());
        }
    }
}
