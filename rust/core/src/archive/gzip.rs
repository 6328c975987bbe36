//! The format of our gzip members: each records its length, so that a reader finds the next one without decoding.

use zlib_rs::crc32::crc32;

/// The name of the extra field with the length of the member.
const FIELD: [u8; 2] = *b"LN";
/// Magic, method, flags (extra field), time, extra flags, system (unknown), length of the extra field, its one field.
pub(super) const HEADER: usize = 12 + 4 + 4;
pub(super) const TRAILER: usize = 8;

/// The CRC-32 of bytes.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32(0, bytes)
}

/// The header of a member of so many bytes.
pub(super) fn header(length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..12].copy_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0]);
    header[12..14].copy_from_slice(&FIELD);
    header[14..16].copy_from_slice(&4_u16.to_le_bytes());
    header[16..].copy_from_slice(&low_32_bits(length).to_le_bytes());
    header
}

/// The trailer of a member: the CRC-32 and the length of its content.
pub(super) fn trailer(checksum: u32, length: usize) -> [u8; TRAILER] {
    let mut trailer = [0; TRAILER];
    trailer[..4].copy_from_slice(&checksum.to_le_bytes());
    trailer[4..].copy_from_slice(&low_32_bits(length).to_le_bytes());
    trailer
}

#[expect(clippy::cast_possible_truncation, reason = "gzip stores sizes modulo 2^32")]
fn low_32_bits(length: usize) -> u32 {
    length as u32
}

/// The length of the member that begins with `header`, if this package wrote it.
pub(super) fn member_length(header: &[u8]) -> Option<u32> {
    let header: &[u8; HEADER] = header.try_into().ok()?;
    let is_ours =
        header[..4] == [0x1f, 0x8b, 8, 4] && header[10..12] == [8, 0] && header[12..16] == [FIELD[0], FIELD[1], 4, 0];
    let length = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    (is_ours && length as usize >= HEADER + TRAILER).then_some(length)
}
