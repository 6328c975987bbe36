//! The threads that read, compress, hash and write the blocks of the tar stream.
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use blake3::hazmat::ChainingValue;
use memmap2::MmapMut;

use super::{
    block_content::{Content, Source},
    blocks::Block,
    cache::Cache,
    compress::{Compressor, Member, bound},
    digest::{self, Digest, LEAF},
    stored::write_stored,
};
use crate::{
    Error, Result,
    archive::{Progress, Selection, beneath::Tree, gzip},
};

/// The interval at which the caller receives progress and may ask for a stop.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// The most blocks in memory, with their compressed bytes: under 200 MB for any number of threads.
const MAX_WINDOW: usize = 16;

/// The blocks to assemble, and the file for them.
pub(super) struct Input<'a> {
    pub selection: &'a Selection,
    pub tree: &'a Tree,
    pub blocks: &'a [Block],
    pub level: i32,
    pub cache: Option<&'a Cache>,
    /// As in [`Source`].
    pub trusted_before: Option<SystemTime>,
    pub file: &'a File,
    /// For messages.
    pub destination: &'a Path,
}

/// The result of an assembly.
pub(super) struct Assembled {
    /// BLAKE3 of the tar stream, in hexadecimal.
    pub digest: String,
    pub bytes_out: u64,
    pub cached_bytes: u64,
    /// Whether digest and content may be of different versions of a file.
    pub changed_while_reading: bool,
}

/// Writes all blocks in their order; `total` is the number of bytes of all files, for `progress`. `None` if a file
/// proves to be a secret.
pub(super) fn assemble(
    input: &Input<'_>,
    threads: usize,
    total: u64,
    progress: &mut Progress<'_>,
) -> Result<Option<Assembled>> {
    let threads = threads.min(input.blocks.len());
    let entries = &input.selection.entries;
    let (mut offsets, mut end, mut longest) = (Vec::with_capacity(input.blocks.len()), 0, 0);
    for block in input.blocks {
        let length = block.length(entries);
        offsets.push(end);
        end += length;
        longest = longest.max(length);
    }
    let job = Job {
        input,
        source: Source {
            selection: input.selection,
            tree: input.tree,
            trusted_before: input.trusted_before,
            stop: AtomicBool::new(false),
            changed_while_reading: AtomicBool::new(false),
            has_secret: AtomicBool::new(false),
        },
        offsets,
        longest: usize::try_from(longest).unwrap_or(usize::MAX),
        window: (threads * 4).min(MAX_WINDOW),
        state: Mutex::default(),
        changed: Condvar::new(),
        written: Mutex::new(0),
        digest: Mutex::default(),
        done: AtomicU64::new(0),
    };
    match job.run(threads, total, progress) {
        Err(Error::Interrupted)
            if job.source.has_secret.load(Ordering::Relaxed) && !job.source.stop.load(Ordering::Relaxed) =>
        {
            return Ok(None);
        }
        ended => ended?,
    }
    let state = job.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let digest = job.digest.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Some(Assembled {
        digest: digest.finish().to_hex().to_string(),
        bytes_out: job.written.into_inner().unwrap_or_else(PoisonError::into_inner),
        cached_bytes: state.cached_bytes,
        changed_while_reading: job.source.changed_while_reading.into_inner(),
    }))
}

/// The bytes of a block in the archive.
enum Body {
    /// The number of bytes at the start of the buffer of deflated bytes.
    Deflated(usize),
    Stored {
        header: [u8; gzip::HEADER],
        content: Content,
        trailer: [u8; gzip::TRAILER],
    },
}

/// A block that is ready to be hashed and written.
struct Finished {
    body: Body,
    deflated: MmapMut,
    /// The bytes before and behind the whole leaves of the digest.
    head_and_tail: [Vec<u8>; 2],
    leaves: Vec<ChainingValue>,
}

impl Finished {
    fn hash(&self, digest: &mut Digest) {
        digest.add_bytes(&self.head_and_tail[0]);
        self.leaves.iter().for_each(|leaf| digest.add_leaf(leaf));
        digest.add_bytes(&self.head_and_tail[1]);
    }

    /// Writes the member and returns its length.
    fn write(&self, out: &mut impl Write) -> std::io::Result<usize> {
        match &self.body {
            Body::Deflated(length) => out.write_all(&self.deflated[..*length]).map(|()| *length),
            Body::Stored { header, content, trailer } => write_stored(out, header, content.bytes(), *trailer),
        }
    }
}

/// Buffers of finished blocks, for reuse.
#[derive(Default)]
struct Buffers {
    contents: Vec<Content>,
    deflated: Vec<MmapMut>,
}

/// The tasks that process blocks in their order, each in one thread at a time.
#[derive(Clone, Copy)]
enum Task {
    Hash,
    Write,
}

const TASKS: [Task; 2] = [Task::Hash, Task::Write];

#[derive(Default)]
struct Turn {
    /// The next block to process.
    due: usize,
    is_taken: bool,
}

#[derive(Default)]
struct State {
    /// The next block that no thread has started.
    next: usize,
    turns: [Turn; TASKS.len()],
    /// Blocks that are not yet both hashed and written.
    finished: BTreeMap<usize, Arc<Finished>>,
    buffers: Buffers,
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
    source: Source<'a>,
    /// The starts of the blocks in the tar stream.
    offsets: Vec<u64>,
    longest: usize,
    /// The most blocks in memory.
    window: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes of the archive so far; the thread that holds the lock may write.
    written: Mutex<u64>,
    digest: Mutex<Digest>,
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
                        self.source.stop.store(true, Ordering::Relaxed);
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
        let mut compressor = Compressor::new(self.input.level);
        let mut state = self.lock();
        loop {
            if state.error.is_some()
                || self.source.stop.load(Ordering::Relaxed)
                || state.next == self.input.blocks.len()
            {
                break;
            }
            if state.next >= state.due() + self.window {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let place = state.next;
            state.next += 1;
            let deflated = state.buffers.deflated.pop();
            let content = state.buffers.contents.pop();
            drop(state);
            let result = self.make(place, content, deflated, &mut compressor);
            state = self.lock();
            match result {
                Ok((finished, content, cached)) => {
                    state.buffers.contents.extend(content);
                    state.cached_bytes += cached as u64;
                    state.finished.insert(place, Arc::new(finished));
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

    /// A buffer of zeros, which take no memory until they are written to.
    fn room(&self, length: usize) -> Result<MmapMut> {
        let room = MmapMut::map_anon(length);
        room.map_err(|error| Error::io("get memory to write", self.input.destination, &error))
    }

    /// Compresses and hashes the parts of a block that the cache does not have. Returns the content too, if its buffer is
    /// free again, and the number of bytes that the cache had.
    fn make(
        &self,
        number: usize,
        content: Option<Content>,
        deflated: Option<MmapMut>,
        compressor: &mut Compressor,
    ) -> Result<(Finished, Option<Content>, usize)> {
        let (source, cache, offset) = (&self.source, self.input.cache, self.offsets[number]);
        let mut content = content.map_or_else(|| self.room(self.longest).map(Content::new), Ok)?;
        let mut deflated = deflated.map_or_else(|| self.room(bound(self.longest)), Ok)?;
        content.lay_out(&self.input.blocks[number], source)?;
        if cache.is_none() {
            content.read(0..content.len(), source)?;
        }
        let (member, cached) = compressor.compress(&mut content, source, cache, &mut deflated)?;
        let whole_leaves = digest::whole_leaves(offset, content.len());
        let leaves = whole_leaves
            .clone()
            .step_by(LEAF)
            .map(|start| {
                let (range, offset) = (start..start + LEAF, offset + start as u64);
                let fingerprint = content.fingerprint(range.clone(), ("leaf", offset));
                let find = || content.read(range, source).map(|bytes| digest::leaf(offset, bytes));
                if let Some(cache) = cache { cache.fingerprints.get(fingerprint, find) } else { find() }
            })
            .collect::<Result<_>>()?;
        let head_and_tail = [
            content.read(0..whole_leaves.start, source)?.to_vec(),
            content.read(whole_leaves.end..content.len(), source)?.to_vec(),
        ];
        self.done.fetch_add(content.file_bytes() as u64, Ordering::Relaxed);
        let (body, free) = match member {
            Member::Deflated(length) => (Body::Deflated(length), Some(content)),
            Member::Stored { header, trailer } => (Body::Stored { header, content, trailer }, None),
        };
        Ok((Finished { body, deflated, head_and_tail, leaves }, free, cached))
    }

    /// Hashes or writes the next blocks, unless another thread does so already.
    fn take_turns<'a>(&'a self, task: Task, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.turns[task as usize].is_taken {
            return state;
        }
        state.turns[task as usize].is_taken = true;
        while state.error.is_none() && !self.source.stop.load(Ordering::Relaxed) {
            let due = state.turns[task as usize].due;
            let Some(block) = state.finished.get(&due).map(Arc::clone) else { break };
            drop(state);
            let result = match task {
                Task::Hash => {
                    block.hash(&mut self.digest.lock().unwrap_or_else(PoisonError::into_inner));
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
                state.buffers.deflated.push(block.deflated);
                if let Body::Stored { content, .. } = block.body {
                    state.buffers.contents.push(content);
                }
            }
            self.changed.notify_all();
        }
        state.turns[task as usize].is_taken = false;
        state
    }

    fn write(&self, block: &Finished) -> std::io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.input.file;
        let length = block.write(&mut file)?;
        *written += length as u64;
        Ok(())
    }
}
