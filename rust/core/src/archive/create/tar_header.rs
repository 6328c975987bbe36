//! Tar headers that depend only on the path, the kind, the size and the executable bit.
use bstr::ByteSlice;
use tar::{EntryType, Header};

use crate::{
    Error, Result,
    archive::{Entry, Kind},
};

const HEADER: usize = 512;
/// The bytes of a name in a header; a longer name is in an entry of its own before it.
const NAME: usize = 100;
/// 1980-01-01: the earliest time that zip tools accept too.
const MODIFIED: u64 = 315_532_800;

/// Appends the header of an entry.
pub(super) fn push(stream: &mut Vec<u8>, entry: &Entry) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MODIFIED);
    header.set_size(0);
    let mut path = entry.path.as_ref().to_owned();
    let mut link = None;
    match &entry.kind {
        Kind::File { size, executable, .. } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(*size);
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            link = Some(target);
        }
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            path.push(b'/');
        }
    }
    if let Some(target) = link {
        push_long(stream, EntryType::GNULongLink, target);
        fill(&mut header.as_old_mut().linkname, target);
    }
    push_long(stream, EntryType::GNULongName, &path);
    fill(&mut header.as_old_mut().name, &path);
    header.set_cksum();
    if path.contains(&0) {
        return Err(Error::Archive(format!("cannot archive {:?}: its name has a zero byte", path.as_bstr())));
    }
    stream.extend_from_slice(header.as_bytes());
    Ok(())
}

/// The length of the header of an entry.
pub(super) fn length(entry: &Entry) -> usize {
    let long = |length: usize| if length > NAME { HEADER + (length + 1).next_multiple_of(HEADER) } else { 0 };
    let (link, slash) = match &entry.kind {
        Kind::File { .. } => (0, 0),
        Kind::Symlink(target) => (target.len(), 0),
        Kind::Folder => (0, 1),
    };
    HEADER + long(link) + long(entry.path.len() + slash)
}

/// The number of zeros behind content of `size` bytes.
pub(super) fn padding(size: u64) -> usize {
    usize::try_from(size.next_multiple_of(HEADER as u64) - size).unwrap_or(0)
}

fn fill(field: &mut [u8; NAME], value: &[u8]) {
    let length = value.len().min(NAME);
    field[..length].copy_from_slice(&value[..length]);
}

/// Appends a name that does not fit, as GNU tar does: unlike a PAX header, that allows bytes that are no text.
fn push_long(stream: &mut Vec<u8>, entry_type: EntryType, name: &[u8]) {
    if name.len() <= NAME {
        return;
    }
    let mut header = Header::new_gnu();
    fill(&mut header.as_old_mut().name, b"././@LongLink");
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(name.len() as u64 + 1);
    header.set_entry_type(entry_type);
    header.set_cksum();
    stream.extend_from_slice(header.as_bytes());
    stream.extend_from_slice(name);
    stream.resize(stream.len() + (name.len() + 1).next_multiple_of(HEADER) - name.len(), 0);
}
