//! Gzip members that say how long they are, so that a reader can find the next one without decoding.
use libdeflater::{CompressionLvl, Crc};

/// Marks the extra field that holds the length of the member.
const FIELD: [u8; 2] = *b"LN";
/// Magic, method, flags (extra field), time, extra flags, system (unknown), length of the extra field, its one subfield.
pub(super) const HEADER: usize = 12 + 4 + 4;
const TRAILER: usize = 8;
/// The most a stored deflate block can hold.
const STORED: usize = 65_535;
/// How much of a block is tried, at three places, to see whether it can be compressed at all.
const SAMPLE: usize = 4096;

/// Compresses blocks at one level.
pub(super) struct Compressor {
    level: i32,
    deflate: libdeflater::Compressor,
    sampler: libdeflater::Compressor,
    sample: Vec<u8>,
}

impl Compressor {
    pub fn new(level: i32) -> Self {
        Self {
            level,
            deflate: libdeflater::Compressor::new(CompressionLvl::new(level).unwrap_or_default()),
            sampler: libdeflater::Compressor::new(CompressionLvl::new(1).unwrap_or_default()),
            sample: vec![0; SAMPLE * 2],
        }
    }

    /// Writes a whole gzip member to the start of `member`, which grows but never shrinks, and returns its length.
    pub fn compress(&mut self, content: &[u8], member: &mut Vec<u8>) -> usize {
        let bound = HEADER + content.len() + (content.len() / STORED + 1) * 5 + TRAILER;
        if member.len() < bound {
            member.resize(bound, 0);
        }
        let deflated = if self.level == 0 || self.is_incompressible(content) {
            None
        } else {
            self.deflate.deflate_compress(content, &mut member[HEADER..bound - TRAILER]).ok()
        };
        let end = HEADER + deflated.unwrap_or_else(|| store(content, &mut member[HEADER..]));
        let mut crc = Crc::new();
        crc.update(content);
        member[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
        member[end + 4..end + TRAILER].copy_from_slice(&low_32_bits(content.len()).to_le_bytes());
        let length = end + TRAILER;
        let header = &mut member[..HEADER];
        header[..12].copy_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0]);
        header[12..14].copy_from_slice(&FIELD);
        header[14..16].copy_from_slice(&4_u16.to_le_bytes());
        header[16..20].copy_from_slice(&low_32_bits(length).to_le_bytes());
        length
    }

    /// Whether samples of a block do not get smaller by even one in fifty.
    fn is_incompressible(&mut self, content: &[u8]) -> bool {
        if content.len() < SAMPLE * 8 {
            return false;
        }
        [content.len() / 8, content.len() / 2, content.len() - SAMPLE].into_iter().all(|place| {
            let length = self.sampler.deflate_compress(&content[place..place + SAMPLE], &mut self.sample);
            length.is_ok_and(|length| length > SAMPLE / 50 * 49)
        })
    }
}

/// Writes a deflate stream that holds `content` as it is, and returns its length.
fn store(content: &[u8], out: &mut [u8]) -> usize {
    if content.is_empty() {
        out[..5].copy_from_slice(&[1, 0, 0, 0xff, 0xff]);
        return 5;
    }
    let mut end = 0;
    let mut chunks = content.chunks(STORED).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out[end] = u8::from(chunks.peek().is_none());
        out[end + 1..end + 3].copy_from_slice(&length.to_le_bytes());
        out[end + 3..end + 5].copy_from_slice(&(!length).to_le_bytes());
        out[end + 5..end + 5 + chunk.len()].copy_from_slice(chunk);
        end += 5 + chunk.len();
    }
    end
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
