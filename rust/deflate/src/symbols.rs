//! The symbols of RFC 1951 for lengths and distances, and the numbers of their extra bits.

/// The shortest match that has a symbol.
pub(crate) const MIN_MATCH: usize = 3;
/// The longest match that has a symbol.
pub(crate) const MAX_MATCH: usize = 258;
/// The symbol that ends a block; those below are literals, those above are lengths.
pub(crate) const END_OF_BLOCK: usize = 256;
/// The number of symbols for literals and lengths; the last two have only codes.
pub(crate) const LITERAL_SYMBOLS: usize = 288;
/// The number of symbols for distances.
pub(crate) const DISTANCE_SYMBOLS: usize = 30;
/// A number of symbols above every index that [`distance`] gives; the last two do not occur.
pub(crate) const DISTANCE_CODES: usize = 32;

/// The symbols for lengths, of which the last stands for [`MAX_MATCH`] alone.
const LENGTH_SYMBOLS: usize = 29;

/// The extra bits of each symbol for lengths.
pub(crate) const LENGTH_EXTRA: [u8; LENGTH_SYMBOLS] = {
    let mut extra = [0; LENGTH_SYMBOLS];
    let mut symbol = 8;
    while symbol < LENGTH_SYMBOLS - 1 {
        extra[symbol] = (symbol / 4 - 1) as u8;
        symbol += 1;
    }
    extra
};

/// The extra bits of each symbol for distances.
pub(crate) const DISTANCE_EXTRA: [u32; DISTANCE_CODES] = {
    let mut extra = [0; DISTANCE_CODES];
    let mut symbol = 4;
    while symbol < DISTANCE_SYMBOLS {
        extra[symbol] = symbol as u32 / 2 - 1;
        symbol += 1;
    }
    extra
};

/// The shortest length of each symbol, less [`MIN_MATCH`].
const LENGTH_BASE: [u16; LENGTH_SYMBOLS] = {
    let mut base = [0; LENGTH_SYMBOLS];
    let mut symbol = 1;
    while symbol < LENGTH_SYMBOLS - 1 {
        base[symbol] = base[symbol - 1] + (1 << LENGTH_EXTRA[symbol - 1]);
        symbol += 1;
    }
    base[LENGTH_SYMBOLS - 1] = (MAX_MATCH - MIN_MATCH) as u16;
    base
};

/// The symbol of each length, less [`MIN_MATCH`] and less the first symbol.
const LENGTH_SYMBOL: [u8; MAX_MATCH - MIN_MATCH + 1] = {
    let mut symbols = [0; MAX_MATCH - MIN_MATCH + 1];
    let mut symbol = 0;
    while symbol < LENGTH_SYMBOLS {
        let mut length = LENGTH_BASE[symbol] as usize;
        while length < symbols.len() {
            symbols[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    symbols
};

/// A symbol with the value and the number of the bits that follow it.
pub(crate) struct WithExtra {
    pub(crate) symbol: usize,
    pub(crate) extra: u32,
    pub(crate) extra_bits: u32,
}

/// The symbol of a length that is less by [`MIN_MATCH`].
#[inline(always)]
pub(crate) fn length(less: u8) -> WithExtra {
    let symbol = usize::from(LENGTH_SYMBOL[usize::from(less)]);
    WithExtra {
        symbol: END_OF_BLOCK + 1 + symbol,
        extra: u32::from(u16::from(less) - LENGTH_BASE[symbol]),
        extra_bits: u32::from(LENGTH_EXTRA[symbol]),
    }
}

/// The symbol of a distance that is less by one, up to 2^15 - 1.
#[inline(always)]
pub(crate) fn distance(less: u16) -> WithExtra {
    let less = u32::from(less);
    let extra_bits = distance_extra_bits(less);
    // From 4 on, two symbols share a number of extra bits: the bit below the highest tells which.
    let symbol = 2 * extra_bits + (less >> extra_bits);
    WithExtra { symbol: (symbol & 31) as usize, extra: less & ((1 << extra_bits) - 1), extra_bits }
}

/// The extra bits of a distance that is less by one.
#[inline(always)]
pub(crate) fn distance_extra_bits(less: u32) -> u32 {
    (30 - (less | 2).leading_zeros()).min(13)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_symbols_of_the_rfc() {
        for (given, symbol, extra_bits, extra) in [
            (3, 257, 0, 0),
            (10, 264, 0, 0),
            (11, 265, 1, 0),
            (12, 265, 1, 1),
            (130, 280, 4, 15),
            (131, 281, 5, 0),
            (257, 284, 5, 30),
            (258, 285, 0, 0),
        ] {
            let found = length(u8::try_from(given - MIN_MATCH).expect("a length"));
            assert_eq!((found.symbol, found.extra_bits, found.extra), (symbol, extra_bits, extra), "{given}");
        }
    }

    #[test]
    fn distances_have_the_symbols_of_the_rfc() {
        for (given, symbol, extra_bits, extra) in [
            (1, 0, 0, 0),
            (4, 3, 0, 0),
            (5, 4, 1, 0),
            (6, 4, 1, 1),
            (7, 5, 1, 0),
            (24_577, 29, 13, 0),
            (32_768, 29, 13, 8191),
        ] {
            let found = distance(given - 1);
            assert_eq!((found.symbol, found.extra_bits, found.extra), (symbol, extra_bits, extra), "{given}");
        }
    }
}
