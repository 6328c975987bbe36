//! Writes a selection as a deterministic tar.gz: blocks of the tar stream, each compressed on its own.
//!
//! Every block is a gzip member, so that blocks are compressed in parallel and any gzip reader reads their sequence.
use std::{
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use super::{
    Entry, Excluded, Progress, SelectionOptions,
    assemble::{Assembled, Input, assemble},
    cache::Cache,
    plan::{plan, size},
    select,
};
use crate::{Error, Result};

/// How to write an archive.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Which files.
    pub selection: SelectionOptions,
    /// 0 stores, 1 is fast, 12 is small.
    pub level: i32,
    /// Threads that read and compress; all processors if `None`.
    pub threads: Option<usize>,
    /// A folder that keeps compressed blocks for the next time.
    pub cache: Option<PathBuf>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { selection: SelectionOptions::default(), level: 6, threads: None, cache: None }
    }
}

/// What was written.
#[derive(Debug)]
pub struct ArchiveReport {
    /// BLAKE3 of the tar stream, in hexadecimal: the same at any level.
    pub digest: String,
    /// Files, links and empty folders in it.
    pub files: usize,
    /// Bytes of all files.
    pub bytes_in: u64,
    /// Bytes of the archive.
    pub bytes_out: u64,
    /// What stayed out, and why.
    pub excluded: Vec<Excluded>,
    /// The ten largest files and their sizes, the largest first.
    pub largest: Vec<(bstr::BString, u64)>,
    /// Time it took.
    pub seconds: f64,
    /// Bytes of the tar stream that did not have to be compressed again.
    pub cached_bytes: u64,
}

/// Archives the files of `root` into `destination`, which appears complete or not at all.
///
/// # Errors
/// [`Error::Archive`] if something cannot be read or written; [`Error::Interrupted`] if `progress` says so.
pub fn create(
    root: &Path,
    destination: &Path,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
) -> Result<ArchiveReport> {
    let started = Instant::now();
    if !(0..=12).contains(&options.level) {
        let level = options.level;
        return Err(Error::Archive(format!("there is no compression level {level}; give 0 (store) to 12 (smallest)")));
    }
    if options.threads == Some(0) {
        return Err(Error::Archive("threads is 0; give at least 1, or nothing for all processors".to_owned()));
    }
    let mut selecting = options.selection.clone();
    selecting.own.push((destination.to_owned(), "this archive itself"));
    if let Some(cache) = &options.cache {
        selecting.own.push((cache.clone(), "the cache of this archive"));
    }
    let selection = select(root, &selecting, &mut || progress(0, 0))?;
    let cache = options.cache.as_ref().map(|folder| Cache::open(folder, &selection.root, options.level)).transpose()?;
    let blocks = plan(&selection.entries);
    let bytes_in = selection.entries.iter().map(size).sum();
    let folder = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = destination
        .file_name()
        .ok_or_else(|| Error::Archive(format!("cannot write {}: it names no file", destination.display())))?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| Error::io("write", destination, &error))?;
    let threads = options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let input = Input {
        selection: &selection,
        blocks: &blocks,
        level: options.level,
        cache: cache.as_ref(),
        file: temporary.as_file(),
        destination,
    };
    let Assembled { digest, bytes_out, cached_bytes } = assemble(&input, threads, bytes_in, progress)?;
    if let Some(cache) = cache {
        cache.finish()?;
    }
    temporary.persist(destination).map_err(|error| Error::io("write", destination, &error.error))?;
    Ok(ArchiveReport {
        digest,
        files: selection.entries.len(),
        bytes_in,
        bytes_out,
        largest: largest(&selection.entries),
        excluded: selection.excluded,
        seconds: started.elapsed().as_secs_f64(),
        cached_bytes,
    })
}

/// The ten largest files, the largest first.
fn largest(entries: &[Entry]) -> Vec<(bstr::BString, u64)> {
    let mut all: Vec<(u64, &Entry)> = entries.iter().map(|entry| (size(entry), entry)).collect();
    let order =
        |left: &(u64, &Entry), right: &(u64, &Entry)| right.0.cmp(&left.0).then_with(|| left.1.path.cmp(&right.1.path));
    if all.len() > 10 {
        all.select_nth_unstable_by(10, order);
        all.truncate(10);
    }
    all.sort_by(order);
    all.into_iter().map(|(size, entry)| (entry.path.as_ref().to_owned(), size)).collect()
}
