//! Bits on their way into a buffer of bytes, the lowest first.

/// A code word or any other value, with the number of its bits above bit 24.
pub(crate) type Word = u32;

const COUNT_AT: u32 = 24;

/// The word of the lowest `count` bits of `bits`, at most 24.
pub(crate) fn word(bits: u32, count: u32) -> Word {
    bits | count << COUNT_AT
}

/// The word of one word's bits and then another's, at most 24.
pub(crate) fn join(first: Word, second: Word) -> Word {
    first + (second >> COUNT_AT << COUNT_AT) + ((second & ((1 << COUNT_AT) - 1)) << count(first))
}

/// The number of a word's bits.
pub(crate) fn count(word: Word) -> u32 {
    word >> COUNT_AT
}

/// Bits that are written into a slice; what has no room is dropped, and remembered as such.
pub(crate) struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    waiting: u64,
    pending: u32,
    is_full: bool,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, waiting: 0, pending: 0, is_full: false }
    }

    /// Adds a word. At most 56 bits may be added between two calls of [`Self::flush`].
    #[inline(always)]
    pub(crate) fn put(&mut self, word: Word) {
        self.put_bits(word & ((1 << COUNT_AT) - 1), count(word));
    }

    /// Adds the lowest `count` bits of a value that has no others.
    #[inline(always)]
    pub(crate) fn put_bits(&mut self, bits: u32, count: u32) {
        self.waiting |= u64::from(bits) << (self.pending & 63);
        self.pending += count;
    }

    /// Writes all whole bytes.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        let bytes = self.pending / 8;
        if let Some(place) = self.out.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            *place = self.waiting.to_le_bytes();
            self.at += bytes as usize;
        } else {
            self.flush_at_end(bytes);
        }
        self.waiting >>= (bytes * 8) & 63;
        self.pending -= bytes * 8;
    }

    #[cold]
    fn flush_at_end(&mut self, bytes: u32) {
        for byte in &self.waiting.to_le_bytes()[..bytes as usize] {
            self.put_byte(*byte);
        }
    }

    fn put_byte(&mut self, byte: u8) {
        if let Some(place) = self.out.get_mut(self.at) {
            *place = byte;
            self.at += 1;
        } else {
            self.is_full = true;
        }
    }

    /// Adds bytes where a byte begins.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.pending, 0);
        if let Some(place) = self.out.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
            self.at += bytes.len();
        } else {
            self.is_full = true;
        }
    }

    /// Fills the byte that has begun with zeros.
    pub(crate) fn fill_byte(&mut self) {
        self.pending = self.pending.next_multiple_of(8);
        self.flush();
    }

    /// The bits by which the last byte is incomplete, of those that were added.
    pub(crate) fn begun(&self) -> u32 {
        self.pending % 8
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The number of bytes written.
    pub(crate) fn len(&self) -> usize {
        self.at
    }

    /// The number of bytes for which there is room.
    pub(crate) fn room(&self) -> usize {
        self.out.len() - self.at
    }

    pub(crate) fn refuse(&mut self) {
        self.is_full = true;
    }
}

/// Adds the word of each byte.
#[inline(always)]
pub(crate) fn put_all(bits: &mut Bits<'_>, bytes: &[u8], words: &[Word; 256]) {
    let mut rest = bytes;
    while let Some((four, after)) = rest.split_first_chunk::<4>() {
        for &byte in four {
            bits.put(words[usize::from(byte)]);
        }
        bits.flush();
        rest = after;
    }
    if let [first, others @ ..] = rest {
        bits.put(words[usize::from(*first)]);
        for &byte in others {
            bits.put(words[usize::from(byte)]);
        }
        bits.flush();
    }
}
