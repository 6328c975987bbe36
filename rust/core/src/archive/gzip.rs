//! Gzip members that say how long they are, so that a reader can find the next one without decoding.
use std::{
    io::{self, IoSlice, Write},
    ops::Range,
};

use libdeflater::{CompressionLvl, Crc};
use lightning_native_deflate as parts;

use super::cache::{Cache, Keys};
use crate::Result;

/// Marks the extra field that holds the length of the member.
const FIELD: [u8; 2] = *b"LN";
/// Magic, method, flags (extra field), time, extra flags, system (unknown), length of the extra field, its one subfield.
pub(super) const HEADER: usize = 12 + 4 + 4;
pub(super) const TRAILER: usize = 8;
/// What may follow the last part.
const AFTER: usize = parts::END.len() + TRAILER;
/// The most a stored deflate block can hold.
const STORED: usize = 65_535;
const STORED_HEADER: usize = 5;
/// How much of a block is tried, at three places, to see whether it can be compressed at all.
const SAMPLE: usize = 4096;

/// Compresses blocks at one level.
pub(super) struct Compressor {
    method: Method,
    sampler: libdeflater::Compressor,
    sample: Vec<u8>,
}

enum Method {
    Store,
    /// A block is one part, at the levels that need all of it.
    Whole(libdeflater::Compressor),
    Parts(parts::Compressor),
}

/// Compresses a part into a buffer, and returns its length if there is room.
type Compress<'a> = dyn FnMut(Range<usize>, &mut [u8]) -> Option<usize> + 'a;

/// A gzip member, apart from the content that it holds as it is.
pub(super) enum Member {
    /// So many bytes at the start of the buffer, which may be longer.
    Deflated(usize),
    /// Nothing is copied before it is written.
    Stored { header: [u8; HEADER], trailer: [u8; TRAILER] },
}

impl Compressor {
    pub fn new(level: i32) -> Self {
        let libdeflate = |level| libdeflater::Compressor::new(CompressionLvl::new(level).unwrap_or_default());
        let method = match level {
            0 => Method::Store,
            level if parts::LEVELS.contains(&level) => Method::Parts(parts::Compressor::new(level)),
            level => Method::Whole(libdeflate(level)),
        };
        Self { method, sampler: libdeflate(1), sample: vec![0; SAMPLE * 2] }
    }

    /// Compresses into `buffer`, which grows but never shrinks, if that makes `content` smaller; takes from the cache what
    /// it has, and says how many bytes of content that was. `ends` is where the parts end that are compressed on their own.
    pub fn compress(
        &mut self,
        content: &[u8],
        ends: &[usize],
        cache: Option<&Cache>,
        buffer: &mut Vec<u8>,
    ) -> Result<(Member, usize)> {
        let mut crc = Crc::new();
        crc.update(content);
        let mut trailer = [0; TRAILER];
        trailer[..4].copy_from_slice(&crc.sum().to_le_bytes());
        trailer[4..].copy_from_slice(&low_32_bits(content.len()).to_le_bytes());
        let stored = stored_length(content.len());
        let (deflated, recalled) =
            if self.is_incompressible(content) { (None, 0) } else { self.deflate(content, ends, cache, buffer)? };
        let Some(end) = deflated.filter(|&end| end < HEADER + stored) else {
            return Ok((Member::Stored { header: header(HEADER + stored + TRAILER), trailer }, 0));
        };
        buffer[..HEADER].copy_from_slice(&header(end + TRAILER));
        buffer[end..end + TRAILER].copy_from_slice(&trailer);
        Ok((Member::Deflated(end + TRAILER), recalled))
    }

    /// Where in `buffer` the deflate stream ends that begins after the header, and how much of its content was in the cache.
    fn deflate(
        &mut self,
        content: &[u8],
        ends: &[usize],
        cache: Option<&Cache>,
        buffer: &mut Vec<u8>,
    ) -> Result<(Option<usize>, usize)> {
        let (whole, mut whole_method, mut stream);
        let (ends, compress): (&[usize], &mut Compress<'_>) = match &mut self.method {
            Method::Store => return Ok((None, 0)),
            Method::Whole(libdeflate) => {
                whole = [content.len()];
                whole_method = |_, out: &mut [u8]| libdeflate.deflate_compress(content, out).ok();
                (&whole, &mut whole_method)
            }
            Method::Parts(compressor) => {
                let mut parts = compressor.stream(content);
                stream = move |part, out: &mut [u8]| parts.compress(part, out);
                (ends, &mut stream)
            }
        };
        let (mut place, mut start, mut recalled) = (HEADER, 0, 0);
        let mut keys = Keys::new();
        for &end in ends {
            let key = cache.map(|cache| (cache, keys.next(&content[start..end])));
            let bound = place + parts::bound(end - start);
            // Grown bit by bit: what comes from the cache needs little of it.
            if buffer.len() < bound + AFTER {
                buffer.resize(bound + AFTER, 0);
            }
            let out = &mut buffer[place..bound];
            let known = key.as_ref().and_then(|(cache, key)| cache.recall(key, out));
            let length = if let Some(length) = known {
                recalled += end - start;
                length
            } else {
                let Some(length) = compress(start..end, out) else { return Ok((None, 0)) };
                if let Some((cache, key)) = key {
                    cache.keep(&key, &out[..length])?;
                }
                length
            };
            (place, start) = (place + length, end);
        }
        if let Method::Parts(_) = self.method {
            buffer[place..place + parts::END.len()].copy_from_slice(&parts::END);
            place += parts::END.len();
        }
        Ok((Some(place), recalled))
    }

    /// Whether samples of a block do not get smaller by even one in fifty.
    fn is_incompressible(&mut self, content: &[u8]) -> bool {
        if content.len() < SAMPLE * 8 || matches!(self.method, Method::Store) {
            return false;
        }
        let places = [content.len() / 2, content.len() / 8, content.len() - SAMPLE];
        let samples = places.map(|place| &content[place..place + SAMPLE]);
        // Compressing is the surer test and much the slower: random bytes need it once only.
        let mut is_one_compressed = false;
        samples.into_iter().all(|sample| match spread(sample) {
            Spread::Even if is_one_compressed => true,
            Spread::Uneven => false,
            Spread::Even | Spread::Unclear => {
                is_one_compressed = true;
                let length = self.sampler.deflate_compress(sample, &mut self.sample);
                length.is_ok_and(|length| length > SAMPLE / 50 * 49)
            }
        })
    }
}

/// How often the values of bytes occur.
enum Spread {
    /// As in random bytes.
    Even,
    Unclear,
    /// So that coding them by how often they occur alone makes them smaller.
    Uneven,
}

fn spread(sample: &[u8]) -> Spread {
    let mut counts = [0_usize; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    // Random bytes: n + n^2 / 256, hardly ever a tenth more.
    let squares: usize = counts.iter().map(|count| count * count).sum();
    let random = sample.len() + sample.len() * sample.len() / 256;
    match squares {
        _ if squares * 10 < random * 11 => Spread::Even,
        _ if squares < random * 2 => Spread::Unclear,
        _ => Spread::Uneven,
    }
}

fn header(length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..12].copy_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0]);
    header[12..14].copy_from_slice(&FIELD);
    header[14..16].copy_from_slice(&4_u16.to_le_bytes());
    header[16..].copy_from_slice(&low_32_bits(length).to_le_bytes());
    header
}

/// The length of a deflate stream that holds so many bytes as they are.
fn stored_length(content: usize) -> usize {
    content + content.div_ceil(STORED).max(1) * STORED_HEADER
}

/// Writes a member that holds `content` as it is, and returns its length.
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
