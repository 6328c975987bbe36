//! The content of a block as literals and matches, and the frequencies of its symbols.

use crate::{
    chains::Match,
    symbols::{DISTANCE_CODES, DISTANCE_EXTRA, LENGTH_EXTRA, LITERAL_SYMBOLS, MIN_MATCH, distance, length},
};

/// Literals, and the match after them, if there is one. There are no more literals than a piece has bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub(crate) literals: u16,
    /// The distance of the match less one.
    pub(crate) distance_less: u16,
    /// The length of the match less [`MIN_MATCH`].
    pub(crate) length_less: u8,
    /// The symbol of the distance; [`NO_MATCH`] without a match.
    pub(crate) distance_symbol: u8,
}

/// An index that is the symbol of no distance.
pub(crate) const NO_MATCH: u8 = 31;

impl Sequence {
    /// The length of the match.
    #[inline(always)]
    pub(crate) fn length(self) -> usize {
        usize::from(self.length_less) + MIN_MATCH
    }
}

/// The frequencies of symbols.
#[derive(Clone, Debug)]
pub(crate) struct Frequencies {
    pub(crate) literals: [u32; LITERAL_SYMBOLS],
    pub(crate) distances: [u32; DISTANCE_CODES],
}

impl Frequencies {
    pub(crate) const fn new() -> Self {
        Self { literals: [0; LITERAL_SYMBOLS], distances: [0; DISTANCE_CODES] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.literals.iter().all(|&often| often == 0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.literals.iter_mut().zip(other.literals) {
            *sum += more;
        }
        for (sum, more) in self.distances.iter_mut().zip(other.distances) {
            *sum += more;
        }
    }

    /// The extra bits of all symbols.
    pub(crate) fn extra_bits(&self) -> usize {
        let lengths =
            self.literals[257..].iter().zip(LENGTH_EXTRA).map(|(&often, bits)| often as usize * usize::from(bits));
        let distances = self.distances.iter().zip(DISTANCE_EXTRA).map(|(&often, bits)| often as usize * bits as usize);
        lengths.sum::<usize>() + distances.sum::<usize>()
    }
}

/// The sequences of a block that grows.
#[derive(Debug)]
pub(crate) struct Sequences {
    all: Vec<Sequence>,
    /// The frequencies in the recent piece.
    pub(crate) recent: Frequencies,
}

impl Sequences {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), recent: Frequencies::new() }
    }

    /// Adds literals, and after them a match of a length (3 to 258) at a distance (1 to 32,768).
    #[inline(always)]
    pub(crate) fn add(&mut self, literals: &[u8], found: Match) {
        self.count(literals);
        let length_less = (found.length - MIN_MATCH) as u8;
        let distance_less = (found.distance - 1) as u16;
        self.recent.literals[length(length_less).symbol] += 1;
        let distance_symbol = distance(distance_less).symbol as u8;
        self.recent.distances[usize::from(distance_symbol) % DISTANCE_CODES] += 1;
        self.all.push(Sequence { literals: literals.len() as u16, distance_less, length_less, distance_symbol });
    }

    /// Adds literals without a match.
    pub(crate) fn add_literals(&mut self, literals: &[u8]) {
        if !literals.is_empty() {
            self.count(literals);
            let literals = literals.len() as u16;
            self.all.push(Sequence { literals, distance_less: 0, length_less: 0, distance_symbol: NO_MATCH });
        }
    }

    #[inline(always)]
    fn count(&mut self, literals: &[u8]) {
        for &byte in literals {
            self.recent.literals[usize::from(byte)] += 1;
        }
    }

    pub(crate) fn all(&self) -> &[Sequence] {
        &self.all
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// Forgets the first sequences.
    pub(crate) fn forget(&mut self, first: usize) {
        self.all.drain(..first);
    }
}
