//! The round trip of a tree through an archive, at any level and with any number of threads.
use std::{fs, path::Path};

use lightning_native_core::archive::{Limits, WriteOptions, create, extract};
use proptest::prelude::*;

fn contents(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(root)
        .expect("readable")
        .flatten()
        .map(|child| (child.file_name().to_string_lossy().into_owned(), fs::read(child.path()).expect("readable")))
        .collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_tree_survives(
        files in prop::collection::btree_map("[a-z]{1,120}", prop::collection::vec(any::<u8>(), 0..5000), 0..8),
        repeats in 0_usize..400,
        level in 0..=12,
        threads in 1_usize..4,
    ) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("new");
        for (name, content) in &files {
            fs::write(root.join(name), content.repeat(repeats)).expect("writable");
        }
        let archive = folder.path().join("a.tar.gz");
        let options = WriteOptions { level, threads: Some(threads), ..WriteOptions::default() };
        create(&root, &archive, &options, &mut |_, _| true).expect("archives");
        let limits = Limits { ratio: u64::MAX, ..Limits::default() };
        extract(&archive, &folder.path().join("out"), &limits, &mut |_, _| true).expect("extracts");
        prop_assert_eq!(contents(&root), contents(&folder.path().join("out")));
    }
}
