//! What was found out about ranges of the tar stream, by names that say whether their files have changed.
use std::{
    collections::HashMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::NamedTempFile;

use crate::archive::beneath::open_regular;

/// Changes whenever what is kept, or what it is found by, changes its meaning.
const MAGIC: &[u8; 16] = b"lightning-facts2";
const HASH: usize = 32;
/// A file of more is damaged: this is enough for trees of half a terabyte.
const MAX_BYTES: u64 = 1 << 30;

/// Tells a range of bytes from all others without being made from them.
pub(super) type Name = [u8; HASH];
type Fact = [u8; HASH];

/// What is known from the last time, and what is found this time.
#[derive(Debug, Default)]
pub(super) struct Facts {
    path: PathBuf,
    known: HashMap<Name, Fact>,
    found: Mutex<HashMap<Name, Fact>>,
}

impl Facts {
    /// Opens a file of facts; one that is damaged knows nothing.
    pub fn open(path: PathBuf) -> Self {
        let known = read(&path).and_then(|content| parse(&content)).unwrap_or_default();
        Self { path, known, found: Mutex::default() }
    }

    /// What is known of a range, or `find` finds; it is kept if the range has a name.
    pub fn get<Failure>(
        &self,
        name: Option<Name>,
        find: impl FnOnce() -> Result<Fact, Failure>,
    ) -> Result<Fact, Failure> {
        let Some(name) = name else { return find() };
        let fact = self.known.get(&name).copied().map_or_else(find, Ok)?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name, fact);
        Ok(fact)
    }

    /// Drops what was found: its names may be those of other bytes.
    pub fn forget(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Writes what was found, in the place of what was known, through a temporary file.
    pub fn finish(self, new: impl FnOnce() -> std::io::Result<NamedTempFile>) -> std::io::Result<()> {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if found == self.known {
            return Ok(());
        }
        let rows: Vec<u8> = found.iter().flat_map(|(name, fact)| [name, fact]).flatten().copied().collect();
        let mut file = new()?;
        file.write_all(&rows)?;
        file.write_all(blake3::hash(&rows).as_bytes())?;
        file.write_all(MAGIC)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = open_regular(path).ok()?;
    (file.metadata().ok()?.len() <= MAX_BYTES).then_some(())?;
    let mut content = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut content).ok()?;
    Some(content)
}

fn parse(content: &[u8]) -> Option<HashMap<Name, Fact>> {
    let (content, magic) = content.split_last_chunk::<{ MAGIC.len() }>()?;
    let (rows, hash) = content.split_last_chunk::<HASH>()?;
    if magic != MAGIC || blake3::hash(rows) != *hash {
        return None;
    }
    let (rows, _) = rows.as_chunks::<HASH>();
    Some(rows.as_chunks::<2>().0.iter().map(|[name, fact]| (*name, *fact)).collect())
}
