//! Opening files of a tree without following a link, leaving the tree or waiting for a writer.
//!
//! A tree may change while it is read. A path that was a file when it was listed may be a link to a secret when it is
//! opened, or a named pipe without a writer. Each check is therefore made on the opened file, not on its path.
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use bstr::{BStr, ByteSlice};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat},
    io::Errno,
};

/// Flags that never wait for the writer of a pipe, and never acquire a controlling terminal.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// The most bytes of a settings file; no real one is near.
const MOST_SETTINGS: u64 = 16 << 20;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// The content of a settings file, if there is one.
pub(super) type Settings = io::Result<Option<Vec<u8>>>;

/// The root of a tree: an open folder, which stays the same even if its path leads elsewhere.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// Whether the kernel resolves a whole path without links in one call.
    #[cfg(target_os = "linux")]
    has_openat2: bool,
}

impl Tree {
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = openat(CWD, root, FOLDER, Mode::empty())?;
        #[cfg(target_os = "linux")]
        // Linux has it since 5.6; a container's filter may forbid it.
        let has_openat2 = openat2(&root, b".", FOLDER).is_ok();
        Ok(Self {
            root,
            #[cfg(target_os = "linux")]
            has_openat2,
        })
    }

    /// A folder; `path` is relative to the root, empty for the root itself.
    pub fn folder(&self, path: &BStr) -> io::Result<OwnedFd> {
        self.open_at(if path.is_empty() { b"." } else { path }, FOLDER)
    }

    /// A regular file.
    pub fn file(&self, path: &BStr) -> io::Result<(File, Stat)> {
        regular(self.open_at(path, FILE | OFlags::NOFOLLOW)?)
    }

    fn open_at(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if self.has_openat2 {
            return openat2(&self.root, path, flags);
        }
        open_each(self.root.as_fd(), path, flags)
    }
}

#[cfg(target_os = "linux")]
fn openat2(root: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(root, OsStr::from_bytes(path), flags, Mode::empty(), resolve)?)
}

/// Opens a path part by part, and refuses a link at each.
fn open_each(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let (mut rest, mut folder) = (path, None::<OwnedFd>);
    loop {
        let at = folder.as_ref().map_or(root, AsFd::as_fd);
        let Some(end) = rest.find_byte(b'/') else {
            return Ok(openat(at, OsStr::from_bytes(rest), flags, Mode::empty())?);
        };
        folder = Some(openat(at, OsStr::from_bytes(&rest[..end]), FOLDER, Mode::empty())?);
        rest = &rest[end + 1..];
    }
}

fn regular(file: OwnedFd) -> io::Result<(File, Stat)> {
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Ok((File::from(file), stat))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// Opens the child of a folder with this name, unless it is a link; reading it never waits.
pub(super) fn open_in(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    Ok(openat(folder, name, FILE | OFlags::NOFOLLOW, Mode::empty())?.into())
}

pub(super) fn stat_in(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Stat> {
    Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The target of a link in a folder.
pub(super) fn link_in(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<Vec<u8>> {
    Ok(readlinkat(folder, name, Vec::new())?.into_bytes())
}

/// The content of a settings file; `None` if there is no such regular file. Links are followed.
pub(super) fn read_settings(path: &Path) -> Settings {
    settings(openat(CWD, path, FILE, Mode::empty()))
}

/// [`read_settings`] without following a link, as git reads the files of a checkout.
pub(super) fn read_settings_unless_link(path: &Path) -> Settings {
    settings(openat(CWD, path, FILE | OFlags::NOFOLLOW, Mode::empty()))
}

/// [`read_settings`] for a file in an open folder.
pub(super) fn read_settings_in(folder: BorrowedFd<'_>, name: &OsStr) -> Settings {
    settings(openat(folder, name, FILE | OFlags::NOFOLLOW, Mode::empty()))
}

/// Opens a regular file by its path; never waits for a pipe of that name.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    Ok(regular(openat(CWD, path, FILE, Mode::empty())?)?.0)
}

fn settings(opened: Result<OwnedFd, Errno>) -> Settings {
    let file = match opened {
        Ok(file) => file,
        // Missing, below a file, a link, or a socket.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Ok((file, _)) = regular(file) else { return Ok(None) };
    read_settings_of(file)
}

pub(super) fn read_settings_of(file: File) -> Settings {
    let mut content = Vec::new();
    file.take(MOST_SETTINGS + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MOST_SETTINGS {
        return Err(io::Error::other("it has more than 16 MiB"));
    }
    Ok(Some(content))
}

/// Whether opening failed because a part of the path is a link, or not the folder it was.
pub(super) fn is_link_on_the_way(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [Errno::LOOP, Errno::NOTDIR].map(Errno::raw_os_error).contains(&code))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A tree with links to a file and a folder outside of it, opened in two ways; the second is for old kernels.
    fn trees() -> (tempfile::TempDir, [Tree; 2]) {
        let folder = tempfile::tempdir().expect("folder");
        let (root, outside) = (folder.path().join("tree"), folder.path().join("outside"));
        fs::create_dir_all(root.join("a/b")).expect("folders");
        fs::create_dir_all(&outside).expect("folder");
        fs::write(root.join("a/b/file"), "inside").expect("write");
        fs::write(outside.join("file"), "outside").expect("write");
        symlink(outside.join("file"), root.join("a/link")).expect("link");
        symlink(&outside, root.join("a/folder")).expect("link");
        symlink("b", root.join("a/inner")).expect("link");
        rustix::fs::mknodat(CWD, root.join("a/pipe"), FileType::Fifo, Mode::RUSR, 0).expect("pipe");
        let tree = || Tree::open(&root).expect("tree");
        let by_parts = Tree {
            #[cfg(target_os = "linux")]
            has_openat2: false,
            ..tree()
        };
        (folder, [tree(), by_parts])
    }

    #[test]
    fn files_and_folders_are_opened_by_their_paths() {
        let (_folder, trees) = trees();
        for tree in trees {
            let mut content = String::new();
            tree.file("a/b/file".into()).expect("opened").0.read_to_string(&mut content).expect("read");
            assert_eq!(content, "inside");
            for folder in ["", "a", "a/b"] {
                tree.folder(folder.into()).expect("opened");
            }
        }
    }

    #[test]
    fn no_link_is_followed_wherever_it_is_in_a_path_and_wherever_it_leads() {
        let (_folder, trees) = trees();
        for tree in trees {
            for path in ["a/link", "a/folder/file", "a/inner/file"] {
                assert!(is_link_on_the_way(&tree.file(path.into()).expect_err("a link")), "{path}");
            }
            for path in ["a/folder", "a/inner"] {
                assert!(is_link_on_the_way(&tree.folder(path.into()).expect_err("a link")), "{path}");
            }
        }
    }

    #[test]
    fn a_pipe_or_folder_in_the_place_of_a_file_is_an_error_at_once() {
        let (_folder, trees) = trees();
        for tree in trees {
            for path in ["a/pipe", "a/b"] {
                assert_eq!(tree.file(path.into()).expect_err("no file").to_string(), "it is no regular file");
            }
        }
    }

    #[test]
    fn a_tree_stays_the_same_when_its_path_leads_elsewhere() {
        let (folder, trees) = trees();
        fs::rename(folder.path().join("tree"), folder.path().join("moved")).expect("move");
        symlink("outside", folder.path().join("tree")).expect("link");
        for tree in trees {
            assert!(tree.file("file".into()).is_err());
            assert!(tree.file("a/b/file".into()).is_ok());
        }
    }
}
