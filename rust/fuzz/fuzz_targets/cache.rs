//! An archive with any damage to the files of its cache: it equals the archive without a cache.
#![no_main]
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::Duration,
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lightning_native_core::archive::{WriteOptions, create};

#[derive(Arbitrary, Debug)]
struct Damage {
    file: u8,
    how: How,
    /// Whether the hash in the damaged file is valid, which only an attacker can achieve. The archive may then have any
    /// content, but it is written, or an error reports the reason.
    is_signed: bool,
}

#[derive(Arbitrary, Debug)]
enum How {
    Flip { place: u32, bits: u8 },
    Write { place: u32, bytes: Vec<u8> },
    FromEnd { place: u8, bytes: Vec<u8> },
    Cut(u32),
    CutStart(u32),
    Replace(Vec<u8>),
    Append(Vec<u8>),
    CopyOver,
    Remove,
}

struct Known {
    /// The folder with the tree, which never changes.
    folder: PathBuf,
    expected: Vec<u8>,
    cache: Vec<(PathBuf, Vec<u8>)>,
}

fn archive(folder: &Path, cache: Option<PathBuf>) -> lightning_native_core::Result<Vec<u8>> {
    let options = WriteOptions { cache, threads: Some(2), ..WriteOptions::default() };
    create(&folder.join("tree"), &folder.join("a.tar.gz"), &options, &mut |_, _| true)?;
    Ok(fs::read(folder.join("a.tar.gz")).expect("read"))
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let base = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
        let folder = tempfile::tempdir_in(base).expect("temporary folder").keep();
        fs::create_dir(folder.join("tree")).expect("new");
        for number in 0..12_usize {
            let text: String =
                (0..number * 300).map(|line| format!("def f{line}(): return {}\n", line * number)).collect();
            fs::write(folder.join("tree").join(format!("{number}.py")), text).expect("written");
        }
        // Younger times are not trusted, so that no fingerprint of the files would be kept.
        thread::sleep(Duration::from_millis(2100));
        let expected = archive(&folder, None).expect("archived");
        let cache = folder.join("cache");
        assert!(archive(&folder, Some(cache.clone())).expect("archived") == expected);
        let cache = fs::read_dir(&cache).expect("read").flatten().map(|child| child.path());
        let mut cache: Vec<_> = cache.map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
        cache.sort();
        assert_eq!(cache.len(), 2);
        Known { folder, expected, cache }
    })
}

/// Corrects the hash that proves a cache file.
fn sign(path: &Path, content: &mut [u8]) {
    let Some(magic) = content.len().checked_sub(16) else { return };
    if path.extension().is_some_and(|extension| extension == "facts") {
        let Some(hash) = magic.checked_sub(32) else { return };
        let value = *blake3::hash(&content[..hash]).as_bytes();
        content[hash..magic].copy_from_slice(&value);
    } else if let Some(hash) = magic.checked_sub(40) {
        let length = u64::from_le_bytes(content[hash + 32..magic].try_into().expect("eight bytes"));
        let Some(start) = usize::try_from(length).ok().and_then(|length| hash.checked_sub(length)) else { return };
        let value = *blake3::hash(&content[start..hash]).as_bytes();
        content[hash..hash + 32].copy_from_slice(&value);
    }
}

fuzz_target!(|damages: Vec<Damage>| {
    let Known { folder, expected, cache } = known();
    let mut files: Vec<Option<Vec<u8>>> = cache.iter().map(|(_, content)| Some(content.clone())).collect();
    let mut is_signed = false;
    for Damage { file, how, is_signed: signs } in damages {
        let number = usize::from(file) % files.len();
        let other = files[1 - number].clone();
        let Some(content) = &mut files[number] else { continue };
        let length = content.len();
        let within = |place: u32| place as usize % (length + 1);
        let write = |content: &mut Vec<u8>, place: usize, bytes: &[u8]| {
            let end = (place + bytes.len()).min(length);
            content[place..end].copy_from_slice(&bytes[..end - place]);
        };
        match how {
            How::Flip { place, bits } => {
                if let Some(byte) = content.get_mut(within(place)) {
                    *byte ^= bits;
                }
            }
            How::Write { place, bytes } => write(content, within(place), &bytes),
            How::FromEnd { place, bytes } => write(content, length.saturating_sub(usize::from(place)), &bytes),
            How::Cut(place) => content.truncate(within(place)),
            How::CutStart(place) => drop(content.drain(..within(place))),
            How::Replace(bytes) => *content = bytes,
            How::Append(bytes) => content.extend(bytes),
            How::CopyOver => *content = other.unwrap_or_default(),
            How::Remove => files[number] = None,
        }
        if signs && let Some(content) = &mut files[number] {
            sign(&cache[number].0, content);
            is_signed = true;
        }
    }
    let at = folder.join("cache");
    let _ = fs::remove_dir_all(&at);
    fs::create_dir(&at).expect("new");
    for ((path, _), content) in cache.iter().zip(files) {
        if let Some(content) = content {
            fs::write(path, content).expect("written");
        }
    }
    let result = archive(folder, Some(at));
    if !is_signed {
        assert!(result.expect("archived") == *expected, "other bytes than without the cache");
    }
});
