//! A round trip of any tree: extraction restores the archived tree, with a cache and without.
#![no_main]
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lightning_native_core::archive::{Limits, SelectionOptions, WriteOptions, create, extract};

#[derive(Arbitrary, Debug)]
enum What {
    File { content: Vec<u8>, times: u16, is_executable: bool },
    Folder,
    Link(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    tree: Vec<(Vec<Name>, What)>,
    level: u8,
    threads: u8,
    has_cache: bool,
}

#[derive(Arbitrary, Debug)]
enum Name {
    Known(u8),
    Bytes(Vec<u8>),
}

/// Names whose paths collide, and names that built-in rules match.
const KNOWN: &[&[u8]] =
    &[b"a", b"b", b"d.py", b"x.pem", b".env", b"\xff", b".lightning-native-abcdef.partial", b"node_modules", b"A"];

impl Name {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Known(number) => KNOWN[usize::from(*number) % KNOWN.len()].to_vec(),
            Self::Bytes(bytes) => bytes.iter().copied().filter(|byte| !matches!(byte, 0 | b'/')).take(200).collect(),
        }
    }
}

/// Everything in a folder by its path: content and mode of files, targets of links.
fn snapshot(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for child in fs::read_dir(folder).expect("readable").flatten() {
        let (path, kind) = (child.path(), child.file_type().expect("readable"));
        let shown = if kind.is_dir() {
            snapshot(root, &path, found);
            "folder".to_owned()
        } else if kind.is_symlink() {
            format!("link {:?}", fs::read_link(&path).expect("readable"))
        } else {
            let is_executable = child.metadata().expect("readable").mode() & 0o100 != 0;
            format!("{is_executable} {:?}", fs::read(&path).expect("readable"))
        };
        found.insert(path.strip_prefix(root).expect("inside").to_owned(), shown);
    }
}

fuzz_target!(|input: Input| {
    let base = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let folder = tempfile::tempdir_in(base).expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let root = at("root");
    fs::create_dir(&root).expect("new");
    let mut has_links = false;
    for (parts, what) in input.tree.iter().take(30) {
        let mut path = root.clone();
        for part in parts.iter().take(6) {
            let part = part.bytes();
            if !matches!(part.as_slice(), b"" | b"." | b".." | b".git") {
                path.push(OsStr::from_bytes(&part));
            }
        }
        let Some(parent) = path.parent().filter(|parent| parent.starts_with(&root)) else { continue };
        // An existing path, or one below a file or link, is skipped.
        let is_below_link =
            parent.ancestors().take_while(|above| above.starts_with(&root)).any(|above| above.is_symlink());
        if is_below_link || path.symlink_metadata().is_ok() || fs::create_dir_all(parent).is_err() {
            continue;
        }
        let _ = match what {
            What::File { content, times, is_executable } => {
                fs::write(&path, content.repeat(usize::from(*times).min(4000))).and_then(|()| {
                    let mode = if *is_executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                })
            }
            What::Folder => fs::create_dir(&path),
            What::Link(target) => {
                has_links = true;
                symlink(OsStr::from_bytes(target), &path)
            }
        };
    }
    let selection = SelectionOptions { include: vec!["*".into()], ignore_files: false, ..SelectionOptions::default() };
    let options = WriteOptions {
        selection,
        level: i32::from(input.level % 13),
        threads: Some(usize::from(input.threads % 3) + 1),
        cache: None,
    };
    let report = create(&root, &at("a.tar.gz"), &options, &mut |_, _| true).expect("archived");
    if input.has_cache {
        let options = WriteOptions { cache: Some(at("cache")), ..options };
        for _ in 0..2 {
            create(&root, &at("b.tar.gz"), &options, &mut |_, _| true).expect("archived");
            assert!(fs::read(at("a.tar.gz")).expect("read") == fs::read(at("b.tar.gz")).expect("read"));
        }
    }
    let (mut expected, mut extracted) = (BTreeMap::new(), BTreeMap::new());
    snapshot(&root, &root, &mut expected);
    let limits = Limits { ratio: u64::MAX, ..Limits::default() };
    let result = extract(&at("a.tar.gz"), &at("out"), &limits, &mut |_, _| true);
    let folded: BTreeSet<String> =
        expected.keys().map(|path| String::from_utf8_lossy(path.as_os_str().as_bytes()).to_lowercase()).collect();
    if let Err(error) = result {
        // Extraction refuses links that lead outside, and names that some file systems do not distinguish.
        assert!(has_links || folded.len() < expected.len(), "{error}");
        return;
    }
    snapshot(&at("out"), &at("out"), &mut extracted);
    assert_eq!(expected, extracted);
    assert!(report.files <= expected.len());
});
