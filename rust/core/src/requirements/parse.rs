//! The parsing of single requirements, as far as merging needs it.
use std::thread;

use pep440_rs::VersionSpecifier;
use pep508_rs::{MarkerTree, MarkerWarningKind, PackageName, Requirement, VerbatimUrl, VersionOrUrl};

use super::read::{Kind, Line, Origin};
use crate::{Error, Result};

/// The least number of lines for a thread: fewer are parsed before one has started.
const WORTH_A_THREAD: usize = 500;

/// The identity of a merged line: requirements with equal keys become one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub name: PackageName,
    pub marker: MarkerKey,
    /// A URL and a version specifier cannot be written in one line.
    pub is_url: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum MarkerKey {
    /// Markers that mean the same are equal.
    Meaning(MarkerTree),
    /// A marker that the parser could only partly understand.
    Text(String),
}

#[derive(Debug)]
pub(super) struct Item {
    /// The text as it was read, for messages.
    pub text: String,
    pub origin: Origin,
    pub extras: Vec<String>,
    pub version: ItemVersion,
    pub marker: String,
    pub options: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum ItemVersion {
    Specifiers(Vec<VersionSpecifier>),
    Url(String),
}

/// Parses lines in their order, many of them in several threads.
pub(super) fn parse_all(mut lines: Vec<Line>) -> Result<Vec<(Kind, Key, Item)>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(lines.len() / WORTH_A_THREAD).max(1);
    let share = lines.len().div_ceil(threads).max(1);
    let mut shares = Vec::with_capacity(threads);
    while lines.len() > share {
        shares.push(lines.split_off(lines.len() - share));
    }
    let parse_share = |lines: Vec<Line>| lines.into_iter().map(parse).collect::<Result<Vec<_>>>();
    thread::scope(|scope| {
        let others: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || parse_share(share))).collect();
        let mut all = parse_share(lines)?;
        for other in others.into_iter().rev() {
            let parsed = other.join().map_err(|_| Error::Requirement("the requirement parser failed".to_owned()))?;
            all.append(&mut parsed?);
        }
        Ok(all)
    })
}

pub(super) fn parse(line: Line) -> Result<(Kind, Key, Item)> {
    let kind = line.kind;
    let fail = |reason: &str| {
        let reason = reason.lines().next().unwrap_or_default();
        Error::Requirement(format!("{}: cannot parse the requirement {:?}: {reason}", line.origin, line.text))
    };
    if !names_are_valid(&line.text) {
        return Err(fail("a name must start and end with a letter or digit"));
    }
    if !syntax_is_ascii(&line.text) {
        return Err(fail("only a URL may have characters outside of ASCII"));
    }
    let mut is_understood = true;
    let mut reporter = |_: MarkerWarningKind, _: String| is_understood = false;
    let requirement = Requirement::<VerbatimUrl>::parse_reporter(&line.text, "/", &mut reporter)
        .map_err(|error| fail(&error.message.to_string()))?;
    let (before, marker) = split_marker(&line.text);
    let version = match requirement.version_or_url {
        None => ItemVersion::Specifiers(Vec::new()),
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
            ItemVersion::Specifiers(specifiers.iter().cloned().collect())
        }
        Some(VersionOrUrl::Url(_)) => {
            // As written, because the installer expands variables in it.
            let (_, url) = before.split_once('@').ok_or_else(|| fail("a URL needs `name @` before it"))?;
            ItemVersion::Url(url.trim().to_owned())
        }
    };
    let key = Key {
        name: requirement.name,
        marker: if is_understood { MarkerKey::Meaning(requirement.marker) } else { MarkerKey::Text(marker.to_owned()) },
        is_url: matches!(version, ItemVersion::Url(_)),
    };
    let item = Item {
        extras: requirement.extras.iter().map(ToString::to_string).collect(),
        version,
        marker: marker.to_owned(),
        text: line.text,
        origin: line.origin,
        options: line.options,
    };
    Ok((kind, key, item))
}

/// Checks the names of the package and its extras, because the parser panics on some with a punctuation mark at the end,
/// such as `2-`.
fn names_are_valid(text: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let is_name = |name: &str| {
        let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        is_end(name.as_bytes().first()) && is_end(name.as_bytes().last()) && name.chars().all(is_part)
    };
    let (name, rest) = text.split_at(text.find(|character| !is_part(character)).unwrap_or(text.len()));
    let extras = rest.trim_start().strip_prefix('[').unwrap_or_default();
    let extras = extras.split_once(']').map_or(extras, |(all, _)| all);
    is_name(name) && (extras.trim().is_empty() || extras.split(',').all(|extra| is_name(extra.trim())))
}

/// Checks everything except a URL for characters outside of ASCII, because PEP 508 allows none there, and the parser
/// counts characters as bytes and panics.
fn syntax_is_ascii(text: &str) -> bool {
    let Some((name, url)) = split_url(text) else {
        return text.is_ascii();
    };
    let after = url.trim_start().split_once(char::is_whitespace).map_or("", |(_, after)| after);
    name.is_ascii() && after.is_ascii()
}

/// The two parts of `name @ URL; marker`, divided at the `@`.
fn split_url(text: &str) -> Option<(&str, &str)> {
    text.split_once('@').filter(|(name, _)| !name.contains([';', '<', '>', '=']))
}

/// The requirement and its marker as written, because users would not recognise the parser's equivalent marker.
fn split_marker(text: &str) -> (&str, &str) {
    let place = if split_url(text).is_some() {
        text.find(" ;").or_else(|| text.find("\t;")).map(|place| place + 1)
    } else {
        text.find(';')
    };
    place.map_or((text, ""), |place| (&text[..place], text[place + 1..].trim()))
}
