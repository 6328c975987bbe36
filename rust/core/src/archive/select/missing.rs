//! The report about files that git tracks and the disk lacks.
use std::{path::Path, sync::Arc};

use bstr::ByteSlice;

use super::{
    decide::Scope,
    selection::{Entry, Excluded},
    walk::join,
};

/// Adds tracked files that are gone from the disk, or that a sparse checkout left out, and absent submodules.
pub(super) fn report_missing(root: &Path, checkouts: &[Arc<Scope>], entries: &[Entry], excluded: &mut Vec<Excluded>) {
    for scope in checkouts {
        let Some(checkout) = &scope.checkout else {
            continue;
        };
        let tracked = || checkout.tracked.iter().filter_map(|path| path.strip_prefix(scope.prefix.as_slice()));
        let is_tracked = |entry: &&Entry| {
            entry.path.starts_with(&scope.start) && checkout.tracked.contains(&*scope.path(&entry.path))
        };
        // Counting is cheaper than naming, and mostly nothing is missing.
        let is_any_missing = entries.iter().filter(is_tracked).count() < tracked().count();
        for inside in tracked().filter(|_| is_any_missing) {
            let mut path = scope.start.clone();
            path.extend_from_slice(inside);
            let is_there = entries.binary_search_by(|entry| (*entry.path).cmp(path.as_bstr())).is_ok()
                || join(root, path.as_bstr()).symlink_metadata().is_ok();
            if !is_there {
                let reason = "tracked by git, but not on disk".to_owned();
                excluded.push(Excluded { path, reason });
            }
        }
        for submodule in &checkout.submodules {
            let Some(inside) = submodule.strip_prefix(scope.prefix.as_slice()) else {
                continue;
            };
            let mut path = scope.start.clone();
            path.extend_from_slice(inside);
            if !join(root, path.as_bstr()).join(".git").exists() {
                path.push(b'/');
                let reason = "submodule that is not checked out; `git submodule update --init` gets it".to_owned();
                excluded.push(Excluded { path, reason });
            }
        }
    }
}
