//! Reads, compresses, hashes and writes blocks of the tar stream, in several threads.
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::Write,
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    Entry, Kind, Progress, Selection,
    cache::Cache,
    gzip,
    plan::{Block, Parts, size},
    tar_header,
};
use crate::{Error, Result};

/// How often the caller hears of progress and may stop.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// How many blocks may be in memory, as they are and compressed: under 200 MB with any number of threads.
const MAX_WINDOW: usize = 16;
/// What ends a tar stream.
const END: usize = 1024;

/// What to assemble, and where.
pub(super) struct Input<'a> {
    pub selection: &'a Selection,
    pub blocks: &'a [Block],
    pub level: i32,
    pub cache: Option<&'a Cache>,
    pub file: &'a File,
    /// For messages.
    pub destination: &'a Path,
}

/// What was written.
pub(super) struct Assembled {
    /// BLAKE3 of the tar stream, in hexadecimal.
    pub digest: String,
    pub bytes_out: u64,
    pub cached_bytes: u64,
}

/// Writes all blocks in their order; `total` is how many bytes of files there are, for `progress`.
pub(super) fn assemble(
    input: &Input<'_>,
    threads: usize,
    total: u64,
    progress: &mut Progress<'_>,
) -> Result<Assembled> {
    let threads = threads.min(input.blocks.len());
    let root = &input.selection.root;
    let job = Job {
        input,
        root: File::open(root).map_err(|error| Error::io("read", root, &error))?,
        window: (threads * 4).min(MAX_WINDOW),
        state: Mutex::default(),
        changed: Condvar::new(),
        written: Mutex::new(0),
        digest: Mutex::default(),
        stop: AtomicBool::new(false),
        done: AtomicU64::new(0),
    };
    job.run(threads, total, progress)?;
    let state = job.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let digest = job.digest.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Assembled {
        digest: digest.finalize().to_hex().to_string(),
        bytes_out: job.written.into_inner().unwrap_or_else(PoisonError::into_inner),
        cached_bytes: state.cached_bytes,
    })
}

/// What a block needs, used again for the next.
#[derive(Default)]
struct Buffers {
    content: Vec<u8>,
    parts: Parts,
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
    member: gzip::Member,
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
    cached_bytes: u64,
    error: Option<Error>,
}

impl State {
    /// The first block that is not both hashed and written.
    fn due(&self) -> usize {
        self.turns.iter().map(|turn| turn.due).min().unwrap_or_default()
    }
}

struct Job<'a> {
    input: &'a Input<'a>,
    root: File,
    /// How many blocks may be in memory.
    window: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes of the archive so far; who has it may write.
    written: Mutex<u64>,
    digest: Mutex<blake3::Hasher>,
    stop: AtomicBool,
    /// Bytes of files read.
    done: AtomicU64,
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
            while state.due() < self.input.blocks.len() && state.error.is_none() {
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
        let mut compressor = gzip::Compressor::new(self.input.level);
        let mut state = self.lock();
        loop {
            if state.error.is_some() || self.stop.load(Ordering::Relaxed) || state.next == self.input.blocks.len() {
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
            let result = self.make(&self.input.blocks[place], &mut buffers, &mut compressor);
            state = self.lock();
            match result {
                Ok((member, recalled)) => {
                    state.cached_bytes += recalled as u64;
                    state.finished.insert(place, Arc::new(Finished { buffers, member }));
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

    /// Reads a block and compresses what the cache does not have of it.
    fn make(
        &self,
        block: &Block,
        buffers: &mut Buffers,
        compressor: &mut gzip::Compressor,
    ) -> Result<(gzip::Member, usize)> {
        let Buffers { content, parts, member } = buffers;
        self.read(block, content, parts)?;
        compressor.compress(content, &parts.ends, self.input.cache, member)
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
                state.error.get_or_insert(Error::io("write", self.input.destination, &error));
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
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.input.file;
        let length = block.buffers.write(&block.member, &mut file)?;
        *written += length as u64;
        Ok(())
    }

    fn read(&self, block: &Block, content: &mut Vec<u8>, parts: &mut Parts) -> Result<()> {
        content.clear();
        parts.ends.clear();
        match block {
            Block::Entries(range) => {
                for entry in &self.input.selection.entries[range.clone()] {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(Error::Interrupted);
                    }
                    let start = content.len();
                    tar_header::push(content, entry)?;
                    if let Kind::File { size: size @ 1.., .. } = entry.kind {
                        self.read_content(entry, 0..size, content)?;
                        tar_header::pad(content, size);
                    }
                    parts.add(entry, start..content.len());
                }
            }
            Block::Piece { entry, content: range } => {
                let entry = &self.input.selection.entries[*entry];
                if range.start == 0 {
                    tar_header::push(content, entry)?;
                }
                self.read_content(entry, range.clone(), content)?;
                if range.end == size(entry) {
                    tar_header::pad(content, range.end);
                }
                parts.add(entry, 0..content.len());
            }
            Block::End => content.resize(END, 0),
        }
        parts.close(content.len());
        Ok(())
    }

    fn read_content(&self, entry: &Entry, range: Range<u64>, content: &mut Vec<u8>) -> Result<()> {
        let length = range.end - range.start;
        let end = content.len() + usize::try_from(length).unwrap_or(0);
        content.reserve(end - content.len());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(&self.root, &**entry.path, flags, Mode::empty()).map_err(std::io::Error::from);
        let read = opened.and_then(|file| {
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
        read.map_err(|error| {
            let path = self.input.selection.root.join(OsStr::from_bytes(&entry.path));
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Error::Archive(format!(
                    "{} became shorter while it was read; try again when nothing writes to it",
                    path.display()
                )),
                _ => Error::io("read", &path, &error),
            }
        })?;
        self.done.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}
