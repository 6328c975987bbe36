//! Merging changes nothing that was merged before, and dedupe is what it says.
use std::collections::BTreeSet;

use lightning_native_core::requirements::{OnConflict, Source, dedupe, merge};
use proptest::prelude::*;

fn merged(text: &str) -> String {
    let source = Source::Text { name: "r.txt".to_owned(), text: text.to_owned() };
    merge(&[source], OnConflict::Last).expect("parses").to_text()
}

proptest! {
    #[test]
    fn dedupe_is_a_sorted_set(lines in prop::collection::vec("[a-c ]{0,3}", 0..20)) {
        let expected: BTreeSet<&str> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(dedupe(lines.iter().map(String::as_str)), expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn merging_again_changes_nothing(
        lines in prop::collection::vec("[ab](\\[x\\])?((==|>=|<|!=)[0-3](\\.[0-3])?)?(; python_version > '3\\.[0-9]')?", 0..12),
    ) {
        let once = merged(&lines.join("\n"));
        prop_assert_eq!(merged(&once), once);
    }
}
