"""The Rust core. All functions may be called from several threads at once; long ones release the interpreter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Literal, TypeAlias, final

__all__ = [
    "ArchiveReport",
    "Conflict",
    "Dag",
    "ExtractReport",
    "MergedRequirements",
    "Scheduler",
    "Selection",
    "create_archive",
    "dedupe_requirements",
    "extract_archive",
    "merge_requirements",
    "sanitize_studio_name",
    "select_files",
    "unique_studio_name",
]

_Path: TypeAlias = str | PathLike[str]
_Progress: TypeAlias = Callable[[int, int], object]

def create_archive(
    root: _Path,
    destination: _Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    ignore_files: bool = True,
    level: int = 6,
    threads: int | None = None,
    cache: _Path | None = None,
    progress: _Progress | None = None,
) -> ArchiveReport:
    """Archive the selected files of a tree as a tar.gz that depends on their names, content and executable bits only.

    The same tree gives the same bytes for any user, clock, umask, locale and number of threads. Symbolic links stay
    links, empty folders stay. `destination` appears complete or not at all. Files are opened beneath `root` only and
    without following links: one that becomes a link, or whose folder does, while the archive is written is an error.

    Args:
        root: the folder; `select_files` decides which of its files go in.
        destination: the file to write; its folder must exist. An existing file is replaced, a link is followed. A named
            pipe or a device such as `/dev/stdout` receives the archive once it is complete, and is not replaced.
        include: as in `select_files`.
        exclude: as in `select_files`.
        ignore_files: as in `select_files`.
        level: 0 stores, 1 is fastest, 12 is smallest.
        threads: how many threads read and compress; all processors if None.
        cache: a folder, created if missing, that keeps compressed parts, so that unchanged ones are not compressed
            again. Files with the size, inode and times of the last run are not even read, unless times are younger than
            two seconds, or the digest needs it because something before them has another length. The result is the
            same with and without.
        progress: called with bytes read and bytes in all, at most 20 times a second and once at the end; with 0 and 0
            while the files are being selected. An exception from it stops the work.

    Raises:
        ArchiveError: the root is no folder, a file cannot be read or became a link, or the destination cannot be
            written: it is a folder, a disk, or in a folder that does not exist.
    """

def select_files(
    root: _Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), ignore_files: bool = True
) -> Selection:
    """Choose the files of a tree that belong in an archive of it.

    The first of these rules that applies to a path decides:

    1. `.git` stays out, and so do sockets, pipes and devices.
    2. `include` includes it; a folder with all in it except caches and secrets, which have to be named themselves.
    3. `exclude` excludes it, or with `!` includes it.
    4. `.lightningignore` files: likewise; the innermost wins.
    5. Built-in rules: caches, virtual environments, secrets, and files that a killed process of this package left, stay
       out. Secrets are the files of credentials of tools (`.env`, `.netrc`, `.npmrc`, `.aws/`, `.docker/config.json`,
       `kaggle.json`, ...), at any depth and in upper or lower case; and by their content, whatever their name, files
       that begin as a private key or are a key file of Google Cloud.
    6. In a git checkout: a tracked file goes in; otherwise ignore rules apply, as in git. Submodules and
       checkouts inside of the tree have rules of their own.
    7. Elsewhere: `.gitignore` and `.ignore` files.

    Args:
        root: the folder.
        include: patterns with the syntax and meaning of a `.gitignore` in the root. A pattern without a slash does not
            apply inside folders that `exclude`, `.lightningignore` or a built-in rule excludes; one with a slash does.
        exclude: patterns of the same kind.
        ignore_files: False skips steps 4, 6 and 7.

    Raises:
        ArchiveError: the root is no folder, something in it cannot be read, a folder becomes a link meanwhile, or an
            ignore file is a link that leads out of the tree.
    """

def extract_archive(
    source: _Path,
    destination: _Path,
    *,
    progress: _Progress | None = None,
    max_bytes: int | None = None,
    max_ratio: int | None = None,
) -> ExtractReport:
    """Extract a tar.gz, which may be hostile, into a folder that is new or empty; completely or not at all.

    Owners and times are not restored; of the permissions, whether a file is executable is.

    Args:
        source: the archive, a regular file.
        destination: the folder; missing parents are created. An empty one keeps its mode.
        progress: called with bytes done and bytes in all (of the archive, roughly), at most 20 times a second and once
            at the end; an exception from it stops the work.
        max_bytes: the most bytes the uncompressed archive may have; 1 TiB if None.
        max_ratio: how many times larger than the archive its content may be, once it is over 64 MiB; 200 if None. An
            archive of a file of zeros by this package needs about 1030.

    Raises:
        UnsafeArchiveError: absolute paths, `..`, links that lead outside, devices, pipes, sparse files, entries that
            are there twice or differ in case only, conflicting PAX records, paths of more than 4096 bytes,
            decompression bombs.
        ArchiveError: the archive is damaged or cut off, the destination is not empty, or cannot be written.
    """

def sanitize_studio_name(name: str) -> str:
    """Create a valid studio name: a DNS-1123 label (`[a-z0-9]([a-z0-9-]*[a-z0-9])?`) of at most 63 characters.

    The function lower-cases, replaces every character outside `[a-z0-9-]` by `-`, strips leading `-` and collapses runs
    of it. If that is no valid name, a short hash of `name` follows the readable text. A valid name is its own result.

    Raises:
        InvalidNameError: there is no letter or digit in `name`, in any script.
    """

def unique_studio_name(*parts: str) -> str:
    """Create a valid studio name of at most 63 characters, distinct for distinct parts: readable text, then a hash.

    Raises:
        InvalidNameError: there is no letter or digit in any part.
    """

def dedupe_requirements(lines: Iterable[str]) -> list[str]:
    """Sort lines, strip them, and remove blank and repeated ones. Lines are not parsed: see `merge_requirements`."""

def merge_requirements(
    sources: Iterable[_Path | tuple[_Path, str] | Iterable[str]], *, on_conflict: Literal["error", "last"] = "error"
) -> MergedRequirements:
    """Merge requirements into one line for each package and marker, which accepts exactly the versions that all accept.

    Args:
        sources: in order, each one of

            - a path object: a requirement file;
            - `(name, text)`: the text of a requirement file that is called `name` in messages; the includes in it are
              relative to the folder of `name`;
            - a list of lines;
            - a str: a path if it ends in `.txt` or `.in` or has a slash (and no `@`, `;`, `://` or leading `-`),
              requirement text otherwise.

            Comments, continuations, `-r` and `-c` includes and options are understood as pip understands them.
        on_conflict: "error" raises; "last" keeps the one that was read last and reports the others as `conflicts`.

    Raises:
        RequirementError: something does not parse (the message has file, line and text), a file cannot be read, or
            files include each other.
        ConflictError: no version satisfies all requirements of a package; the message has all origins.
    """

@final
class Selection:
    """The result of `select_files`. All paths are relative to the root, with `/`, decoded as by `os.fsdecode`."""

    @property
    def files(self) -> list[str]:
        """Files and symbolic links that go in, sorted by their bytes."""

    @property
    def folders(self) -> list[str]:
        """Empty folders that go in, sorted by their bytes."""

    @property
    def excluded(self) -> list[tuple[str, str]]:
        """Paths that stay out with the reason, sorted; a folder ends in `/` and represents all in it."""

    def explain(self, path: _Path) -> tuple[bool, str]:
        """Return whether a path goes in, and the rule that decides it.

        Raises:
            ArchiveError: the tree has no such path.
        """

@final
class ArchiveReport:
    """A report about an archive that `create_archive` wrote."""

    @property
    def digest(self) -> str:
        """BLAKE3 of the uncompressed archive, 64 hexadecimal digits; the same at any level."""

    @property
    def files(self) -> int:
        """The number of files, links and empty folders in it."""

    @property
    def bytes_in(self) -> int:
        """Bytes of all files."""

    @property
    def bytes_out(self) -> int:
        """Bytes of the archive."""

    @property
    def excluded(self) -> list[tuple[str, str]]:
        """Paths that stayed out with the reason, sorted; a folder ends in `/` and represents all in it."""

    @property
    def largest(self) -> list[tuple[str, int]]:
        """The ten largest files with their bytes, the largest first."""

    @property
    def seconds(self) -> float:
        """The duration in seconds."""

    @property
    def cached_bytes(self) -> int:
        """Bytes of the uncompressed archive that came compressed from the cache."""

@final
class ExtractReport:
    """A report about an archive that `extract_archive` extracted."""

    @property
    def files(self) -> int:
        """The number of files and links; folders do not count."""

    @property
    def bytes_in(self) -> int:
        """Bytes of the archive."""

    @property
    def bytes_out(self) -> int:
        """Bytes of all files."""

    @property
    def seconds(self) -> float:
        """The duration in seconds."""

@final
class MergedRequirements:
    """The result of `merge_requirements`."""

    @property
    def lines(self) -> list[str]:
        """PEP 508 requirements, sorted, names normalised (PEP 503), markers as first written."""

    @property
    def line_options(self) -> dict[str, list[str]]:
        """`--hash` and other options of lines that have some."""

    @property
    def options(self) -> list[str]:
        """Lines that are no PEP 508 requirement, in the order read: `--index-url`, `-e`, paths, URLs without a name."""

    @property
    def constraints(self) -> list[str]:
        """Constraints (`-c`) on packages that no line requires, sorted; those on required ones are in their lines."""

    @property
    def conflicts(self) -> list[Conflict]:
        """Requirements that were dropped for a later one (`on_conflict="last"`)."""

    def to_text(self) -> str:
        """Write a requirement file: options, then lines with their hashes. Constraints cannot be written in one."""

@final
class Conflict:
    """Two requirements that contradict each other; `str()` has both with their origins."""

    @property
    def name(self) -> str:
        """Normalised name of the package."""

    @property
    def first(self) -> tuple[str, str]:
        """The requirement that was read first, and its origin as `file:line`."""

    @property
    def last(self) -> tuple[str, str]:
        """The requirement that was read last, and its origin as `file:line`."""

@final
class Dag:
    """A directed acyclic graph of named nodes.

    Args:
        upstream: for each node the nodes that it waits for; each of those must be a key too. The same mapping in the
            same order gives the same answers, in any order of upstream nodes.

    Raises:
        CycleError: there is a cycle; its `.cycle` names the nodes.
        UnknownNodeError: an upstream node is no key.
        DagError: a node names an upstream node twice.
    """

    def __new__(cls, upstream: Mapping[str, Iterable[str]]) -> Dag: ...
    def order(self) -> list[str]:
        """Return every node after all its upstream nodes."""

    def generations(self) -> list[list[str]]:
        """Return groups of nodes that can run at the same time; each waits only for those before it."""

    def critical_path(self, durations: Mapping[str, float]) -> list[str]:
        """Return the path whose durations (seconds, one for each node) add up to the most.

        Raises:
            UnknownNodeError: a duration is for no node.
            DagError: a node has no duration, or one that is negative or not finite.
        """

    def descendants(self, node: str) -> list[str]:
        """Return all nodes that wait for `node`, directly or not, in order.

        Raises:
            UnknownNodeError: there is no such node.
        """

    def ancestors(self, node: str) -> list[str]:
        """Return all nodes that `node` waits for, directly or not, in order.

        Raises:
            UnknownNodeError: there is no such node.
        """

    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...

@final
class Scheduler:
    """One run of a graph: the nodes that may start, and the end of each.

    A node is "waiting" until all its upstream nodes are "succeeded", then "ready", "running" and in the end
    "succeeded", "failed" or "skipped". When a node fails or is skipped, all that wait for it are skipped.

    Args:
        dag: the graph.
        max_parallel: the most nodes that run at once, at least 1; no limit if None.
        durations: seconds of nodes, where known. Ready nodes come with the longest remaining path first; a node
            without a duration counts as the mean of the others.
        on_failure: the effect of a failure on nodes that do not wait for the failed one. "continue": they run.
            "stop": running ones continue, all others are skipped. "fail_fast": the same, and running ones are in
            `to_cancel()` for the caller to end and `skip`.

    Raises:
        DagError: `max_parallel` is 0, or a duration is negative or not finite.
        UnknownNodeError: a duration is for no node.
    """

    def __new__(
        cls,
        dag: Dag,
        *,
        max_parallel: int | None = None,
        durations: Mapping[str, float | None] | None = None,
        on_failure: Literal["continue", "stop", "fail_fast"] = "continue",
    ) -> Scheduler: ...
    def ready(self) -> list[str]:
        """Return the nodes that may start now, the most urgent first, at most as many as there are free places.

        The call changes nothing: a node is in the answer until it is started.
        """

    def running(self) -> list[str]:
        """Return the nodes that have started and not ended."""

    def to_cancel(self) -> list[str]:
        """Return the running nodes that the caller should end now, because another failed under "fail_fast"."""

    def start(self, node: str) -> None:
        """Record that a ready node starts.

        Raises:
            DagError: it is not ready, or `max_parallel` nodes run already.
            UnknownNodeError: there is no such node.
        """

    def succeed(self, node: str) -> None:
        """Record that a running node succeeded.

        Raises:
            DagError: it does not run.
            UnknownNodeError: there is no such node.
        """

    def fail(self, node: str) -> None:
        """Record that a running node failed.

        Raises:
            DagError: it does not run.
            UnknownNodeError: there is no such node.
        """

    def retry(self, node: str) -> None:
        """Make a running or failed node ready again; the nodes that were skipped because of it wait again.

        While another failure stops the run ("stop", "fail_fast"), the node is skipped instead.

        Raises:
            DagError: it neither runs nor failed.
            UnknownNodeError: there is no such node.
        """

    def skip(self, node: str) -> None:
        """Record that a node which has not ended will not run, and neither will those that wait for it.

        Raises:
            DagError: it has ended.
            UnknownNodeError: there is no such node.
        """

    def state(self, node: str) -> Literal["waiting", "ready", "running", "succeeded", "failed", "skipped"]:
        """Return the state of a node.

        Raises:
            UnknownNodeError: there is no such node.
        """

    @property
    def is_done(self) -> bool:
        """Whether every node has ended."""
