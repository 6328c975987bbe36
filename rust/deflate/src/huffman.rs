//! Huffman codes of limited length, in the canonical form of RFC 1951.

use crate::bits::{Word, word};

/// More symbols than any alphabet here has.
const MOST: usize = 288;
/// The longest code that RFC 1951 allows.
const LONGEST: usize = 15;

/// Finds the lengths of the codes for symbols that occur so often, none longer than `limit`; 0 for symbols that do not occur.
///
/// There are two codes at least, because some programs read no others.
pub(crate) fn code_lengths(frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut sorted = [0_u64; MOST];
    let mut used = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        if frequency > 0 {
            sorted[used] = u64::from(frequency) << 16 | symbol as u64;
            used += 1;
        }
    }
    if used < 2 {
        let only = if used == 1 { (sorted[0] & 0xffff) as usize } else { 0 };
        lengths[only] = 1;
        lengths[usize::from(only == 0)] = 1;
        return;
    }
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();
    let mut counts = depths(sorted, limit);
    shorten(&mut counts, limit);
    // The rarest symbols come first, and get the longest codes.
    let mut symbols = sorted.iter();
    for length in (1..=limit).rev() {
        for entry in symbols.by_ref().take(counts[length] as usize) {
            lengths[(entry & 0xffff) as usize] = length as u8;
        }
    }
}

/// The number of leaves at each depth of the Huffman tree, those below `limit` as if they were there.
fn depths(sorted: &[u64], limit: usize) -> [u32; LONGEST + 1] {
    let leaves = sorted.len();
    let mut weights = [0_u32; 2 * MOST];
    let mut parents = [0_u16; 2 * MOST];
    for (weight, entry) in weights.iter_mut().zip(sorted) {
        *weight = (entry >> 16) as u32;
    }
    // Both the leaves and the nodes above them are in ascending order, so the two lightest are at the heads of two queues.
    let (mut leaf, mut node) = (0, leaves);
    for new in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let lightest = if leaf < leaves && (node == new || weights[leaf] <= weights[node]) {
                leaf += 1;
                leaf - 1
            } else {
                node += 1;
                node - 1
            };
            weight += weights[lightest];
            parents[lightest] = new as u16;
        }
        weights[new] = weight;
    }
    let mut counts = [0; LONGEST + 1];
    let mut depth = [0_u8; 2 * MOST];
    for place in (0..2 * leaves - 2).rev() {
        depth[place] = depth[usize::from(parents[place])].saturating_add(1);
        if place < leaves {
            counts[usize::from(depth[place]).min(limit)] += 1;
        }
    }
    counts
}

/// Makes codes longer until a prefix code can have these lengths: one of the longest joins the next shorter one.
fn shorten(counts: &mut [u32; LONGEST + 1], limit: usize) {
    let mut taken: u32 = (1..=limit).map(|length| counts[length] << (limit - length)).sum();
    while taken > 1 << limit {
        let length = (1..limit).rev().find(|&length| counts[length] > 0).unwrap_or(1);
        counts[length] -= 1;
        counts[length + 1] += 2;
        counts[limit] -= 1;
        taken -= 1;
    }
}

/// Gives each symbol its code, the first bit lowest.
pub(crate) fn codes(lengths: &[u8], codes: &mut [Word]) {
    let mut counts = [0_u16; LONGEST + 1];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    // Symbols without a code take no place.
    counts[0] = 0;
    let mut next = [0_u16; LONGEST + 1];
    for length in 1..=LONGEST {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
    }
    for (code, &length) in codes.iter_mut().zip(lengths) {
        let length = usize::from(length);
        if length > 0 {
            *code = word(u32::from(next[length].reverse_bits() >> (16 - length)), length as u32);
            next[length] += 1;
        } else {
            *code = 0;
        }
    }
}
