"""The script that creates a mount namespace with the home of a studio, and keeps it until stdin ends.

Its arguments are `HOME DRIVE WORK`: the folders for `/teamspace/studios/this_studio` and `/teamspace`, and an empty
folder to build in; then `read-only=NAME` for a folder of the drive, and `studio=NAME=FOLDER` for another studio's
files. It prints `ready`. The rest of the file system stays in its place.

It uses the standard library only, because it starts once for each studio and job and must start fast.
"""

import ctypes
import os
import sys

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x1000, 0x4000, 1 << 18, 2
_AT_FDCWD, _AT_RECURSIVE, _READ_ONLY, _MOUNT_SETATTR = -100, 0x8000, 1, 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_TEAMSPACE = "teamspace"
_HOME = f"{_TEAMSPACE}/studios/this_studio"


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str, flags: int) -> None:
    words = [os.fsencode(source), os.fsencode(target), os.fsencode(kind), flags, None]
    _check(libc.mount(*words), f"mount {target}")


def _bind_further(libc: ctypes.CDLL, teamspace: str, further: list[str]) -> None:
    """Mount other studios' files, and make folders of the drive read-only."""
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
    for word in further:
        kind, _, rest = word.partition("=")
        name, _, folder = rest.partition("=")
        target = f"{teamspace}/studios/{name}" if kind == "studio" else f"{teamspace}/{name}"
        if os.path.islink(target):  # noqa: PTH114 - as below
            continue
        os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as below
        _mount(libc, folder or target, target, "none", _MS_BIND | _MS_REC)
        if kind == "read-only":
            # A remount could not keep the flags of a mount that belongs to another user namespace.
            words = (_AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, 32)
            _check(libc.syscall(_MOUNT_SETATTR, *words), f"mount_setattr {target}")


def create(home: str, drive: str, work: str, *further: str) -> None:
    """Move this process into a new namespace.

    Raises:
        OSError: the kernel does not let this user have one.

    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    for place in (f"{drive}/studios", f"{drive}/studios/this_studio"):
        if os.path.islink(place):  # noqa: PTH114 - as below
            raise OSError(f"{place} is a link")
    os.makedirs(f"{drive}/studios/this_studio", exist_ok=True)  # noqa: PTH103 - pathlib takes longer to import than all this
    # In a container, root may lack CAP_SYS_ADMIN, but every user has it in a user namespace of their own.
    if user or libc.unshare(_CLONE_NEWNS) != 0:
        _check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - as above
                file.write(text)
    _mount(libc, "none", "/", "none", _MS_REC | _MS_PRIVATE)
    _mount(libc, "tmpfs", work, "tmpfs", 0)
    for entry in os.scandir("/"):
        target = f"{work}/{entry.name}"
        if entry.name == _TEAMSPACE:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211 - as above
        elif entry.is_dir():
            os.mkdir(target)  # noqa: PTH102 - as above
            _mount(libc, entry.path, target, "none", _MS_BIND | _MS_REC)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
            _mount(libc, entry.path, target, "none", _MS_BIND)
    os.mkdir(f"{work}/{_TEAMSPACE}")  # noqa: PTH102 - as above
    # ZenML unpacks code here; an ordinary user could not create a folder in `/`.
    os.makedirs(f"{work}/app", exist_ok=True)  # noqa: PTH103 - as above
    _mount(libc, drive, f"{work}/{_TEAMSPACE}", "none", _MS_BIND | _MS_REC)
    _bind_further(libc, f"{work}/{_TEAMSPACE}", list(further))
    _mount(libc, home, f"{work}/{_HOME}", "none", _MS_BIND | _MS_REC)
    os.chdir(work)
    _check(libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(libc.umount2(b".", _MNT_DETACH), "umount")


def main() -> None:
    """Create the namespace, report it, and wait."""
    try:
        create(*sys.argv[1:])
    except (OSError, KeyError) as error:
        sys.exit(f"no mount namespace: {error}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
