//! The division of the tar stream into blocks, which are compressed on their own, and of blocks into parts.
use std::ops::Range;

use super::tar_header;
use crate::archive::{Entry, Kind};

/// The usual size of a block of files. In smaller ones, fewer matches can refer to earlier bytes.
const BLOCK: u64 = 4 << 20;
/// The size of the last blocks: smaller, so that no thread waits long for another one.
const LAST_BLOCK: u64 = BLOCK / 4;
/// The size of a piece of a large file, which has blocks of its own.
const PIECE: u64 = BLOCK / 2;

/// The usual size of a part. After a change, little more than the changed parts is compressed again; smaller parts would
/// need less of that, but make archives larger.
const PART: usize = 40 << 10;

/// The length of the zeros that end a tar stream.
const END: u64 = 1024;

/// The least size of a part, except the last of a block: a part refers to no bytes before this window.
pub(super) const MIN_PART: usize = lightning_native_deflate::WINDOW;

/// A part of the tar stream.
#[derive(Debug, PartialEq)]
pub(super) enum Block {
    /// Whole entries.
    Entries(Range<usize>),
    /// A piece of a large file; the first has its header, the last its padding.
    Piece { entry: usize, content: Range<u64> },
    /// The zeros that end a tar stream.
    End,
}

impl Block {
    /// Bytes of the tar stream.
    pub fn length(&self, entries: &[Entry]) -> u64 {
        let whole =
            |entry: &Entry| tar_header::length(entry) as u64 + size(entry) + tar_header::padding(size(entry)) as u64;
        match self {
            Self::Entries(range) => entries[range.clone()].iter().map(whole).sum(),
            Self::Piece { entry, content } => {
                let entry = &entries[*entry];
                let header = if content.start == 0 { tar_header::length(entry) } else { 0 };
                let padding = if content.end == size(entry) { tar_header::padding(content.end) } else { 0 };
                content.end - content.start + (header + padding) as u64
            }
            Self::End => END,
        }
    }
}

/// Cuts behind files whose hashed names decide it, so that a change of one file leaves all other blocks as they were.
pub(super) fn plan(entries: &[Entry]) -> Vec<Block> {
    let in_stream = |entry: &Entry| 512 + size(entry).next_multiple_of(512);
    let mut left: u64 = entries.iter().map(in_stream).sum();
    let mut blocks = Vec::new();
    let (mut start, mut bytes, mut target) = (0, 0, target(left));
    for (place, entry) in entries.iter().enumerate() {
        let size = size(entry);
        bytes += in_stream(entry);
        left -= in_stream(entry);
        if size > PIECE {
            if start < place {
                blocks.push(Block::Entries(start..place));
            }
            let mut from = 0;
            while from < size {
                let to = (from + PIECE).min(size);
                blocks.push(Block::Piece { entry: place, content: from..to });
                from = to;
            }
        } else if is_end(entry, bytes, target / 2, target) {
            blocks.push(Block::Entries(start..place + 1));
        } else {
            continue;
        }
        (start, bytes, target) = (place + 1, 0, self::target(left));
    }
    if start < entries.len() {
        blocks.push(Block::Entries(start..entries.len()));
    }
    blocks.push(Block::End);
    blocks
}

/// The usual size of the next block; a power of two, so that a change of the tree seldom alters it.
fn target(left: u64) -> u64 {
    1 << (left / 2).clamp(LAST_BLOCK, BLOCK).ilog2()
}

/// Whether a file ends a block or part that has `bytes` bytes with it, needs at least `least` of them and has `target` on
/// average: each further byte is the last one with the same probability.
fn is_end(entry: &Entry, bytes: u64, least: u64, target: u64) -> bool {
    let more = target - least;
    let chance = u64::MAX / more * (512 + size(entry)).min(more);
    bytes >= target * 2 || (bytes >= least && hash(&entry.path) < chance)
}

/// The ends of the parts of a block: behind files whose hashed names decide it, or at multiples within a file.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub ends: Vec<usize>,
}

impl Parts {
    fn length_before(&self, place: usize) -> usize {
        place - self.ends.last().copied().unwrap_or_default()
    }

    /// Adds an entry whose bytes are at this range of the block.
    pub fn add(&mut self, entry: &Entry, range: Range<usize>) {
        if range.len() > PART {
            if self.length_before(range.start) >= MIN_PART {
                self.ends.push(range.start);
            }
            let inner = (range.start + PART..).step_by(PART);
            self.ends.extend(inner.take_while(|end| end + MIN_PART <= range.end));
        } else if is_end(entry, self.length_before(range.end) as u64, MIN_PART as u64, PART as u64) {
            self.ends.push(range.end);
        }
    }

    /// Ends the last part with its block.
    pub fn close(&mut self, length: usize) {
        if self.length_before(length) > 0 || self.ends.is_empty() {
            self.ends.push(length);
        }
    }
}

pub(super) fn size(entry: &Entry) -> u64 {
    if let Kind::File { size, .. } = entry.kind { size } else { 0 }
}

/// FNV-1a with a final mix. It must never change, because archives would change with it.
fn hash(path: &[u8]) -> u64 {
    let hash = path
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
