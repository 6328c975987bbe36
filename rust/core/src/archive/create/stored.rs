//! Gzip members with stored content, for blocks that compression does not make smaller.
use std::io::{self, IoSlice, Write};

use crate::archive::gzip::{HEADER, TRAILER};

/// The most bytes of a stored deflate block.
const STORED: usize = 65_535;
const STORED_HEADER: usize = 5;

/// The length of a deflate stream that stores `content` bytes.
pub(super) fn stored_length(content: usize) -> usize {
    content + content.div_ceil(STORED).max(1) * STORED_HEADER
}

/// Writes a member that stores `content`, and returns its length.
pub(super) fn write_stored(
    out: &mut impl Write,
    header: &[u8; HEADER],
    content: &[u8],
    trailer: [u8; TRAILER],
) -> io::Result<usize> {
    let chunk_header = |length: usize, is_last: bool| {
        let [low, high] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        [u8::from(is_last), low, high, !low, !high]
    };
    let full = chunk_header(STORED, false);
    let chunks = content.len().div_ceil(STORED).max(1);
    let last_chunk = &content[(chunks - 1) * STORED..];
    let last = chunk_header(last_chunk.len(), true);
    let mut slices = Vec::with_capacity(chunks * 2 + 2);
    slices.push(IoSlice::new(header));
    for chunk in content[..(chunks - 1) * STORED].chunks(STORED) {
        slices.extend([IoSlice::new(&full), IoSlice::new(chunk)]);
    }
    slices.extend([IoSlice::new(&last), IoSlice::new(last_chunk), IoSlice::new(&trailer)]);
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match out.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(HEADER + stored_length(content.len()) + TRAILER)
}
