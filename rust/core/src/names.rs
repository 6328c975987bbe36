//! Studio names: DNS-1123 labels of at most 63 characters.
use crate::{Error, Result};

/// The longest valid name, in characters.
pub const MAX_LENGTH: usize = 63;

/// Characters of the hash that distinguishes a changed name from others (40 bits).
const SHORT_HASH: usize = 8;
/// Characters of the hash in a unique name: 75 bits, so that a million names collide with probability 1e-11.
const LONG_HASH: usize = 15;
/// The characters of a hash; five bits of a byte choose one.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The readable part of a name that has none itself, as `日本`.
const NOTHING_READABLE: &str = "studio";

/// Creates a valid studio name, which is `name` itself where possible.
///
/// The function lower-cases, replaces every character outside `[a-z0-9-]` by `-`, strips leading `-` and collapses runs
/// of it. If the result is no valid name yet (too long, ends in `-`, empty), it receives a short hash of `name`.
///
/// # Errors
/// [`Error::InvalidName`] if `name` has no letter or digit in any script.
pub fn sanitize(name: &str) -> Result<String> {
    let mut label = readable(name);
    let is_valid = !label.is_empty() && label.len() <= MAX_LENGTH && !label.ends_with('-');
    if !is_valid {
        require_letter_or_digit(name)?;
        let hash = blake3::hash(name.as_bytes());
        append_hash(&mut label, hash.as_bytes(), SHORT_HASH);
    }
    Ok(label)
}

/// Creates a valid name of at most 63 characters that differs for different parts: readable text, then a hash.
///
/// # Errors
/// [`Error::InvalidName`] if no part has a letter or digit in any script.
pub fn unique<S: AsRef<str>>(parts: &[S]) -> Result<String> {
    let mut encoded = Vec::with_capacity(128);
    let mut label = String::with_capacity(MAX_LENGTH + 1);
    for part in parts {
        let part = part.as_ref();
        // A length before each part distinguishes ("a-b",) from ("a", "b").
        encoded.extend_from_slice(&(part.len() as u64).to_le_bytes());
        encoded.extend_from_slice(part.as_bytes());
        push_readable(&mut label, part);
        if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    if label.is_empty() {
        let joined = parts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        require_letter_or_digit(&joined)?;
    }
    append_hash(&mut label, blake3::hash(&encoded).as_bytes(), LONG_HASH);
    Ok(label)
}

fn require_letter_or_digit(name: &str) -> Result<()> {
    if name.chars().any(char::is_alphanumeric) { Ok(()) } else { Err(Error::InvalidName(name.to_owned())) }
}

/// Cuts `label` and appends `length` characters of `hash`, so that the result is valid.
fn append_hash(label: &mut String, hash: &[u8; 32], length: usize) {
    label.truncate(MAX_LENGTH - 1 - length);
    label.truncate(label.trim_end_matches('-').len());
    if label.is_empty() {
        label.push_str(NOTHING_READABLE);
    }
    label.push('-');
    label.extend(hash[..length].iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])));
}

fn readable(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    push_readable(&mut label, name);
    label
}

fn push_readable(label: &mut String, name: &str) {
    if name.is_ascii() {
        push_readable_ascii(label, name);
        return;
    }
    for character in name.chars() {
        if character.is_ascii() {
            push_character(label, character.to_ascii_lowercase());
        } else {
            // Some letters have an ASCII lower case: the Kelvin sign is one.
            character.to_lowercase().for_each(|lower| push_character(label, lower));
        }
    }
}

/// The replacement of each ASCII character.
const READABLE: [u8; 128] = {
    let mut table = [b'-'; 128];
    let mut character = 0_u8;
    while character < 128 {
        if character.is_ascii_alphanumeric() {
            table[character as usize] = character.to_ascii_lowercase();
        }
        character += 1;
    }
    table
};

fn push_readable_ascii(label: &mut String, name: &str) {
    let mut is_after_dash = label.is_empty() || label.ends_with('-');
    for byte in name.bytes() {
        let readable = READABLE[usize::from(byte & 127)];
        let is_dash = readable == b'-';
        if !(is_dash && is_after_dash) {
            label.push(char::from(readable));
        }
        is_after_dash = is_dash;
    }
}

fn push_character(label: &mut String, character: char) {
    if character.is_ascii_lowercase() || character.is_ascii_digit() {
        label.push(character);
    } else if !label.is_empty() && !label.ends_with('-') {
        label.push('-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn is_valid(name: &str) -> bool {
        (1..=MAX_LENGTH).contains(&name.len())
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }

    proptest! {
        #[test]
        fn a_sanitized_name_is_valid_and_stays_itself(name in any::<String>()) {
            match sanitize(&name) {
                Ok(label) => {
                    prop_assert!(is_valid(&label), "{label:?}");
                    prop_assert_eq!(sanitize(&label).ok(), Some(label));
                }
                Err(_) => prop_assert!(!name.chars().any(char::is_alphanumeric)),
            }
        }

        #[test]
        fn a_unique_name_is_valid(parts in prop::collection::vec(any::<String>(), 0..5)) {
            if let Ok(label) = unique(&parts) {
                prop_assert!(is_valid(&label), "{label:?}");
            }
        }
    }

    #[test]
    fn a_million_unique_names_are_distinct() {
        let names: HashSet<String> =
            (0..1_000_000).map(|number: u32| unique(&["run", &number.to_string()]).expect("has letters")).collect();
        assert_eq!(names.len(), 1_000_000);
    }

    #[test]
    fn parts_that_join_to_the_same_text_get_different_names() {
        assert_ne!(unique(&["a-b"]).ok(), unique(&["a", "b"]).ok());
        assert_ne!(unique(&["a", ""]).ok(), unique(&["", "a"]).ok());
    }
}
