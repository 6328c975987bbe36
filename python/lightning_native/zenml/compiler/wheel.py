"""The code as a wheel of exactly the files that an archive would have.

ZenML's own wheeled orchestrators copy caches and secrets as well, lose files that are no modules of a package, and
download a build tool from the package index.
"""

import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zenml
from zenml.logger import get_logger
from zenml.orchestrators import WheeledOrchestrator

from lightning_native import select_files
from lightning_native.errors import ArchiveError, PlanError

logger = get_logger(__name__)

_SETUP = """\
from setuptools import setup

setup(name={package!r}, version={version!r}, packages=[{package!r}], package_data={{{package!r}: {files!r}}})
"""
_BUILD = (
    "import sys; sys.path[:] = filter(None, sys.path); import os; os.umask(0o22); "
    "from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
)
# The earliest time that a wheel can record, so that the same code becomes the same bytes.
_EPOCH = "315532800"
_SHOWN_LINES = 15


@contextmanager
def made_wheel(root: Path) -> Iterator[Path]:
    """Yield a folder with a wheel of a source tree, and nothing else.

    Raises:
        ArchiveError: the tree cannot be read.
        PlanError: no wheel can be made of it.
    """
    copy = copy_project(root)
    try:
        yield build_wheel(copy).parent
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def package_name(root: Path) -> str:
    """Return the name of the package that the code of a source tree becomes."""
    first = WheeledOrchestrator.package_name
    name = re.sub(r"[^a-z0-9]+", "_", root.name.lower()).strip("_")
    # A run that is submitted from an installed wheel packs it again, under the same name.
    return name if name.startswith(first) else f"{first}_{name}".rstrip("_")


def copy_project(root: Path) -> Path:
    """Copy a source tree into a package of a new folder, with a `setup.py` beside it, and return that folder.

    Files that a wheel cannot hold are left out and reported.

    Raises:
        ArchiveError: the tree cannot be read.
    """
    package = package_name(root)
    selection = select_files(root)
    selected = frozenset(selection.files)
    problems = {name: problem for name in selection.files if (problem := _problem(root, name, selected))}
    problems |= {f"{name}/": "an empty folder" for name in selection.folders}
    if problems:
        listed = ", ".join(f"{os.fsencode(name)!r} ({problem})"[1:] for name, problem in sorted(problems.items()))
        logger.warning("A wheel cannot hold these, so steps will not find them: %s", listed)
    names = [name for name in selection.files if name not in problems]
    # A link that is included leads to one of the selected files.
    real = os.path.realpath(root)
    sources = {name: os.path.relpath(os.path.realpath(root / name), real) for name in names}
    folder = Path(tempfile.mkdtemp(prefix="lightning-native-wheel-"))
    try:
        for name in names:
            target = folder / package / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with _open_beneath(root, sources[name]) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
                target.chmod(0o755 if os.fstat(source.fileno()).st_mode & 0o100 else 0o644)
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch(0o644)
        files = [glob.escape(name) for name in names]
        (folder / "setup.py").write_text(
            _SETUP.format(package=package, version=zenml.__version__, files=files), encoding="utf-8"
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _open_beneath(root: Path, name: str) -> IO[bytes]:
    """Open a file of a tree without following a link on the way: since it was selected, it may have become one.

    Raises:
        ArchiveError: it is no regular file any more, or cannot be read.
    """
    *folders, last = name.split("/")
    if ".." in folders:
        raise ArchiveError(f"{str(root / name)!r} is not beneath {str(root)!r} any more; start again")
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
            os.close(opened)
            opened = inner
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened)
    except OSError as error:
        raise ArchiveError(f"cannot read {str(root / name)!r} beneath {str(root)!r}: {error.strerror}") from error
    finally:
        os.close(opened)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ArchiveError(f"{str(root / name)!r} is no regular file any more; start again")
    return os.fdopen(file, "rb")


def _problem(root: Path, name: str, selected: frozenset[str]) -> str | None:
    """Return why a wheel cannot hold a file; None if it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if not name.isprintable():
        return "its name has control characters"
    path = root / name
    if not path.is_symlink():
        return None
    if path.is_dir():
        return "a link to a folder"
    found = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
    # A file that archives exclude must not come in through a link.
    return None if found in selected else "a link to what is not packed"


def build_wheel(folder: Path) -> Path:
    """Build a wheel of a folder from `copy_project`, and return its path; the wheel is alone in its folder.

    Raises:
        PlanError: setuptools fails or loses files.
    """
    destination = folder / "dist"
    result = subprocess.run(
        # The setuptools that ZenML depends on: nothing is downloaded.
        [sys.executable, "-c", _BUILD, str(destination)],
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(destination.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-_SHOWN_LINES:])
        raise PlanError(f"no wheel can be made of the code:\n{tail}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        held = set(wheel.namelist())
    package = next(path.parent for path in folder.glob("*/__init__.py"))
    copied = {path.relative_to(folder).as_posix() for path in package.rglob("*") if path.is_file()}
    if lost := sorted(copied - held):
        raise PlanError(f"setuptools lost {len(lost)} files on the way into the wheel: {', '.join(lost[:5])}")
    return wheels[0]
