"""`archive`: pack a source tree into a deterministic tar.gz, or list the files that would go in."""

import argparse
import json
import os
import sys
from pathlib import Path

from lightning_native import Selection, create_archive, select_files
from lightning_native.cli.text.messages import show_hint, show_warning
from lightning_native.cli.text.output import is_stdout
from lightning_native.errors import ArchiveError
from lightning_native.progress_bar import ProgressBar
from lightning_native.units import human_bytes

EXAMPLE = "lightning-native archive . -o code.tar.gz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("root", type=Path, help="the folder to archive")
    parser.add_argument("-o", "--output", type=Path, default=Path("code.tar.gz"), help="default: %(default)s")
    parser.add_argument("--include", action="append", default=[], metavar="PATTERN", help="bring files back in")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="keep files out")
    parser.add_argument("--no-ignore-files", action="store_true", help="ask neither git nor any ignore file")
    parser.add_argument("--level", type=int, default=6, help="0 (store) to 12 (smallest), default: %(default)s")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="reuse what was compressed before")
    parser.add_argument(
        "--warn-size", type=float, default=100, metavar="MB", help="name the largest files beyond, default: %(default)s"
    )
    parser.add_argument("--list", action="store_true", help="only list what would go in, and what not and why")
    parser.add_argument("--explain", metavar="PATH", help="only tell whether PATH would go in, and by which rule")
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.explain is not None:
        return _explain(args)
    if args.list:
        return _list(args)
    # Nothing but the archive may go to its destination.
    results = sys.stderr if is_stdout(args.output) else sys.stdout
    with ProgressBar("archiving") as progress:
        report = create_archive(
            args.root,
            args.output,
            include=args.include,
            exclude=args.exclude,
            ignore_files=not args.no_ignore_files,
            level=args.level,
            threads=args.threads,
            cache=args.cache,
            progress=progress,
        )
    result: dict[str, object] = {
        "archive": str(args.output),
        "files": report.files,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": round(report.seconds, 4),
        "digest": report.digest,
        "cached_bytes": report.cached_bytes,
        "excluded": len(report.excluded),
    }
    if args.json:
        result["excluded"] = [{"path": path, "reason": reason} for path, reason in report.excluded]
        print(json.dumps(result, indent=2), file=results)
    else:
        for key, value in result.items():
            print(f"{key.replace('_', ' '):<13}{value}", file=results)
    if report.excluded:
        size = human_bytes(sum(_size(args.root / path) for path, _ in report.excluded))
        print(f"left out: {len(report.excluded)} paths, {size}; --list tells why", file=sys.stderr)
    if report.bytes_out > args.warn_size * 1e6:
        show_warning(f"the archive is larger than {args.warn_size:g} MB; its largest files:")
        for path, size_in in report.largest:
            print(f"  {human_bytes(size_in):>10}  {_shown(path)}", file=sys.stderr)
        show_hint("keep files out with --exclude or a .lightningignore")
    return 0


def _explain(args: argparse.Namespace) -> int:
    path = args.explain
    # A path is relative to the working folder, as people type it, or to the root.
    if (Path(path).exists() and not (args.root / path).exists()) or Path(path).is_absolute():
        path = os.path.relpath(Path(path).absolute(), args.root.resolve())
    if path.startswith(".."):
        raise ArchiveError(f"{args.explain} is not inside of {args.root}")
    is_in, rule = _select(args).explain(path)
    if args.json:
        print(json.dumps({"path": path, "included": is_in, "rule": rule}))
    else:
        print(f"{_shown(path)}: {'goes in' if is_in else 'stays out'}: {_shown(rule)}")
    return 0


def _list(args: argparse.Namespace) -> int:
    selection = _select(args)
    if args.json:
        excluded = [{"path": path, "reason": reason} for path, reason in selection.excluded]
        print(json.dumps({"files": selection.files, "folders": selection.folders, "excluded": excluded}, indent=2))
        return 0
    for path in sorted([*selection.files, *(f"{folder}/" for folder in selection.folders)]):
        print(_shown(path))
    for path, reason in selection.excluded:
        print(f"left out: {_shown(path)}: {_shown(reason)}", file=sys.stderr)
    return 0


def _select(args: argparse.Namespace) -> Selection:
    return select_files(args.root, include=args.include, exclude=args.exclude, ignore_files=not args.no_ignore_files)


def _shown(path: str) -> str:
    """Return a path or an ignore file's pattern as one line that any terminal can show."""
    readable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return readable if readable.isprintable() else readable.encode("unicode_escape").decode()


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if not path.is_dir() or path.is_symlink():
        try:
            return path.lstat().st_size
        except OSError:
            return 0
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            try:
                total += os.lstat(os.path.join(folder, file)).st_size  # noqa: PTH118 - a third of the time
            except OSError:
                continue
    return total
