//! A studio name from any text: it is a DNS-1123 label, and its own studio name.
#![no_main]
use libfuzzer_sys::fuzz_target;
use lightning_native_core::names::{MAX_LENGTH, sanitize, unique};

fn assert_is_label(name: &str) {
    assert!((1..=MAX_LENGTH).contains(&name.len()), "{name:?}");
    assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{name:?}");
    assert!(!name.starts_with('-') && !name.ends_with('-'), "{name:?}");
}

fuzz_target!(|parts: Vec<String>| {
    for part in &parts {
        match sanitize(part) {
            Ok(name) => {
                assert_is_label(&name);
                assert_eq!(sanitize(&name).ok().as_ref(), Some(&name));
            }
            Err(_) => assert!(!part.chars().any(char::is_alphanumeric)),
        }
    }
    if let Ok(name) = unique(&parts) {
        assert_is_label(&name);
        if !parts.is_empty() {
            assert_ne!(unique(&[parts.join("")]).ok(), (parts.len() > 1).then_some(name));
        }
    }
});
