//! Hash chains: the places with the same four bytes, from the nearest to the farthest.
//!
//! A match that is better than the best so far does not only begin with the same four bytes: it also has the four that end
//! one byte after the best. So there are two chains on which it must be, and the search follows the one that begins farther
//! away, on which most often nothing is left.

use crate::{
    WINDOW,
    symbols::MIN_MATCH,
    window::{FARTHEST, Place, SLIDE, START, Window},
};

const HASH_BITS: u32 = 16;
const SHORT_HASH_BITS: u32 = 13;
/// The bytes that a search reads at least: the four at a place, and one more for a better match.
pub(crate) const SEARCHED: usize = 5;

pub(crate) struct Chains {
    /// The last place of each hash of four bytes.
    heads: Box<[Place; 1 << HASH_BITS]>,
    /// The last searched place of each hash of three bytes.
    short_heads: Box<[Place; 1 << SHORT_HASH_BITS]>,
    /// The distance from each place to the one before it on its chain.
    steps: Box<[u16; WINDOW]>,
    /// The first place that has a byte of the content.
    first: i32,
}

/// A search for a match longer than `best`. One of `enough` bytes ends it, and so do `tries` candidates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) best: usize,
    pub(crate) enough: usize,
    pub(crate) tries: u32,
}

/// A match; at a distance of 0 there is none, and the length is the bound that no match exceeded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    pub(crate) length: usize,
    pub(crate) distance: usize,
}

/// The first place to which one of a part can refer.
#[inline(always)]
fn farthest(at: Place) -> i32 {
    i32::from(at) - FARTHEST as i32
}

fn boxed<const N: usize>() -> Box<[u16; N]> {
    vec![0; N].into_boxed_slice().try_into().expect("as long as the array")
}

#[inline(always)]
fn hash(four: u32) -> usize {
    (four.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

#[inline(always)]
fn short_hash(four: u32) -> usize {
    ((four << 8).wrapping_mul(0x9e37_79b1) >> (32 - SHORT_HASH_BITS)) as usize
}

impl Chains {
    pub(crate) fn new() -> Self {
        Self { heads: boxed(), short_heads: boxed(), steps: boxed(), first: START as i32 }
    }

    /// Begins anew where so many bytes before a part are known.
    pub(crate) fn begin(&mut self, known: usize) {
        self.heads.fill(0);
        self.first = (START - known) as i32;
    }

    /// Forgets the searched places, because a part may not depend on searches before it.
    pub(crate) fn begin_part(&mut self) {
        self.short_heads.fill(0);
    }

    pub(crate) fn slide(&mut self) {
        self.first = (self.first - SLIDE as i32).max(0);
        // Two loops, which the compiler makes vectors of.
        for head in self.heads.iter_mut() {
            *head = head.saturating_sub(SLIDE as u16);
        }
        for head in self.short_heads.iter_mut() {
            *head = head.saturating_sub(SLIDE as u16);
        }
    }

    /// Adds a place to the chain of its hash, and returns the place before it on that.
    #[inline(always)]
    fn add(&mut self, at: Place, hash: usize) -> Place {
        let head = &mut self.heads[hash & ((1 << HASH_BITS) - 1)];
        let before = *head;
        *head = at;
        self.steps[usize::from(at) % WINDOW] = at - before;
        before
    }

    /// Adds places up to one that does not come in yet.
    #[inline(always)]
    pub(crate) fn pass(&mut self, window: &Window, from: Place, to: Place) {
        for at in from..to {
            self.add(at, hash(window.four(at, 0)));
        }
    }

    /// The distance from a node to the one before it on its chain.
    #[inline(always)]
    fn step(&self, node: i32) -> i32 {
        i32::from(self.steps[node as usize % WINDOW])
    }

    /// Adds a place, and finds the longest match for it, by way of each `better` one: the nearest of its length.
    ///
    /// `most` is at most 258 and at least [`SEARCHED`].
    #[inline(always)]
    pub(crate) fn longest(
        &mut self,
        window: &Window,
        at: Place,
        most: usize,
        search: Search,
        mut better: impl FnMut(Match),
    ) -> Match {
        let Search { best, enough, mut tries } = search;
        let first = window.four(at, 0);
        // Nodes before the farthest place end a chain; they may even be negative.
        let mut node = i32::from(self.add(at, hash(first)));
        let farthest = farthest(at).max(self.first);
        let mut found = Match { length: best, distance: 0 };
        let mut ahead = 0;
        if best < 4 {
            let short = &mut self.short_heads[short_hash(first) & ((1 << SHORT_HASH_BITS) - 1)];
            let candidate = *short;
            *short = at;
            if best < MIN_MATCH && i32::from(candidate) >= farthest && (window.four(candidate, 0) ^ first) << 8 == 0 {
                found = Match { length: MIN_MATCH, distance: usize::from(at - candidate) };
                better(found);
            }
            loop {
                if node < farthest || tries == 0 {
                    return found;
                }
                tries -= 1;
                if window.four(node as Place, 0) == first {
                    break;
                }
                node -= self.step(node);
            }
            let start = node as Place;
            found = Match { length: window.common(at, start, 4, most), distance: usize::from(at - start) };
            better(found);
            node -= self.step(node);
        }
        let enough = enough.min(most);
        while found.length < enough {
            // A better match has these four bytes at its end.
            let tail = (found.length - 3) as u8;
            let last = window.four(at, tail);
            let rarer = i32::from(self.heads[hash(last) & ((1 << HASH_BITS) - 1)]);
            if rarer - i32::from(tail) < node - ahead {
                node = rarer;
                ahead = i32::from(tail);
            }
            let limit = farthest + ahead;
            loop {
                if node < limit || tries == 0 {
                    return found;
                }
                tries -= 1;
                let start = (node - ahead) as Place;
                if window.four(start, tail) == last && window.four(start, 0) == first {
                    let length = window.common(at, start, 4, most);
                    if length > found.length {
                        found = Match { length, distance: usize::from(at - start) };
                        better(found);
                        break;
                    }
                }
                node -= self.step(node);
            }
            node -= self.step(node);
        }
        found
    }

    /// Puts a place at the head of its chain, and returns the one that was there, if it begins with the same four bytes.
    #[inline(always)]
    pub(crate) fn last(&mut self, window: &Window, at: Place) -> Option<Place> {
        let four = window.four(at, 0);
        let head = &mut self.heads[hash(four) & ((1 << HASH_BITS) - 1)];
        let candidate = *head;
        *head = at;
        (i32::from(candidate) >= farthest(at) && window.four(candidate, 0) == four).then_some(candidate)
    }

    /// Puts a place at the head of its chain.
    #[inline(always)]
    pub(crate) fn remember(&mut self, window: &Window, at: Place) {
        self.heads[hash(window.four(at, 0)) & ((1 << HASH_BITS) - 1)] = at;
    }
}
