//! A cache of the compressed parts of the last archives of a tree.
//!
//! Each run that compresses something adds a segment: a file with parts, a table of them with its hash, and a footer with
//! the length of the table. A segment appears as a whole by a rename and never changes, so that neither a crash nor
//! another writer can leave half of one. When there are too many segments, or most of their bytes are stale, one segment
//! replaces them all. The key of a part is a hash of its uncompressed bytes. A part whose checksum differs from that in
//! the table is not used. For unchanged files, the [`Fingerprints`] beside the segments have the keys.
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use lightning_native_deflate::WINDOW;
use tempfile::NamedTempFile;

use super::fingerprints::Fingerprints;
use crate::{
    Error, Result,
    archive::{
        beneath::open_regular,
        gzip,
        own_files::{CACHE_FINGERPRINTS_SUFFIX, CACHE_NAME, CACHE_SUFFIX, CACHE_UNFINISHED, is_cache_file},
    },
};

/// The format of a segment; changes with its meaning, so that old files are not misread.
const MAGIC: &[u8; 16] = b"lightning-cache6";
const HASH: usize = 32;
/// The most bytes of an undamaged table.
const MAX_TABLE: u64 = 1 << 30;
/// Key, length and checksum of a part, and the checksum of its uncompressed bytes.
const ROW: usize = HASH + 8 + 4 + 4;
/// Hash and length of the table, magic.
const FOOTER: usize = HASH + 8 + MAGIC.len();
const MAX_SEGMENTS: usize = 8;
/// The most bytes of all files of a cache folder; the least recently used are removed first.
const MAX_BYTES: u64 = 2 << 30;
/// The age at which an unfinished file is abandoned: no writer takes longer.
const ABANDONED: Duration = Duration::from_hours(1);

pub(super) type Key = [u8; HASH];

/// The segments of earlier archives, and the new one of this archive.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// The prefix of the names of the segments of this tree.
    name: String,
    segments: Vec<Segment>,
    rows: Vec<Row>,
    by_key: HashMap<Key, usize>,
    added: Mutex<Option<Added>>,
    pub fingerprints: Fingerprints,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    length: u64,
}

#[derive(Debug)]
struct Row {
    segment: usize,
    start: u64,
    key: Key,
    length: usize,
    /// CRC-32 of the part.
    own_checksum: u32,
    /// CRC-32 of its uncompressed bytes.
    checksum: u32,
    is_used: AtomicBool,
}

/// A segment that is being written.
#[derive(Debug)]
struct Added {
    file: BufWriter<NamedTempFile>,
    table: Vec<u8>,
}

/// A compressed part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The number of its compressed bytes.
    pub length: usize,
    /// CRC-32 of its uncompressed bytes.
    pub checksum: u32,
}

/// The computation of keys, which depend on the bytes of a part and of the window before it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The end of the last part, and the hash of the window before that end.
    window: Option<(usize, Key)>,
}

impl Keys {
    /// The key of the part of `content` from `start` on.
    pub fn key(&mut self, content: &[u8], start: usize) -> Key {
        let hash = |bytes| *blake3::hash(bytes).as_bytes();
        let before = match self.window {
            Some((end, window)) if end == start => window,
            _ => hash(&content[start.saturating_sub(WINDOW)..start]),
        };
        // The window is hashed on its own, because the next part needs its hash too.
        let (rest, window) = content[start..].split_at((content.len() - start).saturating_sub(WINDOW));
        let window = hash(window);
        self.window = Some((content.len(), window));
        hash(&[before, hash(rest), window].concat())
    }
}

impl Cache {
    /// Opens the segments of a tree in `folder`, and removes damaged ones.
    pub fn open(folder: &Path, root: &Path, level: i32) -> Result<Self> {
        let fail = |error: std::io::Error| Error::io("open the cache folder", folder, &error);
        if folder.exists() && !folder.is_dir() {
            return Err(fail(std::io::ErrorKind::NotADirectory.into()));
        }
        fs::create_dir_all(folder).map_err(fail)?;
        let mut name = blake3::Hasher::new();
        // Another version may compress in another way.
        name.update(env!("CARGO_PKG_VERSION").as_bytes())
            .update(&level.to_le_bytes())
            .update(root.as_os_str().as_bytes());
        let mut cache = Self {
            folder: folder.to_owned(),
            name: format!("{}-", &name.finalize().to_hex()[..CACHE_NAME]),
            segments: Vec::new(),
            rows: Vec::new(),
            by_key: HashMap::new(),
            added: Mutex::default(),
            fingerprints: Fingerprints::default(),
        };
        cache.fingerprints = Fingerprints::open(folder.join(cache.name.clone() + CACHE_FINGERPRINTS_SUFFIX));
        for child in fs::read_dir(folder).map_err(fail)?.flatten() {
            let file_name = child.file_name();
            let is_ours = file_name.as_bytes().starts_with(cache.name.as_bytes())
                && file_name.as_bytes().ends_with(CACHE_SUFFIX.as_bytes());
            if is_ours && cache.add_segment(&child.path()).is_none() {
                let _ = fs::remove_file(child.path());
            }
        }
        Ok(cache)
    }

    fn add_segment(&mut self, path: &Path) -> Option<()> {
        let file = open_regular(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut footer = [0; FOOTER];
        let footer_start = length.checked_sub(FOOTER as u64)?;
        file.read_exact_at(&mut footer, footer_start).ok()?;
        let (hash, footer) = footer.split_first_chunk::<HASH>()?;
        let (table_length, magic) = footer.split_first_chunk::<8>()?;
        let table_length = u64::from_le_bytes(*table_length);
        let table_start = footer_start.checked_sub(table_length)?;
        if magic != MAGIC || table_length > MAX_TABLE {
            return None;
        }
        let mut table = vec![0; usize::try_from(table_length).ok()?];
        file.read_exact_at(&mut table, table_start).ok()?;
        if blake3::hash(&table) != *hash {
            return None;
        }
        let mut start = 0;
        for row in table.chunks_exact(ROW) {
            let (key, row) = row.split_first_chunk::<HASH>()?;
            let (length, row) = row.split_first_chunk::<8>()?;
            let (own_checksum, checksum) = row.split_first_chunk::<4>()?;
            let length = u64::from_le_bytes(*length);
            self.by_key.insert(*key, self.rows.len());
            self.rows.push(Row {
                segment: self.segments.len(),
                start,
                key: *key,
                length: usize::try_from(length).ok()?,
                own_checksum: u32::from_le_bytes(*own_checksum),
                checksum: u32::from_le_bytes(checksum.try_into().ok()?),
                is_used: AtomicBool::new(false),
            });
            start = start.checked_add(length)?;
        }
        // Marks the segment as used: `prune` removes the least recently used ones.
        let _ = file.set_modified(SystemTime::now());
        self.segments.push(Segment { path: path.to_owned(), file, length });
        Some(())
    }

    /// Whether the tables have this key; its part may still prove to be damaged.
    pub fn has(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Copies the part of this key to the start of `out`.
    pub fn get(&self, key: &Key, out: &mut [u8]) -> Option<Part> {
        let row = &self.rows[*self.by_key.get(key)?];
        let out = out.get_mut(..row.length)?;
        self.read(row, out)?;
        row.is_used.store(true, Ordering::Relaxed);
        Some(Part { length: row.length, checksum: row.checksum })
    }

    fn read(&self, row: &Row, out: &mut [u8]) -> Option<()> {
        self.segments[row.segment].file.read_exact_at(out, row.start).ok()?;
        // Detects damage; the key proves the uncompressed bytes.
        (gzip::checksum(out) == row.own_checksum).then_some(())
    }

    /// Adds a part, with the checksum of its uncompressed bytes, to the new segment.
    pub fn put(&self, key: &Key, part: &[u8], checksum: u32) -> Result<()> {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        if added.is_none() {
            let file = new_file(&self.folder).map_err(|error| self.fail(&error))?;
            *added = Some(Added { file: BufWriter::with_capacity(1 << 18, file), table: Vec::new() });
        }
        if let Some(Added { file, table }) = &mut *added {
            file.write_all(part).map_err(|error| self.fail(&error))?;
            table.extend_from_slice(key);
            table.extend_from_slice(&(part.len() as u64).to_le_bytes());
            table.extend_from_slice(&gzip::checksum(part).to_le_bytes());
            table.extend_from_slice(&checksum.to_le_bytes());
        }
        Ok(())
    }

    fn fail(&self, error: &std::io::Error) -> Error {
        Error::io("write to the cache folder", &self.folder, error)
    }

    /// Persists the new segment, and removes stale and surplus ones.
    pub fn finish(self) -> Result<()> {
        let used = self.rows.iter().filter(|row| row.is_used.load(Ordering::Relaxed));
        let live: u64 = used.clone().map(|row| row.length as u64).sum();
        let total: u64 = self.segments.iter().map(|segment| segment.length).sum();
        let is_one_enough = self.segments.len() >= MAX_SEGMENTS || total > 2 * live + (1 << 20);
        if is_one_enough {
            let mut part = Vec::new();
            for row in used {
                part.resize(row.length, 0);
                if self.read(row, &mut part).is_some() {
                    self.put(&row.key, &part, row.checksum)?;
                }
            }
        }
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_changed = added.is_some();
        if let Some(Added { mut file, table }) = added {
            let footer = [&blake3::hash(&table).as_bytes()[..], &(table.len() as u64).to_le_bytes(), MAGIC].concat();
            file.write_all(&table).and_then(|()| file.write_all(&footer)).map_err(|error| self.fail(&error))?;
            let file = file.into_inner().map_err(|error| self.fail(error.error()))?;
            let own = file.path().file_name().unwrap_or_default().as_bytes().to_owned();
            let own = String::from_utf8_lossy(&own[CACHE_UNFINISHED.len()..]).into_owned();
            let path = self.folder.join(format!("{}{own}{CACHE_SUFFIX}", self.name));
            file.persist(path).map_err(|error| self.fail(&error.error))?;
        }
        if is_one_enough {
            for segment in &self.segments {
                let _ = fs::remove_file(&segment.path);
            }
        }
        if is_changed {
            self.prune();
        }
        let Self { folder, fingerprints, .. } = self;
        fingerprints
            .finish(|| new_file(&folder))
            .map_err(|error| Error::io("write to the cache folder", &folder, &error))
    }

    /// Removes abandoned and surplus files. A failed removal is ignored, because another process may have removed the file.
    fn prune(&self) {
        let Ok(children) = fs::read_dir(&self.folder) else { return };
        let mut files = Vec::new();
        for child in children.flatten() {
            let Ok(metadata) = child.metadata() else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            let name = child.file_name();
            // The folder may have files of other programs.
            if !is_cache_file(name.as_bytes()) {
                continue;
            }
            if name.as_bytes().starts_with(CACHE_UNFINISHED.as_bytes()) {
                if modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(child.path());
                }
            } else {
                let is_own = name.as_bytes().starts_with(self.name.as_bytes());
                files.push((is_own, modified, metadata.len(), child.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(.., length, _)| length).sum();
        for (is_own, _, length, path) in files {
            if total <= MAX_BYTES || is_own {
                break;
            }
            total -= length;
            let _ = fs::remove_file(path);
        }
    }
}

/// A file that is removed unless it receives its final name.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(CACHE_UNFINISHED).tempfile_in(folder)
}
