//! The choice of the files of a tree that go into an archive, with the reason why the others do not.
use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use bstr::BString;

mod builtin_rules;
mod decide;
mod git;
mod listing;
mod missing;
mod patterns;
mod secrets;
mod selection;
mod walk;

use self::{
    missing::report_missing,
    walk::{Walk, by_path},
};
use crate::{Error, Result, archive::beneath::Tree};

pub(super) use secrets::find as find_secret;
pub use selection::{Entry, Excluded, Kind, Selection, SelectionOptions, Stamp};

/// Chooses the files of `root`.
///
/// In a git checkout: what is tracked, and what is neither tracked nor ignored; submodules and checkouts inside
/// likewise. Elsewhere `.gitignore` and `.ignore` files decide. In both, `.lightningignore` files and the built-in rules
/// for caches and secrets come before that, and `exclude` and `include` before all. `keep_going` is called about every
/// 50 ms.
///
/// # Errors
/// [`Error::Archive`] if `root` is no folder, or something in it cannot be read; [`Error::Interrupted`] if `keep_going`
/// returns `false`.
pub fn select(root: &Path, options: &SelectionOptions, keep_going: &mut dyn FnMut() -> bool) -> Result<Selection> {
    select_in(root, options, true, keep_going).map(|(selection, _)| selection)
}

/// [`select`], which also returns the tree that it selected from. Files are opened to find secrets in them only if
/// `opens_files`; otherwise the reader of the files has to check them.
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
    let walk = Walk::new(&root, &tree, options, own, opens_files)?;
    let (mut entries, mut excluded) = walk.run(keep_going)?;
    // Fast, because each walker has sorted its own entries.
    entries.sort_by(by_path);
    if !keep_going() {
        return Err(Error::Interrupted);
    }
    report_missing(&root, &walk.checkouts(), &entries, &mut excluded);
    excluded.sort_unstable();
    excluded.dedup();
    Ok((Selection { root, entries, excluded }, tree))
}
