"""The file system of a strict machine, as steps for `enter_machine`: like the platform's, unlike this computer's.

It has only the files that are named here. Programs and libraries of the operating system are this computer's, and
read-only.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_native.emulator.host.namespaces import DRIVE_FOLDERS, HOME
from lightning_native.emulator.strict import shims

PREFIX = "/system/conda/miniconda3/envs/cloudspace"
UV = "/system/conda/miniconda3/uv"
COMMANDS = "/commands"
# A file that is there while a studio is not ready.
SETTING_UP = "/system/status/setting-up"
HOSTNAME = "studio"
USER = "zeus"
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# The files that programs of the operating system need; none that the owner of this computer wrote.
_ETC = (
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "lsb-release",
    "magic",
    "mime.types",
    "os-release",
    "pki",
    "profile",
    "protocols",
    "redhat-release",
    "services",
    "ssl",
    "terminfo",
    "timezone",
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_WORLD = 0o1777


@dataclass(frozen=True)
class Places:
    """The folders of this computer that a machine sees, or has for itself.

    Attributes:
        home: the files of the studio or job.
        drive: the teamspace's drive.
        scratch: the machine's own files, removed with it.
        environment: the Python environment; None for a container, which has none of ours.
        version: of that environment's Python, such as 3.12.
        caches: the folder with the downloads of installers; None without a package index.
        visible: read-only files and folders of this computer, by their path in the machine.
        mounts: further folders, by their path in the machine.
        read_only: folders of the drive that nobody can write to.
        studios: the files of other studios, by their folders' names.
        owns_storage: whether code may create folders beside the connections of `lightning_storage`.

    """

    home: Path
    drive: Path
    scratch: Path
    environment: Path | None = None
    version: str = ""
    caches: Path | None = None
    visible: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    read_only: Collection[str] = ()
    studios: Mapping[str, Path] = field(default_factory=dict)
    owns_storage: bool = True


Step = tuple[Any, ...]


def steps(places: Places, user: int, hosts: str, resolver: str) -> list[Step]:
    """Return the steps that build the machine's file system, in order."""
    return [
        *_operating_system(user, hosts, resolver),
        *_folders(places),
        *(_conda(places) if places.environment else ()),
        *_visible(places.visible),
        *(("bind", path, str(folder), True) for path, folder in places.mounts.items()),
        ("read-only", "/etc"),
        ("read-only", "/usr/local"),
        ("read-only", "/"),
    ]


def _operating_system(user: int, hosts: str, resolver: str) -> Iterator[Step]:
    yield ("bind", "/usr", "/usr", False)
    yield ("tmpfs", "/usr/local")
    for name in ("bin", "etc", "games", "include", "lib", "sbin", "share", "src"):
        yield ("folder", f"/usr/local/{name}", 0o755, False)
    for name in _SYSTEM:
        path = f"/{name}"
        if Path(path).is_symlink():
            yield ("link", path, os.readlink(path))  # noqa: PTH115 - the text is what is asked for
        elif Path(path).is_dir():
            yield ("bind", path, path, False)
    yield ("tmpfs", "/etc")
    for name in _ETC:
        path = f"/etc/{name}"
        if Path(path).is_symlink():
            yield ("link", path, os.readlink(path))  # noqa: PTH115 - as above
        elif Path(path).exists():
            yield ("bind", path, path, False)
    home = HOME
    yield ("file", "/etc/passwd", f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{user}:{user}::{home}:/bin/bash\n")
    yield ("file", "/etc/group", f"root:x:0:\n{USER}:x:{user}:\n")
    yield ("file", "/etc/hosts", hosts)
    yield ("file", "/etc/hostname", f"{HOSTNAME}\n")
    yield ("file", "/etc/resolv.conf", resolver)
    yield ("file", "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    yield ("proc", "/proc")
    yield ("bind", "/sys", "/sys", False)
    yield ("tmpfs", "/dev")
    for name in _DEVICES:
        if Path(f"/dev/{name}").exists():
            yield ("bind", f"/dev/{name}", f"/dev/{name}", True)
    yield ("pts", "/dev/pts")
    yield ("shm", "/dev/shm")  # noqa: S108 - the machine's own
    for name, text in (("fd", "/proc/self/fd"), ("ptmx", "pts/ptmx")):
        yield ("link", f"/dev/{name}", text)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield ("link", f"/dev/{name}", f"/proc/self/fd/{number}")


def _folders(places: Places) -> Iterator[Step]:
    for name in ("run", "var", "var/lib", "home", "teamspace"):
        yield ("folder", f"/{name}", 0o755, False)
    yield ("bind", "/tmp", str(places.scratch / "tmp"), True)  # noqa: S108 - the machine's own
    yield ("link", "/var/tmp", "/tmp")  # noqa: S108 - as above
    yield ("bind", "/teamspace", str(places.drive), True)
    for name in dict.fromkeys(("jobs", *places.read_only)):
        yield ("bind", f"/teamspace/{name}", str(places.drive / name), False)
    for name, home in places.studios.items():
        yield ("bind", f"/teamspace/studios/{name}", str(home), True)
    yield ("bind", HOME, str(places.home), True)
    if places.environment is None:
        # The code of a container is unpacked into a folder in `/`.
        yield ("bind", "/app", str(places.scratch / "app"), True)
        return
    yield ("bind", "/cache", str(places.scratch / "cache"), True)
    yield ("bind", f"/home/{USER}", str(places.scratch / "home"), True)


def _conda(places: Places) -> Iterator[Step]:
    yield ("bind", PREFIX, str(places.environment), True)
    yield ("bind", UV, str(places.scratch / "uv"), True)
    yield ("bind", os.path.dirname(SETTING_UP), str(places.scratch / "status"), False)  # noqa: PTH120 - in the machine
    if places.caches is not None:
        yield ("bind", f"{UV}/cache", str(places.caches / "uv"), True)
        yield ("bind", f"{UV}/pip", str(places.caches / "pip"), True)
    yield ("folder", COMMANDS, 0o755, False)
    for name, text in shims.texts(PREFIX, places.version, SETTING_UP).items():
        yield ("file", f"{COMMANDS}/{name}", text, 0o755)


def _visible(sources: Mapping[str, str]) -> Iterator[Step]:
    for path, source in sources.items():
        yield ("bind", path, source, False)
        # The interpreter's modules without the packages that are installed on this computer.
        for name in ("site-packages", "dist-packages"):
            if Path(source, name).is_dir():
                yield ("tmpfs", f"{path}/{name}")
                yield ("read-only", f"{path}/{name}")


def prepare(places: Places, owner: int | None) -> None:
    """Create the machine's own folders, and the platform's folders on the drive."""
    for name in ("tmp", "cache", "uv", "uv/cache", "uv/pip", "home", "app", "work"):
        places.scratch.joinpath(name).mkdir(parents=True, exist_ok=True)
    places.scratch.joinpath("status").mkdir(exist_ok=True)
    places.scratch.joinpath("status").chmod(0o755)
    places.scratch.joinpath("tmp").chmod(_WORLD)
    places.scratch.joinpath("cache").chmod(_WORLD)
    for name, text in (("content", HOME), ("miniconda3", "/system/conda/miniconda3")):
        path = places.scratch / "home" / name
        if not path.is_symlink():
            path.symlink_to(text)
    studios = [f"studios/{name}" for name in places.studios]
    made = [places.drive, *(places.drive / name for name in (*DRIVE_FOLDERS, *studios))]
    for folder in made:
        if folder.is_symlink():
            raise OSError(f"{folder} is a link")
        folder.mkdir(parents=True, exist_ok=True)
    if places.caches is not None:
        made += [places.caches / name for name in ("uv", "pip")]
        for folder in made[-2:]:
            folder.mkdir(parents=True, exist_ok=True)
    if owner is not None:
        made += [places.scratch / name for name in ("tmp", "cache", "uv", "uv/cache", "uv/pip", "home", "app")]
        if not places.owns_storage:
            made.remove(places.drive / "lightning_storage")
        for folder in made:
            os.chown(folder, owner, owner, follow_symlinks=False)
