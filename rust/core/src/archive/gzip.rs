//! Gzip members that say how long they are, so that a reader can find the next one without decoding.
use libdeflater::{CompressionLvl, Crc};

/// Marks the extra field that holds the length of the member.
pub(super) const FIELD: [u8; 2] = *b"LN";
/// Magic, method, flags (extra field), time, extra flags, system (unknown), length of the extra field, its one subfield.
pub(super) const HEADER: usize = 12 + 4 + 4;
const TRAILER: usize = 8;
/// The most a stored deflate block can hold.
const STORED: usize = 65_535;

/// Compresses blocks at one level.
pub(super) struct Compressor {
    level: i32,
    deflate: libdeflater::Compressor,
}

impl Compressor {
    pub fn new(level: i32) -> Self {
        let deflate = libdeflater::Compressor::new(CompressionLvl::new(level).unwrap_or_default());
        Self { level, deflate }
    }

    /// A whole gzip member.
    pub fn compress(&mut self, content: &[u8]) -> Vec<u8> {
        let mut member = Vec::new();
        if self.level == 0 || !self.try_deflate(content, &mut member) {
            member.clear();
            member.resize(HEADER, 0);
            store(content, &mut member);
        }
        let mut crc = Crc::new();
        crc.update(content);
        member.extend_from_slice(&crc.sum().to_le_bytes());
        member.extend_from_slice(&low_32_bits(content.len()).to_le_bytes());
        let length = low_32_bits(member.len());
        let header = &mut member[..HEADER];
        header[..12].copy_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0]);
        header[12..14].copy_from_slice(&FIELD);
        header[14..16].copy_from_slice(&4_u16.to_le_bytes());
        header[16..20].copy_from_slice(&length.to_le_bytes());
        member
    }

    /// Whether `content` became smaller.
    fn try_deflate(&mut self, content: &[u8], member: &mut Vec<u8>) -> bool {
        let bound = content.len() + content.len() / STORED * 5 + 5;
        member.resize(HEADER + bound, 0);
        match self.deflate.deflate_compress(content, &mut member[HEADER..]) {
            Ok(length) => {
                member.truncate(HEADER + length);
                member.reserve(TRAILER);
                true
            }
            Err(_) => false,
        }
    }
}

/// Appends a deflate stream that holds `content` as it is.
fn store(content: &[u8], member: &mut Vec<u8>) {
    member.reserve(content.len() + (content.len() / STORED + 1) * 5 + TRAILER);
    let mut chunks = content.chunks(STORED).peekable();
    if chunks.peek().is_none() {
        member.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        member.push(u8::from(chunks.peek().is_none()));
        member.extend_from_slice(&length.to_le_bytes());
        member.extend_from_slice(&(!length).to_le_bytes());
        member.extend_from_slice(chunk);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "gzip stores sizes modulo 2^32")]
fn low_32_bits(length: usize) -> u32 {
    length as u32
}

/// The length of the member that starts with `header`, if it is one of ours.
pub(super) fn member_length(header: &[u8]) -> Option<u32> {
    let header: &[u8; HEADER] = header.try_into().ok()?;
    let is_ours =
        header[..4] == [0x1f, 0x8b, 8, 4] && header[10..12] == [8, 0] && header[12..16] == [FIELD[0], FIELD[1], 4, 0];
    let length = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    (is_ours && length as usize >= HEADER + TRAILER).then_some(length)
}
