//! An extraction of any bytes: nothing appears outside of the destination, and nothing at all if they are refused.
#![no_main]
use std::{fs, io::Write, path::Path};

use libfuzzer_sys::fuzz_target;
use lightning_native_core::archive::{Limits, extract};

fn assert_links_stay_inside(root: &Path, folder: &Path) {
    for child in fs::read_dir(folder).expect("readable") {
        let child = child.expect("readable");
        let kind = child.file_type().expect("readable");
        if kind.is_dir() {
            assert_links_stay_inside(root, &child.path());
        } else if kind.is_symlink() {
            if let Ok(target) = fs::canonicalize(child.path()) {
                assert!(target.starts_with(root), "{} leads to {}", child.path().display(), target.display());
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let base = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let folder = tempfile::tempdir_in(base).expect("temporary folder");
    let root = fs::canonicalize(folder.path()).expect("exists");
    let archive = root.join("a.tar.gz");
    if choice % 2 == 0 {
        fs::write(&archive, data).expect("writable");
    } else {
        // The bytes are the tar stream itself, so that the fuzzer need not learn to write gzip.
        let file = fs::File::create(&archive).expect("writable");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::none());
        gzip.write_all(data).and_then(|()| gzip.finish()).expect("writable");
    }
    let limits = Limits { bytes: 1 << 22, entries: 1000, ratio: 200 };
    let result = extract(&archive, &root.join("out"), &limits, &mut |_, _| true);
    let mut left: Vec<_> = fs::read_dir(&root).expect("readable").flatten().map(|child| child.file_name()).collect();
    left.sort();
    if result.is_ok() {
        assert_eq!(left, ["a.tar.gz", "out"]);
        assert_links_stay_inside(&root.join("out"), &root.join("out"));
    } else {
        assert_eq!(left, ["a.tar.gz"]);
    }
});
