//! A checkout as git records it: its tracked files, its submodules and its ignore files.
use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bstr::{BStr, BString, ByteSlice};
use filetime::FileTime;
use gix_index::entry::Mode;
use hashbrown::HashSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    Error, Result,
    archive::beneath::{open_regular, read_settings},
};

/// The interval at which the caller may stop waiting for git.
const HEARTBEAT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// The longest wait for git, which takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer that is read: longer than any path.
const LONGEST_ANSWER: usize = 1 << 16;

/// A checkout; all its paths are relative to `top`, with `/`.
#[derive(Debug)]
pub(super) struct Checkout {
    pub top: PathBuf,
    /// Ignore files that apply to the whole checkout, the weakest first.
    pub excludes: Vec<PathBuf>,
    pub tracked: HashSet<BString>,
    /// Every folder with a tracked file in it, at any depth.
    pub tracked_folders: HashSet<BString>,
    pub submodules: HashSet<BString>,
}

impl Checkout {
    /// The checkout whose top folder is `top`, if it is one.
    pub fn at(top: &Path, keep_going: &mut dyn FnMut() -> bool) -> Result<Option<Self>> {
        let Some(git_folder) = git_folder(top)? else {
            return Ok(None);
        };
        check_can_be_read(&git_folder)?;
        let common = common_folder(&git_folder);
        check_can_be_read(&common)?;
        let asked = ask_for_global_excludes(top);
        let mut checkout = Self {
            top: top.to_owned(),
            excludes: Vec::new(),
            tracked: HashSet::new(),
            tracked_folders: HashSet::new(),
            submodules: HashSet::new(),
        };
        let is_read = checkout.read_index(&git_folder, &common);
        checkout.excludes.extend(global_excludes(top, asked, keep_going)?);
        checkout.excludes.push(common.join("info/exclude"));
        is_read?;
        Ok(Some(checkout))
    }

    /// The checkout that `folder` is inside of, if any.
    pub fn around(folder: &Path, keep_going: &mut dyn FnMut() -> bool) -> Result<Option<Self>> {
        for top in folder.ancestors() {
            if let Some(checkout) = Self::at(top, keep_going)? {
                return Ok(Some(checkout));
            }
        }
        Ok(None)
    }

    fn read_index(&mut self, git_folder: &Path, common: &Path) -> Result<()> {
        let path = git_folder.join("index");
        let fail = |error: &dyn std::fmt::Display| {
            let path = path.display();
            Error::Archive(format!("cannot read git's index {path}: {error}; `git status` may repair it"))
        };
        let mut file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fail(&error)),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| fail(&error))?;
        let hash = object_hash(common);
        // A damaged number of entries becomes an error, and does not exhaust the memory.
        let options = || gix_index::decode::Options {
            alloc_limit_bytes: Some(bytes.len().saturating_mul(64).max(1 << 20)),
            ..gix_index::decode::Options::default()
        };
        let mut index =
            gix_index::State::from_bytes(&bytes, FileTime::zero(), hash, options()).map_err(|error| fail(&error))?.0;
        if let Some(link) = index.link() {
            // A split index: most of its entries are in another file.
            let shared = git_folder.join(format!("sharedindex.{}", link.shared_index_checksum));
            open_regular(&shared).map_err(|error| fail(&error))?;
            index = gix_index::File::at(&path, hash, true, options()).map_err(|error| fail(&error))?.into();
        }
        for entry in index.entries() {
            let path = entry.path(&index);
            if entry.mode == Mode::COMMIT {
                self.submodules.insert(path.to_owned());
            } else if entry.mode != Mode::DIR {
                self.tracked.insert(path.to_owned());
            }
            self.add_folders(path);
        }
        Ok(())
    }

    fn add_folders(&mut self, path: &BStr) {
        let mut folder = path;
        while let Some(end) = folder.rfind_byte(b'/') {
            folder = folder[..end].as_bstr();
            if !self.tracked_folders.insert(folder.to_owned()) {
                break;
            }
        }
    }
}

/// The repository of a top folder: its `.git` folder, or the folder that its `.git` file names.
fn git_folder(top: &Path) -> Result<Option<PathBuf>> {
    let path = top.join(".git");
    let Ok(metadata) = fs::metadata(&path) else {
        return Ok(None);
    };
    if metadata.is_dir() {
        return Ok(path.join("HEAD").exists().then_some(path));
    }
    let text = read_settings(&path).map_err(|error| Error::io("read", &path, &error))?.unwrap_or_default();
    let Some(folder) = text.strip_prefix(b"gitdir:") else {
        return Ok(None);
    };
    let folder = folder.trim().to_path().map_err(|error| Error::Archive(format!("{}: {error}", path.display())))?;
    Ok(Some(top.join(folder)))
}

/// Fails if a file of git is a pipe, for which git would wait for ever.
fn check_can_be_read(git_folder: &Path) -> Result<()> {
    for name in ["HEAD", "commondir", "config", "config.worktree"] {
        let path = git_folder.join(name);
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            let path = path.display();
            return Err(Error::Archive(format!("cannot read {path}, which git has its settings in: it is no file")));
        }
    }
    Ok(())
}

/// The folder with the settings that a linked worktree shares with the others.
fn common_folder(git_folder: &Path) -> PathBuf {
    match read_settings(&git_folder.join("commondir")) {
        Ok(Some(text)) => text.trim().to_path().map_or_else(|_| git_folder.to_owned(), |path| git_folder.join(path)),
        _ => git_folder.to_owned(),
    }
}

fn object_hash(common: &Path) -> gix_hash::Kind {
    let config = read_settings(&common.join("config")).ok().flatten().unwrap_or_default();
    let is_sha256 = config
        .lines()
        .filter_map(|line| line.split_once_str("="))
        .any(|(key, value)| key.trim().eq_ignore_ascii_case(b"objectformat") && value.trim() == b"sha256");
    if is_sha256 { gix_hash::Kind::Sha256 } else { gix_hash::Kind::Sha1 }
}

/// Starts git, because only git knows which of its many settings files apply; the answer comes while the index is read.
fn ask_for_global_excludes(top: &Path) -> std::io::Result<Child> {
    Command::new("git")
        .args(["config", "--type=path", "--get", "core.excludesFile"])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// The user's own ignore file for all checkouts: the path in git's settings, or git's default path.
fn global_excludes(
    top: &Path,
    asked: io::Result<Child>,
    keep_going: &mut dyn FnMut() -> bool,
) -> Result<Option<PathBuf>> {
    let answer = asked.ok().map(|git| wait(git, top, keep_going)).transpose()?.unwrap_or_default();
    if let Ok(path) = answer.trim_end().to_path()
        && !path.as_os_str().is_empty()
    {
        return Ok(Some(top.join(path)));
    }
    let settings = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    Ok(settings.map(|settings| settings.join("git/ignore")))
}

/// The answer of git, which may wait for ever for settings in a named pipe.
fn wait(mut git: Child, top: &Path, keep_going: &mut dyn FnMut() -> bool) -> Result<Vec<u8>> {
    let started = Instant::now();
    let mut answer = Vec::new();
    let result = loop {
        let Some(output) = &mut git.stdout else { break Ok(()) };
        let mut pipes = [PollFd::new(&*output, PollFlags::IN)];
        if poll(&mut pipes, Some(&HEARTBEAT)).is_ok_and(|ready| ready > 0) {
            let mut buffer = [0; 4096];
            match output.read(&mut buffer) {
                Ok(0) | Err(_) => break Ok(()),
                Ok(_) if answer.len() > LONGEST_ANSWER => break Ok(()),
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
        } else if !keep_going() {
            break Err(Error::Interrupted);
        } else if started.elapsed() > PATIENCE {
            let top = top.display();
            break Err(Error::Archive(format!("git does not answer in {top}; does `git config --list` there?")));
        }
    };
    if result.is_err() || answer.len() > LONGEST_ANSWER {
        let _ = git.kill();
    }
    // Always waited for, because it would remain as a zombie otherwise.
    let _ = git.wait();
    result.map(|()| answer)
}
