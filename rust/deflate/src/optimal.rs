//! The cheapest sequences of a piece, as far as the costs of its symbols are known before it is coded.
//!
//! The matches of each place are found once. Then the cheapest way through the piece is sought, from place to place, by the
//! costs of the symbols on the way before: of the block so far at first, and of the last way after that.

use crate::{
    chains::{Match, SEARCHED},
    entropy::{BIT, logarithm},
    level::Effort,
    parse::Parser,
    sequences::Frequencies,
    symbols::{DISTANCE_CODES, MAX_MATCH, MIN_MATCH, distance, length},
};

/// The tables of a search for the cheapest way.
#[derive(Debug, Default)]
pub(crate) struct Optimal {
    /// The matches of all places, each longer than the one before it at the same place.
    matches: Vec<Match>,
    /// The index of each place's first match.
    first: Vec<usize>,
    ways: Vec<Way>,
}

/// The cheapest way to a place.
#[derive(Clone, Copy, Debug)]
struct Way {
    cost: u32,
    /// Its last step: a match, or a literal if the length is 1.
    last: Match,
}

/// The costs of symbols with their extra bits, in parts of a bit.
struct Costs {
    literals: [u32; 256],
    lengths: [u32; MAX_MATCH - MIN_MATCH + 1],
    distances: [u32; DISTANCE_CODES],
}

impl Costs {
    /// The costs where symbols occur so often; those that do not occur cost a little more than the rarest.
    fn of(frequencies: &Frequencies) -> Self {
        let costs = |frequencies: &[u32], of: &mut [u32]| {
            let total = logarithm(2 * frequencies.iter().sum::<u32>() + 1);
            for (cost, often) in of.iter_mut().zip(frequencies) {
                *cost = (total - logarithm(2 * often + 1).min(total)).max(BIT);
            }
        };
        let mut symbols = [0; 288];
        costs(&frequencies.literals, &mut symbols);
        let mut distances = [0; DISTANCE_CODES];
        costs(&frequencies.distances, &mut distances);
        for (symbol, cost) in distances.iter_mut().enumerate() {
            *cost += BIT * (symbol as u32 / 2).saturating_sub(1);
        }
        let mut literals = [0; 256];
        literals.copy_from_slice(&symbols[..256]);
        let mut lengths = [0; MAX_MATCH - MIN_MATCH + 1];
        for (less, cost) in (0_u8..=255).zip(&mut lengths) {
            let symbol = length(less);
            *cost = symbols[symbol.symbol] + symbol.extra_bits * BIT;
        }
        Self { literals, lengths, distances }
    }

    /// The frequencies of symbols to expect before any is known.
    fn guess(content: &[u8]) -> Frequencies {
        let mut frequencies = Frequencies::new();
        for &byte in content {
            frequencies.literals[usize::from(byte)] += 1;
        }
        let often = content.len() as u32 / 40 + 1;
        for less in 0_u8..=255 {
            frequencies.literals[length(less).symbol] = often;
        }
        frequencies.distances[..30].fill(often);
        frequencies
    }
}

impl Optimal {
    /// Finds the cheapest way through `content`, of which the matches are known, back from its end.
    fn find(&mut self, content: &[u8], costs: &Costs) {
        let start = Way { cost: 0, last: Match { length: 1, distance: 0 } };
        self.ways.clear();
        self.ways.resize(content.len() + 1, Way { cost: u32::MAX, ..start });
        self.ways[0] = start;
        for (place, &byte) in content.iter().enumerate() {
            let before = self.ways[place].cost;
            if before == u32::MAX {
                continue;
            }
            let with_literal = before + costs.literals[usize::from(byte)];
            if with_literal < self.ways[place + 1].cost {
                self.ways[place + 1] = Way { cost: with_literal, last: Match { length: 1, distance: 0 } };
            }
            let mut shortest = MIN_MATCH;
            for found in &self.matches[self.first[place]..self.first[place + 1]] {
                let with_distance = before + costs.distances[distance((found.distance - 1) as u16).symbol];
                let longest = found.length.min(content.len() - place);
                for length in shortest..=longest {
                    let cost = with_distance + costs.lengths[length - MIN_MATCH];
                    if cost < self.ways[place + length].cost {
                        self.ways[place + length] = Way { cost, last: Match { length, distance: found.distance } };
                    }
                }
                shortest = longest + 1;
            }
        }
    }

    /// The steps of the cheapest way, the last first.
    fn back(&self) -> impl Iterator<Item = Match> {
        let mut place = self.ways.len() - 1;
        std::iter::from_fn(move || {
            let last = (place > 0).then(|| self.ways[place].last)?;
            place -= last.length;
            Some(last)
        })
    }

    /// Turns the steps into matches in their order, and counts their symbols.
    fn count(&mut self, content: &[u8], steps: &mut Vec<Match>) -> Frequencies {
        steps.clear();
        steps.extend(self.back());
        steps.reverse();
        let mut frequencies = Frequencies::new();
        let mut place = 0;
        for step in steps {
            if step.distance == 0 {
                frequencies.literals[usize::from(content[place])] += 1;
            } else {
                frequencies.literals[length((step.length - MIN_MATCH) as u8).symbol] += 1;
                frequencies.distances[distance((step.distance - 1) as u16).symbol] += 1;
            }
            place += step.length;
        }
        frequencies
    }
}

impl Parser {
    /// Parses up to a position by the cheapest way, and returns that position.
    pub(crate) fn parse_optimal(
        &mut self,
        content: &[u8],
        start: usize,
        stop: usize,
        end: usize,
        effort: Effort,
    ) -> usize {
        let mut optimal = std::mem::take(&mut self.optimal);
        self.find_matches(&mut optimal, content, start, stop, end, effort);
        let piece = &content[start..stop];
        let mut frequencies = if self.block.is_empty() { Costs::guess(piece) } else { self.block.clone() };
        let mut steps = Vec::new();
        for _ in 0..effort.passes {
            optimal.find(piece, &Costs::of(&frequencies));
            frequencies = optimal.count(piece, &mut steps);
            frequencies.add(&self.block);
        }
        let (mut literals, mut place) = (0, 0);
        for step in steps {
            if step.distance > 0 {
                self.sequences.add(&piece[literals..place], step);
                literals = place + step.length;
            }
            place += step.length;
        }
        self.sequences.add_literals(&piece[literals..]);
        self.optimal = optimal;
        stop
    }

    fn find_matches(
        &mut self,
        optimal: &mut Optimal,
        content: &[u8],
        start: usize,
        stop: usize,
        end: usize,
        effort: Effort,
    ) {
        let Optimal { matches, first, .. } = optimal;
        matches.clear();
        first.clear();
        let mut position = start;
        while position < stop {
            first.push(matches.len());
            if end - position < SEARCHED {
                position += 1;
                continue;
            }
            let found = self.search(content, position, end, effort.search(), |found| matches.push(found));
            position += 1;
            if found.length >= effort.enough {
                // No way begins inside of so long a match.
                let after = stop.min(position + found.length - 1);
                first.resize(after - start, matches.len());
                position = after;
            }
        }
        first.push(matches.len());
    }
}
