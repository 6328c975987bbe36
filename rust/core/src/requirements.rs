//! Requirement files as pip reads them, and one file that means the same as several.
mod merge;
mod parse;
mod read;

pub use merge::{Conflict, Merged, OnConflict, merge, merge_while};
pub use read::{Origin, Source};

/// Sorts lines and removes blank and repeated ones, after removing the blanks around each.
#[must_use]
pub fn dedupe<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Python's str.strip also removes the separators U+001C to U+001F.
    let is_blank = |character: char| character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}');
    let mut lines: Vec<&str> =
        lines.into_iter().map(|line| line.trim_matches(is_blank)).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}
