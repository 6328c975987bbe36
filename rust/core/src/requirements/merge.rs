//! Merges requirements: one line for each name and marker, accepting exactly what all of them accept.
use std::{fmt, thread};

use hashbrown::{HashMap, hash_map::Entry};

use pep440_rs::{Operator, Version, VersionSpecifier, VersionSpecifiers};
use pep508_rs::{MarkerTree, MarkerWarningKind, PackageName, Requirement, VerbatimUrl, VersionOrUrl};
use version_ranges::Ranges;

use super::read::{self, Kind, Line, Origin, Source};
use crate::{Error, Result};

/// Fewer lines are parsed before a thread has started.
const WORTH_A_THREAD: usize = 500;

/// What to do about requirements that no version satisfies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Fail, naming all of them.
    #[default]
    Error,
    /// The one read last stays; the others are reported.
    Last,
}

/// Two requirements that cannot hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Normalised name of the package.
    pub name: String,
    /// The one read first, and where.
    pub first: (String, Origin),
    /// The one read last, and where.
    pub last: (String, Origin),
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((first, first_origin), (last, last_origin)) = (&self.first, &self.last);
        write!(formatter, "{first:?} ({first_origin}) and {last:?} ({last_origin}) cannot hold together")
    }
}

/// The result of [`merge`].
#[derive(Debug, Default)]
pub struct Merged {
    /// PEP 508 requirements, sorted.
    pub lines: Vec<String>,
    /// For each of the lines its `--hash` and other options.
    pub line_options: Vec<Vec<String>>,
    /// What is no PEP 508 requirement, in the order read: `--index-url`, `-e`, paths, URLs without a name.
    pub options: Vec<String>,
    /// Constraints on packages that no line requires, sorted.
    pub constraints: Vec<String>,
    /// Requirements that were given up for a later one.
    pub conflicts: Vec<Conflict>,
}

impl Merged {
    /// A requirement file: options first, then one requirement a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for option in &self.options {
            text.push_str(option);
            end_line(&mut text);
        }
        for (line, options) in self.lines.iter().zip(&self.line_options) {
            text.push_str(line);
            for option in options {
                text.push_str(" \\\n    ");
                text.push_str(option);
            }
            end_line(&mut text);
        }
        text
    }
}

fn end_line(text: &mut String) {
    if text.ends_with('\\') {
        // Or it would go on in the next line.
        text.push(' ');
    }
    text.push('\n');
}

/// Merges all requirements of `sources`, read in order.
///
/// # Errors
/// [`Error::Requirement`] with file, line and text for what does not parse or cannot be read;
/// [`Error::Conflict`] with both origins for what cannot hold together, unless `on_conflict` says otherwise.
pub fn merge(sources: &[Source], on_conflict: OnConflict) -> Result<Merged> {
    let lines = read::read(sources)?;
    let mut merged = Merged::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::with_capacity(lines.len());
    let mut constraints: Vec<(Key, Item)> = Vec::new();
    let (options, lines): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| line.kind == Kind::Option);
    for line in options {
        let text = [std::slice::from_ref(&line.text), &line.options].concat().join(" ");
        if !merged.options.contains(&text) {
            merged.options.push(text);
        }
    }
    let twins = twins(&lines);
    let (distinct, repeated): (Vec<_>, Vec<_>) = lines.into_iter().zip(&twins).partition(|(_, twin)| twin.is_none());
    let mut distinct = parse_all(distinct.into_iter().map(|(line, _)| line).collect())?.into_iter();
    let mut repeated = repeated.into_iter();
    let mut group_of = Vec::with_capacity(distinct.len());
    for twin in &twins {
        let Some(twin) = *twin else {
            let Some((kind, key, item)) = distinct.next() else { break };
            if kind == Kind::Constraint {
                constraints.push((key, item));
                group_of.push(None);
            } else {
                group_of.push(Some(add(&mut groups, &mut places, key, item, &mut merged.conflicts)));
            }
            continue;
        };
        let Some((line, _)) = repeated.next() else { break };
        let is_there =
            group_of[twin].is_some_and(|place| groups[place].items.iter().any(|item| item.text == line.text));
        if !is_there {
            let (_, key, item) = parse(line)?;
            add(&mut groups, &mut places, key, item, &mut merged.conflicts);
        }
    }
    let mut unused: Vec<Group> = Vec::new();
    let mut unused_places = HashMap::new();
    for (key, item) in constraints {
        if places.contains_key(&key) {
            add(&mut groups, &mut places, key, item, &mut merged.conflicts);
        } else {
            add(&mut unused, &mut unused_places, key, item, &mut merged.conflicts);
        }
    }
    if on_conflict == OnConflict::Error && !merged.conflicts.is_empty() {
        let all: Vec<String> = merged.conflicts.iter().map(ToString::to_string).collect();
        return Err(Error::Conflict(format!("{}; change one of each pair, or let the last win", all.join("; "))));
    }
    let mut lines: Vec<(String, Vec<String>)> = groups.into_iter().map(Group::into_line).collect();
    lines.sort();
    (merged.lines, merged.line_options) = lines.into_iter().unzip();
    merged.constraints = unused.into_iter().map(|group| group.into_line().0).collect();
    merged.constraints.sort();
    Ok(merged)
}

/// What is merged into one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: PackageName,
    marker: MarkerKey,
    /// A URL and a version specifier cannot be written in one line.
    is_url: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum MarkerKey {
    /// Markers that mean the same are equal.
    Meaning(MarkerTree),
    /// A marker that the parser could only partly understand.
    Text(String),
}

#[derive(Debug)]
struct Item {
    /// As it was read, for messages.
    text: String,
    origin: Origin,
    extras: Vec<String>,
    version: ItemVersion,
    marker: String,
    options: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum ItemVersion {
    Specifiers(Vec<VersionSpecifier>),
    Url(String),
}

#[derive(Debug)]
struct Group {
    name: String,
    items: Vec<Item>,
    /// The versions that all items accept; worked out when there is a second item.
    accepted: Option<Ranges<Version>>,
}

/// For each line that says again what an earlier one says, the place of that one among the lines that do not.
fn twins(lines: &[Line]) -> Vec<Option<usize>> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(lines.len());
    let mut twins = Vec::with_capacity(lines.len());
    let mut distinct = 0;
    for line in lines {
        let is_plain = line.kind == Kind::Requirement && line.options.is_empty();
        let twin = if is_plain { first.get(line.text.as_str()).copied() } else { None };
        if twin.is_none() {
            if is_plain {
                first.insert(&line.text, distinct);
            }
            distinct += 1;
        }
        twins.push(twin);
    }
    twins
}

/// Parses lines in their order, many of them in several threads.
fn parse_all(mut lines: Vec<Line>) -> Result<Vec<(Kind, Key, Item)>> {
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

fn parse(line: Line) -> Result<(Kind, Key, Item)> {
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
            // As written: environment variables in it are the installer's to expand.
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

/// Checks the package's and its extras' names: the parser panics on some that end in a punctuation mark (`2-`).
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

/// Checks what is no URL: PEP 508 has nothing else there, and the parser counts characters as if they were bytes, and panics.
fn syntax_is_ascii(text: &str) -> bool {
    let Some((name, url)) = split_url(text) else {
        return text.is_ascii();
    };
    let after = url.trim_start().split_once(char::is_whitespace).map_or("", |(_, after)| after);
    name.is_ascii() && after.is_ascii()
}

/// `name @ URL; marker` taken apart at the `@`.
fn split_url(text: &str) -> Option<(&str, &str)> {
    text.split_once('@').filter(|(name, _)| !name.contains([';', '<', '>', '=']))
}

/// The marker as it was written: the parser writes an equivalent one that few would recognise as theirs.
fn split_marker(text: &str) -> (&str, &str) {
    let place = if split_url(text).is_some() {
        text.find(" ;").or_else(|| text.find("\t;")).map(|place| place + 1)
    } else {
        text.find(';')
    };
    place.map_or((text, ""), |place| (&text[..place], text[place + 1..].trim()))
}

fn add(
    groups: &mut Vec<Group>,
    places: &mut HashMap<Key, usize>,
    key: Key,
    item: Item,
    conflicts: &mut Vec<Conflict>,
) -> usize {
    let place = match places.entry(key) {
        Entry::Occupied(entry) => *entry.get(),
        Entry::Vacant(entry) => {
            groups.push(Group { name: entry.key().name.to_string(), items: Vec::new(), accepted: None });
            *entry.insert(groups.len() - 1)
        }
    };
    groups[place].add(item, conflicts);
    place
}

impl Group {
    fn add(&mut self, item: Item, conflicts: &mut Vec<Conflict>) {
        if self.items.is_empty() || self.adds_nothing(&item) {
            self.items.push(item);
            return;
        }
        let own = accepted(&item);
        let both = self.accepted().intersection(&own);
        let fits = match &item.version {
            ItemVersion::Url(_) => self.items.iter().all(|other| other.version == item.version),
            ItemVersion::Specifiers(_) => !both.is_empty() || self.a_pin_fits(&item),
        };
        if fits {
            self.accepted = Some(both);
            self.items.push(item);
            return;
        }
        // Blame those that conflict on their own; failing that, all of them together do.
        let blamed = |other: &Item| match &item.version {
            ItemVersion::Url(_) => other.version != item.version,
            ItemVersion::Specifiers(_) => accepted(other).intersection(&own).is_empty(),
        };
        let (mut out, mut stay): (Vec<Item>, Vec<Item>) = std::mem::take(&mut self.items).into_iter().partition(blamed);
        let rest = stay.iter().map(accepted).fold(own.clone(), |all, one| all.intersection(&one));
        if rest.is_empty() {
            out.append(&mut stay);
        }
        for other in out {
            conflicts.push(Conflict {
                name: self.name.clone(),
                first: (other.text, other.origin),
                last: (item.text.clone(), item.origin.clone()),
            });
        }
        self.items = stay;
        self.items.push(item);
        self.accepted = None;
    }

    fn accepted(&mut self) -> &Ranges<Version> {
        let items = &self.items;
        self.accepted
            .get_or_insert_with(|| items.iter().map(accepted).fold(Ranges::full(), |all, one| all.intersection(&one)))
    }

    /// Whether an item accepts all versions, or what another one does.
    fn adds_nothing(&self, item: &Item) -> bool {
        item.version == ItemVersion::Specifiers(Vec::new())
            || self.items.iter().rev().take(4).any(|other| other.version == item.version)
    }

    /// Whether a pinned version satisfies all: ranges do not know that `==1.0` accepts `1.0+local`.
    fn a_pin_fits(&self, item: &Item) -> bool {
        let all = || self.items.iter().chain([item]).flat_map(specifiers);
        all()
            .filter(|specifier| matches!(specifier.operator(), Operator::Equal | Operator::ExactEqual))
            .any(|pin| all().all(|specifier| specifier.contains(pin.version())))
    }

    fn into_line(self) -> (String, Vec<String>) {
        let mut line = self.name;
        let mut extras: Vec<&String> = self.items.iter().flat_map(|item| &item.extras).collect();
        extras.sort();
        extras.dedup();
        if !extras.is_empty() {
            let extras: Vec<&str> = extras.into_iter().map(String::as_str).collect();
            line.push('[');
            line.push_str(&extras.join(","));
            line.push(']');
        }
        let mut all: Vec<(&Version, String)> =
            self.items.iter().flat_map(specifiers).map(|one| (one.version(), one.to_string())).collect();
        all.sort();
        all.dedup_by(|left, right| left.1 == right.1);
        let written: Vec<String> = all.into_iter().map(|(_, specifier)| specifier).collect();
        line.push_str(&written.join(","));
        let marker = self.items.first().map(|item| item.marker.clone()).unwrap_or_default();
        if let Some(ItemVersion::Url(url)) = self.items.first().map(|item| &item.version) {
            line.push_str(" @ ");
            line.push_str(url);
            if !marker.is_empty() {
                // The blank keeps the URL from swallowing the semicolon.
                line.push(' ');
            }
        }
        if !marker.is_empty() {
            line.push_str("; ");
            line.push_str(&marker);
        }
        let mut options: Vec<String> = Vec::new();
        for option in self.items.into_iter().flat_map(|item| item.options) {
            if !options.contains(&option) {
                options.push(option);
            }
        }
        (line, options)
    }
}

fn specifiers(item: &Item) -> impl Iterator<Item = &VersionSpecifier> {
    match &item.version {
        ItemVersion::Specifiers(specifiers) => specifiers.iter(),
        ItemVersion::Url(_) => [].iter(),
    }
}

fn accepted(item: &Item) -> Ranges<Version> {
    match &item.version {
        ItemVersion::Specifiers(all) if !all.is_empty() => all.iter().cloned().collect::<VersionSpecifiers>().into(),
        _ => Ranges::full(),
    }
}
