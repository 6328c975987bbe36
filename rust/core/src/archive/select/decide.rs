//! Whether a path goes in: which rule has the last word, from the caller's to the innermost ignore file's.
use std::{borrow::Cow, path::PathBuf, sync::Arc};

use bstr::{BStr, BString, ByteSlice};

use super::{builtin_rules::BuiltIn, git::Checkout, patterns::Patterns};
use crate::{
    Result,
    archive::beneath::{self, Settings},
};

/// The ignore file that decides also on what is tracked.
const OVERRIDES: &str = ".lightningignore";

/// Ignore files from the outermost folder to this one.
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

/// The checkout or plain folder that a path's ignore rules count from.
#[derive(Debug)]
pub(super) struct Scope {
    pub checkout: Option<Checkout>,
    /// How paths from the root that are in this scope start, and what stands for that in its own paths.
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

/// How the rules of the folders above bear on a folder.
#[derive(Debug, Clone)]
pub(super) enum Inherited {
    /// Not at all.
    Undecided,
    /// Brought in by `include` or `!`: ignore files have no say any more.
    Included,
    /// Kept out: only what `include` names goes in, and what is tracked if an ignore file says so.
    Excluded { reason: Arc<str>, source: RuleSource },
}

#[derive(Debug)]
pub(super) struct Folder {
    /// Relative to the root; empty for the root.
    pub path: BString,
    pub scope: Arc<Scope>,
    pub ignores: Link,
    /// `.lightningignore` files.
    pub overrides: Link,
    pub inherited: Inherited,
}

/// Who keeps a path out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleSource {
    /// `exclude` or a `.lightningignore`.
    Caller,
    BuiltIn,
    IgnoreFile,
}

pub(super) enum Verdict {
    /// `explicit`: a rule names it, rather than no rule being against it.
    In {
        reason: Cow<'static, str>,
        explicit: bool,
        /// The caller's rule does so, and has the last word.
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
    /// How the contents of a folder are judged, or the reason not to look inside.
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

    /// `path` counts from the root, `own_path` from the top of the checkout.
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

/// Reads the ignore files that a folder has; `read` gives the content of one by its name, and its path.
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
