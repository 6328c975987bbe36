//! Keeps the compressed blocks of the last archive of a tree.
//!
//! One file for each tree and level: a table with its hash, and the blocks, whose hashes are in the table. It is replaced
//! as a whole by a rename, so that neither a crash nor another writer can leave half of one. What does not hash to what
//! the table says is not used.
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufWriter, Read, Write},
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Entry, Kind, plan::Block};
use crate::{Error, Result};

/// Changes whenever what is kept changes its meaning, so that old files are not misread.
const MAGIC: &[u8; 16] = b"lightning-cache1";
const HASH: usize = 32;
/// Hash of what is known without reading, hash of the content, hash and length of the compressed block.
const ROW: usize = HASH * 3 + 8;
/// Files that changed less than this before they were read could change again without any time or size to show it.
const SETTLED: i64 = 2_000_000_000;
/// All files of a cache folder together; the least recently used go first.
const MAX_BYTES: u64 = 2 << 30;
/// What a file is called before it replaces another; a killed writer leaves one behind.
const UNFINISHED: &str = ".blocks-";
/// No writer takes longer.
const ABANDONED: Duration = Duration::from_hours(1);

pub(super) type Key = [u8; HASH];

/// What the last archive left behind.
#[derive(Debug, Default)]
pub(super) struct Cache {
    path: PathBuf,
    bytes: Vec<u8>,
    rows: Vec<Row>,
    by_stamp: HashMap<Key, usize>,
    by_content: HashMap<Key, usize>,
}

#[derive(Debug, Clone)]
struct Row {
    stamp: Key,
    content: Key,
    member_hash: Key,
    member: Range<usize>,
}

/// A block to keep for the next time.
pub(super) struct Kept {
    /// What is known without reading, if that can be relied on.
    pub stamp: Key,
    pub content: Key,
    pub member: KeptMember,
}

pub(super) enum KeptMember {
    /// In the cache already, in this row.
    Old(usize),
    New(Vec<u8>),
}

impl Cache {
    /// Opens what `folder` has for a tree; nothing if that is damaged.
    pub fn open(folder: &Path, root: &Path, level: i32) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Error::io("create the cache folder", folder, &error))?;
        let mut name = blake3::Hasher::new();
        name.update(root.as_os_str().as_bytes()).update(&level.to_le_bytes());
        let path = folder.join(format!("{}.blocks", &name.finalize().to_hex()[..32]));
        let mut cache = Self { path, ..Self::default() };
        let mut bytes = Vec::new();
        if File::open(&cache.path).and_then(|mut file| file.read_to_end(&mut bytes)).is_ok() {
            cache.bytes = bytes;
            if cache.index().is_none() {
                cache = Self { path: cache.path, ..Self::default() };
            }
        }
        Ok(cache)
    }

    fn index(&mut self) -> Option<()> {
        let rest = self.bytes.strip_prefix(MAGIC)?;
        let (hash, rest) = rest.split_first_chunk::<HASH>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let table = rest.get(..usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(ROW)?)?;
        if blake3::hash(table) != *hash {
            return None;
        }
        let mut start = MAGIC.len() + HASH + 8 + table.len();
        for row in table.chunks_exact(ROW) {
            let (stamp, row) = row.split_first_chunk::<HASH>()?;
            let (content, row) = row.split_first_chunk::<HASH>()?;
            let (member_hash, length) = row.split_first_chunk::<HASH>()?;
            let end = start.checked_add(usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?)?;
            self.bytes.get(start..end)?;
            let place = self.rows.len();
            self.by_stamp.insert(*stamp, place);
            self.by_content.insert(*content, place);
            self.rows.push(Row { stamp: *stamp, content: *content, member_hash: *member_hash, member: start..end });
            start = end;
        }
        Some(())
    }

    /// The row of unchanged files, and the hash of their content.
    pub fn by_stamp(&self, stamp: &Key) -> Option<(Key, usize)> {
        let place = *self.by_stamp.get(stamp)?;
        self.is_sound(place).then(|| (self.rows[place].content, place))
    }

    /// The row of this content.
    pub fn by_content(&self, content: &Key) -> Option<usize> {
        self.by_content.get(content).copied().filter(|&place| self.is_sound(place))
    }

    fn is_sound(&self, place: usize) -> bool {
        blake3::hash(self.member(place)) == self.rows[place].member_hash
    }

    /// The compressed block of a row.
    pub fn member(&self, place: usize) -> &[u8] {
        &self.bytes[self.rows[place].member.clone()]
    }

    /// Whether these are the blocks that are kept already.
    pub fn is_same(&self, kept: &[Kept]) -> bool {
        let is_row = |(place, block): (usize, &Kept)| {
            matches!(block.member, KeptMember::Old(row) if row == place) && self.rows[place].stamp == block.stamp
        };
        self.rows.len() == kept.len() && kept.iter().enumerate().all(is_row)
    }

    /// Replaces what is kept, and removes other files while there are too many bytes.
    pub fn replace(&self, kept: &[Kept]) -> Result<()> {
        let fail = |error: std::io::Error| Error::io("write the cache", &self.path, &error);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder).map_err(fail)?;
        let mut table = Vec::with_capacity(kept.len() * ROW);
        for block in kept {
            let (hash, length) = match &block.member {
                KeptMember::Old(place) => (self.rows[*place].member_hash, self.rows[*place].member.len()),
                KeptMember::New(member) => (*blake3::hash(member).as_bytes(), member.len()),
            };
            table.extend_from_slice(&block.stamp);
            table.extend_from_slice(&block.content);
            table.extend_from_slice(&hash);
            table.extend_from_slice(&(length as u64).to_le_bytes());
        }
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(fail);
        write(MAGIC)?;
        write(blake3::hash(&table).as_bytes())?;
        write(&(kept.len() as u64).to_le_bytes())?;
        write(&table)?;
        for block in kept {
            match &block.member {
                KeptMember::Old(place) => write(self.member(*place))?,
                KeptMember::New(member) => write(member)?,
            }
        }
        let file = file.into_inner().map_err(|error| fail(error.into_error()))?;
        file.persist(&self.path).map_err(|error| fail(error.error))?;
        self.prune(folder);
        Ok(())
    }

    /// Failing to remove something is no reason to fail: another process may have done it.
    fn prune(&self, folder: &Path) {
        let Ok(children) = fs::read_dir(folder) else { return };
        let (unfinished, children): (Vec<_>, Vec<_>) =
            children.flatten().partition(|child| child.file_name().as_bytes().starts_with(UNFINISHED.as_bytes()));
        for child in unfinished {
            let age = child.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(child.path());
            }
        }
        let mut files: Vec<(SystemTime, u64, PathBuf)> = children
            .into_iter()
            .filter(|child| child.path().extension().is_some_and(|extension| extension == "blocks"))
            .filter_map(|child| {
                let metadata = child.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), child.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= MAX_BYTES || path == self.path {
                break;
            }
            total -= length;
            let _ = fs::remove_file(path);
        }
    }
}

/// Everything about a block that is known without reading it. If size, both times and inode of all its files agree, so
/// does their content; unless one changed just before `now` (nanoseconds since 1970), which makes the stamp useless.
pub(super) fn stamp(entries: &[Entry], block: &Block, now: i64) -> Key {
    let mut hasher = blake3::Hasher::new();
    let entries = match block {
        Block::Entries(range) => &entries[range.clone()],
        Block::Piece { entry, content } => {
            hasher.update(&content.start.to_le_bytes()).update(&content.end.to_le_bytes());
            std::slice::from_ref(&entries[*entry])
        }
        Block::End => &[],
    };
    let mut known = Vec::with_capacity(entries.len() * 128);
    for entry in entries {
        if entry.stamp.changed > now - SETTLED {
            hasher.update(b"unsettled").update(&now.to_le_bytes());
        }
        known.extend_from_slice(&(entry.path.len() as u64).to_le_bytes());
        known.extend_from_slice(&entry.path);
        match &entry.kind {
            Kind::File { size, executable } => {
                known.push(1 + u8::from(*executable));
                known.extend_from_slice(&size.to_le_bytes());
            }
            Kind::Folder => known.push(0),
            Kind::Symlink(target) => {
                known.push(3);
                known.extend_from_slice(&(target.len() as u64).to_le_bytes());
                known.extend_from_slice(target);
            }
        }
        known.extend_from_slice(&entry.stamp.device.to_le_bytes());
        known.extend_from_slice(&entry.stamp.inode.to_le_bytes());
        known.extend_from_slice(&entry.stamp.modified.to_le_bytes());
        known.extend_from_slice(&entry.stamp.changed.to_le_bytes());
    }
    *hasher.update(&known).finalize().as_bytes()
}
