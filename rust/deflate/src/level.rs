//! The effort of each level.

use crate::{chains::Search, symbols::MIN_MATCH};

/// The effort with which matches are sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The most candidates of a search.
    pub(crate) tries: u32,
    /// A match of this length is taken without a look for a better one.
    pub(crate) enough: usize,
    /// A match of this length is taken without a look at the places after it.
    pub(crate) lazy: usize,
    /// The number of places after a match where a better one is sought.
    pub(crate) looks: u32,
    /// The number of searches for the cheapest sequences of a piece, each by the costs of the one before; 0: there is none.
    pub(crate) passes: u32,
}

impl Effort {
    /// The effort of a level; `None` for the fastest, which takes the first match.
    pub(crate) fn of(level: i32) -> Option<Self> {
        let (tries, enough, lazy, looks, passes) = match level {
            ..=1 => return None,
            2 => (2, 16, 8, 1, 0),
            3 => (4, 20, 8, 1, 0),
            4 => (5, 30, 10, 1, 0),
            5 => (7, 40, 12, 1, 0),
            6 => (8, 50, 16, 1, 0),
            7 => (32, 130, 48, 1, 0),
            8 => (128, 258, 258, 2, 0),
            9 => (600, 258, 258, 2, 0),
            10 => (40, 100, 0, 0, 2),
            11 => (120, 160, 0, 0, 3),
            12.. => (400, 258, 0, 0, 4),
        };
        Some(Self { tries, enough, lazy, looks, passes })
    }

    /// A search for any match.
    pub(crate) fn search(self) -> Search {
        Search { best: MIN_MATCH - 1, enough: self.enough, tries: self.tries }
    }
}
