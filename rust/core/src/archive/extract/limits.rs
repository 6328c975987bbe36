//! Limits on the uncompressed size of a hostile archive, and the errors about a damaged one.
use std::{
    io::{self, Read},
    path::Path,
};

use super::members::Stream;
use crate::{Error, Result};

/// The size below which the ratio of content to archive is not checked.
const GRACE: u64 = 64 << 20;

/// Limits that no honest archive of source code comes near.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the uncompressed archive.
    pub bytes: u64,
    /// Entries of any kind.
    pub entries: u64,
    /// The most bytes of content for each byte of the archive, once there are more than 64 MiB of content.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 40, entries: 10_000_000, ratio: 200 }
    }
}

/// A stream that fails when its content exceeds a limit.
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

/// The error about an archive that cannot be read.
pub(super) fn damaged(source: &Path, error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Bomb>());
    match inner {
        Some(bomb) => Error::UnsafeArchive(format!("refused to extract {}: {bomb}", source.display())),
        None if error.kind() == io::ErrorKind::UnexpectedEof => damaged(source, &cut_off()),
        None => Error::Archive(format!("cannot extract {}: {error}", source.display())),
    }
}

/// Fails if an entry has fewer bytes than the `size` in its header.
pub(super) fn check_length(source: &Path, length: u64, size: u64) -> Result<()> {
    if length == size { Ok(()) } else { Err(damaged(source, &cut_off())) }
}

fn cut_off() -> io::Error {
    io::Error::other("it is cut off")
}
