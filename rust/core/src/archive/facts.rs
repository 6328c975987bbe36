//! What was found out about ranges of the tar stream, by names that say whether their files have changed.
use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use tempfile::NamedTempFile;

/// Changes whenever what is kept, or what it is found by, changes its meaning.
const MAGIC: &[u8; 16] = b"lightning-facts2";
const HASH: usize = 32;

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
        let known = fs::read(&path).ok().and_then(|content| parse(&content)).unwrap_or_default();
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

fn parse(content: &[u8]) -> Option<HashMap<Name, Fact>> {
    let (content, magic) = content.split_last_chunk::<{ MAGIC.len() }>()?;
    let (rows, hash) = content.split_last_chunk::<HASH>()?;
    if magic != MAGIC || blake3::hash(rows) != *hash {
        return None;
    }
    let (rows, _) = rows.as_chunks::<HASH>();
    Some(rows.as_chunks::<2>().0.iter().map(|[name, fact]| (*name, *fact)).collect())
}
