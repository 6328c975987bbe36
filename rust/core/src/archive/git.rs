//! What git knows about a checkout: its tracked files and where its ignore rules are.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use bstr::{BStr, BString, ByteSlice};
use gix_index::entry::Mode;
use hashbrown::HashSet;

use crate::{Error, Result};

/// A checkout; all its paths are relative to `top`, with `/`.
#[derive(Debug)]
pub(super) struct Checkout {
    pub top: PathBuf,
    /// Ignore files that apply to the whole checkout, the weaker first.
    pub excludes: Vec<PathBuf>,
    pub tracked: HashSet<BString>,
    /// Every folder that has a tracked file in it, at any depth.
    pub tracked_folders: HashSet<BString>,
    pub submodules: HashSet<BString>,
}

impl Checkout {
    /// The checkout whose top folder is `top`, if it is one.
    pub fn at(top: &Path) -> Result<Option<Self>> {
        let Some(git_folder) = git_folder(top)? else {
            return Ok(None);
        };
        let common = common_folder(&git_folder);
        let asked = ask_for_global_excludes(top);
        let mut checkout = Self {
            top: top.to_owned(),
            excludes: Vec::new(),
            tracked: HashSet::new(),
            tracked_folders: HashSet::new(),
            submodules: HashSet::new(),
        };
        let is_read = checkout.read_index(&git_folder, &common);
        // Waited for in any case, or it would be left as a zombie.
        checkout.excludes.extend(global_excludes(top, asked));
        checkout.excludes.push(common.join("info/exclude"));
        is_read?;
        Ok(Some(checkout))
    }

    /// The checkout that `folder` is inside of, if any.
    pub fn around(folder: &Path) -> Result<Option<Self>> {
        for top in folder.ancestors() {
            if let Some(checkout) = Self::at(top)? {
                return Ok(Some(checkout));
            }
        }
        Ok(None)
    }

    fn read_index(&mut self, git_folder: &Path, common: &Path) -> Result<()> {
        let path = git_folder.join("index");
        if !path.exists() {
            return Ok(());
        }
        let index = gix_index::File::at(&path, object_hash(common), true, gix_index::decode::Options::default())
            .map_err(|error| {
                let path = path.display();
                Error::Archive(format!("cannot read git's index {path}: {error}; `git status` may repair it"))
            })?;
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

/// The repository of a top folder: its `.git` folder, or what its `.git` file names.
fn git_folder(top: &Path) -> Result<Option<PathBuf>> {
    let path = top.join(".git");
    let Ok(metadata) = fs::metadata(&path) else {
        return Ok(None);
    };
    if metadata.is_dir() {
        return Ok(path.join("HEAD").exists().then_some(path));
    }
    let text = fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
    let Some(folder) = text.strip_prefix(b"gitdir:") else {
        return Ok(None);
    };
    let folder = folder.trim().to_path().map_err(|error| Error::Archive(format!("{}: {error}", path.display())))?;
    Ok(Some(top.join(folder)))
}

/// Where a linked worktree shares its settings with the others.
fn common_folder(git_folder: &Path) -> PathBuf {
    match fs::read(git_folder.join("commondir")) {
        Ok(text) => text.trim().to_path().map_or_else(|_| git_folder.to_owned(), |path| git_folder.join(path)),
        Err(_) => git_folder.to_owned(),
    }
}

fn object_hash(common: &Path) -> gix_hash::Kind {
    let config = fs::read(common.join("config")).unwrap_or_default();
    let is_sha256 = config
        .lines()
        .filter_map(|line| line.split_once_str("="))
        .any(|(key, value)| key.trim().eq_ignore_ascii_case(b"objectformat") && value.trim() == b"sha256");
    if is_sha256 { gix_hash::Kind::Sha256 } else { gix_hash::Kind::Sha1 }
}

/// Asks git, which knows best which of its many settings files count, and takes its time.
fn ask_for_global_excludes(top: &Path) -> std::io::Result<Child> {
    Command::new("git")
        .args(["config", "--type=path", "--get", "core.excludesFile"])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// The user's own ignore file for all checkouts: where git's settings say, or where git looks by itself.
fn global_excludes(top: &Path, asked: std::io::Result<Child>) -> Option<PathBuf> {
    let answer = asked.and_then(Child::wait_with_output);
    if let Some(path) = answer.ok().and_then(|output| output.stdout.trim_end().to_path().ok().map(Path::to_owned))
        && !path.as_os_str().is_empty()
    {
        return Some(top.join(path));
    }
    let settings = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(settings.join("git/ignore"))
}
