//! A gzip file as one stream; members that record their length are decoded in parallel.
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::Scope,
};

use flate2::{Decompress, FlushDecompress, Status, bufread::MultiGzDecoder};

use crate::archive::gzip;

/// The most bytes of a member of ours, compressed or not.
const MAX_MEMBER: u32 = 16 << 20;
/// The most members in memory.
const WINDOW: usize = 8;

/// The members of a file, shared by their decoders and the stream.
#[derive(Debug)]
pub(super) struct Members {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    file: Option<BufReader<File>>,
    /// The next member to read, and the next one for the stream.
    next: usize,
    due: usize,
    decoded: BTreeMap<usize, io::Result<Vec<u8>>>,
    /// The number of members, once known, and the rest of the file if something else follows them.
    end: Option<usize>,
    rest: Option<BufReader<File>>,
    consumed: u64,
    stop: bool,
}

impl Members {
    pub fn new(file: File) -> Self {
        let state = State {
            file: Some(BufReader::with_capacity(1 << 18, file)),
            next: 0,
            due: 0,
            decoded: BTreeMap::new(),
            end: None,
            rest: None,
            consumed: 0,
            stop: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the decoders, which end when everything is decoded or the stream is dropped.
    pub fn stream<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, threads: usize) -> Stream<'scope> {
        for _ in 0..threads {
            scope.spawn(|| self.decode());
        }
        Stream { members: self, current: io::Cursor::new(Vec::new()), rest: None, is_at_end: false }
    }

    fn decode(&self) {
        let mut state = self.lock();
        loop {
            if state.stop || state.end.is_some() {
                return;
            }
            if state.next >= state.due + WINDOW {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let member = state.read_member();
            let place = state.next;
            match member {
                Ok(Some(member)) => {
                    state.next += 1;
                    state.consumed += member.len() as u64;
                    drop(state);
                    let content = inflate(&member);
                    state = self.lock();
                    state.decoded.insert(place, content);
                }
                Ok(None) => state.end = Some(place),
                Err(error) => {
                    state.decoded.insert(place, Err(error));
                    state.end = Some(place + 1);
                }
            }
            self.changed.notify_all();
        }
    }
}

impl State {
    /// The next member; `None` at the end, or before a member that does not record its length.
    fn read_member(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let start = file.stream_position()?;
        let mut header = [0; gzip::HEADER];
        let mut filled = 0;
        while filled < header.len() {
            match file.read(&mut header[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        let length = gzip::member_length(&header[..filled]).filter(|&length| length <= MAX_MEMBER);
        let Some(length) = length else {
            file.seek(SeekFrom::Start(start))?;
            self.rest = self.file.take();
            return Ok(None);
        };
        let mut member = header.to_vec();
        let missing = u64::from(length) - header.len() as u64;
        file.take(missing).read_to_end(&mut member)?;
        if member.len() as u64 != u64::from(length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut off"));
        }
        Ok(Some(member))
    }
}

/// The content of a member, which must have exactly the recorded length.
fn inflate(member: &[u8]) -> io::Result<Vec<u8>> {
    let corrupt = || io::Error::new(io::ErrorKind::InvalidData, "its compressed data is damaged");
    let (data, trailer) = member[gzip::HEADER..].split_last_chunk::<8>().ok_or_else(corrupt)?;
    let (crc, size) = trailer.split_at(4);
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| corrupt());
    let (expected_crc, size) = (number(crc)?, number(size)?);
    if size > MAX_MEMBER {
        return Err(corrupt());
    }
    // One byte more than recorded, so that longer content is detected.
    let mut content = Vec::with_capacity(size as usize + 1);
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress_vec(data, &mut content, FlushDecompress::Finish).map_err(|_| corrupt())?;
    let is_whole = status == Status::StreamEnd
        && decoder.total_in() == data.len() as u64
        && content.len() == size as usize
        && gzip::checksum(&content) == expected_crc;
    if is_whole { Ok(content) } else { Err(corrupt()) }
}

/// The decoded bytes in their order.
pub(super) struct Stream<'a> {
    members: &'a Members,
    current: io::Cursor<Vec<u8>>,
    rest: Option<MultiGzDecoder<BufReader<File>>>,
    /// Whether a read found nothing left.
    pub is_at_end: bool,
}

impl Stream<'_> {
    /// The bytes of the file that have been read.
    pub fn consumed(&mut self) -> u64 {
        let position = self.rest.as_mut().and_then(|rest| rest.get_mut().stream_position().ok());
        position.unwrap_or_else(|| self.members.lock().consumed)
    }

    fn advance(&mut self) -> io::Result<bool> {
        let mut state = self.members.lock();
        loop {
            let due = state.due;
            if let Some(content) = state.decoded.remove(&due) {
                state.due += 1;
                self.members.changed.notify_all();
                self.current = io::Cursor::new(content?);
                return Ok(true);
            }
            if state.end == Some(due) {
                self.rest = state.rest.take().map(MultiGzDecoder::new);
                return Ok(self.rest.is_some());
            }
            state = self.members.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.rest {
                Some(rest) => rest.read(buffer)?,
                None => self.current.read(buffer)?,
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if self.rest.is_some() || !self.advance()? {
                self.is_at_end = true;
                return Ok(0);
            }
        }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.members.lock().stop = true;
        self.members.changed.notify_all();
    }
}
