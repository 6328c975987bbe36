//! The promises of merging and removing duplicates: a second merge changes nothing.
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

#[test]
fn texts_that_the_parser_panics_on_are_refused() {
    for text in [
        "2-",
        "a[2-]",
        "zk;\"v\0k;\"==\"\"\u{11};\u{789}",
        "zk;\"k;\"==\"\"kk;\"k\0h>0P\u{c1}\u{85}ik",
        "a>=1\u{e9}",
        "a @ http://x ;\u{e9}",
    ] {
        let source = Source::Text { name: "r.txt".to_owned(), text: text.to_owned() };
        let refused = merge(&[source], OnConflict::Last).expect_err(text);
        assert!(refused.to_string().starts_with("r.txt:1: cannot parse"), "{refused}");
    }
}
