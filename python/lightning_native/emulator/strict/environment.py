"""The Python environment of a strict machine: one prefix in the layout of conda, with no package of this computer.

Its interpreter is a copy of a program of this computer, whose modules and library it sees read-only. Preinstalled
packages come from the package index, once for each version and set of them, and form a template for all local clouds
of a user. Environments are copies of a template that share its files as hard links. Shared files are read-only, and
installers replace them.
"""

import fcntl
import functools
import glob
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_native.emulator.host.python_environment import publish
from lightning_native.emulator.strict.file_system import PREFIX
from lightning_native.errors import EmulatorError

logger = logging.getLogger("lightning_native.emulator")

# As the platform's studios had them in 2026; torch, which is there as well, is left out for its size. Later versions of
# these packages were built for NumPy 2, too, and would hide what breaks there when NumPy is upgraded.
PREINSTALLED = (
    *("lightning-sdk>=2026.10.13,<2026.11", "setuptools", "wheel"),
    *("matplotlib<3.8.4", "numpy<2", "pandas<2.2.2", "scikit-learn<1.4.2", "scipy<1.13"),
)
# Only built packages are installed, because building one takes an hour; others are missing.
_BUILT = ("matplotlib", "numpy", "pandas", "scikit-learn", "scipy")
_PLATFORM_VERSION = "3.12"
_VERSION = re.compile(r"3\.\d{1,2}")
_LONGEST_REASON = 300
_FORMAT = 4
# The folder for packages in the layout of conda.
_PLACE = "/system/conda/miniconda3/pkgs"
_BESIDE = b"$ORIGIN/../lib"
_NOT_THE_INTERPRETER = ("site-packages", "dist-packages", "EXTERNALLY-MANAGED")
_ASK = """
import json, os, sys, sysconfig
stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
shared = sysconfig.get_config_var("Py_ENABLE_SHARED")
library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
scheme = getattr(sysconfig, "get_default_scheme", lambda: "posix_prefix")()
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "prefix": sys.base_prefix,
    "stdlib": stdlib,
    "include": os.path.realpath(sysconfig.get_path("include")),
    "library": os.path.realpath(library) if shared and os.path.isfile(library) else "",
    "is_plain": scheme in ("posix_prefix", "venv"),
    "lib": getattr(sys, "platlibdir", "lib"),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python of this computer.

    Attributes:
        version: such as 3.12.11.
        executable: the program.
        prefix: where it is installed.
        stdlib: the folder with its modules.
        include: the folder with its headers.
        library: the file with its shared library; empty where it has none.
        is_plain: whether it has packages in Python's own folders; Linux distributions have others.
        lib: the name of the folder for libraries.

    """

    version: str
    executable: str
    prefix: str
    stdlib: str
    include: str
    library: str
    is_plain: bool
    lib: str

    @property
    def minor(self) -> str:
        """The version without its last number."""
        return self.version.rpartition(".")[0]

    @property
    def place(self) -> str:
        """The folder in which a machine sees the files of this interpreter."""
        return f"{_PLACE}/python-{self.version}"

    @property
    def visible(self) -> dict[str, str]:
        """The files that a machine sees there, by path; none for an interpreter of the operating system."""
        if not self.is_plain:
            return {}
        parts = {f"lib/python{self.minor}": self.stdlib, "include": self.include}
        parts |= {f"lib/{Path(self.library).name}": self.library} if self.library else {}
        return {f"{self.place}/{name}": path for name, path in parts.items() if Path(path).exists()}


@functools.cache
def find_interpreter(version: str | None) -> Interpreter:
    """Return a Python of a version, such as 3.12; without one the platform's, or else the one that runs this.

    Raises:
        EmulatorError: this computer has none.

    """
    if version is not None and not _VERSION.fullmatch(version):
        raise EmulatorError(f"{version!r} is no version of Python; give one such as {_PLATFORM_VERSION}")
    wanted = version or _PLATFORM_VERSION
    for candidate in _candidates(wanted):
        found = _ask(candidate)
        if found is not None and found.minor == wanted:
            return found
    own = None if version else _ask(sys.executable)
    if own is None:
        raise EmulatorError(
            f"this computer has no Python {wanted}; install one (uv python install {wanted}, pyenv, or the operating "
            "system's), or choose another --python"
        )
    logger.warning("this computer has no Python %s, as the platform has: machines have %s", wanted, own.version)
    return own


def _candidates(version: str) -> Iterator[str]:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield sys.executable
    homes = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"]
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    homes.append(Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python"))
    name = f"python{version}"
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # A shim of pyenv runs the user's choice of a version.
        if folder.startswith("/") and not folder.endswith("/shims"):
            yield f"{folder}/{name}"
    for home in homes:
        # glob finds nothing in a folder that cannot be read.
        yield from sorted(glob.glob(f"{glob.escape(str(home))}/*/bin/{name}"), reverse=True)  # noqa: PTH207 - see above


def _ask(executable: str) -> Interpreter | None:
    argv = [executable, "-I", "-S", "-c", _ASK]
    try:
        result = subprocess.run(argv, check=False, capture_output=True, cwd="/", timeout=60, env={"PATH": os.defpath})
        return Interpreter(**json.loads(result.stdout))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None


class StrictEnvironments:
    """Creates the environments of one local cloud."""

    def __init__(
        self, python: str | None, preinstalled: Sequence[str] | None, *, index: bool, owner: int | None
    ) -> None:
        self.interpreter = find_interpreter(python)
        self._index = index
        self._preinstalled = tuple(PREINSTALLED if preinstalled is None else preinstalled) if index else ()
        self._owner = owner

    @property
    def python(self) -> str:
        """The version of their Python, such as 3.12."""
        return self.interpreter.minor

    def create(self, destination: Path, templates: Path) -> None:
        """Create a studio's environment; does nothing where one exists.

        Raises:
            OSError: it cannot be created.

        """
        if destination.exists():
            return
        key = self._key()
        template = templates / key / "environment"
        if not template.exists():
            publish(template.parent, lambda partial: self._fetch(key, partial))
        self.copy(template, destination)

    def copy(self, source: Path, destination: Path) -> None:
        """Copy an environment, all of it or nothing, with the description of its interpreter.

        Raises:
            OSError: it cannot be copied.

        """
        if not destination.exists():
            _describe(destination).unlink(missing_ok=True)
            shutil.copyfile(_describe(source), _describe(destination))
            publish(destination, lambda partial: _link(source, partial))

    def interpreter_of(self, environment: Path) -> Interpreter:
        """Return the interpreter of an environment."""
        return Interpreter(**json.loads(_describe(environment).read_text()))

    def _key(self) -> str:
        parts = [_FORMAT, self._owner, self._index, *self._preinstalled, *asdict(self.interpreter).values()]
        return f"{self.interpreter.version}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"

    def _fetch(self, key: str, destination: Path) -> None:
        """Copy a template from the cache that all clouds of this user share."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightning-native" / "environments"
        cache.mkdir(parents=True, exist_ok=True)
        kept = cache / key
        with (cache / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                publish(kept, self._build)
        destination.mkdir()
        self.copy(kept / "environment", destination / "environment")

    def _build(self, folder: Path) -> None:
        environment = folder / "environment"
        _create_prefix(self.interpreter, environment)
        _describe(environment).write_text(json.dumps(asdict(self.interpreter)))
        _install(environment, self.interpreter, self._preinstalled, index=self._index)
        _finish(environment, self.interpreter, self._owner)


def _describe(environment: Path) -> Path:
    """Return the file beside an environment that describes its interpreter."""
    return environment.with_name(f"{environment.name}.json")


def _link(source: Path, destination: Path) -> None:
    if source.is_symlink():
        raise OSError("cannot copy an environment: its folder is a link that code in the studio made")
    # Packages that the user installed are shared from now on.
    _run("find", str(source), "-type", "f", "-perm", "/222", "-exec", "chmod", "a-w", "{}", "+")
    same = source.stat().st_dev == destination.parent.stat().st_dev
    _run("nice", "cp", "-al" if same else "-a", str(source), str(destination))


def _run(*argv: str) -> None:
    result = subprocess.run(argv, check=False, capture_output=True)
    # A file that vanished while it was copied is not in the copy; anything else is an error.
    lines = [line for line in result.stderr.decode(errors="replace").splitlines() if "No such file" not in line]
    if result.returncode and lines:
        raise OSError(f"cannot copy an environment: {lines[0]}")


def _create_prefix(python: Interpreter, prefix: Path) -> None:
    """Create a folder in which the interpreter finds itself installed."""
    name = f"python{python.minor}"
    scripts, modules = prefix / "bin", prefix / python.lib / name
    scripts.mkdir(parents=True)
    (prefix / "conda-meta").mkdir()
    (modules / "site-packages").mkdir(parents=True)
    if python.is_plain:
        program = Path(python.executable).read_bytes()
        if python.library:
            # The program has the path of its library on this computer.
            folder = os.fsencode(Path(python.library).parent)
            program = program.replace(folder + b"\0", _BESIDE.ljust(len(folder), b"\0") + b"\0")
            (modules.parent / Path(python.library).name).symlink_to(python.library)
        (scripts / name).write_bytes(program)
        (scripts / name).chmod(0o755)
        for entry in Path(python.stdlib).iterdir():
            if entry.name not in _NOT_THE_INTERPRETER:
                (modules / entry.name).symlink_to(entry)
        # Links to files and not to the folder, because packages add headers of their own.
        (prefix / "include" / name).mkdir(parents=True)
        for entry in Path(python.include).iterdir():
            (prefix / "include" / name / entry.name).symlink_to(entry)
    else:
        # A distribution's Python has its own folders for packages, except in a virtual environment.
        (scripts / name).symlink_to(python.executable)
        home = Path(python.executable).parent
        (prefix / "pyvenv.cfg").write_text(
            f"home = {home}\ninclude-system-site-packages = false\nversion = {python.version}\n"
        )
    for link in ("python", "python3"):
        (scripts / link).symlink_to(name)


def _install(prefix: Path, python: Interpreter, preinstalled: Sequence[str], *, index: bool) -> None:
    executable = str(prefix / "bin" / f"python{python.minor}")
    log: list[str] = []
    wanted = list(preinstalled)
    # pip and uv need no package index: every Python has the one, and this computer often the other.
    if not _try([executable, "-I", "-m", "ensurepip"], log):
        wanted.append("pip")
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        wanted.append("uv")
    else:
        shutil.copyfile(uv, prefix / "bin" / "uv")
        (prefix / "bin" / "uv").chmod(0o755)
    if not index:
        logger.info("machines begin with pip and uv only, as far as they are here: they have no package index")
    if not index or not wanted:
        return
    install = (
        [uv, "pip", "install", "--quiet", "--no-config", "--link-mode=copy", "--python", executable]
        if uv
        else [executable, "-I", "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    )
    install += [word for name in _BUILT for word in ("--only-binary", name)]
    if _try([*install, *wanted], log):
        return
    # One of them may be missing for this version of Python.
    missing = [name for name in wanted if not _try([*install, name], log)]
    if missing:
        reason = " ".join(log[-1].split())[:_LONGEST_REASON] or "no reason was given"
        logger.warning("not preinstalled, since the package index does not give %s: %s", ", ".join(missing), reason)


def _try(argv: Sequence[str], log: list[str]) -> bool:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "CONDA"))
    }
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=folder, env=kept)
    if result.returncode:
        log.append(result.stderr.strip()[-1000:])
    return result.returncode == 0


def _finish(prefix: Path, python: Interpreter, owner: int | None) -> None:
    """Fit an environment to its path in machines and to the user there."""
    modules = prefix / python.lib / f"python{python.minor}" / "site-packages"
    executable = str(prefix / "bin" / f"python{python.minor}")
    place = f"{PREFIX}/{python.lib}/python{python.minor}/site-packages"
    _try([executable, "-I", "-m", "compileall", "-q", "-j0", "-d", place, str(modules)], [])
    for command in (prefix / "bin").iterdir():
        if command.is_file() and not command.is_symlink():
            with command.open("rb") as file:
                content = file.read() if file.read(2) == b"#!" else b""
            if str(prefix).encode() in content:
                command.write_bytes(b"#!" + content.replace(str(prefix).encode(), PREFIX.encode()))
    _move_links(prefix, python)
    if not (prefix / "bin" / "pip").exists() and (prefix / "bin" / "pip3").exists():
        (prefix / "bin" / "pip").symlink_to("pip3")
    for folder, names, files in os.walk(prefix):
        for name in ("", *names, *files):
            path: str = os.path.join(folder, name)  # noqa: PTH118 - ten thousands of them
            if owner is not None:
                os.chown(path, owner, owner, follow_symlinks=False)
            if not os.path.islink(path):  # noqa: PTH114 - as above
                # The server's umask keeps others out, but the machine's user must read these files.
                os.chmod(path, 0o444 | _executable_bits(path) if name in files else 0o755)  # noqa: PTH101 - as above


def _move_links(prefix: Path, python: Interpreter) -> None:
    """Point the links of an environment to the paths of its interpreter in machines."""
    name = f"python{python.minor}"
    for place, source in python.visible.items():
        for folder in (prefix / "include" / name, prefix / python.lib, prefix / python.lib / name):
            for path in folder.iterdir():
                if path.is_symlink() and path.readlink().is_relative_to(source):
                    target = Path(place) / path.readlink().relative_to(source)
                    path.unlink()
                    path.symlink_to(target)


def _executable_bits(path: str) -> int:
    return 0o111 if os.access(path, os.X_OK) else 0
