//! The bytes among which matches are found: those of a part, and 32 KiB before it.

use crate::WINDOW;

/// A place in a window. Place 0 has no byte of use: it stands for none.
pub(crate) type Place = u16;

/// The place of the first byte of a part that begins anew; those of the bytes before it come before.
pub(crate) const START: usize = WINDOW;
/// The places by which bytes move in a slide: from beyond the last place to [`START`].
pub(crate) const SLIDE: usize = (1 << 16) - START;
/// The greatest distance of a match, so that place 0 is too far from every place of a part.
pub(crate) const FARTHEST: usize = WINDOW - 1;
/// The bytes after the last place: what is read ahead from one.
const AHEAD: usize = 1 << 10;
const SIZE: usize = (1 << 16) + AHEAD;

/// A buffer that slides along the content. The type of a place proves that reading from it stays inside.
pub(crate) struct Window {
    bytes: Box<[u8; SIZE]>,
    /// The end of the bytes that are here.
    end: usize,
}

impl Window {
    pub(crate) fn new() -> Self {
        let bytes = vec![0; SIZE].into_boxed_slice().try_into().expect("as long as the array");
        Self { bytes, end: START }
    }

    /// Begins with the bytes before a part, at most [`FARTHEST`].
    pub(crate) fn begin(&mut self, before: &[u8]) {
        self.bytes[START - before.len()..START].copy_from_slice(before);
        self.end = START;
    }

    /// Takes as many of these bytes as there is room for, and returns their number.
    pub(crate) fn take(&mut self, content: &[u8]) -> usize {
        let taken = content.len().min(SIZE - self.end);
        self.bytes[self.end..self.end + taken].copy_from_slice(&content[..taken]);
        self.end += taken;
        taken
    }

    /// Moves all bytes [`SLIDE`] places to the front.
    pub(crate) fn slide(&mut self) {
        self.bytes.copy_within(SLIDE..self.end, 0);
        self.end -= SLIDE;
    }

    /// The four bytes that begin `ahead` after a place.
    #[inline(always)]
    pub(crate) fn four(&self, at: Place, ahead: u8) -> u32 {
        let at = usize::from(at) + usize::from(ahead);
        let Some(bytes) = self.bytes[at..].first_chunk() else { return 0 };
        u32::from_le_bytes(*bytes)
    }

    #[inline(always)]
    fn eight(&self, at: Place, ahead: usize) -> u64 {
        let at = usize::from(at) + (ahead & (AHEAD / 2 - 1));
        let Some(bytes) = self.bytes[at..].first_chunk() else { return 0 };
        u64::from_le_bytes(*bytes)
    }

    /// The number of bytes that are the same after two places, of which `known` are; at most `most`, which is at most 258.
    #[inline(always)]
    pub(crate) fn common(&self, one: Place, other: Place, known: usize, most: usize) -> usize {
        let mut length = known;
        while length < most {
            let different = self.eight(one, length) ^ self.eight(other, length);
            if different != 0 {
                return most.min(length + different.trailing_zeros() as usize / 8);
            }
            length += 8;
        }
        most
    }
}
