//! Reads an archive that may be hostile: bounds on what it unpacks to, and what is said of one that is damaged.
use std::{
    io::{self, Read},
    path::Path,
};

use super::members::Stream;
use crate::{Error, Result};

/// Content may grow to this before its proportion to the archive counts.
const GRACE: u64 = 64 << 20;

/// Bounds that no honest archive of source code comes near.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the uncompressed archive.
    pub bytes: u64,
    /// Entries of any kind.
    pub entries: u64,
    /// How many times larger than the compressed archive its content may be, beyond the first 64 MiB.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 40, entries: 10_000_000, ratio: 200 }
    }
}

/// Stops reading a stream that grows out of all proportion.
pub(super) struct Bounded<'a> {
    pub stream: Stream<'a>,
    count: u64,
    limits: &'a Limits,
}

impl<'a> Bounded<'a> {
    pub fn new(stream: Stream<'a>, limits: &'a Limits) -> Self {
        Self { stream, count: 0, limits }
    }
}

#[derive(Debug, thiserror::Error)]
enum Bomb {
    #[error("it unpacks to more than {0} bytes; if that is right, allow more with max_bytes (--max-bytes)")]
    Size(u64),
    #[error(
        "it unpacks to more than {0} times its size, as a decompression bomb does; if it is of a trusted source, allow \
         more with max_ratio (--max-ratio)"
    )]
    Ratio(u64),
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.count += count as u64;
        if self.count > self.limits.bytes {
            return Err(io::Error::other(Bomb::Size(self.limits.bytes)));
        }
        if self.count > GRACE && self.count / self.limits.ratio > self.stream.consumed() {
            return Err(io::Error::other(Bomb::Ratio(self.limits.ratio)));
        }
        Ok(count)
    }
}

/// What is said of an archive that could not be read.
pub(super) fn damaged(source: &Path, error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Bomb>());
    match inner {
        Some(bomb) => Error::UnsafeArchive(format!("refused to extract {}: {bomb}", source.display())),
        None if error.kind() == io::ErrorKind::UnexpectedEof => damaged(source, &cut_off()),
        None => Error::Archive(format!("cannot extract {}: {error}", source.display())),
    }
}

/// Fails if an entry that says that it has `size` bytes had fewer.
pub(super) fn check_length(source: &Path, length: u64, size: u64) -> Result<()> {
    if length == size { Ok(()) } else { Err(damaged(source, &cut_off())) }
}

fn cut_off() -> io::Error {
    io::Error::other("it is cut off")
}
