//! Names of the files and folders that this package leaves in trees: unfinished archives and extractions, and caches.

/// The prefix of a folder that is being extracted to, before six letters. With `.partial` after those it is an archive
/// that is being written.
pub(super) const UNFINISHED: &str = ".lightning-native-";
pub(super) const UNFINISHED_FILE: &str = ".partial";
/// The letters of the prefix that identifies the tree of a cache file.
pub(super) const CACHE_NAME: usize = 32;
pub(super) const CACHE_SUFFIX: &str = ".parts";
pub(super) const CACHE_FINGERPRINTS_SUFFIX: &str = ".facts";
/// The prefix of a cache segment before it is complete; a killed writer leaves such a file behind.
pub(super) const CACHE_UNFINISHED: &str = ".parts-";

/// The description of a file or folder that a killed process of this package left behind, or that is a cache.
pub(super) fn left_over(name: &[u8], is_folder: bool) -> Option<&'static str> {
    let is_random = |text: &[u8]| text.len() == 6 && text.iter().all(u8::is_ascii_alphanumeric);
    if is_folder {
        let is_ours = name.strip_prefix(UNFINISHED.as_bytes()).is_some_and(is_random);
        return is_ours.then_some("an extraction that has not ended");
    }
    if let Some(stem) = name.strip_suffix(UNFINISHED_FILE.as_bytes()) {
        // The second form is of older versions, which named such files after the archive.
        let is_ours = stem.strip_prefix(UNFINISHED.as_bytes()).is_some_and(is_random)
            || stem.strip_prefix(b".").and_then(|stem| stem.split_last_chunk::<6>()).is_some_and(|(stem, random)| {
                is_random(random) && [&b".tar.gz"[..], b".tgz"].iter().any(|ending| stem.ends_with(ending))
            });
        return is_ours.then_some("an archive that has not been completed");
    }
    is_cache_file(name).then_some("the cache of an archive")
}

/// Whether a name is that of a cache file: a cache folder may be in a tree that is archived without naming the cache.
pub(super) fn is_cache_file(name: &[u8]) -> bool {
    let is_finished = || {
        name.split_first_chunk::<CACHE_NAME>().is_some_and(|(tree, rest)| {
            tree.iter().all(u8::is_ascii_hexdigit)
                && rest.starts_with(b"-")
                && [CACHE_SUFFIX, CACHE_FINGERPRINTS_SUFFIX].iter().any(|suffix| rest.ends_with(suffix.as_bytes()))
        })
    };
    name.strip_prefix(CACHE_UNFINISHED.as_bytes()).is_some_and(|random| random.len() == 6) || is_finished()
}
