//! Compresses the parts of a deflate stream so that the bytes of each depend on it and on the 32 KiB before it alone.
//!
//! Parts that nobody has compressed before are compressed here, the others come from elsewhere, such as a cache. Together, in
//! their order and ended with [`END`], they are one stream as RFC 1951 describes it, the same wherever each came from:
//!
//! ```
//! use lightning_native_deflate::{Compressor, END, bound};
//!
//! let content = b"to be or not to be, that is the question".repeat(100);
//! let mut compressor = Compressor::new(6);
//! let mut stream = compressor.stream(&content);
//! let mut deflated = Vec::new();
//! for part in [0..2_000, 2_000..content.len()] {
//!     let mut out = vec![0; bound(part.len())];
//!     let length = stream.compress(part, &mut out).expect("room");
//!     deflated.extend_from_slice(&out[..length]);
//! }
//! deflated.extend_from_slice(&END);
//! ```
//!
//! # The way of a part
//!
//! 1. `window`: its bytes are copied behind those before it. A place in the window is a `u16`, so its type alone proves that
//!    nothing is read outside, and the compiler leaves the checks out.
//! 2. `chains`: hash chains find the longest match for a place.
//! 3. `parse`: a match is taken where it saves bits, unless a later one saves more. After each piece of some thousand bytes,
//!    the entropy of its symbols decides whether it joins the block before it.
//! 4. `block`, `huffman`: a block is written with codes of its own, with those of RFC 1951, or stored: as it is shortest.
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::inline_always,
    reason = "small numbers are stored small, and a hot loop is one function"
)]

use std::{fmt, ops::Range};

mod bits;
mod block;
mod chains;
mod entropy;
mod huffman;
mod level;
mod optimal;
mod parse;
mod sequences;
mod symbols;
mod window;

use bits::Bits;
use level::Effort;
use parse::{PIECE, Parser};
use window::FARTHEST;

/// The distance up to which a part refers to bytes before it.
pub const WINDOW: usize = 32 << 10;
/// The bytes that follow the last part of a stream: an empty last block.
pub const END: [u8; 2] = [3, 0];
/// The levels, from the fastest to the smallest result.
pub const LEVELS: std::ops::RangeInclusive<i32> = FASTEST..=12;
/// The level whose parts do not refer to bytes before them, so that many small ones are large.
pub const FASTEST: i32 = 1;

/// A number of bytes in which a part of `part` bytes always fits.
///
/// Blocks are stored where that is shorter, and only the last one is shorter than a piece.
#[must_use]
pub fn bound(part: usize) -> usize {
    part + 5 * (part / PIECE + 2) + 16
}

/// The tables of one thread, for one level; they are used again for each part.
pub struct Compressor {
    parser: Box<Parser>,
    /// `None`: the fastest level.
    effort: Option<Effort>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Compressor").field("effort", &self.effort).finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor of a level (one of [`LEVELS`]; others are taken as the nearest).
    #[must_use]
    pub fn new(level: i32) -> Self {
        Self { parser: Box::new(Parser::new()), effort: Effort::of(level) }
    }

    /// A stream of which all content is here.
    pub fn stream<'a>(&'a mut self, content: &'a [u8]) -> Stream<'a> {
        Stream { compressor: self, content, next: None }
    }
}

/// Compresses parts of one content.
#[derive(Debug)]
pub struct Stream<'a> {
    compressor: &'a mut Compressor,
    content: &'a [u8],
    /// The end of the last part.
    next: Option<usize>,
}

impl Stream<'_> {
    /// Compresses one part into `out` and returns its length, or `None` if there is no room; [`bound`] is enough.
    ///
    /// The result ends at a whole byte. Parts may be compressed in any order; the next one after the last is the fastest.
    ///
    /// # Panics
    /// If the part is not in the content.
    pub fn compress(&mut self, part: Range<usize>, out: &mut [u8]) -> Option<usize> {
        assert!(part.start <= part.end && part.end <= self.content.len(), "a part outside of its content");
        if part.is_empty() {
            return Some(0);
        }
        let goes_on = self.next.replace(part.end) == Some(part.start);
        let mut bits = Bits::new(out);
        let parser = &mut self.compressor.parser;
        if let Some(effort) = self.compressor.effort {
            if !goes_on {
                parser.begin(self.content, part.start, part.start.min(FARTHEST));
            }
            parser.compress(self.content, part, effort, &mut bits);
        } else {
            parser.compress_fast(self.content, part, &mut bits);
        }
        if bits.begun() > 0 {
            block::begin_stored(&mut bits, 0);
        }
        let is_whole = !bits.is_full();
        if !is_whole {
            // The tables are in the middle of this part.
            self.next = None;
        }
        is_whole.then(|| bits.len())
    }
}
