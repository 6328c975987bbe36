//! Writes a selection as a deterministic tar.gz: blocks of the tar stream, each compressed on its own.
//!
//! Every block is a gzip member, so that blocks are compressed in parallel and any gzip reader reads their sequence.
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{buffer::spare_capacity, io::Errno};

use super::{
    Entry, Excluded, Kind, Progress, Selection, SelectionOptions,
    cache::{self, Cache, Kept, KeptMember},
    gzip,
    plan::{Block, plan, size},
    select, tar_header,
};
use crate::{Error, Result};

/// How often the caller hears of progress and may stop.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Small files are gathered into blocks of about this many bytes: larger ones hardly make an archive smaller, and after a
/// change more would have to be compressed again.
const BLOCK: u64 = 1 << 20;
/// How many blocks may be in memory, each twice at most [`BLOCK`], as it is and compressed: under 200 MB with any number of
/// threads.
const MAX_WINDOW: usize = 40;
/// What ends a tar stream.
const END: usize = 1024;

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
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0));
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
    let blocks = plan(&selection.entries, BLOCK);
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
        window: (threads * 4).min(MAX_WINDOW),
        state: Mutex::default(),
        changed: Condvar::new(),
        output: Mutex::new(Output { file: temporary.as_file(), written: 0 }),
        digest: Mutex::default(),
        stop: AtomicBool::new(false),
        done: AtomicU64::new(0),
        destination,
        cache: cache.as_ref(),
        now,
    };
    job.run(threads, bytes_in, progress)?;
    let (kept, cached_bytes) = {
        let mut state = job.lock();
        (std::mem::take(&mut state.kept).into_values().collect::<Vec<_>>(), state.cached_bytes)
    };
    let bytes_out = job.output.into_inner().unwrap_or_else(PoisonError::into_inner).written;
    let digest = job.digest.into_inner().unwrap_or_else(PoisonError::into_inner).finalize().to_hex().to_string();
    if let Some(cache) = cache.as_ref().filter(|cache| !cache.is_same(&kept)) {
        cache.replace(&kept)?;
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

/// The two buffers that a block needs, used again for the next.
#[derive(Default)]
struct Buffers {
    content: Vec<u8>,
    member: Vec<u8>,
}

impl Buffers {
    /// Writes what was compressed from this content, and returns its length.
    fn write(&self, member: &gzip::Member, out: &mut impl Write) -> std::io::Result<usize> {
        match member {
            gzip::Member::Deflated(length) => out.write_all(&self.member[..*length]).map(|()| *length),
            gzip::Member::Stored { header, trailer } => gzip::write_stored(out, header, &self.content, *trailer),
        }
    }
}

/// A block that has been read and compressed.
struct Finished {
    buffers: Buffers,
    member: Member,
}

/// What is done with the blocks in their order, each by one thread at a time.
#[derive(Clone, Copy)]
enum Task {
    Hash,
    Write,
}

const TASKS: [Task; 2] = [Task::Hash, Task::Write];

#[derive(Default)]
struct Turn {
    /// The next block whose turn it is.
    due: usize,
    is_taken: bool,
}

#[derive(Default)]
struct State {
    /// The next block that nobody works on.
    next: usize,
    turns: [Turn; TASKS.len()],
    /// Blocks that are not both hashed and written yet.
    finished: BTreeMap<usize, Arc<Finished>>,
    spare: Vec<Buffers>,
    kept: BTreeMap<usize, Kept>,
    cached_bytes: u64,
    error: Option<Error>,
}

impl State {
    /// The first block that is not both hashed and written.
    fn due(&self) -> usize {
        self.turns.iter().map(|turn| turn.due).min().unwrap_or_default()
    }
}

struct Output<'a> {
    file: &'a File,
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
    digest: Mutex<blake3::Hasher>,
    stop: AtomicBool,
    /// Bytes of files read.
    done: AtomicU64,
    destination: &'a Path,
    cache: Option<&'a Cache>,
    /// When this began, in nanoseconds since 1970.
    now: i64,
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
            let mut last_heartbeat = Instant::now();
            while state.due() < self.blocks.len() && state.error.is_none() {
                state = self.changed.wait_timeout(state, HEARTBEAT).unwrap_or_else(PoisonError::into_inner).0;
                if last_heartbeat.elapsed() >= HEARTBEAT {
                    last_heartbeat = Instant::now();
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
        if let Some(error) = self.lock().error.take() {
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
            if state.next >= state.due() + self.window {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let place = state.next;
            state.next += 1;
            let mut buffers = state.spare.pop().unwrap_or_default();
            drop(state);
            let result = self.make(&self.blocks[place], &mut buffers, &mut compressor);
            state = self.lock();
            match result {
                Ok(made) => {
                    if matches!(made.member, Member::Cached(_)) {
                        state.cached_bytes += buffers.content.len() as u64;
                    }
                    if let Some(kept) = made.kept {
                        state.kept.insert(place, kept);
                    }
                    state.finished.insert(place, Arc::new(Finished { buffers, member: made.member }));
                    for task in TASKS {
                        state = self.take_turns(task, state);
                    }
                }
                Err(error) => {
                    state.error.get_or_insert(error);
                }
            }
            self.changed.notify_all();
        }
    }

    /// Reads a block and compresses it, unless the cache has it.
    fn make(&self, block: &Block, buffers: &mut Buffers, compressor: &mut gzip::Compressor) -> Result<Made> {
        self.read(block, &mut buffers.content)?;
        let Some(cache) = self.cache else {
            let member = compressor.compress(&buffers.content, &mut buffers.member);
            return Ok(Made { member: Member::New(member), kept: None });
        };
        let stamp = cache::stamp(&self.selection.entries, block, self.now);
        let (content, found) = cache.by_stamp(&stamp).map_or_else(
            || {
                let content = *blake3::hash(&buffers.content).as_bytes();
                (content, cache.by_content(&content))
            },
            |(content, place)| (content, Some(place)),
        );
        if let Some(place) = found {
            let kept = Some(Kept { stamp, content, member: KeptMember::Old(place) });
            return Ok(Made { member: Member::Cached(place), kept });
        }
        let member = compressor.compress(&buffers.content, &mut buffers.member);
        let mut bytes = Vec::new();
        buffers.write(&member, &mut bytes).map_err(|error| Error::io("write", self.destination, &error))?;
        let kept = Some(Kept { stamp, content, member: KeptMember::New(bytes) });
        Ok(Made { member: Member::New(member), kept })
    }

    /// Hashes or writes the blocks whose turn it is, unless another thread does already.
    fn take_turns<'a>(&'a self, task: Task, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.turns[task as usize].is_taken {
            return state;
        }
        state.turns[task as usize].is_taken = true;
        while state.error.is_none() && !self.stop.load(Ordering::Relaxed) {
            let due = state.turns[task as usize].due;
            let Some(block) = state.finished.get(&due).map(Arc::clone) else { break };
            drop(state);
            let result = match task {
                Task::Hash => {
                    self.digest.lock().unwrap_or_else(PoisonError::into_inner).update(&block.buffers.content);
                    Ok(())
                }
                Task::Write => self.write(&block),
            };
            drop(block);
            state = self.lock();
            if let Err(error) = result {
                state.error.get_or_insert(Error::io("write", self.destination, &error));
                break;
            }
            state.turns[task as usize].due += 1;
            if state.due() > due
                && let Some(block) = state.finished.remove(&due).and_then(Arc::into_inner)
            {
                state.spare.push(block.buffers);
            }
            self.changed.notify_all();
        }
        state.turns[task as usize].is_taken = false;
        state
    }

    fn write(&self, block: &Finished) -> std::io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let length = match &block.member {
            Member::New(member) => block.buffers.write(member, &mut output.file)?,
            Member::Cached(place) => {
                let member = self.cache.map_or(&[][..], |cache| cache.member(*place));
                output.file.write_all(member)?;
                member.len()
            }
        };
        output.written += length as u64;
        Ok(())
    }

    fn read(&self, block: &Block, content: &mut Vec<u8>) -> Result<()> {
        content.clear();
        match block {
            Block::Entries(range) => {
                for entry in &self.selection.entries[range.clone()] {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(Error::Interrupted);
                    }
                    tar_header::push(content, entry)?;
                    if let Kind::File { size: size @ 1.., .. } = entry.kind {
                        self.read_content(entry, 0..size, content)?;
                        tar_header::pad(content, size);
                    }
                }
            }
            Block::Piece { entry, content: range } => {
                let entry = &self.selection.entries[*entry];
                if range.start == 0 {
                    tar_header::push(content, entry)?;
                }
                self.read_content(entry, range.clone(), content)?;
                if range.end == size(entry) {
                    tar_header::pad(content, range.end);
                }
            }
            Block::End => content.resize(END, 0),
        }
        Ok(())
    }

    fn read_content(&self, entry: &Entry, range: Range<u64>, content: &mut Vec<u8>) -> Result<()> {
        let path = self.selection.root.join(std::ffi::OsStr::from_bytes(&entry.path));
        let length = range.end - range.start;
        let end = content.len() + usize::try_from(length).unwrap_or(0);
        content.reserve(end - content.len());
        let read = File::open(&path).and_then(|file| {
            let mut place = range.start;
            while content.len() < end {
                match rustix::io::pread(&file, spare_capacity(content), place) {
                    Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => place += count as u64,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            // There may have been room for more.
            content.truncate(end);
            Ok(())
        });
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::Archive(format!(
                "{} became shorter while it was read; try again when nothing writes to it",
                path.display()
            )),
            _ => Error::io("read", &path, &error),
        })?;
        self.done.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}

/// What became of a block.
struct Made {
    member: Member,
    kept: Option<Kept>,
}

/// Where the compressed block is.
enum Member {
    /// In its buffers.
    New(gzip::Member),
    /// In this row of the cache.
    Cached(usize),
}
