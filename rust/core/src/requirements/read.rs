//! The logical lines of requirement files and their includes, as pip reads them.
use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
};

use crate::{Error, Result};

/// A source of requirements.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file to read.
    Path(PathBuf),
    /// A text with a name for messages; includes are relative to the folder of that name.
    Text {
        /// A file name, or a description such as `sources[0]`.
        name: String,
        /// The whole text.
        text: String,
    },
}

/// The place that a requirement was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file, or the name of the text.
    pub file: Arc<str>,
    /// The first line of the requirement, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// The kind of a line of a requirement file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Requirement,
    /// A line of a `-c` file, which limits a requirement and requires nothing.
    Constraint,
    /// A line that is no PEP 508 requirement: `--index-url`, `-e`, a path or a URL without a name.
    Option,
}

#[derive(Debug)]
pub(super) struct Line {
    pub kind: Kind,
    /// The text without comment and line options.
    pub text: String,
    /// `--hash=…` and other options of this requirement.
    pub options: Vec<String>,
    pub origin: Origin,
}

/// The most files that are read: files that each include others twice would be read almost without end.
const MAX_FILES: usize = 10_000;
/// The most bytes of a requirement file; no real one is near.
const MAX_BYTES: usize = 64 << 20;
/// The interval at which the caller may stop waiting for a pipe.
const HEARTBEAT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The state of reading: the files that include the current one, and the number of files so far.
struct Reading<'a> {
    including: Vec<PathBuf>,
    count: usize,
    keep_going: &'a mut dyn FnMut() -> bool,
}

/// Reads all sources in order, and calls `keep_going` while a pipe has nothing to read.
pub(super) fn read(sources: &[Source], keep_going: &mut dyn FnMut() -> bool) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut reading = Reading { including: Vec::new(), count: 0, keep_going };
    for source in sources {
        match source {
            Source::Path(path) => read_file(path, Kind::Requirement, &mut reading, &mut lines)?,
            Source::Text { name, text } => {
                let folder = Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
                read_text(name, &folder, text, Kind::Requirement, &mut reading, &mut lines)?;
            }
        }
    }
    Ok(lines)
}

fn read_file(path: &Path, kind: Kind, reading: &mut Reading<'_>, lines: &mut Vec<Line>) -> Result<()> {
    let shown = path.display();
    let fail =
        |reason: &dyn fmt::Display| Error::Requirement(format!("cannot read the requirement file {shown}: {reason}"));
    if fs::metadata(path).map_err(|error| fail(&error))?.file_type().is_char_device() {
        return Err(fail(&"it is a device"));
    }
    reading.count += 1;
    if reading.count > MAX_FILES {
        return Err(fail(&format!("it is the {MAX_FILES}th; the files include each other too often")));
    }
    let bytes = read_bytes(path, reading.keep_going).map_err(|error| fail(&error))?.ok_or(Error::Interrupted)?;
    if bytes.len() > MAX_BYTES {
        return Err(fail(&"it has more than 64 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| fail(&"it is not UTF-8 text; save it as UTF-8"))?;
    let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(start) = reading.including.iter().position(|file| *file == identity) {
        let mut cycle: Vec<String> = reading.including[start..].iter().map(|file| file.display().to_string()).collect();
        cycle.push(identity.display().to_string());
        return Err(Error::Requirement(format!("requirement files include each other: {}", cycle.join(" -> "))));
    }
    reading.including.push(identity);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    read_text(&shown.to_string(), &folder, &text, kind, reading, lines)?;
    reading.including.pop();
    Ok(())
}

/// All bytes of a file, or a few more than it may have; `None` if the caller does not wait for a pipe.
fn read_bytes(path: &Path, keep_going: &mut dyn FnMut() -> bool) -> io::Result<Option<Vec<u8>>> {
    // A shell gives the output of a command as a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = fs::File::from(openat(CWD, path, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while bytes.len() <= MAX_BYTES {
        if poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&HEARTBEAT)).is_ok_and(|ready| ready == 0) {
            if !keep_going() {
                return Ok(None);
            }
            continue;
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
}

fn read_text(
    name: &str,
    folder: &Path,
    text: &str,
    kind: Kind,
    reading: &mut Reading<'_>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let file: Arc<str> = Arc::from(name);
    for (number, text) in logical_lines(text) {
        let origin = Origin { file: Arc::clone(&file), line: number };
        if !text.starts_with('-') {
            lines.push(requirement(&text, kind, origin));
            continue;
        }
        let (option, value) = split_option(&text);
        let included = match option {
            "-r" | "--requirement" => kind,
            "-c" | "--constraint" => Kind::Constraint,
            _ => {
                lines.push(Line { kind: Kind::Option, text, options: Vec::new(), origin });
                continue;
            }
        };
        if value.is_empty() {
            return Err(Error::Requirement(format!("{origin}: cannot parse {text:?}: {option} names no file")));
        }
        if value.contains("://") {
            // The installer can fetch a URL, this package does not.
            lines.push(Line { kind: Kind::Option, text, options: Vec::new(), origin });
            continue;
        }
        read_file(&folder.join(value), included, reading, lines).map_err(|error| match error {
            Error::Requirement(message) if message.starts_with("cannot read") => {
                Error::Requirement(format!("{origin}: {message}"))
            }
            other => other,
        })?;
    }
    Ok(())
}

/// The name and value of an option such as `--index-url=https://…`, `-r other.txt` or `-rother.txt`.
fn split_option(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| character == '=' || character.is_whitespace()).unwrap_or(text.len());
    let (option, value) = text.split_at(end);
    let value = value.trim_start_matches(|character: char| character == '=' || character.is_whitespace());
    let is_joined = !option.starts_with("--") && option.len() > 2 && option.is_char_boundary(2);
    let (option, value) = if is_joined { (&option[..2], &text[2..]) } else { (option, value) };
    (option, value.trim().trim_matches(['"', '\'']))
}

/// The text of a requirement, and its `--hash` and other options.
fn requirement(text: &str, kind: Kind, origin: Origin) -> Line {
    let options_start = text
        .match_indices(" -")
        .chain(text.match_indices("\t-"))
        .map(|(place, _)| place)
        .filter(|&place| text[place + 2..].starts_with(|next: char| next == '-' || next.is_ascii_alphabetic()))
        .min();
    let (text, options) = text.split_at(options_start.unwrap_or(text.len()));
    let mut grouped: Vec<String> = Vec::new();
    for word in options.split_whitespace() {
        match grouped.last_mut() {
            // `--hash sha256:…` is `--hash=sha256:…`.
            Some(last) if !word.starts_with('-') => {
                last.push(if last.contains('=') { ' ' } else { '=' });
                last.push_str(word);
            }
            _ => grouped.push(word.to_owned()),
        }
    }
    let text = text.trim();
    let (kind, text) = match naming(text) {
        Named::ByItself => (kind, text.to_owned()),
        Named::ByFragment(name) => (kind, format!("{name} @ {text}")),
        Named::Not => (Kind::Option, text.to_owned()),
    };
    Line { kind, text, options: grouped, origin }
}

/// The form in which a requirement names its package.
enum Named<'a> {
    ByItself,
    /// A URL that ends in `#egg=name`.
    ByFragment(&'a str),
    /// A path or URL whose package is unknown before it is fetched.
    Not,
}

fn naming(text: &str) -> Named<'_> {
    let before = text.split([' ', '\t', ';']).next().unwrap_or_default();
    let is_url = before.find("://").is_some_and(|place| !before[..place].contains('@'));
    let is_path = before.starts_with(['.', '/', '~']) || before.starts_with("file:");
    let is_archive =
        !text.contains('@') && [".whl", ".tar.gz", ".zip", ".tar.bz2"].iter().any(|ending| before.ends_with(ending));
    if !(is_url || is_path || is_archive) {
        return Named::ByItself;
    }
    let egg = before.split_once('#').and_then(|(_, fragment)| {
        fragment.split('&').find_map(|part| part.strip_prefix("egg=")).filter(|name| !name.is_empty())
    });
    egg.filter(|_| is_url).map_or(Named::Not, Named::ByFragment)
}

/// Logical lines: joined over backslashes, without comments and blanks, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let is_comment = line.trim_start().starts_with('#');
        let (start, mut joined) = pending.take().unwrap_or((number, String::new()));
        if !is_comment {
            if let Some(line) = line.strip_suffix('\\') {
                joined.push_str(line);
                pending = Some((start, joined));
                continue;
            }
            joined.push_str(line);
        }
        push_line(&mut found, start, &joined);
    }
    if let Some((start, joined)) = pending {
        push_line(&mut found, start, &joined);
    }
    found
}

fn push_line(found: &mut Vec<(usize, String)>, number: usize, line: &str) {
    // A comment is at the start of a line or behind a blank, so that `#egg=` in a URL is none.
    let comment = line
        .match_indices('#')
        .map(|(place, _)| place)
        .find(|&place| line[..place].chars().next_back().is_none_or(char::is_whitespace));
    let line = line[..comment.unwrap_or(line.len())].trim();
    if !line.is_empty() {
        found.push((number, line.to_owned()));
    }
}
