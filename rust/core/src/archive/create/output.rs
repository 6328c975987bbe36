//! The destination of an archive: a file, which appears complete or not at all, or a pipe or device.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
};
use tempfile::NamedTempFile;

use crate::{
    Error, Result,
    archive::own_files::{UNFINISHED, UNFINISHED_FILE},
};

/// More links than this are a loop for every operating system.
const MAX_LINKS: usize = 40;
/// The interval at which the caller may stop waiting for the reader of a pipe.
const HEARTBEAT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The kind of destination that the path of an archive leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// A file that exists or can be created; no link.
    File(PathBuf),
    /// A named pipe or a device, which must not be replaced.
    Stream(PathBuf),
}

impl Output {
    /// Follows links, and refuses a path that no archive can be written to.
    pub fn find(destination: &Path) -> Result<Self> {
        let refuse = |why: &str| Err(Error::Archive(format!("cannot write {}: {why}", destination.display())));
        let mut path = destination.to_owned();
        for _ in 0..MAX_LINKS {
            if path.file_name().is_none() {
                return refuse("it names no file");
            }
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    let folder = folder_of(&path);
                    if folder.is_dir() {
                        return Ok(Self::File(path));
                    }
                    return refuse(&format!("there is no folder {}; create it first", folder.display()));
                }
                Err(error) => return Err(Error::io("write", destination, &error)),
            };
            if kind.is_file() {
                return Ok(Self::File(path));
            }
            if kind.is_fifo() || kind.is_char_device() {
                return Ok(Self::Stream(path));
            }
            if kind.is_dir() {
                return refuse("it is a folder; name a file in it");
            }
            if !kind.is_symlink() {
                return refuse("it is a disk or a socket, which no archive is written to; name a file");
            }
            // The text of a link to an open file need not be a path; `/dev/stdout` leads to such a link.
            if fs::canonicalize(folder_of(&path)).is_ok_and(|folder| folder.starts_with("/proc")) {
                let kind = fs::metadata(&path).map_err(|error| Error::io("write", destination, &error))?.file_type();
                if kind.is_file() || kind.is_fifo() || kind.is_char_device() {
                    return Ok(Self::Stream(path));
                }
                return refuse("what it leads to is no file, pipe or terminal");
            }
            let target = fs::read_link(&path).map_err(|error| Error::io("write", destination, &error))?;
            path = folder_of(&path).join(target);
        }
        refuse("it is a link that leads in a circle")
    }

    /// A file that receives the archive until that is complete.
    pub fn begin(&self, destination: &Path) -> Result<Unfinished> {
        let begun = match self {
            Self::File(path) => Unfinished::new_in(folder_of(path)),
            Self::Stream(_) => tempfile::tempfile().map(Unfinished::unnamed),
        };
        begun.map_err(|error| {
            let folder = if let Self::File(path) = self { folder_of(path).to_owned() } else { std::env::temp_dir() };
            let (destination, folder) = (destination.display(), folder.display());
            Error::Archive(format!("cannot write {destination}: no file can be made in the folder {folder}: {error}"))
        })
    }

    /// Gives the complete file its name, or sends it to the stream.
    pub fn finish(
        &self,
        unfinished: Unfinished,
        destination: &Path,
        keep_going: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let fail = |error| Error::io("write", destination, &error);
        match self {
            Self::File(path) => unfinished.persist(path).map_err(fail),
            Self::Stream(path) => {
                let mut file = unfinished.file;
                file.rewind().map_err(fail)?;
                send(file, path, keep_going).map_err(fail)?.then_some(()).ok_or(Error::Interrupted)
            }
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file without a name, where the system supports that: it vanishes if this process is killed.
pub(super) struct Unfinished {
    pub file: File,
    /// Removes the file unless it receives its final name; `None` if it has no name yet.
    name: Option<NamedTempFile<()>>,
}

impl Unfinished {
    fn unnamed(file: File) -> Self {
        Self { file, name: None }
    }

    fn new_in(folder: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Ok(file) =
            openat(CWD, folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))
            && by_number(&file).exists()
        {
            return Ok(Self::unnamed(file.into()));
        }
        Self::named_in(folder)
    }

    fn named_in(folder: &Path) -> io::Result<Self> {
        let mut cause = None;
        let create = |path: &Path| {
            let new = OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path);
            new.inspect_err(|error| cause = error.raw_os_error())
        };
        let made = names().make_in(folder, create);
        // Without the name of the temporary file, which means nothing to a user.
        let (file, path) = made.map_err(|error| cause.map_or(error, io::Error::from_raw_os_error))?.into_parts();
        Ok(Self { file, name: Some(NamedTempFile::from_parts((), path)) })
    }

    fn persist(self, path: &Path) -> io::Result<()> {
        let folder = folder_of(path);
        let name = match self.name {
            Some(name) => name,
            None => match link(&self.file, path) {
                Ok(()) => return Ok(()),
                // A link does not replace a file, a rename does.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    names().make_in(folder, |name| link(&self.file, name)).or_else(|_| copy(self.file, folder))?
                }
                // A sandbox may forbid links.
                Err(_) => copy(self.file, folder)?,
            },
        };
        name.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// Gives a name to a file that has none.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, linkat};
    Ok(linkat(CWD, by_number(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A copy with a name.
fn copy(mut file: File, folder: &Path) -> io::Result<NamedTempFile<()>> {
    let mut copy = Unfinished::named_in(folder)?;
    file.rewind()?;
    io::copy(&mut file, &mut copy.file)?;
    copy.name.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Names for files that need one before they are complete; no archive includes such files.
fn names() -> tempfile::Builder<'static, 'static> {
    let mut names = tempfile::Builder::new();
    names.prefix(UNFINISHED).suffix(UNFINISHED_FILE);
    names
}

/// A path to an open file without a name.
#[cfg(target_os = "linux")]
fn by_number(file: &impl std::os::fd::AsRawFd) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

/// Copies a file to a pipe or device, and returns whether the caller waited until the end.
fn send(mut file: File, path: &Path, keep_going: &mut dyn FnMut() -> bool) -> io::Result<bool> {
    let Some(mut out) = open_stream(path, keep_going)? else { return Ok(false) };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(true);
        }
        let mut left = &buffer[..count];
        while !left.is_empty() {
            match out.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => left = &left[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&HEARTBEAT));
                    if !keep_going() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens a pipe or device once it has a reader; `None` if the caller stops waiting for one.
fn open_stream(path: &Path, keep_going: &mut dyn FnMut() -> bool) -> io::Result<Option<File>> {
    const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
    loop {
        // Appends, because a file that is open under another name may have content.
        match openat(CWD, path, FLAGS | OFlags::APPEND, Mode::empty()) {
            Ok(out) => return Ok(Some(out.into())),
            Err(rustix::io::Errno::NXIO) if fs::metadata(path)?.file_type().is_fifo() => {
                std::thread::sleep(std::time::Duration::from_millis(50));
                if !keep_going() {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_name_when_it_is_complete_whether_it_had_another_or_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("archive");
        for (begin, content) in
            [(Unfinished::named_in as fn(&Path) -> _, "1"), (Unfinished::new_in, "2"), (Unfinished::named_in, "3")]
        {
            let mut unfinished = begin(folder.path()).expect("file");
            unfinished.file.write_all(content.as_bytes()).expect("written");
            unfinished.persist(&path).expect("named");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
            assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
        }
        let mut unfinished = Unfinished::new_in(folder.path()).expect("file");
        unfinished.file.write_all(b"4").expect("written");
        copy(unfinished.file, folder.path()).and_then(|copy| Ok(copy.persist(&path)?)).expect("named");
        assert_eq!(fs::read_to_string(&path).expect("read"), "4");
        drop(Unfinished::named_in(folder.path()).expect("file"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }
}
