//! The sizes of content as its symbols would be coded at best, without making codes.

use crate::sequences::Frequencies;

/// Costs are in parts of a bit.
pub(crate) const BIT: u32 = 1 << SCALE;
const SCALE: u32 = 8;
const STEPS: u32 = 7;

/// The binary logarithms of 1 to 2, in parts of a bit.
const LOGARITHMS: [u16; 1 << STEPS] = {
    let mut table = [0; 1 << STEPS];
    let mut place = 0;
    while place < table.len() {
        // The mantissa's square is doubled or not: one bit of the logarithm after the other.
        let mut mantissa = (place as u64 + (1 << STEPS)) << (31 - STEPS);
        let mut logarithm = 0;
        let mut bit = 0;
        while bit < SCALE {
            mantissa = (mantissa * mantissa) >> 31;
            logarithm <<= 1;
            if mantissa >= 1 << 32 {
                logarithm += 1;
                mantissa >>= 1;
            }
            bit += 1;
        }
        table[place] = logarithm;
        place += 1;
    }
    table
};

/// The binary logarithm of a number above 0, in parts of a bit.
pub(crate) fn logarithm(of: u32) -> u32 {
    let zeros = of.leading_zeros();
    let mantissa = (of << (zeros & 31)) >> (31 - STEPS) & ((1 << STEPS) - 1);
    ((31 - zeros) << SCALE) + u32::from(LOGARITHMS[mantissa as usize])
}

/// The size of all symbols, in parts of a bit.
pub(crate) fn size(frequencies: &Frequencies) -> u64 {
    of(&frequencies.literals) + of(&frequencies.distances)
}

/// The size of the symbols of two blocks as one.
pub(crate) fn size_together(one: &Frequencies, other: &Frequencies) -> u64 {
    let mut sum = one.clone();
    sum.add(other);
    size(&sum)
}

fn of(frequencies: &[u32]) -> u64 {
    let mut total = 0;
    let mut known = 0;
    for &often in frequencies {
        if often > 0 {
            total += often;
            known += u64::from(often) * u64::from(logarithm(often));
        }
    }
    if total == 0 { 0 } else { u64::from(total) * u64::from(logarithm(total)) - known }
}

/// The mean size of a literal among literals and lengths, in parts of a bit; `None` without literals.
pub(crate) fn literal_size(frequencies: &[u32]) -> Option<u32> {
    let total: u32 = frequencies.iter().sum();
    let mut literals = 0_u64;
    let mut size = 0_u64;
    for &often in &frequencies[..256] {
        if often > 0 {
            literals += u64::from(often);
            size += u64::from(often) * u64::from(logarithm(total) - logarithm(often));
        }
    }
    (literals > 0).then(|| (size / literals) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_a_few_parts_of_a_bit() {
        for number in (1..5_000).chain([65_535, 1 << 20, 123_456_789]) {
            let exact = f64::from(number).log2() * f64::from(BIT);
            assert!((f64::from(logarithm(number)) - exact).abs() < 4.0, "{number}");
        }
    }
}
