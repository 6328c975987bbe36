//! The extraction of archives that may be hostile: all or nothing, into a new or empty folder, never outside of it.
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use bstr::{BStr, BString, ByteSlice};
use tar::EntryType;

mod limits;
mod long_names;
mod members;
mod paths;

use self::{
    limits::{Bounded, check_length, damaged},
    long_names::Extensions,
    members::{Members, Stream},
    paths::{Layout, Node, refuse},
};
use crate::{
    Error, Result,
    archive::{Progress, beneath::open_regular, own_files::UNFINISHED},
};

pub use limits::Limits;

/// The interval at which the caller receives progress and may ask for a stop.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// The most bytes of a file that is written by another thread than the one that reads the archive.
const SMALL: u64 = 1 << 20;

/// A report about an extracted archive.
#[derive(Debug, Default)]
pub struct ExtractReport {
    /// The number of files and links; folders do not count.
    pub files: usize,
    /// Bytes of the archive.
    pub bytes_in: u64,
    /// Bytes of all files.
    pub bytes_out: u64,
    /// The time that it took.
    pub seconds: f64,
}

/// Extracts a tar.gz into `destination`, which must be new or empty, completely or not at all.
///
/// # Errors
/// [`Error::UnsafeArchive`] if the archive could write outside of the folder, overwrite a file or exhaust the machine;
/// [`Error::Archive`] if something cannot be read or written; [`Error::Interrupted`] if `progress` returns
/// `false`.
pub fn extract(
    source: &Path,
    destination: &Path,
    limits: &Limits,
    progress: &mut Progress<'_>,
) -> Result<ExtractReport> {
    let started = Instant::now();
    let read = |error: io::Error| Error::io("read", source, &error);
    let file = open_regular(source).map_err(read)?;
    let total = file.metadata().map_err(read)?.len();
    check_is_gzip(source, &file)?;
    check_is_free(destination)?;
    let write = |error: io::Error| Error::io("write", destination, &error);
    let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parents = NewFolders::create(parent).map_err(write)?;
    let temporary = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(write)?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let members = Members::new(file);
    let (sender, receiver) = mpsc::sync_channel::<Vec<SmallFile>>(8);
    let receiver = Mutex::new(receiver);
    let failure = Mutex::new(None);
    let mut report = thread::scope(|scope| {
        let stream = members.stream(scope, threads);
        for _ in 0..threads {
            scope.spawn(|| write_small_files(&receiver, &failure));
        }
        let mut unpacking = Unpacking {
            folder: temporary.path(),
            source,
            limits,
            total,
            progress,
            last_heartbeat: Instant::now(),
            sender,
            batch: Vec::new(),
            batch_bytes: 0,
            failure: &failure,
            layout: Layout::default(),
            hard_links: Vec::new(),
            report: ExtractReport { bytes_in: total, ..ExtractReport::default() },
        };
        unpacking.run(stream)?;
        Ok((unpacking.layout, unpacking.hard_links, unpacking.report))
    })
    .and_then(|(layout, hard_links, report)| {
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)?;
        make_links(temporary.path(), &layout, &hard_links)?;
        Ok(report)
    })?;
    if !progress(total, total) {
        return Err(Error::Interrupted);
    }
    // A replaced empty folder keeps its owner and mode.
    if let Ok(old) = fs::metadata(destination) {
        let _ = std::os::unix::fs::chown(temporary.path(), Some(old.uid()), Some(old.gid()));
        fs::set_permissions(temporary.path(), old.permissions()).map_err(write)?;
    }
    fs::rename(temporary.path(), destination).map_err(write)?;
    parents.keep();
    // Already renamed, so that nothing is left to remove.
    let _ = temporary.keep();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Folders that were missing; they are removed again if the extraction fails.
struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    fn create(folder: &Path) -> io::Result<Self> {
        let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && folder.symlink_metadata().is_err();
        let missing = folder.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        let new = Self(missing);
        fs::create_dir_all(folder)?;
        Ok(new)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn check_is_gzip(source: &Path, file: &File) -> Result<()> {
    let mut magic = [0; 2];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == [0x1f, 0x8b] => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(Error::io("read", source, &error)),
        _ => Err(Error::Archive(format!("{} is no gzip file; give a tar.gz archive", source.display()))),
    }
}

fn check_is_free(destination: &Path) -> Result<()> {
    let shown = destination.display();
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("write", destination, &error)),
        Ok(metadata) if !metadata.is_dir() => {
            Err(Error::Archive(format!("cannot extract to {shown}: it exists and is no folder; give a new folder")))
        }
        Ok(_) => match fs::read_dir(destination).map(|mut children| children.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Archive(format!("cannot extract to {shown}: it is not empty; give a new folder"))),
            Err(error) => Err(Error::io("read", destination, &error)),
        },
    }
}

struct SmallFile {
    path: PathBuf,
    content: Vec<u8>,
    executable: bool,
}

fn write_small_files(receiver: &Mutex<mpsc::Receiver<Vec<SmallFile>>>, failure: &Mutex<Option<Error>>) {
    loop {
        let files = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(files) = files else { return };
        for file in files {
            let written = create(&file.path, file.executable).and_then(|mut new| new.write_all(&file.content));
            if let Err(error) = written {
                let error = Error::io("write", &file.path, &error);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }
}

fn create(path: &Path, executable: bool) -> io::Result<File> {
    let mode = if executable { 0o777 } else { 0o666 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

struct Unpacking<'a, 'progress> {
    folder: &'a Path,
    source: &'a Path,
    limits: &'a Limits,
    total: u64,
    progress: &'a mut Progress<'progress>,
    last_heartbeat: Instant,
    sender: mpsc::SyncSender<Vec<SmallFile>>,
    batch: Vec<SmallFile>,
    batch_bytes: u64,
    failure: &'a Mutex<Option<Error>>,
    layout: Layout,
    hard_links: Vec<(BString, BString)>,
    report: ExtractReport,
}

impl Unpacking<'_, '_> {
    fn run(&mut self, stream: Stream<'_>) -> Result<()> {
        let mut archive = tar::Archive::new(Bounded::new(stream, self.limits));
        let mut extensions = Extensions::default();
        let mut count = 0;
        let entries = archive.entries().map_err(|error| damaged(self.source, &error))?;
        for entry in entries.raw(true) {
            let mut entry = entry.map_err(|error| damaged(self.source, &error))?;
            count += 1;
            if count > self.limits.entries {
                return Err(Error::UnsafeArchive(format!(
                    "refused to extract {}: it has more than {} entries",
                    self.source.display(),
                    self.limits.entries
                )));
            }
            self.heartbeat()?;
            self.unpack(&mut entry, &mut extensions)?;
        }
        self.send_batch();
        if extensions.path.is_some() || extensions.link.is_some() {
            return Err(damaged(self.source, &io::Error::other("it ends after a long name")));
        }
        let mut rest = archive.into_inner();
        if rest.stream.is_at_end {
            return Err(damaged(self.source, &io::Error::other("it is cut off: the end mark is missing")));
        }
        let mut buffer = [0; 1 << 14];
        loop {
            self.heartbeat()?;
            match rest.read(&mut buffer).map_err(|error| damaged(self.source, &error))? {
                0 => return Ok(()),
                count if buffer[..count].iter().all(|&byte| byte == 0) => {}
                _ => {
                    return Err(Error::UnsafeArchive(format!(
                        "refused to extract {}: it goes on after its end mark",
                        self.source.display()
                    )));
                }
            }
        }
    }

    fn unpack<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, extensions: &mut Extensions) -> Result<()> {
        if extensions.take_in(entry, self.source)? {
            return Ok(());
        }
        let Extensions { path, link } = std::mem::take(extensions);
        let raw = path.unwrap_or_else(|| BString::from(entry.path_bytes().into_owned()));
        let raw = raw.as_bstr();
        let link = || link.clone().or_else(|| entry.link_name_bytes().map(|link| BString::from(link.into_owned())));
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.place(raw, Node::Folder)?;
            }
            EntryType::Symlink => {
                let target = link().ok_or_else(|| refuse(raw, "it is a link to nothing"))?;
                self.place(raw, Node::Symlink(target))?;
                self.report.files += 1;
            }
            EntryType::Link => {
                let target = link().ok_or_else(|| refuse(raw, "it is a link to nothing"))?;
                let target = self.layout.file(raw, target.as_bstr())?;
                if let Some(path) = self.place(raw, Node::File)? {
                    self.hard_links.push((path, target));
                    self.report.files += 1;
                }
            }
            // Old archives mark folders by a slash at the end of the name of a file.
            EntryType::Regular if raw.ends_with(b"/") => {
                self.place(raw, Node::Folder)?;
            }
            EntryType::Regular | EntryType::Continuous => {
                if let Some(path) = self.place(raw, Node::File)? {
                    self.file(entry, path.as_bstr())?;
                    self.report.files += 1;
                }
            }
            EntryType::Char | EntryType::Block => return Err(refuse(raw, "it is a device")),
            EntryType::Fifo => return Err(refuse(raw, "it is a named pipe")),
            EntryType::GNUSparse => {
                return Err(refuse(raw, "it is a sparse file; archive it without --sparse"));
            }
            other => {
                return Err(refuse(raw, &format!("it is of the unknown type {:?}", char::from(other.as_byte()))));
            }
        }
        Ok(())
    }

    /// Claims a path and creates the folders that it needs, itself included if it is a folder.
    fn place(&mut self, raw: &BStr, node: Node) -> Result<Option<BString>> {
        let is_folder = node == Node::Folder;
        let Some((path, folders)) = self.layout.add(raw, node)? else {
            return Ok(None);
        };
        let new = folders.iter().chain(is_folder.then_some(&path));
        for folder in new {
            let full = self.folder.join(OsStr::from_bytes(folder));
            match fs::create_dir(&full) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create the folder", &full, &error));
                }
                _ => {}
            }
        }
        Ok(Some(path))
    }

    fn file<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, path: &BStr) -> Result<()> {
        let size = entry.size();
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let full = self.folder.join(OsStr::from_bytes(path));
        self.report.bytes_out += size;
        if size <= SMALL {
            let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            entry.read_to_end(&mut content).map_err(|error| damaged(self.source, &error))?;
            check_length(self.source, content.len() as u64, size)?;
            self.batch.push(SmallFile { path: full, content, executable });
            self.batch_bytes += size + SMALL / 256;
            if self.batch_bytes > SMALL {
                self.send_batch();
            }
            return Ok(());
        }
        let write = |error: io::Error| Error::io("write", &full, &error);
        let mut file = create(&full, executable).map_err(write)?;
        let mut buffer = vec![0; 1 << 18];
        let mut written = 0;
        loop {
            self.heartbeat()?;
            let count = entry.read(&mut buffer).map_err(|error| damaged(self.source, &error))?;
            if count == 0 {
                return check_length(self.source, written, size);
            }
            file.write_all(&buffer[..count]).map_err(write)?;
            written += count as u64;
        }
    }

    fn send_batch(&mut self) {
        // Fails only after a panic of a writer, which the scope reports.
        let _ = self.sender.send(std::mem::take(&mut self.batch));
        self.batch_bytes = 0;
    }

    fn heartbeat(&mut self) -> Result<()> {
        if self.last_heartbeat.elapsed() < HEARTBEAT {
            return Ok(());
        }
        self.last_heartbeat = Instant::now();
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        // The bytes of files approximate the bytes of the archive that are done.
        let done = self.report.bytes_out.min(self.total);
        if (self.progress)(done, self.total) { Ok(()) } else { Err(Error::Interrupted) }
    }
}

fn make_links(folder: &Path, layout: &Layout, hard_links: &[(BString, BString)]) -> Result<()> {
    let full = |path: &BString| folder.join(OsStr::from_bytes(path));
    for (path, target) in hard_links {
        fs::hard_link(full(target), full(path)).map_err(|error| Error::io("link", &full(path), &error))?;
    }
    for (path, target) in layout.links()? {
        std::os::unix::fs::symlink(OsStr::from_bytes(target), full(path))
            .map_err(|error| Error::io("link", &full(path), &error))?;
    }
    Ok(())
}
