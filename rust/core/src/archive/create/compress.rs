//! The compression of blocks into gzip members, with known parts from the cache.
use std::ops::Range;

use lightning_native_deflate::{self as deflate, WINDOW};
use zlib_rs::crc32::crc32_combine;

use super::{
    block_content::{Content, Source},
    blocks::MIN_PART,
    cache::{Cache, Key, Keys, Part},
    stored::stored_length,
};
use crate::{
    Result,
    archive::gzip::{HEADER, TRAILER, checksum, header, trailer},
};

/// The bytes that may follow the last part.
const AFTER: usize = deflate::END.len() + TRAILER;
/// The bytes of each of three samples that show whether a block can be compressed at all.
const SAMPLE: usize = 4096;

/// The most bytes that the compression of a block of `block` bytes can need.
pub(super) fn bound(block: usize) -> usize {
    HEADER + deflate::bound(block) + block.div_ceil(MIN_PART) * deflate::bound(0) + AFTER
}

/// Compresses blocks at one level.
pub(super) struct Compressor {
    method: Method,
    sampler: deflate::Compressor,
    sample: Vec<u8>,
}

enum Method {
    Store,
    Parts(deflate::Compressor),
    /// A block is one part, because small parts would be large at this level.
    Fast(deflate::Compressor),
}

/// A function that compresses a part into a buffer, and returns its length if there is room.
type Compress<'a> = Box<dyn FnMut(Range<usize>, &mut [u8]) -> Option<usize> + 'a>;

impl Method {
    fn stream<'a>(&'a mut self, content: &'a [u8]) -> Compress<'a> {
        match self {
            Self::Store => Box::new(|_, _| None),
            Self::Parts(compressor) | Self::Fast(compressor) => {
                let mut stream = compressor.stream(content);
                Box::new(move |part, out| stream.compress(part, out))
            }
        }
    }
}

/// A deflate stream that begins after the header.
struct Deflated {
    end: usize,
    /// CRC-32 of its content.
    checksum: u32,
    /// The number of bytes of content whose parts were in the cache.
    cached: usize,
}

impl Deflated {
    fn add(&mut self, part: Part, length: usize) {
        self.end += part.length;
        self.checksum = crc32_combine(self.checksum, part.checksum, length as u64);
    }
}

/// The slice of the buffer for a part of `part` bytes.
fn room(buffer: &mut [u8], start: usize, part: usize) -> &mut [u8] {
    &mut buffer[start..start + deflate::bound(part)]
}

/// The keys of the parts in the cache.
fn keys(content: &mut Content, source: &Source<'_>, cache: &Cache, parts: &[Range<usize>]) -> Result<Vec<Key>> {
    let mut keys = Keys::default();
    let key = |part: &Range<usize>| {
        let with_window = part.start.saturating_sub(WINDOW)..part.end;
        let fingerprint = content.fingerprint(with_window.clone(), ("part", (part.start - with_window.start) as u64));
        cache.fingerprints.get(fingerprint, || {
            content.read(with_window, source)?;
            Ok(keys.key(&content.bytes()[..part.end], part.start))
        })
    };
    parts.iter().map(key).collect()
}

/// A gzip member, without the content if that is stored.
pub(super) enum Member {
    /// The number of bytes at the start of the buffer, which may be longer.
    Deflated(usize),
    /// The content is stored, and not copied before it is written.
    Stored { header: [u8; HEADER], trailer: [u8; TRAILER] },
}

impl Compressor {
    pub fn new(level: i32) -> Self {
        let method = match level {
            0 => Method::Store,
            deflate::FASTEST => Method::Fast(deflate::Compressor::new(level)),
            level => Method::Parts(deflate::Compressor::new(level)),
        };
        Self { method, sampler: deflate::Compressor::new(deflate::FASTEST), sample: vec![0; deflate::bound(SAMPLE)] }
    }

    /// Compresses into `buffer`, which has [`bound`] bytes, if that makes `content` smaller. Copies known parts from the
    /// cache, reads the other ones, and returns the number of bytes of content that the cache had.
    pub fn compress(
        &mut self,
        content: &mut Content,
        source: &Source<'_>,
        cache: Option<&Cache>,
        buffer: &mut [u8],
    ) -> Result<(Member, usize)> {
        let length = content.len();
        let stored = stored_length(length);
        let deflated = if self.is_incompressible(content, source)? {
            None
        } else {
            self.deflate(content, source, cache, buffer)?.filter(|deflated| deflated.end < HEADER + stored)
        };
        if let Some(Deflated { end, checksum, cached }) = deflated {
            buffer[..HEADER].copy_from_slice(&header(end + TRAILER));
            buffer[end..end + TRAILER].copy_from_slice(&trailer(checksum, length));
            return Ok((Member::Deflated(end + TRAILER), cached));
        }
        let trailer = trailer(checksum(content.read(0..length, source)?), length);
        Ok((Member::Stored { header: header(HEADER + stored + TRAILER), trailer }, 0))
    }

    fn deflate(
        &mut self,
        content: &mut Content,
        source: &Source<'_>,
        cache: Option<&Cache>,
        buffer: &mut [u8],
    ) -> Result<Option<Deflated>> {
        let parts = match &self.method {
            Method::Store => return Ok(None),
            Method::Parts(_) => content.parts(),
            Method::Fast(_) => std::iter::once(0..content.len()).collect(),
        };
        let known = cache.map(|cache| Ok((cache, keys(content, source, cache, &parts)?))).transpose()?;
        let mut all = Deflated { end: HEADER, checksum: 0, cached: 0 };
        let mut first = 0;
        while first < parts.len() {
            let length = parts[first].len();
            if let Some((cache, keys)) = &known
                && let Some(part) = cache.get(&keys[first], room(buffer, all.end, length))
            {
                all.add(part, length);
                all.cached += length;
                first += 1;
                continue;
            }
            let is_unknown = |place: usize| known.as_ref().is_none_or(|(cache, keys)| !cache.has(&keys[place]));
            let end = (first + 1..parts.len()).find(|&place| !is_unknown(place)).unwrap_or(parts.len());
            content.read(parts[first].start.saturating_sub(WINDOW)..parts[end - 1].end, source)?;
            // A new stream after each known part, because an old one would remember bytes that have not been read.
            let mut compress = self.method.stream(content.bytes());
            for place in first..end {
                let out = room(buffer, all.end, parts[place].len());
                let Some(length) = compress(parts[place].clone(), out) else { return Ok(None) };
                let part = Part { length, checksum: checksum(&content.bytes()[parts[place].clone()]) };
                if let Some((cache, keys)) = &known {
                    cache.put(&keys[place], &out[..length], part.checksum)?;
                }
                all.add(part, parts[place].len());
            }
            first = end;
        }
        buffer[all.end..all.end + deflate::END.len()].copy_from_slice(&deflate::END);
        all.end += deflate::END.len();
        Ok(Some(all))
    }

    /// Whether compression makes no sample of a block smaller by more than a fiftieth.
    fn is_incompressible(&mut self, content: &mut Content, source: &Source<'_>) -> Result<bool> {
        if content.len() < SAMPLE * 8 || matches!(self.method, Method::Store) {
            return Ok(false);
        }
        // Compressing is the surer test and much slower: random bytes need it only once.
        let mut is_one_compressed = false;
        for place in [content.len() / 2, content.len() / 8, content.len() - SAMPLE] {
            let sample = content.read(place..place + SAMPLE, source)?;
            let is_even = match spread(sample) {
                Spread::Even if is_one_compressed => true,
                Spread::Uneven => false,
                Spread::Even | Spread::Unclear => {
                    is_one_compressed = true;
                    let length = self.sampler.stream(sample).compress(0..SAMPLE, &mut self.sample);
                    length.is_some_and(|length| length > SAMPLE / 50 * 49)
                }
            };
            if !is_even {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The distribution of the values of bytes.
enum Spread {
    /// Even, as in random bytes.
    Even,
    Unclear,
    /// So uneven that coding by frequency alone makes the bytes smaller.
    Uneven,
}

fn spread(sample: &[u8]) -> Spread {
    let mut counts = [0_usize; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    // Random bytes have n + n^2 / 256, hardly ever a tenth more.
    let squares: usize = counts.iter().map(|count| count * count).sum();
    let random = sample.len() + sample.len() * sample.len() / 256;
    match squares {
        _ if squares * 10 < random * 11 => Spread::Even,
        _ if squares < random * 2 => Spread::Unclear,
        _ => Spread::Uneven,
    }
}
