//! Writes a selection as a deterministic tar.gz: blocks of the tar stream, each compressed on its own.
//!
//! Every block is a gzip member, so that blocks are compressed in parallel and any gzip reader reads their sequence.
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Entry, Excluded, Kind, Progress, Selection, SelectionOptions, gzip, select, tar_header};
use crate::{Error, Result};

/// How often the caller hears of progress and may stop.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Small files are gathered into blocks of about this many bytes.
const BLOCK: u64 = 512 << 10;
/// Larger files have blocks to themselves, of this many bytes.
const PIECE: u64 = 1 << 20;
/// What ends a tar stream.
const END: u64 = 1024;

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
    let selection = select(root, &selecting)?;
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
    let threads =
        options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).min(blocks.len());
    let job = Job {
        selection: &selection,
        blocks: &blocks,
        level: options.level,
        window: threads * 4,
        state: Mutex::default(),
        changed: Condvar::new(),
        output: Mutex::new(Output { file: temporary.as_file(), digest: blake3::Hasher::new(), written: 0 }),
        stop: AtomicBool::new(false),
        done: AtomicU64::new(0),
        destination,
    };
    job.run(threads, bytes_in, progress)?;
    let output = job.output.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (digest, bytes_out) = (output.digest.finalize().to_hex().to_string(), output.written);
    temporary.persist(destination).map_err(|error| Error::io("write", destination, &error.error))?;
    Ok(ArchiveReport {
        digest,
        files: selection.entries.len(),
        bytes_in,
        bytes_out,
        largest: largest(&selection.entries),
        excluded: selection.excluded,
        seconds: started.elapsed().as_secs_f64(),
        cached_bytes: 0,
    })
}

fn size(entry: &Entry) -> u64 {
    if let Kind::File { size, .. } = entry.kind { size } else { 0 }
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
    all.into_iter().map(|(size, entry)| (entry.path.clone(), size)).collect()
}

/// A part of the tar stream that is compressed on its own.
#[derive(Debug, PartialEq)]
enum Block {
    /// Whole entries.
    Entries(Range<usize>),
    /// A part of a large file; the first has its header, the last its padding.
    Piece {
        entry: usize,
        content: Range<u64>,
    },
    End,
}

/// Cuts the stream where neither a file's content nor the number of files before it matters, so that a change
/// leaves most blocks as they were.
fn plan(entries: &[Entry]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (place, entry) in entries.iter().enumerate() {
        let size = size(entry);
        if size > BLOCK {
            if start < place {
                blocks.push(Block::Entries(start..place));
            }
            let pieces = (0..size).step_by(usize::try_from(PIECE).unwrap_or(usize::MAX));
            blocks.extend(pieces.map(|from| Block::Piece { entry: place, content: from..(from + PIECE).min(size) }));
            (start, bytes) = (place + 1, 0);
            continue;
        }
        bytes += 512 + size.next_multiple_of(512);
        if bytes >= BLOCK {
            blocks.push(Block::Entries(start..place + 1));
            (start, bytes) = (place + 1, 0);
        }
    }
    if start < entries.len() {
        blocks.push(Block::Entries(start..entries.len()));
    }
    blocks.push(Block::End);
    blocks
}

#[derive(Default)]
struct State {
    /// The next block that nobody works on.
    next: usize,
    /// The next block to be written.
    due: usize,
    /// Blocks that wait for an earlier one: content and compressed content.
    finished: BTreeMap<usize, (Vec<u8>, Vec<u8>)>,
    is_writing: bool,
    error: Option<(usize, Error)>,
}

struct Output<'a> {
    file: &'a File,
    digest: blake3::Hasher,
    written: u64,
}

struct Job<'a> {
    selection: &'a Selection,
    blocks: &'a [Block],
    level: i32,
    /// How many blocks may be in memory.
    window: usize,
    state: Mutex<State>,
    changed: Condvar,
    output: Mutex<Output<'a>>,
    stop: AtomicBool,
    /// Bytes of files read.
    done: AtomicU64,
    destination: &'a Path,
}

impl Job<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, threads: usize, total: u64, progress: &mut Progress<'_>) -> Result<()> {
        let mut keep_going = true;
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work());
            }
            let mut state = self.lock();
            while state.due < self.blocks.len() && state.error.is_none() {
                let (guard, timeout) =
                    self.changed.wait_timeout(state, HEARTBEAT).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if timeout.timed_out() {
                    drop(state);
                    keep_going = progress(self.done.load(Ordering::Relaxed), total);
                    if !keep_going {
                        self.stop.store(true, Ordering::Relaxed);
                        self.changed.notify_all();
                        return;
                    }
                    state = self.lock();
                }
            }
        });
        if !keep_going {
            return Err(Error::Interrupted);
        }
        if let Some((_, error)) = self.lock().error.take() {
            return Err(error);
        }
        if progress(total, total) { Ok(()) } else { Err(Error::Interrupted) }
    }

    fn work(&self) {
        let mut compressor = gzip::Compressor::new(self.level);
        let mut state = self.lock();
        loop {
            if state.error.is_some() || self.stop.load(Ordering::Relaxed) || state.next == self.blocks.len() {
                break;
            }
            if state.next >= state.due + self.window {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let block = state.next;
            state.next += 1;
            drop(state);
            let result = self.read(&self.blocks[block]).map(|content| {
                let compressed = compressor.compress(&content);
                (content, compressed)
            });
            state = self.lock();
            match result {
                Ok(finished) => {
                    state.finished.insert(block, finished);
                    state = self.write_due(state);
                }
                Err(error) => state.error = Some((block, error)),
            }
            self.changed.notify_all();
        }
    }

    /// Writes the blocks whose turn it is, unless another thread does already.
    fn write_due<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.is_writing {
            return state;
        }
        state.is_writing = true;
        loop {
            let due = state.due;
            let Some((content, compressed)) = state.finished.remove(&due) else {
                break;
            };
            drop(state);
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            output.digest.update(&content);
            let result = output.file.write_all(&compressed);
            output.written += compressed.len() as u64;
            drop(output);
            state = self.lock();
            if let Err(error) = result {
                state.error = Some((due, Error::io("write", self.destination, &error)));
                break;
            }
            state.due += 1;
            self.changed.notify_all();
        }
        state.is_writing = false;
        state
    }

    fn read(&self, block: &Block) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        match block {
            Block::Entries(range) => {
                for entry in &self.selection.entries[range.clone()] {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(Error::Interrupted);
                    }
                    self.read_entry(entry, &mut content)?;
                }
            }
            Block::Piece { entry, content: range } => {
                let entry = &self.selection.entries[*entry];
                let Kind::File { size, .. } = entry.kind else {
                    return Ok(content);
                };
                if range.start == 0 {
                    tar_header::push(&mut content, entry)?;
                }
                self.read_content(entry, range.clone(), &mut content)?;
                if range.end == size {
                    tar_header::pad(&mut content, size);
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "1024 fits")]
            Block::End => content.resize(END as usize, 0),
        }
        Ok(content)
    }

    fn read_entry(&self, entry: &Entry, content: &mut Vec<u8>) -> Result<()> {
        tar_header::push(content, entry)?;
        if let Kind::File { size: size @ 1.., .. } = entry.kind {
            self.read_content(entry, 0..size, content)?;
            tar_header::pad(content, size);
        }
        Ok(())
    }

    fn read_content(&self, entry: &Entry, range: Range<u64>, content: &mut Vec<u8>) -> Result<()> {
        let path = self.selection.root.join(std::ffi::OsStr::from_bytes(&entry.path));
        let length = range.end - range.start;
        let read = |content: &mut Vec<u8>| -> std::io::Result<usize> {
            let mut file = fs::File::open(&path)?;
            if range.start > 0 {
                file.seek(SeekFrom::Start(range.start))?;
            }
            content.reserve(usize::try_from(length).unwrap_or(0));
            file.take(length).read_to_end(content)
        };
        let count = read(content).map_err(|error| Error::io("read", &path, &error))?;
        if count as u64 != length {
            return Err(Error::Archive(format!(
                "{} became shorter while it was read; try again when nothing writes to it",
                path.display()
            )));
        }
        self.done.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}
