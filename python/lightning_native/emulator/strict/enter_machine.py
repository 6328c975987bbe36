"""The script that creates the namespaces of a strict machine; they last until its first process is killed.

It reads a plan in JSON, see `file_system`, and prints the id of the process that stays, which is process 1 of the
machine. It uses the standard library only, because it starts once for each studio and job and must start fast.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x1000, 0x4000, 1 << 18, 2
_AT_FDCWD, _AT_RECURSIVE, _READ_ONLY, _NO_SETUID = -100, 0x8000, 1, 2
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PR_SET_NAME = 15
_TMPFS = b"mode=755,size=64m"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: bytes | None = None) -> None:
    words = [os.fsencode(source), os.fsencode(target), os.fsencode(kind), flags, data]
    _check(_libc.mount(*words), f"mount {target}")


def _protect(target: str, attributes: int, flags: int) -> None:
    """Add attributes to a mount, also where it belongs to another user namespace, which a remount cannot."""
    words = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    _check(_libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, words, 32), f"mount_setattr {target}")


def _enter_user_namespace(plan: dict[str, Any]) -> None:
    if plan["join_user"] is not None:
        _check(_libc.setns(plan["join_user"], _CLONE_NEWUSER), "setns")
    elif plan["map_user"]:
        user, group = os.getuid(), os.getgid()
        _check(_libc.unshare(_CLONE_NEWUSER), "unshare")
        maps = (("uid_map", f"{plan['user']} {user} 1"), ("gid_map", f"{plan['user']} {group} 1"))
        for name, text in (("setgroups", "deny"), *maps):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib takes longer to import than all this
                file.write(text)


def _enter_network(plan: dict[str, Any]) -> None:
    if plan["join_network"] is not None:
        _check(_libc.setns(plan["join_network"], _CLONE_NEWNET), "setns")
    elif plan["own_network"]:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")


def _bind(source: str, target: str, writable: bool) -> None:
    if os.path.isdir(source):  # noqa: PTH112 - as above
        os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
    elif not os.path.lexists(target):
        os.makedirs(target.rpartition("/")[0], exist_ok=True)  # noqa: PTH103 - as above
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(source, target, "none", _MS_BIND | _MS_REC)
    _protect(target, _NO_SETUID | (0 if writable else _READ_ONLY), _AT_RECURSIVE)


def _build(root: str, plan: dict[str, Any]) -> None:
    """Create the file system of the machine, step by step in the order of the plan."""
    user = plan["user"]
    for kind, path, *words in plan["steps"]:
        target = root + path
        if kind == "folder":
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
            mode, is_users = words
            os.chmod(target, mode)  # noqa: PTH101 - as above
            if is_users:
                os.chown(target, user, user)
        elif kind == "file":
            with open(target, "w") as file:  # noqa: PTH123 - as above
                file.write(words[0])
            os.chmod(target, words[1] if len(words) > 1 else 0o644)  # noqa: PTH101 - as above
        elif kind == "link":
            os.symlink(words[0], target)  # noqa: PTH211 - as above
        elif kind == "bind":
            _bind(words[0], target, words[1])
        elif kind == "tmpfs":
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
            _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, _TMPFS)
        elif kind == "shm":
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
            _mount("shm", target, "tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=1777")
        elif kind == "proc":
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
            _mount("proc", target, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        elif kind == "pts":
            os.makedirs(target, exist_ok=True)  # noqa: PTH103 - as above
            _mount("devpts", target, "devpts", _MS_NOSUID | _MS_NOEXEC, b"newinstance,ptmxmode=0666,mode=0620")
        elif kind == "read-only":
            _protect(target, _READ_ONLY, 0)


def _create(plan: dict[str, Any]) -> None:
    """Build the machine inside of its new namespaces."""
    work = plan["work"]
    _mount("none", "/", "none", _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", work, "tmpfs", _MS_NOSUID | _MS_NODEV, _TMPFS)
    os.umask(0o022)
    _build(work, plan)
    os.chdir(work)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
    socket.sethostname(plan["hostname"])


def _hide_command() -> None:
    """Change the name of this process to `init`, and hide its arguments, which name folders of this computer."""
    _libc.prctl(_PR_SET_NAME, b"init")
    with open("/proc/self/stat") as file:  # noqa: PTH123 - as above
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memset(start, 0, end - start)


def _stay(report: int, plan: dict[str, Any]) -> None:
    """Stay as process 1 of the machine, and reap children that have no other parent."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        _create(plan)
        _hide_command()
    except (OSError, KeyError) as error:
        os.write(report, str(error).encode())
        os._exit(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.write(report, b"ready")
    # All inherited files except the lifeline of the network, which must end with this process.
    os.closerange(3, plan["lifeline"])
    os.closerange(plan["lifeline"] + 1, os.sysconf("SC_OPEN_MAX"))
    while True:
        signal.pause()


def main() -> None:
    """Create the namespaces, report the process that keeps them, and end."""
    plan = json.load(sys.stdin)
    reading, writing = os.pipe()
    try:
        _enter_user_namespace(plan)
        _enter_network(plan)
        _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS), "unshare")
        # A process is never in a process namespace that it created; its children are.
        keeper = os.fork()
    except OSError as error:
        sys.exit(str(error))
    if keeper == 0:
        os.close(reading)
        _stay(writing, plan)
    os.close(writing)
    with open(reading, "rb") as report:  # noqa: PTH123 - as above
        message = report.read()
    if message != b"ready":
        sys.exit(message.decode(errors="replace") or "its first process was killed")
    sys.stdout.write(f"{keeper}\n")


if __name__ == "__main__":
    main()
