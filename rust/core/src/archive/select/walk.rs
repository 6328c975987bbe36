//! The walk through a tree, in several threads, which applies the rules to each path.
use std::{
    borrow::Cow,
    cmp,
    ffi::OsStr,
    fs, io,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bstr::{BStr, BString, ByteSlice};
use rustix::fs::{Dir, FileType};

use super::{
    builtin_rules::BuiltIn,
    decide::{Folder, Inherited, RuleSource, Rules, Scope, Verdict, push, push_checkout_excludes, read_ignore_files},
    git::Checkout,
    listing::{Child, list},
    patterns::Patterns,
    secrets,
    selection::{Entry, Excluded, Kind, SelectionOptions},
};
use crate::{
    Error, Result,
    archive::beneath::{self, Settings, Tree, is_link_on_the_way},
};

/// More threads than this wait for each other rather than for the disk.
const MAX_WALKERS: usize = 8;
/// Files that mark a folder which stays out.
const MARKED: &[(&str, &str)] =
    &[("pyvenv.cfg", "virtual environment"), (".lightning-native-cloud", "secret: a local cloud and its keys")];
/// The interval at which the caller may ask for a stop.
const HEARTBEAT: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Walk<'a> {
    root: &'a Path,
    tree: &'a Tree,
    rules: Rules,
    own: Vec<(BString, &'static str)>,
    ignore_files: bool,
    opens_files: bool,
    checkouts: Mutex<Vec<Arc<Scope>>>,
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
    /// A buffer for the first bytes of a file.
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

impl<'a> Walk<'a> {
    pub fn new(
        root: &'a Path,
        tree: &'a Tree,
        options: &SelectionOptions,
        own: Vec<(BString, &'static str)>,
        opens_files: bool,
    ) -> Result<Self> {
        let rules = Rules {
            include: Patterns::from_arguments("include", &options.include)?,
            exclude: Patterns::from_arguments("exclude", &options.exclude)?,
            built_in: BuiltIn::new(),
        };
        Ok(Self {
            root,
            tree,
            rules,
            own,
            ignore_files: options.ignore_files,
            opens_files,
            checkouts: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    /// The checkouts that were found.
    pub fn checkouts(&self) -> MutexGuard<'_, Vec<Arc<Scope>>> {
        self.checkouts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn run(&self, keep_going: &mut dyn FnMut() -> bool) -> Result<(Vec<Entry>, Vec<Excluded>)> {
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
            // Ends the wait of a walker for git.
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
            scope: self.enter(Scope { checkout, start: BString::default(), prefix }),
            ignores,
            overrides: None,
            inherited: Inherited::Undecided,
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
        if matches!(folder.inherited, Inherited::Undecided)
            && !is_root
            && let Some((file, what)) = MARKED.iter().find(|(file, _)| has(file))
        {
            let reason = format!("built-in rule: {what} (has {file})");
            if !self.rules.include.may_match_below(folder.path.as_bstr(), false) {
                found.exclude(folder.path, true, reason);
                return Ok(());
            }
            folder.inherited = Inherited::Excluded { reason: Arc::from(reason), source: RuleSource::BuiltIn };
        }
        if children.is_empty() && !is_root && !matches!(folder.inherited, Inherited::Excluded { .. }) {
            let reason = Cow::Borrowed("an empty folder");
            let path = boxed(folder.path);
            found.entries.push(Entry { path, kind: Kind::Folder, reason });
            return Ok(());
        }
        if self.ignore_files {
            if !is_root && has(".git") {
                self.enter_checkout(&mut folder, &full)?;
            }
            let is_checkout = folder.scope.checkout.is_some();
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

    /// Applies the rules of a submodule, or of any other checkout inside the tree, from its top folder on.
    fn enter_checkout(&self, folder: &mut Folder, full: &Path) -> Result<()> {
        let Some(checkout) = Checkout::at(full, &mut || !self.stop.load(Ordering::Relaxed))? else {
            return Ok(());
        };
        folder.ignores = None;
        push_checkout_excludes(&mut folder.ignores, &checkout)?;
        let mut start = folder.path.clone();
        start.push(b'/');
        folder.scope = self.enter(Scope { checkout: Some(checkout), start, prefix: BString::default() });
        Ok(())
    }

    /// The content of an ignore file, if it is a file. A link is followed to a file of the tree, except a `.gitignore`
    /// in a checkout, because git does not follow that one.
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

    fn enter(&self, scope: Scope) -> Arc<Scope> {
        let scope = Arc::new(scope);
        if scope.checkout.is_some() {
            self.checkouts().push(Arc::clone(&scope));
        }
        scope
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
        let own_path = folder.scope.path(path.as_bstr()).into_owned();
        let verdict = self.rules.decide(folder, path.as_bstr(), own_path.as_bstr(), is_folder);
        if is_folder {
            match self.rules.descend(folder, verdict, path.as_bstr(), &own_path) {
                Ok(inherited) => next.push(Folder {
                    path,
                    scope: Arc::clone(&folder.scope),
                    ignores: folder.ignores.clone(),
                    overrides: folder.overrides.clone(),
                    inherited,
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
}

pub(super) fn by_path(left: &Entry, right: &Entry) -> cmp::Ordering {
    left.path.cmp(&right.path)
}

pub(super) fn join(root: &Path, path: &BStr) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) }
}

fn boxed(path: BString) -> Box<BStr> {
    Vec::from(path).into_boxed_slice().into()
}
