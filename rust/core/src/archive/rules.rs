//! Ignore patterns, and the built-in ones with their reasons.
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_glob::pattern::Case;
use gix_ignore::search::{Ignore, Match, pattern_matching_relative_path};

use crate::{Error, Result};

const SYNTAX: Ignore = Ignore { support_precious: false };

type List = gix_glob::search::pattern::List<Ignore>;

/// Patterns of one source, in the syntax and with the meaning of `.gitignore`.
#[derive(Debug)]
pub(super) struct Patterns {
    list: List,
    label: String,
}

impl Patterns {
    /// Patterns given as arguments, such as `include`.
    pub fn from_arguments(label: &str, patterns: &[BString]) -> Result<Self> {
        let list = List::from_bytes(&bstr::join("\n", patterns), PathBuf::from(label), None, SYNTAX)
            .map_err(|error| Error::Archive(format!("{label}: {error}")))?;
        Ok(Self { list, label: label.to_owned() })
    }

    /// The patterns of a file in `folder` (relative to where matched paths start, empty or ending in `/`).
    pub fn from_file(file: &Path, folder: &BStr, label: String) -> Result<Option<Self>> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", file, &error)),
        };
        let mut list =
            List::from_bytes(&bytes, file.to_owned(), None, SYNTAX).map_err(|error| Error::io("read", file, &error))?;
        list.base = (!folder.is_empty()).then(|| folder.to_owned());
        Ok(Some(Self { list, label }))
    }

    /// The last pattern that matches; `path` is relative and has no `/` at its end.
    pub fn find(&self, path: &BStr, is_folder: bool) -> Option<Match<'_>> {
        let name = path.rfind_byte(b'/').map(|place| place + 1);
        pattern_matching_relative_path(&self.list, path, name, Some(is_folder), Case::Sensitive)
    }

    /// How a match is told to people: `.gitignore:3: *.log`.
    pub fn reason(&self, found: &Match<'_>) -> String {
        format!("{}:{}: {}", self.label, found.sequence_number, found.pattern)
    }

    /// Whether a pattern could match something inside of `folder`.
    ///
    /// One without a slash, which matches in any folder, counts only if `anywhere`.
    pub fn may_match_below(&self, folder: &BStr, anywhere: bool) -> bool {
        self.list.patterns.iter().any(|mapping| {
            let pattern = &mapping.pattern;
            if pattern.is_negative() {
                return false;
            }
            if pattern.mode.contains(gix_glob::pattern::Mode::NO_SUB_DIR) {
                return anywhere;
            }
            let text = pattern.text.as_bytes();
            let literal = &text[..pattern.first_wildcard_pos.unwrap_or(text.len())];
            let is_below = literal.len() > folder.len() && literal.starts_with(folder) && literal[folder.len()] == b'/';
            let is_above = pattern.first_wildcard_pos.is_some()
                && (folder.starts_with(literal) || (literal.strip_suffix(b"/") == Some(folder.as_bytes())));
            is_below || is_above
        })
    }
}

/// What people never want to upload, and what to call it.
const BUILT_IN: &[(&str, &str)] = &[
    (".git", "version control data"),
    (".hg/", "version control data"),
    (".svn/", "version control data"),
    (".jj/", "version control data"),
    ("__pycache__/", "Python bytecode cache"),
    ("*.py[co]", "Python bytecode cache"),
    (".venv/", "virtual environment"),
    (".zen/", "ZenML's local configuration"),
    ("node_modules/", "installed JavaScript packages"),
    (".mypy_cache/", "type checker cache"),
    (".pytest_cache/", "test cache"),
    (".ruff_cache/", "linter cache"),
    (".hypothesis/", "test cache"),
    (".ipynb_checkpoints/", "notebook checkpoints"),
    (".tox/", "virtual environments of tests"),
    (".nox/", "virtual environments of tests"),
    (".eggs/", "build cache"),
    (".DS_Store", "desktop data"),
    (".env", "secret: environment file"),
    (".env.*", "secret: environment file"),
    (".envrc", "secret: environment file"),
    ("!.env.example", ""),
    ("!.env.sample", ""),
    ("!.env.template", ""),
    ("!.env.dist", ""),
    ("id_rsa", "secret: private key"),
    ("id_dsa", "secret: private key"),
    ("id_ecdsa", "secret: private key"),
    ("id_ecdsa_sk", "secret: private key"),
    ("id_ed25519", "secret: private key"),
    ("id_ed25519_sk", "secret: private key"),
    ("*.ppk", "secret: private key"),
    ("*.p12", "secret: private key"),
    ("*.pfx", "secret: private key"),
    ("*.jks", "secret: private key"),
    ("*.kdbx", "secret: password store"),
    (".netrc", "secret: passwords"),
    ("_netrc", "secret: passwords"),
    (".pgpass", "secret: passwords"),
    (".htpasswd", "secret: passwords"),
    (".pypirc", "secret: registry token"),
    (".git-credentials", "secret: access token"),
    (".ssh/", "secret: keys"),
    (".gnupg/", "secret: keys"),
    (".aws/", "secret: cloud credentials"),
    (".lightning/", "secret: cloud credentials"),
    ("application_default_credentials.json", "secret: cloud credentials"),
    (".docker/config.json", "secret: registry token"),
    (".kube/config", "secret: cluster credentials"),
];

/// The built-in rules.
#[derive(Debug)]
pub(super) struct BuiltIn(Patterns);

impl BuiltIn {
    pub fn new() -> Result<Self> {
        let patterns: Vec<BString> = BUILT_IN.iter().map(|&(pattern, _)| BString::from(pattern)).collect();
        Patterns::from_arguments("built-in rule", &patterns).map(Self)
    }

    /// Why `path` stays out, if it does.
    pub fn find(&self, path: &BStr, is_folder: bool) -> Option<String> {
        let found = self.0.find(path, is_folder).filter(|found| !found.pattern.is_negative())?;
        let (_, reason) = BUILT_IN.get(found.sequence_number - 1)?;
        Some(format!("built-in rule: {reason} ({})", found.pattern))
    }
}

/// Whether a file whose name allows both a public certificate and a private key holds the latter.
pub(super) fn is_private_key(name: &BStr, file: impl FnOnce() -> PathBuf) -> bool {
    use std::io::Read;
    if !(name.ends_with(b".pem") || name.ends_with(b".key")) {
        return false;
    }
    let mut start = Vec::new();
    // A file that cannot be read is reported when it is archived.
    let read = std::fs::File::open(file()).and_then(|file| file.take(1 << 16).read_to_end(&mut start));
    read.is_ok() && start.contains_str("PRIVATE KEY-----")
}
