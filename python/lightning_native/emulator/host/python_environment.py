"""The Python environment of a studio: its own, yet it sees the packages of the host.

Python finds the host's packages through a `.pth` file that appends the host's folders. Installers look only
into the environment's own folder, so every distribution of the host has a shadow there: a copy of its
metadata whose RECORD lists nothing but the shadow. An installer is then satisfied at once by what the host
has, and another version that it installs replaces the shadow and is first on the path.
"""

import configparser
import csv
import errno
import hashlib
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from lightning_native.child_process import module_arguments

_SHADOWED_FILES = ("METADATA", "entry_points.txt", "WHEEL", "INSTALLER", "top_level.txt")
_MAX_SCRIPT_BYTES = 100_000
_HOST_PTH = "_lightning_native_host.pth"
# Works from any folder, so that an environment can be copied.
_LAUNCHER = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
import sys

from {module} import {name}

sys.exit({call}())
"""
# A host from uv has no pip.
# The working folder is not on the path of pip, as in the command of that name.
_PIP = f"""#!/bin/sh
python="$(dirname -- "$(realpath -- "$0")")/python"
if (cd / && "$python" -c 'import pip') 2>/dev/null; then exec "$python" {shlex.join(module_arguments("pip"))} "$@"; fi
exec uv pip "$@"
"""


class Environments:
    """Creates the environments of one local cloud."""

    @property
    def python(self) -> str:
        """The version of their Python, such as 3.12."""
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    def create(self, destination: Path, templates: Path) -> None:
        """Create a studio's environment; does nothing where one exists."""
        create_environment(destination, templates)

    def copy(self, source: Path, destination: Path) -> None:
        """Copy an environment, all of it or nothing."""
        copy_environment(source, destination)


def host_packages() -> list[Path]:
    """Return the folders with the packages of the interpreter that runs this, in import order."""
    paths = sysconfig.get_paths()
    known = {*site.getsitepackages(), paths["purelib"], paths["platlib"]}
    if site.ENABLE_USER_SITE:
        known.add(site.getusersitepackages())
    ordered = [entry for entry in sys.path if entry in known]
    return [Path(entry) for entry in dict.fromkeys([*ordered, *sorted(known)]) if Path(entry).is_dir()]


def host_scripts() -> Path:
    """Return the folder with the commands of the interpreter that runs this."""
    return Path(sysconfig.get_path("scripts"))


def create_environment(destination: Path, templates: Path) -> None:
    """Create a studio's environment; does nothing where one exists.

    Args:
        destination: the folder to create.
        templates: the folder with the finished environment that others are copies of; on the same file system.

    """
    if destination.exists():
        return
    template = templates / _fingerprint()
    if not template.exists():
        publish(template, _build)
    copy_environment(template, destination)


def copy_environment(source: Path, destination: Path) -> None:
    """Copy an environment, all of it or nothing; its files are shared as hard links, which installers replace.

    Raises:
        OSError: it cannot be copied.

    """
    if source.is_symlink() or (source / "bin").is_symlink():
        # Its commands would be written to the target of the link.
        message = "cannot copy an environment: its folder is a link that code in the studio made"
        raise OSError(errno.EINVAL, message)

    def build(partial: Path) -> None:
        _copy("-al", str(source), str(partial))
        # Commands are small and some installers rewrite them in place, which a link would share.
        _copy("-a", "--remove-destination", f"{source}/bin/.", f"{partial}/bin/")
        _relocate(partial / "bin", str(source).encode(), str(destination).encode())

    publish(destination, build)


def _copy(*arguments: str) -> None:
    # A separate, nice process: copying many small files would hold the server's interpreter and the processor.
    result = subprocess.run(["nice", "cp", *arguments], check=False, capture_output=True)
    # A file that vanished while it was copied is not in the copy; anything else is an error.
    lines = [line for line in result.stderr.decode(errors="replace").splitlines() if "No such file" not in line]
    if result.returncode and lines:
        raise OSError(f"cannot copy an environment: {lines[0]}")


def _relocate(commands: Path, old: bytes, new: bytes) -> None:
    """Point the commands that an installer wrote to the copy's interpreter."""
    for path in commands.iterdir():
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MAX_SCRIPT_BYTES:
            content = path.read_bytes()
            if old in content and content.startswith(b"#!"):
                path.write_bytes(content.replace(old, new))


def publish(destination: Path, build: Callable[[Path], None]) -> None:
    """Build beside the destination, then rename, so that nothing incomplete is ever visible."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}")
    try:
        build(partial)
        partial.rename(destination)
    except OSError:
        if not destination.exists():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _distributions() -> Iterator[Path]:
    """Yield the metadata folders of the host, the one that Python would import first of every name."""
    seen = set()
    for folder in host_packages():
        for metadata in sorted(folder.glob("*.dist-info")):
            name = metadata.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
            if name not in seen and (metadata / "METADATA").is_file():
                seen.add(name)
                yield metadata


def _fingerprint() -> str:
    parts = [sys.version, sys.executable, *map(str, host_packages()), *map(str, _distributions())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _build(destination: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # An attribute of CPython's venv support: the interpreter below any virtual environment.
    base = Path(getattr(sys, "_base_executable", sys.executable))
    scripts = destination / "bin"
    packages = destination / "lib" / version / "site-packages"
    scripts.mkdir(parents=True)
    packages.mkdir(parents=True)
    for name in ("python", "python3", version):
        (scripts / name).symlink_to(base)
    (destination / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {sys.version.split()[0]}\n"
    )
    if not any(metadata.name.startswith("pip-") for metadata in _distributions()):
        _create_pip(scripts)
    for name in ("pip", "pip3"):
        _write_command(scripts / name, _PIP)
    host = "".join(f"import site; site.addsitedir({str(folder)!r})\n" for folder in host_packages())
    (packages / _HOST_PTH).write_text(host)
    for metadata in _distributions():
        _shadow(metadata, packages, scripts)


def _create_pip(scripts: Path) -> None:
    """Let `python -m pip` work where the host, made by uv, has no pip; without Python's own copy of it, do nothing."""
    python = [str(scripts / "python"), "-I", "-m"]
    # Before Python 3.12 it includes an old setuptools, which would hide the host's.
    for arguments in (["ensurepip"], ["pip", "uninstall", "--quiet", "--yes", "setuptools"]):
        subprocess.run([*python, *arguments], check=False, capture_output=True)
    # They contain the path of this folder, which is renamed later.
    for script in scripts.glob("pip*"):
        script.unlink()


def _shadow(metadata: Path, packages: Path, scripts: Path) -> None:
    shadow = packages / metadata.name
    shadow.mkdir()
    recorded = [f"{metadata.name}/RECORD"]
    for name in _SHADOWED_FILES:
        if (metadata / name).is_file():
            shutil.copyfile(metadata / name, shadow / name)
            recorded.append(f"{metadata.name}/{name}")
    for command, target in _console_scripts(metadata / "entry_points.txt"):
        module, _, attribute = target.partition(":")
        name = attribute.split(".")[0]
        path = scripts / command
        if name and not path.exists():
            _write_command(path, _LAUNCHER.format(module=module, name=name, call=attribute))
            recorded.append(f"../../../bin/{command}")
    with (shadow / "RECORD").open("w", newline="") as record:
        csv.writer(record, lineterminator="\n").writerows((path, "", "") for path in recorded)


def _console_scripts(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        return []
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return []
    if not parser.has_section("console_scripts"):
        return []
    # An entry may end in extras: `module:attribute [extra]`.
    return [(name, target.split("[")[0].strip()) for name, target in parser.items("console_scripts")]


def _write_command(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
