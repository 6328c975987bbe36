//! A selection with any content of git's files and ignore files: it ends, and every entry is in the tree.
#![no_main]
use std::{env, fs, os::unix::process::CommandExt, path::Path, process::Command, sync::Once};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lightning_native_core::archive::{SelectionOptions, select};

#[derive(Arbitrary, Debug)]
struct Input {
    index: Option<Index>,
    files: Vec<(u8, Vec<u8>)>,
    include: Vec<Vec<u8>>,
    is_in_folder: bool,
}

#[derive(Arbitrary, Debug)]
enum Index {
    Bytes(Vec<u8>),
    Entries { version: u8, entries: Vec<Entry>, count: Option<u32>, rest: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
struct Entry {
    mode: u8,
    flags: u16,
    /// The number of bytes that version 4 cuts from the previous name.
    strip: u8,
    name: Vec<u8>,
}

const FILES: &[&str] = &[
    ".gitignore",
    ".ignore",
    ".lightningignore",
    "a/.gitignore",
    "a/b/.gitignore",
    ".git/info/exclude",
    ".git/config",
    ".git/commondir",
    ".git/HEAD",
    "nested/.git",
    "nested/.gitignore",
];
const MODES: [u32; 6] = [0o100_644, 0o100_755, 0o120_000, 0o160_000, 0o040_000, 0];

impl Index {
    fn bytes(self) -> Vec<u8> {
        let (version, entries, count, rest) = match self {
            Self::Bytes(bytes) => return bytes,
            Self::Entries { version, entries, count, rest } => (u32::from(version % 4) + 1, entries, count, rest),
        };
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(count.unwrap_or(entries.len() as u32).to_be_bytes());
        for Entry { mode, flags, strip, name } in entries {
            let start = bytes.len();
            bytes.extend([0; 24]);
            bytes.extend(MODES[usize::from(mode) % MODES.len()].to_be_bytes());
            bytes.extend([0; 32]);
            let has_more_flags = version >= 3 && flags & 0x4000 != 0;
            let length = name.len().min(0xfff) as u16;
            bytes.extend((flags & 0xb000 | if has_more_flags { 0x4000 } else { 0 } | length).to_be_bytes());
            if has_more_flags {
                bytes.extend([(flags >> 4) as u8, 0]);
            }
            if version == 4 {
                bytes.push(strip);
            }
            bytes.extend(name.iter().filter(|&&byte| byte != 0));
            bytes.push(0);
            while version < 4 && (bytes.len() - start) % 8 != 0 {
                bytes.push(0);
            }
        }
        bytes.extend(rest);
        bytes.extend([0; 20]);
        bytes
    }
}

fuzz_target!(|input: Input| {
    static ALONE: Once = Once::new();
    // Without git, which is slow and not tested here, and without the settings of this machine.
    ALONE.call_once(|| {
        if env::var_os("PATH").is_none_or(|path| !path.is_empty()) {
            let mut again = Command::new(env::current_exe().expect("this program"));
            again.args(env::args_os().skip(1)).env("PATH", "").env("XDG_CONFIG_HOME", "/nonexistent");
            panic!("this program does not start again: {}", again.exec());
        }
    });
    let base = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let folder = tempfile::tempdir_in(base).expect("temporary folder");
    let root = folder.path();
    for inside in ["a/b", "nested", ".git/info"] {
        fs::create_dir_all(root.join(inside)).expect("new");
    }
    for file in ["x.log", "a/y.py", "a/b/z", "nested/w", ".git/HEAD"] {
        fs::write(root.join(file), "x").expect("written");
    }
    if let Some(index) = input.index {
        fs::write(root.join(".git/index"), index.bytes()).expect("written");
    }
    for (number, content) in input.files {
        let path = FILES[usize::from(number) % FILES.len()];
        // A path to another folder would add files that are not of this input.
        if !(path.ends_with("/.git") || path.ends_with("commondir")) || !content.contains(&b'/') {
            fs::write(root.join(path), content).expect("written");
        }
    }
    let include = input.include.into_iter().map(Into::into).collect();
    let options = SelectionOptions { include, ..SelectionOptions::default() };
    let root = if input.is_in_folder { root.join("a") } else { root.to_owned() };
    let Ok(selection) = select(&root, &options, &mut || true) else { return };
    for entry in &selection.entries {
        assert!(!entry.path.starts_with(b"/") && !entry.path.split(|&byte| byte == b'/').any(|part| part == b".."));
        assert!(selection.explain(entry.path.as_ref()).expect("explained").0);
    }
});
