//! Long names and PAX records: entries with metadata about the next one.
use std::{io::Read, path::Path};

use bstr::BString;
use tar::EntryType;

use super::limits::{check_length, damaged};
use crate::{Error, Result};

/// The most bytes of a name or PAX record; a longer one is an attack on memory.
const MAX_EXTENSION: u64 = 1 << 20;

/// The metadata about the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    pub path: Option<BString>,
    pub link: Option<BString>,
}

impl Extensions {
    /// Reads an entry if it is metadata about the next one or about all, and returns whether it is.
    pub fn take_in<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, source: &Path) -> Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.path = Some(long_name(entry, source)?),
            EntryType::GNULongLink => self.link = Some(long_name(entry, source)?),
            EntryType::XHeader => self.pax(&content(entry, source)?, source)?,
            EntryType::XGlobalHeader => check_pax_global(&content(entry, source)?, source)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pax(&mut self, records: &[u8], source: &Path) -> Result<()> {
        for record in tar::PaxExtensions::new(records) {
            let record = record.map_err(|error| damaged(source, &error))?;
            let value = || BString::from(record.value_bytes());
            match record.key_bytes() {
                b"path" => self.path = Some(value()),
                b"linkpath" => self.link = Some(value()),
                // Readers disagree on which of two sizes counts, and so on where the next entry is (CVE-2025-62518).
                b"size" => return Err(trick(source, "a size in a PAX record")),
                key if key.starts_with(b"GNU.sparse") => return Err(trick(source, "a sparse file")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_pax_global(records: &[u8], source: &Path) -> Result<()> {
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(|error| damaged(source, &error))?;
        let key = record.key_bytes();
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse") {
            return Err(trick(source, "a global PAX record that changes all entries"));
        }
    }
    Ok(())
}

fn long_name<R: Read>(entry: &mut tar::Entry<'_, R>, source: &Path) -> Result<BString> {
    let mut name = content(entry, source)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name.into())
}

fn content<R: Read>(entry: &mut tar::Entry<'_, R>, source: &Path) -> Result<Vec<u8>> {
    if entry.size() > MAX_EXTENSION {
        return Err(trick(source, &format!("a name or record of {} bytes", entry.size())));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| damaged(source, &error))?;
    check_length(source, bytes.len() as u64, entry.size())?;
    Ok(bytes)
}

fn trick(source: &Path, what: &str) -> Error {
    Error::UnsafeArchive(format!("refused to extract {}: it has {what}", source.display()))
}
