//! Blocks of a stream: each as it is shortest, with codes of its own, with those of RFC 1951, or stored.

use crate::{
    bits::{Bits, Word, count, join, put_all, word},
    huffman::{code_lengths, codes},
    sequences::{Frequencies, NO_MATCH, Sequence},
    symbols::{
        DISTANCE_CODES, DISTANCE_EXTRA, DISTANCE_SYMBOLS, END_OF_BLOCK, LITERAL_SYMBOLS, MAX_MATCH, MIN_MATCH, length,
    },
};

/// Four literals fit between two flushes.
const LONGEST_LITERAL: usize = 14;
const LONGEST_DISTANCE: usize = 15;
const LONGEST_OF_LENGTHS: usize = 7;
/// The order in which RFC 1951 lists the lengths of the codes for lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The most bytes of a stored block.
const MOST_STORED: usize = 0xffff;
const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;

/// The codes of a block, and the tables from which it is written.
pub(crate) struct BlockWriter {
    fixed: Codes,
    own: Codes,
    tables: Tables,
}

struct Codes {
    literal_lengths: [u8; LITERAL_SYMBOLS],
    distance_lengths: [u8; DISTANCE_SYMBOLS],
}

struct Tables {
    literals: [Word; 256],
    /// The code of each length with its extra bits.
    lengths: [Word; 256],
    distances: [Word; DISTANCE_CODES],
    end: Word,
}

/// The lengths of the codes of a block, as they are listed at its start.
struct Header {
    /// Symbols of the list, with the bits that follow them.
    symbols: [(u8, Word); LITERAL_SYMBOLS + DISTANCE_SYMBOLS],
    used: usize,
    literals: usize,
    distances: usize,
    lengths: [u8; 19],
    listed: usize,
    bits: usize,
}

impl BlockWriter {
    pub(crate) fn new() -> Self {
        let mut literal_lengths = [8; LITERAL_SYMBOLS];
        literal_lengths[144..256].fill(9);
        literal_lengths[256..280].fill(7);
        let fixed = Codes { literal_lengths, distance_lengths: [5; DISTANCE_SYMBOLS] };
        let own = Codes { literal_lengths: [0; LITERAL_SYMBOLS], distance_lengths: [0; DISTANCE_SYMBOLS] };
        let tables = Tables { literals: [0; 256], lengths: [0; 256], distances: [0; DISTANCE_CODES], end: 0 };
        Self { fixed, own, tables }
    }

    /// Writes a block of `content`, which `sequences` describe; it is not the last of its stream.
    pub(crate) fn write(
        &mut self,
        bits: &mut Bits<'_>,
        content: &[u8],
        sequences: &[Sequence],
        frequencies: &mut Frequencies,
    ) {
        frequencies.literals[END_OF_BLOCK] = 1;
        code_lengths(&frequencies.literals, LONGEST_LITERAL, &mut self.own.literal_lengths);
        code_lengths(&frequencies.distances[..DISTANCE_SYMBOLS], LONGEST_DISTANCE, &mut self.own.distance_lengths);
        let header = Header::new(&self.own);
        let dynamic = header.bits + self.own.cost(frequencies);
        let fixed = self.fixed.cost(frequencies);
        let coded = 3 + dynamic.min(fixed) + frequencies.extra_bits();
        if stored_bits(content.len(), bits.begun()) < coded {
            store(bits, content);
        } else if (bits.begun() as usize + coded).div_ceil(8) > bits.room() {
            bits.refuse();
        } else if dynamic < fixed {
            bits.put_bits(DYNAMIC << 1, 3);
            header.write(bits);
            self.tables.fill(&self.own);
            self.tables.write(bits, content, sequences);
        } else {
            bits.put_bits(FIXED << 1, 3);
            self.tables.fill(&self.fixed);
            self.tables.write(bits, content, sequences);
        }
    }
}

/// The bits that stored blocks of so many bytes take after some bits of a byte.
fn stored_bits(length: usize, begun: u32) -> usize {
    let first = (begun as usize + 3).next_multiple_of(8) - begun as usize + 32;
    first + (length.div_ceil(MOST_STORED).max(1) - 1) * 40 + length * 8
}

fn store(bits: &mut Bits<'_>, content: &[u8]) {
    for piece in content.chunks(MOST_STORED) {
        begin_stored(bits, piece.len() as u16);
        bits.put_bytes(piece);
    }
}

/// Begins a stored block; its bytes follow.
pub(crate) fn begin_stored(bits: &mut Bits<'_>, length: u16) {
    bits.put_bits(STORED << 1, 3);
    bits.fill_byte();
    bits.put_bits(u32::from(length) | u32::from(!length) << 16, 32);
    bits.flush();
}

impl Codes {
    /// The bits that the symbols of a block take, without their extra bits.
    fn cost(&self, frequencies: &Frequencies) -> usize {
        let cost = |frequencies: &[u32], lengths: &[u8]| -> usize {
            frequencies.iter().zip(lengths).map(|(&frequency, &length)| frequency as usize * usize::from(length)).sum()
        };
        cost(&frequencies.literals, &self.literal_lengths) + cost(&frequencies.distances, &self.distance_lengths)
    }
}

impl Header {
    fn new(codes: &Codes) -> Self {
        let used = |lengths: &[u8], least: usize| {
            lengths.iter().rposition(|&length| length > 0).map_or(least, |last| least.max(last + 1))
        };
        let literals = used(&codes.literal_lengths, END_OF_BLOCK + 1);
        let distances = used(&codes.distance_lengths, 1);
        let mut all = [0; LITERAL_SYMBOLS + DISTANCE_SYMBOLS];
        all[..literals].copy_from_slice(&codes.literal_lengths[..literals]);
        all[literals..literals + distances].copy_from_slice(&codes.distance_lengths[..distances]);
        let mut header = Self {
            symbols: [(0, 0); LITERAL_SYMBOLS + DISTANCE_SYMBOLS],
            used: 0,
            literals,
            distances,
            lengths: [0; 19],
            listed: 4,
            bits: 0,
        };
        for run in all[..literals + distances].chunk_by(|one, other| one == other) {
            header.add_run(run[0], run.len());
        }
        let mut frequencies = [0_u32; 19];
        for &(symbol, extra) in &header.symbols[..header.used] {
            frequencies[usize::from(symbol)] += 1;
            header.bits += count(extra) as usize;
        }
        code_lengths(&frequencies, LONGEST_OF_LENGTHS, &mut header.lengths);
        header.listed = ORDER.iter().rposition(|&symbol| header.lengths[symbol] > 0).map_or(4, |last| 4.max(last + 1));
        header.bits += 14 + 3 * header.listed;
        header.bits += frequencies
            .iter()
            .zip(header.lengths)
            .map(|(&often, bits)| often as usize * usize::from(bits))
            .sum::<usize>();
        header
    }

    fn add(&mut self, symbol: u8, extra: Word) {
        self.symbols[self.used] = (symbol, extra);
        self.used += 1;
    }

    /// Adds a length that occurs `left` times in a row.
    fn add_run(&mut self, length: u8, mut left: usize) {
        if length == 0 {
            while left >= 11 {
                let run = left.min(138);
                self.add(18, word(run as u32 - 11, 7));
                left -= run;
            }
            if left >= 3 {
                self.add(17, word(left as u32 - 3, 3));
                left = 0;
            }
        } else if left >= 4 {
            self.add(length, 0);
            left -= 1;
            while left >= 3 {
                let run = left.min(6);
                self.add(16, word(run as u32 - 3, 2));
                left -= run;
            }
        }
        for _ in 0..left {
            self.add(length, 0);
        }
    }

    fn write(&self, bits: &mut Bits<'_>) {
        bits.put_bits((self.literals - 257) as u32, 5);
        bits.put_bits((self.distances - 1) as u32, 5);
        bits.put_bits((self.listed - 4) as u32, 4);
        bits.flush();
        for &symbol in &ORDER[..self.listed] {
            bits.put_bits(u32::from(self.lengths[symbol]), 3);
            bits.flush();
        }
        let mut words = [0; 19];
        codes(&self.lengths, &mut words);
        for &(symbol, extra) in &self.symbols[..self.used] {
            bits.put(words[usize::from(symbol)]);
            bits.put(extra);
            bits.flush();
        }
    }
}

impl Tables {
    fn fill(&mut self, of: &Codes) {
        let mut words = [0; LITERAL_SYMBOLS];
        codes(&of.literal_lengths, &mut words);
        self.literals.copy_from_slice(&words[..256]);
        self.end = words[END_OF_BLOCK];
        for (less, entry) in (0..=(MAX_MATCH - MIN_MATCH) as u8).zip(&mut self.lengths) {
            let symbol = length(less);
            let code = words[symbol.symbol];
            *entry = if code == 0 { 0 } else { join(code, word(symbol.extra, symbol.extra_bits)) };
        }
        codes(&of.distance_lengths, &mut self.distances[..DISTANCE_SYMBOLS]);
    }

    fn write(&self, bits: &mut Bits<'_>, content: &[u8], sequences: &[Sequence]) {
        let mut rest = content;
        for sequence in sequences {
            let Some((literals, after)) = rest.split_at_checked(usize::from(sequence.literals)) else { return };
            put_all(bits, literals, &self.literals);
            if sequence.distance_symbol == NO_MATCH {
                rest = after;
                continue;
            }
            bits.put(self.lengths[usize::from(sequence.length_less)]);
            let symbol = usize::from(sequence.distance_symbol) % DISTANCE_CODES;
            bits.put(self.distances[symbol]);
            let extra_bits = DISTANCE_EXTRA[symbol];
            bits.put_bits(u32::from(sequence.distance_less) & ((1 << extra_bits) - 1), extra_bits);
            bits.flush();
            rest = after.get(sequence.length()..).unwrap_or_default();
        }
        bits.put(self.end);
        bits.flush();
    }
}
