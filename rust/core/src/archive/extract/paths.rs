//! The paths of an archive, checked before they are created: refuses each that could land outside of the folder, or
//! whose result depends on the file system or on the order of entries.
use std::collections::{BTreeMap, HashMap, VecDeque};

use bstr::{BStr, BString, ByteSlice};

use crate::{Error, Result};

/// More links than this on the way to a file are a loop for every operating system.
const MAX_LINKS: usize = 40;

/// The longest path, and target of a link, that Linux can open. The memory and time for longer ones would also grow with
/// the square of their length.
const MAX_PATH: usize = 4096;
/// The most parts of targets that are followed through all links together: more than any tree needs, within seconds.
const MAX_STEPS: usize = 200_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File,
    /// A folder that the archive lists.
    Folder,
    /// A folder that the archive does not list, but has something in.
    ImplicitFolder,
    Symlink(BString),
}

/// All paths so far.
#[derive(Debug, Default)]
pub(super) struct Layout {
    nodes: HashMap<BString, Node>,
    /// Paths by their lower-case form, because some file systems do not distinguish those.
    folded: HashMap<BString, BString>,
}

impl Layout {
    /// Adds a path and returns it normalised, with the new folders that it needs, outermost first.
    pub fn add(&mut self, raw: &BStr, node: Node) -> Result<Option<(BString, Vec<BString>)>> {
        let Some(path) = normal(raw)? else {
            return Ok(None);
        };
        let mut folders = Vec::new();
        let mut end = path.rfind_byte(b'/');
        while let Some(place) = end {
            let folder = path[..place].as_bstr();
            match self.nodes.get(folder) {
                Some(Node::Folder | Node::ImplicitFolder) => break,
                Some(Node::File) => {
                    return Err(refuse(raw, &format!("{folder} is a file in this archive")));
                }
                Some(Node::Symlink(_)) => {
                    return Err(refuse(raw, &format!("it goes through the link {folder}")));
                }
                None => folders.push(folder.to_owned()),
            }
            end = folder.rfind_byte(b'/');
        }
        folders.reverse();
        for folder in &folders {
            self.claim(raw, folder)?;
            self.nodes.insert(folder.clone(), Node::ImplicitFolder);
        }
        match self.nodes.get(&path) {
            None => {
                self.claim(raw, &path)?;
                self.nodes.insert(path.clone(), node);
            }
            Some(Node::ImplicitFolder) if node == Node::Folder => {
                self.nodes.insert(path.clone(), node);
            }
            Some(_) => return Err(refuse(raw, "the archive has it twice")),
        }
        Ok(Some((path, folders)))
    }

    /// The file that a hard link names.
    pub fn file(&self, raw: &BStr, target: &BStr) -> Result<BString> {
        let path = normal(target).ok().flatten();
        path.filter(|path| self.nodes.get(path) == Some(&Node::File)).ok_or_else(|| {
            refuse(raw, &format!("it is a hard link to {target}, which is no earlier file of this archive"))
        })
    }

    /// All symbolic links, after a check that none leads outside, not even through other links.
    pub fn links(&self) -> Result<BTreeMap<&BString, &BString>> {
        let mut links = BTreeMap::new();
        let mut steps = MAX_STEPS;
        for (path, node) in &self.nodes {
            if let Node::Symlink(target) = node {
                self.follow(path.as_bstr(), target, &mut steps)?;
                links.insert(path, target);
            }
        }
        Ok(links)
    }

    fn follow(&self, path: &BStr, target: &BString, steps: &mut usize) -> Result<()> {
        let mut place: Vec<&[u8]> = path.split_str("/").collect();
        place.pop();
        let mut rest: VecDeque<&[u8]> = VecDeque::new();
        let mut followed = 0;
        let mut target = target;
        loop {
            if target.starts_with(b"/") || target.is_empty() {
                return Err(refuse(path, &format!("it is a link to {target}, outside of the archive")));
            }
            if target.len() > MAX_PATH {
                return Err(refuse(path, &format!("it is a link to a path of more than {MAX_PATH} bytes")));
            }
            for part in target.split(|&byte| byte == b'/').rev() {
                rest.push_front(part);
            }
            target = loop {
                let Some(part) = rest.pop_front() else {
                    return Ok(());
                };
                // A step looks up a path, which costs time in proportion to its length.
                let cost = 1 + place.len();
                *steps = steps.checked_sub(cost).ok_or_else(|| refuse(path, "the archive's links are too many"))?;
                match part {
                    b"" | b"." => {}
                    b".." => {
                        if place.pop().is_none() {
                            return Err(refuse(path, &format!("it is a link to {target}, outside of the archive")));
                        }
                    }
                    _ => {
                        place.push(part);
                        if let Some(Node::Symlink(next)) = self.nodes.get(bstr::join("/", &place).as_bstr()) {
                            place.pop();
                            break next;
                        }
                    }
                }
            };
            followed += 1;
            if followed > MAX_LINKS {
                // A loop leads to no file.
                return Ok(());
            }
        }
    }

    fn claim(&mut self, raw: &BStr, path: &BString) -> Result<()> {
        let folded = path.to_str().map_or_else(|_| path.to_ascii_lowercase().into(), |text| text.to_lowercase().into());
        match self.folded.insert(folded, path.clone()) {
            None => Ok(()),
            Some(other) => Err(refuse(raw, &format!("it differs from {other} only in upper and lower case"))),
        }
    }
}

/// A path without `.` and doubled `/`; `None` for the root itself.
fn normal(raw: &BStr) -> Result<Option<BString>> {
    if raw.starts_with(b"/") {
        return Err(refuse(raw, "its path is absolute"));
    }
    if raw.len() > MAX_PATH {
        let start = raw[..64].as_bstr();
        return Err(refuse(start, &format!("it begins a path of more than {MAX_PATH} bytes")));
    }
    if raw.contains(&0) {
        return Err(refuse(raw, "its path has a zero byte"));
    }
    let parts: Vec<&[u8]> = raw.split_str("/").filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&b"..".as_slice()) {
        return Err(refuse(raw, "its path has `..`"));
    }
    Ok((!parts.is_empty()).then(|| bstr::join("/", parts).into()))
}

pub(super) fn refuse(path: &BStr, reason: &str) -> Error {
    Error::UnsafeArchive(format!("refused to extract {:?}: {reason}", path.to_str_lossy()))
}
