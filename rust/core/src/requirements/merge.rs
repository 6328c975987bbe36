//! The merging of requirements into one line for each name and marker, which accepts exactly what all of them accept.
use std::fmt;

use hashbrown::{HashMap, hash_map::Entry};

use pep440_rs::{Operator, Version, VersionSpecifier};
use version_ranges::Ranges;

use super::{
    parse::{Item, ItemVersion, Key, parse, parse_all},
    read::{self, Kind, Line, Origin, Source},
};
use crate::{Error, Result};

/// The treatment of requirements that no version satisfies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Fail with an error that names all of them.
    #[default]
    Error,
    /// Keep the one that was read last, and report the others.
    Last,
}

/// Two requirements that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Normalised name of the package.
    pub name: String,
    /// The one that was read first, and its origin.
    pub first: (String, Origin),
    /// The one that was read last, and its origin.
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
    /// The `--hash` and other options of each line.
    pub line_options: Vec<Vec<String>>,
    /// Lines that are no PEP 508 requirement, in the order read: `--index-url`, `-e`, paths, URLs without a name.
    pub options: Vec<String>,
    /// Constraints on packages that no line requires, sorted.
    pub constraints: Vec<String>,
    /// Requirements that were dropped for a later one.
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
        // A backslash at the end would continue the line.
        text.push(' ');
    }
    text.push('\n');
}

/// Merges all requirements of `sources`, read in order.
///
/// # Errors
/// [`Error::Requirement`] with file, line and text if something does not parse or cannot be read;
/// [`Error::Conflict`] with both origins if requirements contradict each other, and `on_conflict` is `Error`.
pub fn merge(sources: &[Source], on_conflict: OnConflict) -> Result<Merged> {
    merge_while(sources, on_conflict, &mut || true)
}

/// [`merge`], which calls `keep_going` while a pipe has nothing to read.
///
/// # Errors
/// As [`merge`]; [`Error::Interrupted`] if `keep_going` returns `false`.
pub fn merge_while(
    sources: &[Source],
    on_conflict: OnConflict,
    keep_going: &mut dyn FnMut() -> bool,
) -> Result<Merged> {
    let lines = read::read(sources, keep_going)?;
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

#[derive(Debug)]
struct Group {
    name: String,
    items: Vec<Item>,
    /// The versions that all items accept; computed once there is a second item.
    accepted: Option<Ranges<Version>>,
}

/// For each line that repeats an earlier one, the place of that one among the lines that repeat none.
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
        // Reports the items that conflict alone; if there are none, all of them conflict together.
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

    /// Whether an item accepts all versions, or the same ones as another.
    fn adds_nothing(&self, item: &Item) -> bool {
        item.version == ItemVersion::Specifiers(Vec::new())
            || self.items.iter().rev().take(4).any(|other| other.version == item.version)
    }

    /// Whether a pinned version satisfies all items, because ranges do not include that `==1.0` accepts `1.0+local`.
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
                // Without the blank, the semicolon would be part of the URL.
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
        ItemVersion::Specifiers(all) => all.iter().map(range).fold(Ranges::full(), |all, one| all.intersection(&one)),
        ItemVersion::Url(_) => Ranges::full(),
    }
}

fn range(specifier: &VersionSpecifier) -> Ranges<Version> {
    let version = specifier.version();
    if *specifier.operator() == Operator::LessThan && version.is_post() && !version.any_prerelease() {
        // The crate's range for `<2.post1` ends before 2, which that accepts: it excludes pre-releases of 2.post1 alone.
        return Ranges::strictly_lower_than(version.clone().with_dev(Some(0)));
    }
    specifier.clone().into()
}
