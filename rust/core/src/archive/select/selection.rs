//! What goes into an archive, what stays out, and why.
use std::{borrow::Cow, path::PathBuf};

use bstr::{BStr, BString, ByteSlice};
use rustix::fs::Stat;

use crate::{Error, Result};

/// What the caller wants in or out.
#[derive(Debug, Clone)]
pub struct SelectionOptions {
    /// Patterns of `.gitignore` syntax that bring files in whatever else says otherwise.
    pub include: Vec<BString>,
    /// Patterns of `.gitignore` syntax that keep files out.
    pub exclude: Vec<BString>,
    /// Whether git and `.gitignore`, `.ignore` and `.lightningignore` files have a say.
    pub ignore_files: bool,
    /// Files and folders that are ours, with the reason they stay out.
    pub own: Vec<(PathBuf, &'static str)>,
}

impl Default for SelectionOptions {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: Vec::new(), ignore_files: true, own: Vec::new() }
    }
}

/// What kind of thing a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file, with its size in bytes.
    File {
        /// Bytes when it was selected.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// Whether it stays out if its content turns out to be a secret, which has not been seen yet.
        may_be_secret: bool,
        /// What would be another if it had been changed.
        stamp: Stamp,
    },
    /// A symbolic link, and where it points; boxed, because a tree has few of them and may have millions of files.
    Symlink(Box<BString>),
    /// A folder with nothing in it.
    Folder,
}

/// Tells versions of a file apart, with its size and path; times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Where its file system has it.
    pub inode: u64,
    /// When its content was changed, or what somebody has set that to.
    pub modified: i64,
    /// When anything about it was changed.
    pub changed: i64,
}

impl Stamp {
    /// That of a file as it is now.
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
    /// What it is.
    pub kind: Kind,
    /// Why it goes in.
    pub reason: Cow<'static, str>,
}

/// A path that stays out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    /// Relative to the root, with `/`; a folder ends in `/` and stands for all in it that is not listed elsewhere.
    pub path: BString,
    /// The rule that keeps it out.
    pub reason: String,
}

/// The files that go into an archive, and those that stay out with the reason.
#[derive(Debug)]
pub struct Selection {
    /// The tree.
    pub root: PathBuf,
    /// What goes in, sorted by the bytes of the path.
    pub entries: Vec<Entry>,
    /// What stays out, sorted.
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
