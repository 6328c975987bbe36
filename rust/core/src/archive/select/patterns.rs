//! Patterns in the syntax of `.gitignore`, and the text that reports a match.
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_glob::pattern::Case;
use gix_ignore::search::{Ignore, Match, pattern_matching_relative_path};

use crate::{Error, Result, archive::beneath::Settings};

const SYNTAX: Ignore = Ignore { support_precious: false };

type List = gix_glob::search::pattern::List<Ignore>;

/// Patterns of one source, in the syntax and with the meaning of `.gitignore`.
#[derive(Debug)]
pub(super) struct Patterns {
    list: List,
    label: String,
}

impl Patterns {
    /// Patterns given as arguments, such as `include`.
    pub fn from_arguments(label: &str, patterns: &[BString]) -> Result<Self> {
        let list = List::from_bytes(&bstr::join("\n", patterns), PathBuf::from(label), None, SYNTAX)
            .map_err(|error| Error::Archive(format!("{label}: {error}")))?;
        Ok(Self { list, label: label.to_owned() })
    }

    /// The patterns of an ignore file, if there is one. `folder` is the folder that they apply to: relative to the start
    /// of matched paths, and empty or with `/` at its end.
    pub fn from_file(file: &Path, content: Settings, folder: &BStr, label: String) -> Result<Option<Self>> {
        let fail = |error| Error::io("read the ignore file", file, &error);
        let Some(bytes) = content.map_err(fail)? else { return Ok(None) };
        let mut list = List::from_bytes(&bytes, file.to_owned(), None, SYNTAX).map_err(fail)?;
        list.base = (!folder.is_empty()).then(|| folder.to_owned());
        Ok(Some(Self { list, label }))
    }

    /// The last pattern that matches; `path` is relative and has no `/` at its end.
    pub fn find(&self, path: &BStr, is_folder: bool) -> Option<Match<'_>> {
        let name = path.rfind_byte(b'/').map(|place| place + 1);
        pattern_matching_relative_path(&self.list, path, name, Some(is_folder), Case::Sensitive)
    }

    /// The text that reports a match, such as `.gitignore:3: *.log`.
    pub fn reason(&self, found: &Match<'_>) -> String {
        format!("{}:{}: {}", self.label, found.sequence_number, found.pattern)
    }

    /// Whether a pattern could match something inside of `folder`.
    ///
    /// A pattern without a slash, which matches in any folder, counts only if `anywhere`.
    pub fn may_match_below(&self, folder: &BStr, anywhere: bool) -> bool {
        self.list.patterns.iter().any(|mapping| {
            let pattern = &mapping.pattern;
            if pattern.is_negative() {
                return false;
            }
            if pattern.mode.contains(gix_glob::pattern::Mode::NO_SUB_DIR) {
                return anywhere;
            }
            let text = pattern.text.as_bytes();
            let literal = &text[..pattern.first_wildcard_pos.unwrap_or(text.len())];
            let is_below = literal.len() > folder.len() && literal.starts_with(folder) && literal[folder.len()] == b'/';
            let is_above = pattern.first_wildcard_pos.is_some()
                && (folder.starts_with(literal) || (literal.strip_suffix(b"/") == Some(folder.as_bytes())));
            is_below || is_above
        })
    }
}
