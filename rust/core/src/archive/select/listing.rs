//! The children of an open folder: their names, their kinds and the secrets in them.
use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::BorrowedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
};

use bstr::BStr;
use rustix::fs::{Dir, FileType, Mode};

use super::{
    secrets,
    selection::{Kind, Stamp},
};
use crate::{Error, Result, archive::beneath};

/// The names and types of the children of a folder.
pub(super) fn list(folder: &mut Dir) -> io::Result<Vec<(OsString, FileType)>> {
    let mut children = Vec::new();
    while let Some(child) = folder.read() {
        let child = child?;
        let name = child.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            children.push((OsString::from_vec(name.to_vec()), child.file_type()));
        }
    }
    for (name, file_type) in &mut children {
        // Some file systems list names without types.
        if *file_type == FileType::Unknown {
            *file_type = FileType::from_raw_mode(beneath::stat_in(folder.fd()?, name)?.st_mode);
        }
    }
    Ok(children)
}

/// A child of an open folder.
pub(super) struct Child<'a> {
    pub folder: BorrowedFd<'a>,
    pub name: &'a OsStr,
    /// The path of the folder, for messages.
    pub full: &'a Path,
}

impl Child<'_> {
    /// Its kind, or the reason why no archive can hold it.
    pub fn kind(&self) -> Result<std::result::Result<Kind, &'static str>> {
        let fail = |action: &'static str| move |error| Error::io(action, &self.full.join(self.name), &error);
        let stat = beneath::stat_in(self.folder, self.name).map_err(fail("read"))?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Kind::File {
                size: u64::try_from(stat.st_size).unwrap_or_default(),
                executable: Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR),
                may_be_secret: false,
                stamp: Stamp::of(&stat),
            }),
            FileType::Symlink => {
                let target = beneath::link_in(self.folder, self.name).map_err(fail("read the link"))?;
                Ok(Kind::Symlink(Box::new(target.into())))
            }
            FileType::Socket => Err("a socket: it has no content to archive"),
            FileType::Fifo => Err("a named pipe: it has no content to archive"),
            _ => Err("a device: it has no content to archive"),
        })
    }

    /// The kind of secret that it holds; an unreadable file is reported later, when it is archived.
    pub fn secret(&self, start: &mut Vec<u8>) -> Option<&'static str> {
        let file = beneath::open_in(self.folder, self.name).ok()?;
        secrets::read(BStr::new(self.name.as_bytes()), file, start).ok()?
    }
}
