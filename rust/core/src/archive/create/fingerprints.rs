//! A table from fingerprints of ranges of the tar stream to the hashes of their bytes, kept between archives.
use std::{
    collections::HashMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::NamedTempFile;

use crate::archive::beneath::open_regular;

/// The format of the file; changes with the meaning of a fingerprint or a hash.
const MAGIC: &[u8; 16] = b"lightning-facts2";
const LENGTH: usize = 32;
/// The most bytes of an undamaged file: enough for trees of half a terabyte.
const MAX_BYTES: u64 = 1 << 30;

/// The identity of a range of bytes, computed without reading them.
pub(super) type Fingerprint = [u8; LENGTH];
type Hash = [u8; LENGTH];

/// The hashes from the last archive, and those of this one.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    path: PathBuf,
    known: HashMap<Fingerprint, Hash>,
    found: Mutex<HashMap<Fingerprint, Hash>>,
}

impl Fingerprints {
    /// Opens a file of fingerprints; a damaged one counts as empty.
    pub fn open(path: PathBuf) -> Self {
        let known = read(&path).and_then(|content| parse(&content)).unwrap_or_default();
        Self { path, known, found: Mutex::default() }
    }

    /// The hash of a range: the known one, or the result of `find`, which is kept if the range has a fingerprint.
    pub fn get<Failure>(
        &self,
        fingerprint: Option<Fingerprint>,
        find: impl FnOnce() -> Result<Hash, Failure>,
    ) -> Result<Hash, Failure> {
        let Some(fingerprint) = fingerprint else { return find() };
        let hash = self.known.get(&fingerprint).copied().map_or_else(find, Ok)?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, hash);
        Ok(hash)
    }

    /// Drops the hashes of this archive, because their fingerprints may belong to other bytes.
    pub fn forget(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Replaces the file by the hashes of this archive, through a temporary file.
    pub fn finish(self, new: impl FnOnce() -> std::io::Result<NamedTempFile>) -> std::io::Result<()> {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if found == self.known {
            return Ok(());
        }
        let rows: Vec<u8> =
            found.iter().flat_map(|(fingerprint, hash)| [fingerprint, hash]).flatten().copied().collect();
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

fn parse(content: &[u8]) -> Option<HashMap<Fingerprint, Hash>> {
    let (content, magic) = content.split_last_chunk::<{ MAGIC.len() }>()?;
    let (rows, hash) = content.split_last_chunk::<LENGTH>()?;
    if magic != MAGIC || blake3::hash(rows) != *hash {
        return None;
    }
    let (rows, _) = rows.as_chunks::<LENGTH>();
    Some(rows.as_chunks::<2>().0.iter().map(|[fingerprint, hash]| (*fingerprint, *hash)).collect())
}
