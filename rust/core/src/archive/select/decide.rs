//! The decision about a path: the first rule that applies, from the caller's to the innermost ignore file's.
use std::{borrow::Cow, path::PathBuf, sync::Arc};

use bstr::{BStr, BString, ByteSlice};

use super::{builtin_rules::BuiltIn, git::Checkout, patterns::Patterns};
use crate::{
    Result,
    archive::beneath::{self, Settings},
};

/// The ignore file whose rules apply to tracked files too.
const OVERRIDES: &str = ".lightningignore";

/// The ignore files from the outermost folder to this one.
#[derive(Debug)]
pub(super) struct Chain {
    patterns: Patterns,
    outer: Option<Arc<Chain>>,
}

pub(super) type Link = Option<Arc<Chain>>;

pub(super) fn push(chain: &mut Link, patterns: Option<Patterns>) {
    if let Some(patterns) = patterns {
        *chain = Some(Arc::new(Chain { patterns, outer: chain.take() }));
    }
}

fn innermost<'a>(
    chain: &'a Link,
    path: &BStr,
    is_folder: bool,
) -> Option<(&'a Patterns, gix_ignore::search::Match<'a>)> {
    let mut link = chain.as_deref();
    while let Some(chain) = link {
        if let Some(found) = chain.patterns.find(path, is_folder) {
            return Some((&chain.patterns, found));
        }
        link = chain.outer.as_deref();
    }
    None
}

/// The checkout or plain folder that the ignore rules of a path are relative to.
#[derive(Debug)]
pub(super) struct Scope {
    pub checkout: Option<Checkout>,
    /// The prefix of this scope in paths from the root, and the prefix that replaces it in paths of the scope.
    pub start: BString,
    pub prefix: BString,
}

impl Scope {
    pub fn path<'a>(&self, path: &'a BStr) -> Cow<'a, BStr> {
        let path = path[self.start.len().min(path.len())..].as_bstr();
        if self.prefix.is_empty() {
            return Cow::Borrowed(path);
        }
        let mut full = self.prefix.clone();
        full.extend_from_slice(path);
        Cow::Owned(full)
    }
}

/// The decision that a folder inherits from the folders above it.
#[derive(Debug, Clone)]
pub(super) enum Inherited {
    /// No rule above has decided.
    Undecided,
    /// Included by `include` or `!`: ignore files do not apply any more.
    Included,
    /// Excluded: only files that `include` names go in, and tracked files if an ignore file is the source.
    Excluded { reason: Arc<str>, source: RuleSource },
}

#[derive(Debug)]
pub(super) struct Folder {
    /// Relative to the root; empty for the root.
    pub path: BString,
    pub scope: Arc<Scope>,
    pub ignores: Link,
    /// The rules of `.lightningignore` files.
    pub overrides: Link,
    pub inherited: Inherited,
}

/// The origin of a rule that excludes a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleSource {
    /// `exclude` or a `.lightningignore`.
    Caller,
    BuiltIn,
    IgnoreFile,
}

pub(super) enum Verdict {
    /// The path goes in; `explicit` if a rule names it, and not merely because no rule excludes it.
    In {
        reason: Cow<'static, str>,
        explicit: bool,
        /// A rule of the caller includes it, which nothing overrides.
        by_caller: bool,
    },
    Out {
        reason: String,
        source: RuleSource,
    },
}

/// The rules that hold for the whole tree.
#[derive(Debug)]
pub(super) struct Rules {
    pub include: Patterns,
    pub exclude: Patterns,
    pub built_in: BuiltIn,
}

impl Rules {
    /// The decision that the contents of a folder inherit, or the reason to skip them all.
    pub fn descend(
        &self,
        folder: &Folder,
        verdict: Verdict,
        path: &BStr,
        own_path: &BString,
    ) -> std::result::Result<Inherited, String> {
        match verdict {
            Verdict::In { explicit: true, .. } => Ok(Inherited::Included),
            Verdict::In { .. } => Ok(folder.inherited.clone()),
            Verdict::Out { reason, source, .. } => {
                let checkout = folder.scope.checkout.as_ref();
                let has_tracked = source == RuleSource::IgnoreFile
                    && checkout
                        .is_some_and(|git| git.tracked_folders.contains(own_path) || git.submodules.contains(own_path));
                if has_tracked || self.include.may_match_below(path, source != RuleSource::BuiltIn) {
                    Ok(Inherited::Excluded { reason: Arc::from(reason), source })
                } else {
                    Err(reason)
                }
            }
        }
    }

    /// Decides about a path; `path` is relative to the root, `own_path` to the top of the checkout.
    pub fn decide(&self, folder: &Folder, path: &BStr, own_path: &BStr, is_folder: bool) -> Verdict {
        if let Some(found) = self.include.find(path, is_folder).filter(|found| !found.pattern.is_negative()) {
            return Verdict::In { reason: self.include.reason(&found).into(), explicit: true, by_caller: true };
        }
        if let Some(found) = self.exclude.find(path, is_folder) {
            return Verdict::by_pattern(&self.exclude, &found, RuleSource::Caller);
        }
        if let Some((patterns, found)) = innermost(&folder.overrides, path, is_folder) {
            return Verdict::by_pattern(patterns, &found, RuleSource::Caller);
        }
        if let Some(reason) = self.built_in.find(path, is_folder) {
            return Verdict::Out { reason, source: RuleSource::BuiltIn };
        }
        let checkout = folder.scope.checkout.as_ref();
        let is_tracked =
            checkout.is_some_and(|git| git.tracked.contains(own_path) || git.submodules.contains(own_path));
        match &folder.inherited {
            Inherited::Included => {
                let reason = "in a folder that a rule brings in".into();
                return Verdict::In { reason, explicit: true, by_caller: false };
            }
            Inherited::Excluded { reason, source } if !(is_tracked && *source == RuleSource::IgnoreFile) => {
                return Verdict::Out { reason: reason.to_string(), source: *source };
            }
            _ => {}
        }
        let allow = |reason| Verdict::In { reason, explicit: false, by_caller: false };
        if is_tracked {
            return allow("tracked by git".into());
        }
        match innermost(&folder.ignores, own_path, is_folder) {
            Some((patterns, found)) if !found.pattern.is_negative() => {
                Verdict::by_pattern(patterns, &found, RuleSource::IgnoreFile)
            }
            Some((patterns, found)) => allow(patterns.reason(&found).into()),
            None if checkout.is_some() => allow("untracked, and no rule ignores it".into()),
            None => allow("no rule keeps it out".into()),
        }
    }
}

impl Verdict {
    fn by_pattern(patterns: &Patterns, found: &gix_ignore::search::Match<'_>, source: RuleSource) -> Self {
        let reason = patterns.reason(found);
        if found.pattern.is_negative() {
            Self::In { reason: reason.into(), explicit: true, by_caller: source == RuleSource::Caller }
        } else {
            Self::Out { reason, source }
        }
    }
}

pub(super) fn push_checkout_excludes(ignores: &mut Link, checkout: &Checkout) -> Result<()> {
    for file in &checkout.excludes {
        let content = beneath::read_settings(file);
        push(ignores, Patterns::from_file(file, content, BStr::new(""), file.display().to_string())?);
    }
    Ok(())
}

/// Reads the ignore files of a folder; `read` returns the path and the content of the one with a name.
pub(super) fn read_ignore_files(
    folder: &mut Folder,
    has: &dyn Fn(&str) -> bool,
    read: &dyn Fn(&str) -> (PathBuf, Settings),
) -> Result<()> {
    let with_slash = |path: &BStr| {
        let mut path = path.to_owned();
        if !path.is_empty() && !path.ends_with(b"/") {
            path.push(b'/');
        }
        path
    };
    let base = with_slash(folder.path.as_bstr());
    let own_base = with_slash(folder.scope.path(folder.path.as_bstr()).as_ref());
    let patterns = |name: &str, base_of_paths: &BString| {
        let (path, content) = read(name);
        Patterns::from_file(&path, content, base_of_paths.as_bstr(), format!("{base}{name}"))
    };
    let names: &[&str] = if folder.scope.checkout.is_some() { &[".gitignore"] } else { &[".gitignore", ".ignore"] };
    for name in names {
        if has(name) {
            push(&mut folder.ignores, patterns(name, &own_base)?);
        }
    }
    if has(OVERRIDES) {
        push(&mut folder.overrides, patterns(OVERRIDES, &base)?);
    }
    Ok(())
}
