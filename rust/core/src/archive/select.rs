//! Which files of a tree go into an archive, and why the others do not.
use std::{
    borrow::Cow,
    cmp,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
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

use super::{
    git::Checkout,
    rules::{BuiltIn, Patterns},
    selection::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp},
    verdict::{Above, By, Folder, Rules, Territory, Verdict, push, push_checkout_excludes, read_ignore_files},
};
use crate::{Error, Result};

/// More threads than this wait for each other rather than for the disk.
const MAX_WALKERS: usize = 8;
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
    let shown = root.display();
    let root = fs::canonicalize(root).map_err(|error| {
        Error::Archive(format!("cannot archive {shown}: {error}; give the folder that has the code"))
    })?;
    if !root.is_dir() {
        return Err(Error::Archive(format!(
            "cannot archive {shown}: it is not a folder; give the folder that has the code"
        )));
    }
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
        rules: Rules {
            include: Patterns::from_arguments("include", &options.include)?,
            exclude: Patterns::from_arguments("exclude", &options.exclude)?,
            built_in: BuiltIn::new()?,
        },
        own,
        ignore_files: options.ignore_files,
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
    Ok(Selection { root, entries, excluded })
}

#[derive(Debug)]
struct Walk<'a> {
    root: &'a Path,
    rules: Rules,
    own: Vec<(BString, &'static str)>,
    ignore_files: bool,
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
        let queue = Mutex::new(Queue { folders: vec![self.start()?], ..Queue::default() });
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

    fn start(&self) -> Result<Folder> {
        let checkout = if self.ignore_files { Checkout::around(self.root)? } else { None };
        let mut ignores = None;
        let mut prefix = BString::default();
        if let Some(checkout) = &checkout {
            push_checkout_excludes(&mut ignores, checkout)?;
            if let Ok(inside) = self.root.strip_prefix(&checkout.top) {
                let mut folder = checkout.top.clone();
                for part in inside.components() {
                    let label = folder.join(".gitignore");
                    push(&mut ignores, Patterns::from_file(&label, prefix.as_bstr(), label.display().to_string())?);
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
        let read = |error: std::io::Error| Error::io("read the folder", &full, &error);
        let children: Vec<(OsString, fs::DirEntry)> = fs::read_dir(&full)
            .map_err(read)?
            .map(|child| child.map(|child| (child.file_name(), child)))
            .collect::<std::io::Result<_>>()
            .map_err(read)?;
        let is_root = folder.path.is_empty();
        let has = |name: &str| children.iter().any(|(child, _)| child == name);
        if matches!(folder.above, Above::Free) && !is_root && has("pyvenv.cfg") {
            let reason = "built-in rule: virtual environment (has pyvenv.cfg)";
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
            read_ignore_files(&mut folder, &full, &has)?;
        }
        children.iter().try_for_each(|(name, child)| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            self.visit_child(&folder, name, child, found, next)
        })
    }

    /// A submodule, or a checkout that just lies there, has rules of its own.
    fn enter_checkout(&self, folder: &mut Folder, full: &Path) -> Result<()> {
        let Some(checkout) = Checkout::at(full)? else {
            return Ok(());
        };
        folder.ignores = None;
        push_checkout_excludes(&mut folder.ignores, &checkout)?;
        let mut start = folder.path.clone();
        start.push(b'/');
        folder.territory = self.enter(Territory { checkout: Some(checkout), start, prefix: BString::default() });
        Ok(())
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
        name: &OsStr,
        child: &fs::DirEntry,
        found: &mut Found,
        next: &mut Vec<Folder>,
    ) -> Result<()> {
        let mut path = BString::new(Vec::with_capacity(folder.path.len() + 2 + name.len()));
        path.extend_from_slice(&folder.path);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let file_type = child.file_type().map_err(|error| Error::io("read", &child.path(), &error))?;
        let is_folder = file_type.is_dir();
        if name == ".git" {
            found.exclude(path, is_folder, "built-in rule: version control data (.git)");
            return Ok(());
        }
        if let Some((_, reason)) = self.own.iter().find(|(own, _)| *own == path) {
            found.exclude(path, is_folder, *reason);
            return Ok(());
        }
        let own_path = folder.territory.path(path.as_bstr()).into_owned();
        let verdict = self.rules.decide(folder, path.as_bstr(), own_path.as_bstr(), is_folder, child);
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
        let reason = match verdict {
            Verdict::In { reason, .. } => reason,
            Verdict::Out { reason, .. } => {
                found.exclude(path, false, reason);
                return Ok(());
            }
        };
        let kind = match kind(file_type, child)? {
            Ok(kind) => kind,
            Err(special) => {
                found.exclude(path, false, special);
                return Ok(());
            }
        };
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

/// What a path is, or why no archive can carry it.
fn kind(file_type: fs::FileType, child: &fs::DirEntry) -> Result<std::result::Result<Kind, &'static str>> {
    if file_type.is_file() {
        let metadata = child.metadata().map_err(|error| Error::io("read", &child.path(), &error))?;
        let stamp = Stamp::of(&metadata);
        return Ok(Ok(Kind::File { size: metadata.len(), executable: metadata.mode() & 0o100 != 0, stamp }));
    }
    if file_type.is_symlink() {
        let target = fs::read_link(child.path()).map_err(|error| Error::io("read the link", &child.path(), &error))?;
        return Ok(Ok(Kind::Symlink(Box::new(target.into_os_string().into_vec().into()))));
    }
    Ok(Err(if file_type.is_socket() {
        "a socket: it has no content to archive"
    } else if file_type.is_fifo() {
        "a named pipe: it has no content to archive"
    } else {
        "a device: it has no content to archive"
    }))
}
