//! Compresses the parts of a deflate stream so that the bytes of each depend on it and on the 32 KiB before it alone.
//!
//! Parts that nobody has compressed before are compressed here, the others come from elsewhere; put together in their
//! order and ended with [`END`], they are one deflate stream, the same whichever of them came from where.
use std::{ops::Range, ptr::NonNull};

/// How far back a part can refer.
pub const WINDOW: usize = 32 << 10;
/// What follows the last part of a stream: an empty last block.
pub const END: [u8; 2] = [3, 0];
/// The levels there are.
pub const LEVELS: std::ops::RangeInclusive<i32> = FASTEST..=9;
/// The level whose parts do not refer to what is before them: many small ones would be large.
pub const FASTEST: i32 = 1;

/// More than any part can take: blocks are stored where that is shorter, and none but the last has under 5,000 bytes.
#[must_use]
pub fn bound(part: usize) -> usize {
    part + 5 * (part / 5_000 + 2) + 16
}

/// The match finder and coder of one thread.
#[derive(Debug)]
pub struct Compressor(NonNull<Raw>);

// SAFETY: nothing in a compressor belongs to the thread that made it.
unsafe impl Send for Compressor {}

impl Compressor {
    /// A compressor of a level (one of [`LEVELS`]; others are taken as the nearest).
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn new(level: i32) -> Self {
        // Up to 8 less deep than libdeflate's, as the chains are shorter.
        let (level, depth, nice) = match level {
            ..=1 => (1, 0, 0),
            2 => (2, 2, 16),
            3 => (3, 4, 20),
            4 => (4, 6, 30),
            5 => (5, 10, 65),
            6 => (6, 16, 130),
            7 => (7, 64, 258),
            8 => (8, 128, 258),
            9.. => (9, 600, 258),
        };
        // SAFETY: it has no requirements.
        let raw = unsafe { lightning_native_deflate_new(level, depth, nice) };
        Self(NonNull::new(raw).expect("out of memory"))
    }

    /// Begins with a stream, or goes on with one, whose content is all here.
    pub fn stream<'a>(&'a mut self, content: &'a [u8]) -> Stream<'a> {
        let place = Place { first: content.as_ptr(), base: content.as_ptr(), next_hash: 0 };
        Stream { compressor: self, content, place, next: None }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: it came from `lightning_native_deflate_new` and is freed once.
        unsafe { lightning_native_deflate_free(self.0.as_ptr()) }
    }
}

/// Compresses parts of one content.
#[derive(Debug)]
pub struct Stream<'a> {
    compressor: &'a mut Compressor,
    content: &'a [u8],
    /// Points into `content`.
    place: Place,
    /// Where the last part ended.
    next: Option<usize>,
}

impl Stream<'_> {
    /// Compresses one part into `out` and returns its length, or `None` if there is no room; [`bound`] is enough.
    ///
    /// # Panics
    /// If the part is not in the content.
    pub fn compress(&mut self, part: Range<usize>, out: &mut [u8]) -> Option<usize> {
        assert!(part.start <= part.end && part.end <= self.content.len(), "a part outside of its content");
        let goes_on = self.next.replace(part.end) == Some(part.start);
        // SAFETY: the compressor is ours alone while this lives. Content outlives this and cannot change, and `place` points
        // into it: since `stream`, or since the call before this. The part lies in it; `out` has room for as much as it says.
        let length = unsafe {
            lightning_native_deflate_part(
                self.compressor.0.as_ptr(),
                &raw mut self.place,
                goes_on,
                self.content.as_ptr(),
                part.start,
                part.end,
                self.content.len(),
                out.as_mut_ptr(),
                out.len(),
            )
        };
        (length > 0 || part.is_empty()).then_some(length)
    }
}

/// Where the match finder is between two parts; see `struct place` in `chains.h`.
#[derive(Debug)]
#[repr(C)]
struct Place {
    first: *const u8,
    base: *const u8,
    next_hash: u32,
}

#[repr(C)]
struct Raw {
    private: [u8; 0],
}

unsafe extern "C" {
    fn lightning_native_deflate_new(level: i32, max_search_depth: u32, nice_match_length: u32) -> *mut Raw;
    fn lightning_native_deflate_free(compressor: *mut Raw);
    fn lightning_native_deflate_part(
        compressor: *mut Raw,
        place: *mut Place,
        goes_on: bool,
        content: *const u8,
        start: usize,
        end: usize,
        length: usize,
        out: *mut u8,
        available: usize,
    ) -> usize;
}
