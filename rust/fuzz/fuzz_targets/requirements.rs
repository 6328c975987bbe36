//! A merge of any text: it ends, and merging its result changes nothing.
#![no_main]
use libfuzzer_sys::fuzz_target;
use lightning_native_core::requirements::{OnConflict, Source, dedupe, merge};

fn source(text: &str) -> [Source; 1] {
    [Source::Text { name: "folder-that-does-not-exist/r.txt".to_owned(), text: text.to_owned() }]
}

fuzz_target!(|text: &str| {
    let lines = dedupe(text.lines());
    assert_eq!(dedupe(lines.iter().copied()), lines);
    let Ok(merged) = merge(&source(text), OnConflict::Last) else { return };
    let written = merged.to_text();
    let again = merge(&source(&written), OnConflict::Error)
        .unwrap_or_else(|error| panic!("what was merged does not merge: {error}\n{written}"));
    assert_eq!(again.to_text(), written);
});
