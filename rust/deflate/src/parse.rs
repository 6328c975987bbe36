//! The division of a part into literals and matches, and into blocks.

use std::ops::Range;

use crate::{
    bits::Bits,
    block::BlockWriter,
    chains::{Chains, Match, SEARCHED, Search},
    entropy::{BIT, literal_size, size, size_together},
    level::Effort,
    optimal::Optimal,
    sequences::{Frequencies, Sequences},
    symbols::{MAX_MATCH, MIN_MATCH, distance_extra_bits},
    window::{Place, SLIDE, START, Window},
};

/// The bytes after which a block may end: no block but a part's last is shorter.
pub(crate) const PIECE: usize = 4_000;
/// The same at the fastest level, where the question whether a block ends is asked less often.
const FAST_PIECE: usize = 6 * PIECE;
/// The bytes after which a block ends in any case, so that its sequences have a limit.
const LONGEST_BLOCK: usize = 1 << 18;
/// The bits of a block besides its symbols: the list of its codes.
const HEADER: u64 = 80 * 8;
/// The usual cost of a length and of the symbol of a distance, in parts of a bit.
const MATCH: i32 = 11 * BIT as i32;
/// The least number of a part's bytes in the window after a place, as long as the part has so many.
const AHEAD: usize = 2 * MAX_MATCH;
/// The number of bytes from which the cost of a part's first literals is estimated.
const SAMPLE: usize = 4096;
/// The parts of a bit that a match has to save more if it begins so many bytes later.
const MARGINS: [i32; 3] = [0, 2 * BIT as i32, 6 * BIT as i32];

/// The parser of one thread: its tables are used again for each part.
pub(crate) struct Parser {
    window: Window,
    chains: Chains,
    /// The difference between a place in the window and its position in the content; it wraps.
    offset: usize,
    /// The position up to which the content is in the window.
    taken: usize,
    /// The position up to which places are on the chains.
    added: usize,
    /// The position from which on the window has to advance.
    limit: usize,
    pub(crate) sequences: Sequences,
    pub(crate) block: Frequencies,
    writer: BlockWriter,
    pub(crate) optimal: Optimal,
}

/// The sizes by which a match is compared with literals, in parts of a bit.
#[derive(Clone, Copy)]
struct Costs {
    literal: i32,
}

impl Costs {
    /// A guess from the first bytes of a part.
    fn guess(sample: &[u8]) -> Self {
        let mut frequencies = [0; 256];
        for &byte in sample {
            frequencies[usize::from(byte)] += 1;
        }
        Self { literal: literal_size(&frequencies).unwrap_or(8 * BIT) as i32 + BIT as i32 / 2 }
    }

    /// The bits that a match saves.
    #[inline(always)]
    fn worth(self, found: Match) -> i32 {
        let extra = distance_extra_bits(found.distance.wrapping_sub(1) as u32 & 0x7fff);
        found.length as i32 * self.literal - MATCH - (extra * BIT) as i32
    }
}

impl Parser {
    pub(crate) fn new() -> Self {
        Self {
            window: Window::new(),
            chains: Chains::new(),
            offset: 0,
            taken: 0,
            added: 0,
            limit: 0,
            sequences: Sequences::new(),
            block: Frequencies::new(),
            writer: BlockWriter::new(),
            optimal: Optimal::default(),
        }
    }

    /// Begins anew at a position, where so many bytes before it are known.
    pub(crate) fn begin(&mut self, content: &[u8], start: usize, known: usize) {
        self.window.begin(&content[start - known..start]);
        self.chains.begin(known);
        self.offset = START.wrapping_sub(start);
        self.added = start - known;
        self.taken = start;
    }

    /// The place of a position, of which the bytes up to `end` are in the window as far as a search reads.
    #[inline(always)]
    fn place(&mut self, content: &[u8], position: usize, end: usize) -> Place {
        if position >= self.limit {
            self.advance(content, position, end);
        }
        position.wrapping_add(self.offset) as Place
    }

    #[cold]
    #[inline(never)]
    fn advance(&mut self, content: &[u8], position: usize, end: usize) {
        while position.wrapping_add(self.offset) > usize::from(Place::MAX) {
            self.window.slide();
            self.chains.slide();
            self.offset = self.offset.wrapping_sub(SLIDE);
        }
        self.taken += self.window.take(&content[self.taken..end]);
        let last = (1_usize << 16).wrapping_sub(self.offset);
        self.limit = if self.taken < end { last.min(self.taken - AHEAD) } else { last };
    }

    #[inline(always)]
    pub(crate) fn search(
        &mut self,
        content: &[u8],
        position: usize,
        end: usize,
        search: Search,
        better: impl FnMut(Match),
    ) -> Match {
        let at = self.place(content, position, end);
        let from = self.added.wrapping_add(self.offset) as Place;
        self.chains.pass(&self.window, from, at);
        self.added = position + 1;
        let most = MAX_MATCH.min(end - position);
        self.chains.longest(&self.window, at, most, search, better)
    }

    /// Compresses a part, which begins where the last one ended or where [`Self::begin`] said.
    pub(crate) fn compress(&mut self, content: &[u8], part: Range<usize>, effort: Effort, bits: &mut Bits<'_>) {
        self.chains.begin_part();
        self.limit = part.start;
        let sample = &content[part.start..part.end.min(part.start + SAMPLE)];
        let mut costs = Costs::guess(sample);
        self.in_blocks(content, part, bits, PIECE, |parser, position, piece_end, end| {
            if effort.passes > 0 {
                return parser.parse_optimal(content, position, piece_end, end, effort);
            }
            let reached = parser.parse(content, position, piece_end, end, effort, costs);
            if let Some(literal) = literal_size(&parser.sequences.recent.literals) {
                costs.literal = literal as i32;
            }
            reached
        });
    }

    /// Compresses a part by the first match of each place, without a look at anything before it.
    pub(crate) fn compress_fast(&mut self, content: &[u8], part: Range<usize>, bits: &mut Bits<'_>) {
        self.begin(content, part.start, 0);
        self.limit = part.start;
        self.in_blocks(content, part, bits, FAST_PIECE, |parser, position, piece_end, end| {
            parser.parse_fast(content, position, piece_end, end)
        });
    }

    /// Parses a part in pieces, and ends a block where the symbols of the next piece differ from those before.
    fn in_blocks(
        &mut self,
        content: &[u8],
        part: Range<usize>,
        bits: &mut Bits<'_>,
        piece: usize,
        mut parse: impl FnMut(&mut Self, usize, usize, usize) -> usize,
    ) {
        let mut block_start = part.start;
        let mut position = part.start;
        let mut in_block = 0;
        while position < part.end && !bits.is_full() {
            let piece_start = position;
            let is_last = part.end - position < 2 * piece;
            position = parse(self, position, if is_last { part.end } else { position + piece }, part.end);
            if piece_start > block_start && self.is_other(piece_start - block_start) {
                self.write(bits, &content[block_start..piece_start], in_block);
                block_start = piece_start;
            }
            self.block.add(&self.sequences.recent);
            self.sequences.recent = Frequencies::new();
            in_block = self.sequences.all().len();
        }
        if position > block_start {
            self.write(bits, &content[block_start..position], in_block);
        }
        self.sequences.clear();
        self.block = Frequencies::new();
    }

    /// Whether the recent piece had better be in a block of its own.
    fn is_other(&self, length: usize) -> bool {
        let apart = size(&self.block) + size(&self.sequences.recent) + HEADER * u64::from(BIT);
        length >= LONGEST_BLOCK || apart < size_together(&self.block, &self.sequences.recent)
    }

    fn write(&mut self, bits: &mut Bits<'_>, content: &[u8], sequences: usize) {
        self.writer.write(bits, content, &self.sequences.all()[..sequences], &mut self.block);
        self.sequences.forget(sequences);
        self.block = Frequencies::new();
    }

    /// Parses up to a position, or to the end of the match there, and returns where that is.
    fn parse(
        &mut self,
        content: &[u8],
        mut position: usize,
        stop: usize,
        end: usize,
        effort: Effort,
        costs: Costs,
    ) -> usize {
        let mut literals = position;
        // The last bytes of a part are literals, because a search reads so many.
        let last = stop.min(end.saturating_sub(SEARCHED - 1));
        let any = effort.search();
        while position < last {
            let mut found = self.search(content, position, end, any, |_| ());
            if found.length < MIN_MATCH {
                position += 1;
                continue;
            }
            let mut worth = costs.worth(found);
            if worth <= 0 {
                position += 1;
                continue;
            }
            let mut looks = 0;
            while looks < effort.looks && found.length < effort.lazy && end - position > SEARCHED + looks as usize {
                looks += 1;
                let next = position + looks as usize;
                let tries = effort.tries >> (looks + 1);
                let other = self.search(content, next, end, Search { best: found.length - 1, tries, ..any }, |_| ());
                let other_worth = costs.worth(other);
                if other.length >= found.length && other_worth > worth + MARGINS[looks as usize] {
                    (position, found, worth, looks) = (next, other, other_worth, 0);
                }
            }
            self.sequences.add(&content[literals..position], found);
            position += found.length;
            literals = position;
        }
        self.end_piece(content, literals, position, stop)
    }

    fn parse_fast(&mut self, content: &[u8], mut position: usize, stop: usize, end: usize) -> usize {
        let mut literals = position;
        let last = stop.min(end.saturating_sub(SEARCHED - 1));
        while position < last {
            let at = self.place(content, position, end);
            let Some(candidate) = self.chains.last(&self.window, at) else {
                position += 1;
                continue;
            };
            let most = MAX_MATCH.min(end - position);
            let length = self.window.common(at, candidate, 4, most);
            let found = Match { length, distance: usize::from(at - candidate) };
            self.sequences.add(&content[literals..position], found);
            position += length;
            literals = position;
            if position < last && usize::from(at) + length <= usize::from(Place::MAX) {
                for behind in [1, length - 2, length - 1] {
                    self.chains.remember(&self.window, at + behind as Place);
                }
            }
        }
        self.end_piece(content, literals, position, stop)
    }

    /// Adds the literals at the end of a piece, and returns the position after them.
    fn end_piece(&mut self, content: &[u8], literals: usize, position: usize, stop: usize) -> usize {
        let position = position.max(stop);
        self.sequences.add_literals(&content[literals..position]);
        position
    }
}
