"""A list of what an upload of a folder would hold, and why: a tool of its own, on two functions of `lightning_native`.

    python examples/utilities/what_would_be_uploaded.py FOLDER
    python examples/utilities/what_would_be_uploaded.py FOLDER --why .env data/train.csv
    python examples/utilities/what_would_be_uploaded.py FOLDER --most-mb 50    # ends with 1 above: a check for CI

It needs no ZenML, no SDK and no account: `pip install .` in a checkout suffices.
"""

import argparse
import sys
from pathlib import Path

from lightning_native import Selection, select_files


def show(folder: Path, selection: Selection) -> float:
    """Print the largest files that go in and all that stay out, and return the megabytes."""
    sizes = {name: (folder / name).lstat().st_size for name in selection.files}
    megabytes = sum(sizes.values()) / 1e6
    print(f"{len(sizes)} files, {megabytes:.1f} MB; the largest:")
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:10]:
        print(f"  {sizes[name] / 1e3:10,.1f} kB  {name}")
    if selection.excluded:
        print("stay here:")
    for path, reason in selection.excluded:
        print(f"  {path}  ({reason})")
    return megabytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--why", nargs="+", metavar="PATH", help="the rule that decides about these paths")
    parser.add_argument("--most-mb", type=float, metavar="MB", help="end with 1 if the upload would be larger")
    arguments = parser.parse_args()
    try:
        selection = select_files(arguments.folder)
        for path in arguments.why or ():
            goes_in, rule = selection.explain(path)
            print(f"{path}: {'goes in' if goes_in else 'stays here'}: {rule}")
    except OSError as error:
        sys.exit(f"error: {error}")
    if arguments.why:
        return 0
    megabytes = show(arguments.folder, selection)
    if arguments.most_mb is not None and megabytes > arguments.most_mb:
        print(f"error: {megabytes:.1f} MB are more than {arguments.most_mb:g} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
