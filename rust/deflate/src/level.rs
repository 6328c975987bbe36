//! The effort of each level.

/// The effort with which matches are sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// The most candidates of a search.
    pub(crate) tries: u32,
    /// A match of this length is taken without a look for a better one.
    pub(crate) enough: usize,
    /// How many places after a match a better one is sought.
    pub(crate) looks: u32,
    /// How often the cheapest sequences of a piece are sought, each time by the costs of the ones before; 0: they are not.
    pub(crate) passes: u32,
}

impl Effort {
    /// The effort of a level; `None` for the fastest, which takes the first match.
    pub(crate) fn of(level: i32) -> Option<Self> {
        let (tries, enough, looks, passes) = match level {
            ..=1 => return None,
            2 => (2, 16, 1, 0),
            3 => (4, 20, 1, 0),
            4 => (6, 30, 1, 0),
            5 => (10, 65, 1, 0),
            6 => (16, 130, 1, 0),
            7 => (64, 258, 1, 0),
            8 => (128, 258, 2, 0),
            9 => (600, 258, 2, 0),
            10 => (40, 100, 0, 2),
            11 => (120, 160, 0, 3),
            12.. => (400, 258, 0, 4),
        };
        Some(Self { tries, enough, looks, passes })
    }
}
