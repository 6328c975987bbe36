//! BLAKE3 of a stream, computed from leaves of its hash tree that may be known already.
use std::ops::Range;

use blake3::{
    Hash, Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

/// Bytes of a leaf: a subtree of BLAKE3 chunks that begins at a multiple of this.
pub(super) const LEAF: usize = 64 << 10;

/// The value of a leaf that begins at `offset` of the stream, and is not all of it.
pub(super) fn leaf(offset: u64, bytes: &[u8]) -> ChainingValue {
    Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root()
}

/// The range of whole leaves in a block that begins at `offset`.
pub(super) fn whole_leaves(offset: u64, length: usize) -> Range<usize> {
    let before = usize::try_from(offset.next_multiple_of(LEAF as u64) - offset).unwrap_or(0);
    let start = before.min(length);
    start..start + (length - start) / LEAF * LEAF
}

/// The hash of a stream that is added leaf by leaf; bytes outside of whole leaves are added as bytes.
#[derive(Default)]
pub(super) struct Digest {
    /// Bytes of the last leaf, which is not complete yet.
    bytes: Vec<u8>,
    leaves: u64,
    /// Subtrees, the largest first, as in BLAKE3's own hasher.
    subtrees: Vec<ChainingValue>,
}

impl Digest {
    pub fn add_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.bytes.len() == LEAF {
                let value = leaf(self.leaves * LEAF as u64, &self.bytes);
                self.bytes.clear();
                self.add_leaf(&value);
            }
            let (now, later) = bytes.split_at(bytes.len().min(LEAF - self.bytes.len()));
            self.bytes.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Adds a whole leaf, at the start of one. The first leaf must not be the only one.
    pub fn add_leaf(&mut self, value: &ChainingValue) {
        if self.bytes.len() == LEAF {
            let before = leaf(self.leaves * LEAF as u64, &self.bytes);
            self.bytes.clear();
            self.add_leaf(&before);
        }
        debug_assert!(self.bytes.is_empty(), "a leaf in the midst of another");
        // Merged late, because the last merge of a stream differs from the others.
        while self.subtrees.len() > self.leaves.count_ones() as usize {
            let (right, left) = (self.subtrees.pop(), self.subtrees.pop());
            if let (Some(left), Some(right)) = (left, right) {
                self.subtrees.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
        }
        self.subtrees.push(*value);
        self.leaves += 1;
    }

    pub fn finish(mut self) -> Hash {
        if self.leaves == 0 {
            return blake3::hash(&self.bytes);
        }
        if !self.bytes.is_empty() {
            let last = leaf(self.leaves * LEAF as u64, &self.bytes);
            self.bytes.clear();
            self.add_leaf(&last);
        }
        let mut right = self.subtrees.pop().unwrap_or_default();
        while self.subtrees.len() > 1 {
            if let Some(left) = self.subtrees.pop() {
                right = merge_subtrees_non_root(&left, &right, Mode::Hash);
            }
        }
        self.subtrees.pop().map_or_else(|| right.into(), |left| merge_subtrees_root(&left, &right, Mode::Hash))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stream_has_the_hash_of_its_bytes_however_it_is_cut(
            blocks in prop::collection::vec(prop_oneof![0_usize..3000, 0..4 * LEAF, Just(LEAF), Just(2 * LEAF)], 0..12)
        ) {
            let stream: Vec<u8> = (0..blocks.iter().sum::<usize>()).map(|place| (place * place).to_le_bytes()[1]).collect();
            let mut digest = Digest::default();
            let mut start = 0;
            for length in blocks {
                let offset = start as u64;
                let block = &stream[start..start + length];
                start += length;
                let mut whole = whole_leaves(offset, length);
                if start == stream.len() {
                    // Nothing follows.
                    whole = length..length;
                }
                digest.add_bytes(&block[..whole.start]);
                for place in whole.clone().step_by(LEAF) {
                    digest.add_leaf(&leaf(offset + place as u64, &block[place..place + LEAF]));
                }
                digest.add_bytes(&block[whole.end..]);
            }
            prop_assert_eq!(digest.finish(), blake3::hash(&stream));
        }
    }
}
