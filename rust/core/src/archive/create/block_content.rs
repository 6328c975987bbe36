//! The bytes of a block of the tar stream; those of a file are read only when something needs them.
use std::{
    ffi::OsStr,
    io::ErrorKind,
    ops::Range,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bstr::ByteSlice;
use memmap2::MmapMut;
use rustix::fs::fstat;

use super::{
    blocks::{Block, Parts, size},
    fingerprints::Fingerprint,
    tar_header,
};
use crate::{
    Error, Result,
    archive::{
        Entry, Kind, Selection, Stamp,
        beneath::{Tree, is_link_on_the_way},
        select::find_secret,
    },
};

/// The bytes of a file that are read at once, unless more are needed.
const STEP: usize = 64 << 10;

/// The tree that blocks are read from.
pub(super) struct Source<'a> {
    pub selection: &'a Selection,
    pub tree: &'a Tree,
    /// A file that was changed before this moment gets another time with its next change; `None` trusts no time.
    pub trusted_before: Option<SystemTime>,
    pub stop: AtomicBool,
    /// A file was changed after its selection, so that known hashes and read bytes may be of different versions.
    pub changed_while_reading: AtomicBool,
    /// A file proved to be a secret.
    pub has_secret: AtomicBool,
}

impl Source<'_> {
    /// Whether the stamp of an entry can be trusted.
    fn is_trusted(&self, entry: &Entry) -> bool {
        let Some(trusted_before) = self.trusted_before.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) else {
            return false;
        };
        match entry.kind {
            Kind::File { size: 1.., stamp, .. } => {
                u128::try_from(stamp.changed).is_ok_and(|time| time < trusted_before.as_nanos())
            }
            _ => true,
        }
    }

    /// A fingerprint of an entry that changes whenever its bytes do; `None` if that cannot be known without reading it.
    fn fingerprint(&self, entry: &Entry, header: &[u8]) -> Option<Fingerprint> {
        if !self.is_trusted(entry) {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        if let Kind::File { size: size @ 1.., executable, may_be_secret, stamp } = entry.kind {
            // The fields of the header, because they are shorter. Hashes of a file that the caller named are not valid
            // for one that has still to be checked for secrets, because a hit would skip the check.
            hasher.update(b"file").update(&entry.path).update(&[executable.into(), may_be_secret.into()]);
            hasher.update(&size.to_le_bytes());
            hasher.update(&stamp.inode.to_le_bytes());
            hasher.update(&stamp.modified.to_le_bytes()).update(&stamp.changed.to_le_bytes());
        } else {
            hasher.update(b"header").update(header);
        }
        Some(*hasher.finalize().as_bytes())
    }

    fn read(&self, entry: &Entry, start: u64, out: &mut [u8]) -> Result<()> {
        let read = self.tree.file(entry.path.as_bstr()).and_then(|(file, _)| {
            file.read_exact_at(out, start)?;
            if let Kind::File { stamp, .. } = entry.kind
                && self.is_trusted(entry)
                && Stamp::of(&fstat(&file)?) != stamp
            {
                self.changed_while_reading.store(true, Ordering::Relaxed);
            }
            Ok(())
        });
        // The first step has all the bytes that identify a secret.
        if read.is_ok()
            && start == 0
            && matches!(entry.kind, Kind::File { may_be_secret: true, .. })
            && find_secret(entry.path.as_bstr(), out).is_some()
        {
            self.has_secret.store(true, Ordering::Relaxed);
            return Err(Error::Interrupted);
        }
        read.map_err(|error| {
            let path = self.selection.root.join(OsStr::from_bytes(&entry.path));
            match error.kind() {
                ErrorKind::UnexpectedEof => Error::Archive(format!(
                    "{} became shorter while it was read; try again when nothing writes to it",
                    path.display()
                )),
                _ if is_link_on_the_way(&error) => Error::Archive(format!(
                    "{} or a folder that it is in became a link while it was read, and no link is followed; \
                     try again when nothing writes to it",
                    path.display()
                )),
                _ => Error::io("read", &path, &error),
            }
        })
    }
}

/// A block that may have holes: ranges of a file that have not been read.
pub(super) struct Content {
    /// Long enough for any block; the bytes of a hole are undefined.
    bytes: MmapMut,
    length: usize,
    parts: Parts,
    spans: Vec<Span>,
    holes: Vec<Hole>,
    header: Vec<u8>,
}

/// The range of an entry in a block; it ends where the next one starts.
struct Span {
    start: usize,
    fingerprint: Option<Fingerprint>,
}

struct Hole {
    entry: usize,
    /// The range in the block.
    range: Range<usize>,
    /// The start in the file.
    start: u64,
    is_filled: bool,
}

impl Content {
    /// An empty block; `bytes` has room for any.
    pub fn new(bytes: MmapMut) -> Self {
        Self { bytes, length: 0, parts: Parts::default(), spans: Vec::new(), holes: Vec::new(), header: Vec::new() }
    }

    /// Replaces the content by that of another block, whose files are not read yet.
    pub fn lay_out(&mut self, block: &Block, source: &Source<'_>) -> Result<()> {
        let entries = &source.selection.entries;
        self.length = usize::try_from(block.length(entries)).unwrap_or(usize::MAX);
        self.parts.ends.clear();
        self.spans.clear();
        self.holes.clear();
        match block {
            Block::Entries(range) => {
                let mut place = 0;
                for number in range.clone() {
                    place = self.lay_out_entry(place, number, 0..size(&entries[number]), source)?;
                }
            }
            Block::Piece { entry, content } => {
                self.lay_out_entry(0, *entry, content.clone(), source)?;
            }
            Block::End => self.bytes[..self.length].fill(0),
        }
        self.parts.close(self.length);
        Ok(())
    }

    /// Lays out a range of a file, or any other entry as a whole, and returns its end.
    fn lay_out_entry(
        &mut self,
        start: usize,
        number: usize,
        content: Range<u64>,
        source: &Source<'_>,
    ) -> Result<usize> {
        let entry = &source.selection.entries[number];
        self.header.clear();
        tar_header::push(&mut self.header, entry)?;
        let fingerprint = source.fingerprint(entry, &self.header).map(|fingerprint| {
            let start = content.start.to_le_bytes();
            if content.start == 0 {
                fingerprint
            } else {
                *blake3::hash(&[&fingerprint[..], &start].concat()).as_bytes()
            }
        });
        let mut place = start;
        if content.start == 0 {
            place += self.header.len();
            self.bytes[start..place].copy_from_slice(&self.header);
        }
        for from in content.clone().step_by(STEP) {
            let length = usize::try_from(content.end - from).map_or(STEP, |left| left.min(STEP));
            self.holes.push(Hole { entry: number, range: place..place + length, start: from, is_filled: false });
            place += length;
        }
        if content.end == size(entry) {
            let end = place + tar_header::padding(content.end);
            self.bytes[place..end].fill(0);
            place = end;
        }
        self.spans.push(Span { start, fingerprint });
        self.parts.add(entry, start..place);
        Ok(place)
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// The ranges that are compressed on their own.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let ends = &self.parts.ends;
        std::iter::once(&0).chain(ends).zip(ends).map(|(&start, &end)| start..end).collect()
    }

    /// The number of bytes that are those of files.
    pub fn file_bytes(&self) -> usize {
        self.holes.iter().map(|hole| hole.range.len()).sum()
    }

    /// All bytes; those that have not been read are undefined.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Reads the missing bytes of a range, and returns the range.
    pub fn read(&mut self, range: Range<usize>, source: &Source<'_>) -> Result<&[u8]> {
        let mut first = self.holes.partition_point(|hole| hole.range.end <= range.start);
        while let Some(hole) = self.holes.get(first).filter(|hole| hole.range.start < range.end) {
            if source.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let (entry, start) = (hole.entry, hole.start);
            let is_wanted = |hole: &&Hole| hole.entry == entry && !hole.is_filled && hole.range.start < range.end;
            let count = self.holes[first..].iter().take_while(is_wanted).count();
            let holes = &mut self.holes[first..first + count.max(1)];
            if count > 0 {
                let out = holes[0].range.start..holes[count - 1].range.end;
                source.read(&source.selection.entries[entry], start, &mut self.bytes[out])?;
                for hole in holes.iter_mut() {
                    hole.is_filled = true;
                }
            }
            first += holes.len();
        }
        Ok(&self.bytes[range])
    }

    /// A fingerprint of a range and its purpose that changes whenever its bytes do; `None` if that cannot be known without
    /// reading them.
    pub fn fingerprint(&self, range: Range<usize>, (purpose, place): (&'static str, u64)) -> Option<Fingerprint> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes()).update(&place.to_le_bytes()).update(&range.len().to_le_bytes());
        let first = self.spans.partition_point(|span| span.start <= range.start).saturating_sub(1);
        for span in self.spans[first..].iter().take_while(|span| span.start < range.end) {
            hasher.update(&span.start.wrapping_sub(range.start).to_le_bytes()).update(&span.fingerprint?);
        }
        Some(*hasher.finalize().as_bytes())
    }
}
