//! The writer of deterministic tar.gz archives: blocks of the tar stream, each compressed on its own.
//!
//! Every block is a gzip member, so that blocks are compressed in parallel and any gzip reader reads their sequence.
use std::{
    io::Seek,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

mod assemble;
mod block_content;
mod blocks;
mod cache;
mod compress;
mod digest;
mod fingerprints;
mod output;
mod stored;
mod tar_header;

use self::{
    assemble::{Assembled, Input, assemble},
    blocks::{plan, size},
    cache::Cache,
    output::Output,
};
use crate::{
    Error, Result,
    archive::{Entry, Excluded, Progress, SelectionOptions, select::select_in},
};

/// The coarsest step of the times of any file system.
const TIME_STEP: Duration = Duration::from_secs(2);

/// The settings of an archive.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The choice of files.
    pub selection: SelectionOptions,
    /// 0 stores, 1 is fast, 12 is small.
    pub level: i32,
    /// Threads that read and compress; all processors if `None`.
    pub threads: Option<usize>,
    /// A folder that keeps compressed parts for the next archive.
    pub cache: Option<PathBuf>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { selection: SelectionOptions::default(), level: 6, threads: None, cache: None }
    }
}

/// A report about a written archive.
#[derive(Debug)]
pub struct ArchiveReport {
    /// BLAKE3 of the tar stream, in hexadecimal: the same at any level.
    pub digest: String,
    /// The number of files, links and empty folders in it.
    pub files: usize,
    /// Bytes of all files.
    pub bytes_in: u64,
    /// Bytes of the archive.
    pub bytes_out: u64,
    /// The paths that stayed out, with the reason.
    pub excluded: Vec<Excluded>,
    /// The ten largest files and their sizes, the largest first.
    pub largest: Vec<(bstr::BString, u64)>,
    /// The time that it took.
    pub seconds: f64,
    /// Bytes of the tar stream whose compressed parts came from the cache.
    pub cached_bytes: u64,
}

/// Archives the files of `root` into `destination`: a file, which appears complete or not at all, or a named pipe or
/// device, which receives the archive once that is complete. Links to it are followed.
///
/// # Errors
/// [`Error::Archive`] if something cannot be read or written; [`Error::Interrupted`] if `progress` returns `false`.
pub fn create(
    root: &Path,
    destination: &Path,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
) -> Result<ArchiveReport> {
    create_trusting(root, destination, options, progress, SystemTime::now() - TIME_STEP)
}

/// [`create`], with a moment: a file that was changed before it gets another time with its next change.
fn create_trusting(
    root: &Path,
    destination: &Path,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
    trusted_before: SystemTime,
) -> Result<ArchiveReport> {
    // The first attempt checks for secrets while it archives. If it finds one, which is rare, the second checks all first.
    for opens_files in [false, true] {
        if let Some(report) = attempt(root, destination, options, progress, trusted_before, opens_files)? {
            return Ok(report);
        }
    }
    Err(Error::Interrupted)
}

/// One attempt of [`create_trusting`]; `None` if a file proves to be a secret, which has to stay out.
fn attempt(
    root: &Path,
    destination: &Path,
    options: &WriteOptions,
    progress: &mut Progress<'_>,
    trusted_before: SystemTime,
    opens_files: bool,
) -> Result<Option<ArchiveReport>> {
    let started = Instant::now();
    if !(0..=12).contains(&options.level) {
        let level = options.level;
        return Err(Error::Archive(format!("there is no compression level {level}; give 0 (store) to 12 (smallest)")));
    }
    if options.threads == Some(0) {
        return Err(Error::Archive("threads is 0; give at least 1, or nothing for all processors".to_owned()));
    }
    let output = Output::find(destination)?;
    let mut selecting = options.selection.clone();
    selecting.own.push((destination.to_owned(), "this archive itself"));
    if let Output::File(path) = &output {
        selecting.own.push((path.clone(), "this archive itself"));
    }
    if let Some(cache) = &options.cache {
        selecting.own.push((cache.clone(), "the cache of this archive"));
    }
    let (selection, tree) = select_in(root, &selecting, opens_files, &mut || progress(0, 0))?;
    let cache = options.cache.as_ref().map(|folder| Cache::open(folder, &selection.root, options.level)).transpose()?;
    let blocks = plan(&selection.entries);
    let bytes_in = selection.entries.iter().map(size).sum();
    let unfinished = output.begin(destination)?;
    let threads = options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let mut input = Input {
        selection: &selection,
        tree: &tree,
        blocks: &blocks,
        level: options.level,
        cache: cache.as_ref(),
        trusted_before: cache.as_ref().map(|_| trusted_before),
        file: &unfinished.file,
        destination,
    };
    let Some(mut assembled) = assemble(&input, threads, bytes_in, progress)? else { return Ok(None) };
    if let Some(cache) = cache.as_ref().filter(|_| assembled.changed_while_reading) {
        cache.fingerprints.forget();
        let mut file = &unfinished.file;
        file.set_len(0).and_then(|()| file.rewind()).map_err(|error| Error::io("write", destination, &error))?;
        input.trusted_before = None;
        let Some(again) = assemble(&input, threads, bytes_in, progress)? else { return Ok(None) };
        assembled = again;
    }
    let Assembled { digest, bytes_out, cached_bytes, .. } = assembled;
    if let Some(cache) = cache {
        cache.finish()?;
    }
    output.finish(unfinished, destination, &mut || progress(bytes_in, bytes_in))?;
    Ok(Some(ArchiveReport {
        digest,
        files: selection.entries.len(),
        bytes_in,
        bytes_out,
        largest: largest(&selection.entries),
        excluded: selection.excluded,
        seconds: started.elapsed().as_secs_f64(),
        cached_bytes,
    }))
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

#[cfg(test)]
mod tests {
    use std::{fs, io::Read};

    use proptest::prelude::*;

    use super::{digest::LEAF, *};

    /// A change of a file between two archives.
    #[derive(Debug, Clone)]
    enum Change {
        Append(u8),
        /// Other content of the same length.
        Replace(u8),
        Remove,
        Create(usize),
        Touch,
    }

    fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
        let change = prop_oneof![
            any::<u8>().prop_map(Change::Append),
            any::<u8>().prop_map(Change::Replace),
            Just(Change::Remove),
            // The last length moves everything behind it to the same place in another leaf.
            prop_oneof![0_usize..4000, 0_usize..300_000, Just(LEAF - 512)].prop_map(Change::Create),
            Just(Change::Touch),
        ];
        prop::collection::vec((0_usize..40, change), 0..6)
    }

    /// Lines that compress about as source code does.
    fn text(seed: u8, length: usize) -> Vec<u8> {
        let mut state = u64::from(seed) + 1;
        let mut text = Vec::with_capacity(length + 8);
        while text.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.extend_from_slice(if state >> 62 == 0 { b"return x" } else { b"  " });
            text.push(state.to_be_bytes()[0] % 64 + 32);
        }
        text.truncate(length);
        text
    }

    fn apply(root: &Path, number: usize, change: &Change) {
        let path = root.join(format!("{number}.py"));
        let old = fs::read(&path).unwrap_or_default();
        let new = match change {
            Change::Append(seed) => [old, text(*seed, 15)].concat(),
            Change::Replace(seed) => text(*seed, old.len()),
            Change::Create(length) => text(1, *length),
            Change::Touch => old,
            Change::Remove => {
                let _ = fs::remove_file(path);
                return;
            }
        };
        // A new inode, because two changes may happen within one step of the clock.
        fs::write(root.join("new"), new).expect("write");
        fs::rename(root.join("new"), path).expect("rename");
    }

    fn archive(root: &Path, to: &Path, cache: Option<&Path>, level: i32) -> (Vec<u8>, String) {
        let options =
            WriteOptions { cache: cache.map(Path::to_owned), level, threads: Some(2), ..WriteOptions::default() };
        let long_after = SystemTime::now() + Duration::from_hours(1);
        let report = create_trusting(root, to, &options, &mut |_, _| true, long_after).expect("archive");
        (fs::read(to).expect("read"), report.digest)
    }

    #[test]
    fn the_digest_is_that_of_the_content_when_a_file_changes_after_it_was_selected() {
        let folder = tempfile::tempdir().expect("folder");
        let (root, to) = (folder.path().join("tree"), folder.path().join("archive"));
        fs::create_dir(&root).expect("tree");
        apply(&root, 1, &Change::Create(300_000));
        archive(&root, &to, Some(&folder.path().join("cache")), 6);
        let options = WriteOptions { cache: Some(folder.path().join("cache")), ..WriteOptions::default() };
        let mut is_changed = false;
        let change = &mut |_, _| {
            if !std::mem::replace(&mut is_changed, true) {
                apply(&root, 1, &Change::Replace(9));
            }
            true
        };
        let long_after = SystemTime::now() + Duration::from_hours(1);
        let report = create_trusting(&root, &to, &options, change, long_after).expect("archive");
        let mut content = Vec::new();
        flate2::read::MultiGzDecoder::new(fs::File::open(to).expect("open")).read_to_end(&mut content).expect("read");
        assert_eq!(report.digest, blake3::hash(&content).to_hex().to_string());
    }

    #[test]
    fn what_was_read_of_another_file_of_that_path_is_not_known_of_this_one() {
        let folder = tempfile::tempdir().expect("folder");
        let [root, other, away, to] = ["tree", "other", "away", "archive"].map(|name| folder.path().join(name));
        let cache = folder.path().join("cache");
        fs::create_dir(&root).expect("tree");
        fs::create_dir(root.join("code")).expect("folder");
        apply(&root.join("code"), 1, &Change::Create(300_000));
        fs::create_dir(&other).expect("folder");
        fs::write(other.join("1.py"), text(9, 300_000)).expect("write");
        let options = WriteOptions { cache: Some(cache.clone()), ..WriteOptions::default() };
        // The times of the files do not change when their folder is swapped for a while.
        let swap = |from: &Path, to: &Path| {
            fs::rename(root.join("code"), from).and_then(|()| fs::rename(to, root.join("code"))).expect("swap");
        };
        let mut is_swapped = false;
        let change = &mut |_, _| {
            if !std::mem::replace(&mut is_swapped, true) {
                swap(&away, &other);
            }
            true
        };
        let long_after = SystemTime::now() + Duration::from_hours(1);
        create_trusting(&root, &to, &options, change, long_after).expect("archive");
        swap(&other, &away);
        assert!(archive(&root, &to, Some(&cache), 6) == archive(&root, &to, None, 6));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_not_read_again_is_as_it_was(
            large in 0_usize..7_000_000,
            level in prop_oneof![4 => Just(6), 1 => Just(1)],
            rounds in prop::collection::vec(changes(), 1..5),
        ) {
            let folder = tempfile::tempdir().expect("folder");
            let root = folder.path().join("tree");
            fs::create_dir(&root).expect("tree");
            for number in 0..30 {
                apply(&root, number, &Change::Create(number * 9000));
            }
            fs::write(root.join("large.csv"), text(3, large)).expect("large");
            std::os::unix::fs::symlink("0.py", root.join("link")).expect("link");
            let (cached, plain) = (folder.path().join("cached"), folder.path().join("plain"));
            archive(&root, &cached, Some(&folder.path().join("cache")), level);
            for round in rounds {
                for (number, change) in &round {
                    apply(&root, *number, change);
                }
                let (bytes, digest) = archive(&root, &cached, Some(&folder.path().join("cache")), level);
                let (expected, expected_digest) = archive(&root, &plain, None, level);
                prop_assert_eq!(digest, expected_digest);
                prop_assert!(bytes == expected, "other bytes with a cache than without");
            }
        }
    }
}
