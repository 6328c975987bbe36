//! Which files of a tree go into an archive, and why the others do not.
use std::{
    borrow::Cow,
    cmp,
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::BorrowedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bstr::{BStr, BString, ByteSlice};
use rustix::fs::{Dir, FileType, Mode};

use super::{
    beneath::{self, Settings, Tree, is_link_on_the_way},
    git::Checkout,
    rules::{BuiltIn, Patterns},
    secrets,
    selection::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp},
    verdict::{Above, By, Folder, Rules, Territory, Verdict, push, push_checkout_excludes, read_ignore_files},
};
use crate::{Error, Result};

/// More threads than this wait for each other rather than for the disk.
const MAX_WALKERS: usize = 8;
/// Files by which folders are known that stay out.
const MARKED: &[(&str, &str)] =
    &[("pyvenv.cfg", "virtual environment"), (".lightning-native-cloud", "secret: a local cloud and its keys")];
/// How often the caller may stop.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Chooses the files of `root`.
///
/// In a git checkout: what is tracked, and what is neither tracked nor ignored; submodules and checkouts inside
/// likewise. Elsewhere `.gitignore` and `.ignore` files decide. In both, `.lightningignore` files and the built-in rules
/// for caches and secrets come before that, and `exclude` and `include` before all. `keep_going` is asked now and then.
///
/// # Errors
/// [`Error::Archive`] if `root` is no folder, or something in it cannot be read; [`Error::Interrupted`] if `keep_going`
/// says no.
pub fn select(root: &Path, options: &SelectionOptions, keep_going: &mut dyn FnMut() -> bool) -> Result<Selection> {
    select_in(root, options, true, keep_going).map(|(selection, _)| selection)
}

/// [`select`], and the tree that was selected from. Files are opened to see whether they are secrets only if
/// `opens_files`; otherwise who reads them has to.
pub(super) fn select_in(
    root: &Path,
    options: &SelectionOptions,
    opens_files: bool,
    keep_going: &mut dyn FnMut() -> bool,
) -> Result<(Selection, Tree)> {
    let shown = root.display();
    let root = fs::canonicalize(root).map_err(|error| {
        Error::Archive(format!("cannot archive {shown}: {error}; give the folder that has the code"))
    })?;
    if !root.is_dir() {
        return Err(Error::Archive(format!(
            "cannot archive {shown}: it is not a folder; give the folder that has the code"
        )));
    }
    let tree = Tree::open(&root).map_err(|error| Error::io("read the folder", &root, &error))?;
    let own = options
        .own
        .iter()
        .filter_map(|(path, reason)| {
            let folder = fs::canonicalize(path.parent().filter(|parent| !parent.as_os_str().is_empty())?).ok()?;
            let full = folder.join(path.file_name()?);
            Some((BString::from(full.strip_prefix(&root).ok()?.as_os_str().as_bytes()), *reason))
        })
        .collect();
    let walk = Walk {
        root: &root,
        tree: &tree,
        rules: Rules {
            include: Patterns::from_arguments("include", &options.include)?,
            exclude: Patterns::from_arguments("exclude", &options.exclude)?,
            built_in: BuiltIn::new(),
        },
        own,
        ignore_files: options.ignore_files,
        opens_files,
        checkouts: Mutex::default(),
        stop: AtomicBool::new(false),
    };
    let (mut entries, mut excluded) = walk.run(keep_going)?;
    // Merges what each walker has sorted.
    entries.sort_by(by_path);
    if !keep_going() {
        return Err(Error::Interrupted);
    }
    walk.report_missing(&entries, &mut excluded);
    excluded.sort_unstable();
    excluded.dedup();
    Ok((Selection { root, entries, excluded }, tree))
}

#[derive(Debug)]
struct Walk<'a> {
    root: &'a Path,
    tree: &'a Tree,
    rules: Rules,
    own: Vec<(BString, &'static str)>,
    ignore_files: bool,
    opens_files: bool,
    checkouts: Mutex<Vec<Arc<Territory>>>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Queue {
    folders: Vec<Folder>,
    busy: usize,
    error: Option<Error>,
}

#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    excluded: Vec<Excluded>,
    /// Room for the beginning of a file.
    start: Vec<u8>,
}

impl Found {
    fn exclude(&mut self, path: BString, is_folder: bool, reason: impl Into<String>) {
        let mut path = path;
        if is_folder {
            path.push(b'/');
        }
        self.excluded.push(Excluded { path, reason: reason.into() });
    }
}

impl Walk<'_> {
    fn run(&self, keep_going: &mut dyn FnMut() -> bool) -> Result<(Vec<Entry>, Vec<Excluded>)> {
        let queue = Mutex::new(Queue { folders: vec![self.start(keep_going)?], ..Queue::default() });
        let (changed, ended) = (Condvar::new(), Condvar::new());
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_WALKERS);
        let mut all = Found::default();
        thread::scope(|scope| {
            let walkers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut found = self.work(&queue, &changed);
                        found.entries.sort_unstable_by(by_path);
                        ended.notify_all();
                        found
                    })
                })
                .collect();
            let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let mut last_heartbeat = Instant::now();
            while state.error.is_none() && (state.busy > 0 || !state.folders.is_empty()) {
                state = ended.wait_timeout(state, HEARTBEAT).unwrap_or_else(PoisonError::into_inner).0;
                if last_heartbeat.elapsed() < HEARTBEAT {
                    continue;
                }
                last_heartbeat = Instant::now();
                drop(state);
                let is_wanted = keep_going();
                state = queue.lock().unwrap_or_else(PoisonError::into_inner);
                if !is_wanted {
                    self.stop.store(true, Ordering::Relaxed);
                    state.error.get_or_insert(Error::Interrupted);
                    changed.notify_all();
                }
            }
            // Who waits for git waits no longer.
            self.stop.store(state.error.is_some(), Ordering::Relaxed);
            drop(state);
            for found in walkers.into_iter().filter_map(|walker| walker.join().ok()) {
                all.entries.extend(found.entries);
                all.excluded.extend(found.excluded);
            }
        });
        let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        queue.error.map_or(Ok((all.entries, all.excluded)), Err)
    }

    fn work(&self, queue: &Mutex<Queue>, changed: &Condvar) -> Found {
        let mut found = Found::default();
        let mut next = Vec::new();
        let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.error.is_some() {
                return found;
            }
            let Some(folder) = state.folders.pop() else {
                if state.busy == 0 {
                    changed.notify_all();
                    return found;
                }
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy += 1;
            drop(state);
            let result = self.visit(folder, &mut found, &mut next);
            state = queue.lock().unwrap_or_else(PoisonError::into_inner);
            state.busy -= 1;
            if let Err(error) = result {
                state.error.get_or_insert(error);
                changed.notify_all();
                return found;
            }
            if next.len() > 1 || state.busy == 0 {
                changed.notify_all();
            }
            state.folders.append(&mut next);
        }
    }

    fn start(&self, keep_going: &mut dyn FnMut() -> bool) -> Result<Folder> {
        let checkout = if self.ignore_files { Checkout::around(self.root, keep_going)? } else { None };
        let mut ignores = None;
        let mut prefix = BString::default();
        if let Some(checkout) = &checkout {
            push_checkout_excludes(&mut ignores, checkout)?;
            if let Ok(inside) = self.root.strip_prefix(&checkout.top) {
                let mut folder = checkout.top.clone();
                for part in inside.components() {
                    let label = folder.join(".gitignore");
                    let content = beneath::read_settings_unless_link(&label);
                    let name = label.display().to_string();
                    push(&mut ignores, Patterns::from_file(&label, content, prefix.as_bstr(), name)?);
                    folder.push(part);
                    prefix.extend_from_slice(part.as_os_str().as_bytes());
                    prefix.push(b'/');
                }
            }
        }
        Ok(Folder {
            path: BString::default(),
            territory: self.enter(Territory { checkout, start: BString::default(), prefix }),
            ignores,
            last_words: None,
            above: Above::Free,
        })
    }

    fn visit(&self, mut folder: Folder, found: &mut Found, next: &mut Vec<Folder>) -> Result<()> {
        let full = join(self.root, folder.path.as_bstr());
        let read = |error: io::Error| {
            if is_link_on_the_way(&error) {
                return Error::Archive(format!(
                    "{} or a folder that it is in became a link while the tree was read, and no link is followed; \
                     try again when nothing writes to it",
                    full.display()
                ));
            }
            Error::io("read the folder", &full, &error)
        };
        let mut listing =
            self.tree.folder(folder.path.as_bstr()).and_then(|folder| Ok(Dir::new(folder)?)).map_err(read)?;
        let children = list(&mut listing).map_err(read)?;
        let handle = listing.fd().map_err(|error| read(error.into()))?;
        let is_root = folder.path.is_empty();
        let has = |name: &str| children.iter().any(|(child, _)| child == name);
        if matches!(folder.above, Above::Free)
            && !is_root
            && let Some((file, what)) = MARKED.iter().find(|(file, _)| has(file))
        {
            let reason = format!("built-in rule: {what} (has {file})");
            if !self.rules.include.may_match_below(folder.path.as_bstr(), false) {
                found.exclude(folder.path, true, reason);
                return Ok(());
            }
            folder.above = Above::KeptOut { reason: Arc::from(reason), by: By::BuiltIn };
        }
        if children.is_empty() && !is_root && !matches!(folder.above, Above::KeptOut { .. }) {
            let reason = Cow::Borrowed("an empty folder");
            let path = boxed(folder.path);
            found.entries.push(Entry { path, kind: Kind::Folder, reason });
            return Ok(());
        }
        if self.ignore_files {
            if !is_root && has(".git") {
                self.enter_checkout(&mut folder, &full)?;
            }
            let is_checkout = folder.territory.checkout.is_some();
            let read = |name: &str| {
                (full.join(name), self.read_ignore_file(handle, &full.join(name), OsStr::new(name), is_checkout))
            };
            read_ignore_files(&mut folder, &has, &read)?;
        }
        for (name, file_type) in &children {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let child = Child { folder: handle, name, full: &full };
            self.visit_child(&folder, &child, *file_type, found, next)?;
        }
        Ok(())
    }

    /// A submodule, or a checkout that just lies there, has rules of its own.
    fn enter_checkout(&self, folder: &mut Folder, full: &Path) -> Result<()> {
        let Some(checkout) = Checkout::at(full, &mut || !self.stop.load(Ordering::Relaxed))? else {
            return Ok(());
        };
        folder.ignores = None;
        push_checkout_excludes(&mut folder.ignores, &checkout)?;
        let mut start = folder.path.clone();
        start.push(b'/');
        folder.territory = self.enter(Territory { checkout: Some(checkout), start, prefix: BString::default() });
        Ok(())
    }

    /// The content of an ignore file, if it is a file. A link is followed to a file of the tree, but not that of git's
    /// rules for a checkout: git follows none.
    fn read_ignore_file(&self, folder: BorrowedFd<'_>, full: &Path, name: &OsStr, is_checkout: bool) -> Settings {
        let is_link =
            beneath::stat_in(folder, name).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        if !is_link || (is_checkout && name == ".gitignore") {
            return beneath::read_settings_in(folder, name);
        }
        let Ok(target) = fs::canonicalize(full) else { return Ok(None) };
        let Ok(inside) = target.strip_prefix(self.root) else {
            return Err(io::Error::other("it is a link that leads out of the tree; put a copy in its place"));
        };
        match self.tree.file(BStr::new(inside.as_os_str().as_bytes())) {
            Ok((file, _)) => beneath::read_settings_of(file),
            Err(_) => Ok(None),
        }
    }

    fn enter(&self, territory: Territory) -> Arc<Territory> {
        let territory = Arc::new(territory);
        if territory.checkout.is_some() {
            self.checkouts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&territory));
        }
        territory
    }

    fn visit_child(
        &self,
        folder: &Folder,
        child: &Child<'_>,
        file_type: FileType,
        found: &mut Found,
        next: &mut Vec<Folder>,
    ) -> Result<()> {
        let name = child.name;
        let mut path = BString::new(Vec::with_capacity(folder.path.len() + 2 + name.len()));
        path.extend_from_slice(&folder.path);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let is_folder = file_type == FileType::Directory;
        if name == ".git" {
            found.exclude(path, is_folder, "built-in rule: version control data (.git)");
            return Ok(());
        }
        if let Some((_, reason)) = self.own.iter().find(|(own, _)| *own == path) {
            found.exclude(path, is_folder, *reason);
            return Ok(());
        }
        let own_path = folder.territory.path(path.as_bstr()).into_owned();
        let verdict = self.rules.decide(folder, path.as_bstr(), own_path.as_bstr(), is_folder);
        if is_folder {
            match self.rules.descend(folder, verdict, path.as_bstr(), &own_path) {
                Ok(above) => next.push(Folder {
                    path,
                    territory: Arc::clone(&folder.territory),
                    ignores: folder.ignores.clone(),
                    last_words: folder.last_words.clone(),
                    above,
                }),
                Err(reason) => found.exclude(path, true, reason),
            }
            return Ok(());
        }
        let (reason, by_caller) = match verdict {
            Verdict::In { reason, by_caller, .. } => (reason, by_caller),
            Verdict::Out { reason, .. } => {
                found.exclude(path, false, reason);
                return Ok(());
            }
        };
        let mut kind = match child.kind()? {
            Ok(kind) => kind,
            Err(special) => {
                found.exclude(path, false, special);
                return Ok(());
            }
        };
        if let Kind::File { size: secrets::SHORTEST.., may_be_secret, .. } = &mut kind
            && !by_caller
        {
            *may_be_secret = !self.opens_files;
            if let Some(secret) = self.opens_files.then(|| child.secret(&mut found.start)).flatten() {
                found.exclude(path, false, format!("built-in rule: {secret}"));
                return Ok(());
            }
        }
        found.entries.push(Entry { path: boxed(path), kind, reason });
        Ok(())
    }

    /// Tracked files that are gone from the disk, or that a sparse checkout never put there.
    fn report_missing(&self, entries: &[Entry], excluded: &mut Vec<Excluded>) {
        let checkouts = self.checkouts.lock().unwrap_or_else(PoisonError::into_inner);
        for territory in checkouts.iter() {
            let Some(checkout) = &territory.checkout else {
                continue;
            };
            let tracked = || checkout.tracked.iter().filter_map(|path| path.strip_prefix(territory.prefix.as_slice()));
            let is_tracked = |entry: &&Entry| {
                entry.path.starts_with(&territory.start) && checkout.tracked.contains(&*territory.path(&entry.path))
            };
            // Mostly nothing is missing, which is sooner seen than what is.
            let is_any_missing = entries.iter().filter(is_tracked).count() < tracked().count();
            for inside in tracked().filter(|_| is_any_missing) {
                let mut path = territory.start.clone();
                path.extend_from_slice(inside);
                let is_there = entries.binary_search_by(|entry| (*entry.path).cmp(path.as_bstr())).is_ok()
                    || join(self.root, path.as_bstr()).symlink_metadata().is_ok();
                if !is_there {
                    let reason = "tracked by git, but not on disk".to_owned();
                    excluded.push(Excluded { path, reason });
                }
            }
            for submodule in &checkout.submodules {
                let Some(inside) = submodule.strip_prefix(territory.prefix.as_slice()) else {
                    continue;
                };
                let mut path = territory.start.clone();
                path.extend_from_slice(inside);
                if !join(self.root, path.as_bstr()).join(".git").exists() {
                    path.push(b'/');
                    let reason = "submodule that is not checked out; `git submodule update --init` gets it".to_owned();
                    excluded.push(Excluded { path, reason });
                }
            }
        }
    }
}

fn by_path(left: &Entry, right: &Entry) -> cmp::Ordering {
    left.path.cmp(&right.path)
}

fn join(root: &Path, path: &BStr) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) }
}

fn boxed(path: BString) -> Box<BStr> {
    Vec::from(path).into_boxed_slice().into()
}

/// The names in a folder, and what kinds of things they are of.
fn list(folder: &mut Dir) -> io::Result<Vec<(OsString, FileType)>> {
    let mut children = Vec::new();
    while let Some(child) = folder.read() {
        let child = child?;
        let name = child.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            children.push((OsString::from_vec(name.to_vec()), child.file_type()));
        }
    }
    for (name, file_type) in &mut children {
        // Some file systems list names only.
        if *file_type == FileType::Unknown {
            *file_type = FileType::from_raw_mode(beneath::stat_in(folder.fd()?, name)?.st_mode);
        }
    }
    Ok(children)
}

/// Something in a folder that is open.
struct Child<'a> {
    folder: BorrowedFd<'a>,
    name: &'a OsStr,
    /// Of the folder, for messages.
    full: &'a Path,
}

impl Child<'_> {
    /// What it is, or why no archive can carry it.
    fn kind(&self) -> Result<std::result::Result<Kind, &'static str>> {
        let fail = |action: &'static str| move |error| Error::io(action, &self.full.join(self.name), &error);
        let stat = beneath::stat_in(self.folder, self.name).map_err(fail("read"))?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Kind::File {
                size: u64::try_from(stat.st_size).unwrap_or_default(),
                executable: Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR),
                may_be_secret: false,
                stamp: Stamp::of(&stat),
            }),
            FileType::Symlink => {
                let target = beneath::link_in(self.folder, self.name).map_err(fail("read the link"))?;
                Ok(Kind::Symlink(Box::new(target.into())))
            }
            FileType::Socket => Err("a socket: it has no content to archive"),
            FileType::Fifo => Err("a named pipe: it has no content to archive"),
            _ => Err("a device: it has no content to archive"),
        })
    }

    /// What secret it holds; a file that cannot be read is reported when it is archived.
    fn secret(&self, start: &mut Vec<u8>) -> Option<&'static str> {
        let file = beneath::open_in(self.folder, self.name).ok()?;
        secrets::read(BStr::new(self.name.as_bytes()), file, start).ok()?
    }
}
