//! Names of the files and folders that this package leaves in trees: unfinished archives and extractions, and caches.

/// A folder that this is called, with six letters after it, is an archive being extracted; a file with `.partial` after
/// those is one being written.
pub(super) const UNFINISHED: &str = ".lightning-native-";
pub(super) const UNFINISHED_FILE: &str = ".partial";
/// Letters of what the names of a tree's cache files begin with.
pub(super) const CACHE_NAME: usize = 32;
pub(super) const CACHE_SUFFIX: &str = ".parts";
pub(super) const CACHE_FINGERPRINTS_SUFFIX: &str = ".facts";
/// What a segment of a cache is called before it is whole; a killed writer leaves one behind.
pub(super) const CACHE_UNFINISHED: &str = ".parts-";

/// What it is if we made it and were killed before it was whole, or keep it for later.
pub(super) fn left_over(name: &[u8], is_folder: bool) -> Option<&'static str> {
    let is_random = |text: &[u8]| text.len() == 6 && text.iter().all(u8::is_ascii_alphanumeric);
    if is_folder {
        let is_ours = name.strip_prefix(UNFINISHED.as_bytes()).is_some_and(is_random);
        return is_ours.then_some("an extraction that has not ended");
    }
    if let Some(stem) = name.strip_suffix(UNFINISHED_FILE.as_bytes()) {
        // The second are those of versions that named them after the archive.
        let is_ours = stem.strip_prefix(UNFINISHED.as_bytes()).is_some_and(is_random)
            || stem.strip_prefix(b".").and_then(|stem| stem.split_last_chunk::<6>()).is_some_and(|(stem, random)| {
                is_random(random) && [&b".tar.gz"[..], b".tgz"].iter().any(|ending| stem.ends_with(ending))
            });
        return is_ours.then_some("an archive that has not been completed");
    }
    is_cache_file(name).then_some("the cache of an archive")
}

/// Whether a cache has files of such a name; it may lie in a tree, and not be named when that is archived.
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
