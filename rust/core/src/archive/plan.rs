//! Cuts the tar stream into blocks that are compressed on their own.
use std::ops::Range;

use super::{Entry, Kind};

/// Larger files have blocks to themselves, of this many bytes.
const PIECE: u64 = 1 << 20;

/// A part of the tar stream.
#[derive(Debug, PartialEq)]
pub(super) enum Block {
    /// Whole entries.
    Entries(Range<usize>),
    /// A part of a large file; the first has its header, the last its padding.
    Piece { entry: usize, content: Range<u64> },
    /// What ends a tar stream.
    End,
}

/// Cuts at files whose names say so, so that a change of one file leaves all blocks but its own as they were.
///
/// Blocks of small files have about `target` bytes.
pub(super) fn plan(entries: &[Entry], target: u64) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, entry) in entries.iter().enumerate() {
        let size = size(entry);
        if size > target {
            if start < place {
                blocks.push(Block::Entries(start..place));
            }
            let mut from = 0;
            while from < size {
                let to = (from + PIECE).min(size);
                blocks.push(Block::Piece { entry: place, content: from..to });
                from = to;
            }
            (start, bytes) = (place + 1, 0);
            continue;
        }
        bytes += 512 + size.next_multiple_of(512);
        // From half of the target on, a file ends its block with a chance that makes half of the target more.
        let chance = u64::MAX / (target / 2) * (512 + size).min(target / 2);
        if bytes >= target * 2 || (bytes >= target / 2 && hash(&entry.path) < chance) {
            blocks.push(Block::Entries(start..place + 1));
            (start, bytes) = (place + 1, 0);
        }
    }
    if start < entries.len() {
        blocks.push(Block::Entries(start..entries.len()));
    }
    blocks.push(Block::End);
    blocks
}

pub(super) fn size(entry: &Entry) -> u64 {
    if let Kind::File { size, .. } = entry.kind { size } else { 0 }
}

/// FNV-1a with a final mix: must stay the same for ever, or archives change.
fn hash(path: &[u8]) -> u64 {
    let hash = path
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
