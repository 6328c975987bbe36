//! The result of a selection: entries that go in, and paths that stay out with the reason.
use std::{borrow::Cow, path::PathBuf};

use bstr::{BStr, BString, ByteSlice};
use rustix::fs::Stat;

use crate::{Error, Result};

/// The caller's choice of files.
#[derive(Debug, Clone)]
pub struct SelectionOptions {
    /// Patterns in the syntax of `.gitignore` that include files in spite of every other rule.
    pub include: Vec<BString>,
    /// Patterns in the syntax of `.gitignore` that exclude files.
    pub exclude: Vec<BString>,
    /// Whether git and `.gitignore`, `.ignore` and `.lightningignore` files apply.
    pub ignore_files: bool,
    /// Files and folders of this package, with the reason why they stay out.
    pub own: Vec<(PathBuf, &'static str)>,
}

impl Default for SelectionOptions {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: Vec::new(), ignore_files: true, own: Vec::new() }
    }
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file, with its size in bytes.
    File {
        /// Bytes when it was selected.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// Whether its content has still to be checked for a secret, which would keep it out.
        may_be_secret: bool,
        /// A stamp that differs after every change of the file.
        stamp: Stamp,
    },
    /// A symbolic link with its target; boxed, because a tree has few links and may have millions of files.
    Symlink(Box<BString>),
    /// A folder with nothing in it.
    Folder,
}

/// The identity of a version of a file, together with its size and path; times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its number in its file system.
    pub inode: u64,
    /// The time of the last change of its content; programs may set it.
    pub modified: i64,
    /// The time of the last change of content or metadata; no program can set it.
    pub changed: i64,
}

impl Stamp {
    /// The stamp of a file as it is now.
    pub(in crate::archive) fn of(file: &Stat) -> Self {
        let time = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
        let nanoseconds = |part| i64::try_from(part).unwrap_or_default();
        Self {
            inode: file.st_ino,
            modified: time(file.st_mtime, nanoseconds(file.st_mtime_nsec)),
            changed: time(file.st_ctime, nanoseconds(file.st_ctime_nsec)),
        }
    }
}

/// A path that goes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, with `/`.
    pub path: Box<BStr>,
    /// Its kind.
    pub kind: Kind,
    /// The reason why it goes in.
    pub reason: Cow<'static, str>,
}

/// A path that stays out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    /// Relative to the root, with `/`; a folder ends in `/` and represents all in it that is not listed elsewhere.
    pub path: BString,
    /// The rule that excludes it.
    pub reason: String,
}

/// The files that go into an archive, and those that stay out with the reason.
#[derive(Debug)]
pub struct Selection {
    /// The tree.
    pub root: PathBuf,
    /// The entries that go in, sorted by the bytes of the path.
    pub entries: Vec<Entry>,
    /// The paths that stay out, sorted.
    pub excluded: Vec<Excluded>,
}

impl Selection {
    /// Whether a path (relative to the root) goes in, and by which rule.
    ///
    /// # Errors
    /// [`Error::Archive`] if the tree has no such path.
    pub fn explain(&self, path: &BStr) -> Result<(bool, String)> {
        let path = path.strip_prefix(b"./").unwrap_or(path).trim_end_with(|character| character == '/').as_bstr();
        if let Ok(place) = self.entries.binary_search_by(|entry| entry.path.as_bstr().cmp(path)) {
            return Ok((true, self.entries[place].reason.to_string()));
        }
        let find = |wanted: &BStr| {
            let place = self.excluded.partition_point(|excluded| excluded.path.as_bstr() < wanted);
            self.excluded.get(place).filter(|excluded| excluded.path == wanted)
        };
        if let Some(excluded) = find(path) {
            return Ok((false, excluded.reason.clone()));
        }
        let mut below = path.to_owned();
        below.push(b'/');
        let first = self.entries.partition_point(|entry| *entry.path < *below);
        let inside = self.entries[first..].iter().take_while(|entry| entry.path.starts_with(&below)).count();
        if inside > 0 {
            return Ok((true, format!("{inside} selected files are in it")));
        }
        let mut folder = below.as_bstr();
        loop {
            if let Some(excluded) = find(folder) {
                return Ok((false, format!("{} (folder {})", excluded.reason, excluded.path)));
            }
            let Some(end) = folder[..folder.len() - 1].rfind_byte(b'/') else {
                break;
            };
            folder = folder[..=end].as_bstr();
        }
        let full = self.root.join(path.to_path_lossy());
        if full.symlink_metadata().is_ok() {
            return Ok((false, "a folder in which nothing is selected".to_owned()));
        }
        Err(Error::Archive(format!("{} does not exist; give a path relative to {}", path, self.root.display())))
    }
}
