//! The detection of keys and credentials by their content, whatever the name of the file is.
use std::{
    borrow::Cow,
    io::{self, Read},
};

use bstr::{BStr, ByteSlice};

/// The fewest bytes of a key.
pub(super) const SHORTEST: u64 = 32;
/// The number of first bytes that identify a key.
const START: usize = 512;
/// The most bytes of a key with all certificates beside it, or of an account.
const MOST: u64 = 64 << 10;

const KEY: &str = "secret: private key (by its content)";
const ACCOUNT: &str = "secret: cloud credentials (by its content)";

/// The kind of secret in a file, if the file begins like one. A file whose name allows both a public certificate and a
/// private key is searched for a key as a whole.
pub(super) fn read(path: &BStr, mut file: impl Read, start: &mut Vec<u8>) -> io::Result<Option<&'static str>> {
    start.resize(START, 0);
    let mut filled = 0;
    while filled < START {
        match file.read(&mut start[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    start.truncate(filled);
    if filled == START && wanted(path, start) == Wanted::All {
        file.take(MOST - START as u64).read_to_end(start)?;
    }
    Ok(find(path, start))
}

/// [`read`] for a file whose first bytes are in memory: all of them, or more than any secret has.
pub(in crate::archive) fn find(path: &BStr, start: &[u8]) -> Option<&'static str> {
    let most = match wanted(path, start) {
        Wanted::Nothing => return None,
        Wanted::Start => START,
        Wanted::All => usize::try_from(MOST).unwrap_or(START),
    };
    judge(&start[..start.len().min(most)], may_hold_either(path))
}

/// The part of a file that decides whether it is a secret.
#[derive(PartialEq)]
enum Wanted {
    Nothing,
    Start,
    All,
}

/// Fast, because every file of a tree passes it.
fn wanted(path: &BStr, start: &[u8]) -> Wanted {
    if may_hold_either(path) {
        return Wanted::All;
    }
    match start.iter().take(START).find(|byte| !byte.is_ascii_whitespace()) {
        // `{`, `Bag Attributes`, byte order marks.
        Some(b'{' | b'B' | 0xef | 0xff | 0xfe) => Wanted::All,
        // `-----BEGIN`, `# created`, `PuTTY`, `AGE-SECRET-KEY`, `untrusted comment`.
        Some(b'-' | b'#' | b'P' | b'A' | b'a' | b'u') => Wanted::Start,
        _ => Wanted::Nothing,
    }
}

fn may_hold_either(path: &BStr) -> bool {
    let extension = path.rfind_byte(b'.').map_or(&b""[..], |place| &path[place + 1..]);
    [&b"pem"[..], b"key", b"crt", b"cer", b"p8", b"asc"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn judge(content: &[u8], is_searched: bool) -> Option<&'static str> {
    let text = decoded(content);
    let mut text = text.trim_start();
    if is_searched && (has_key(text) || text.contains_str("AGE-SECRET-KEY-1")) {
        return Some(KEY);
    }
    if text.starts_with(b"{") {
        return is_account(text).then_some(ACCOUNT);
    }
    if text.starts_with(b"Bag Attributes") {
        return has_key(text).then_some(KEY);
    }
    if text.starts_with(b"untrusted comment: ") {
        return text.lines().next().is_some_and(|line| line.contains_str("secret key")).then_some(KEY);
    }
    while text.starts_with(b"#") {
        text = text.find_byte(b'\n').map_or(&b""[..], |end| &text[end..]).trim_start();
    }
    let line = text.lines().next().unwrap_or_default();
    let is_key = is_key_line(line)
        || line.starts_with(b"PuTTY-User-Key-File-")
        || line.to_ascii_uppercase().starts_with(b"AGE-SECRET-KEY-");
    is_key.then_some(KEY)
}

fn has_key(text: &[u8]) -> bool {
    text.lines().any(|line| is_key_line(line.trim()))
}

/// Whether a line is like `-----BEGIN RSA PRIVATE KEY-----`, as in PEM, OpenSSH, PGP and SSH2.
fn is_key_line(line: &[u8]) -> bool {
    let begins = line.starts_with(b"-----BEGIN ") || line.starts_with(b"---- BEGIN ");
    begins && line.contains_str("PRIVATE KEY")
}

/// Whether a text is a key file of Google Cloud, for a service or for a user.
fn is_account(text: &[u8]) -> bool {
    let has_type = |name: &str| {
        text.find_iter("\"type\"").any(|place| {
            let value = text[place + 6..].trim_start();
            value.strip_prefix(b":").is_some_and(|value| value.trim_start().starts_with(name.as_bytes()))
        })
    };
    (text.contains_str("\"private_key\"") && has_type("\"service_account\""))
        || (text.contains_str("\"refresh_token\"") && has_type("\"authorized_user\""))
}

/// The text without a byte order mark, and in one byte a character if it is ASCII in two.
fn decoded(content: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = content.strip_prefix(b"\xef\xbb\xbf") {
        return Cow::Borrowed(rest);
    }
    match content {
        [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] => rest.iter().copied().filter(|&byte| byte != 0).collect(),
        _ => Cow::Borrowed(content),
    }
}
