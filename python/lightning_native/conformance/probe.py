"""The program that reports, from a machine of the cloud, what it finds there: one line of JSON after a mark.

It runs on any Python 3.8 with the standard library alone. It reports names of variables, and values only of those that
belong to no account.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import subprocess
import sys
from typing import Any

# Variables whose values say nothing about an account.
SHOWN = (
    "LIGHTNING_INTERACTIVE",
    "LIGHTNING_JOB_NAME",
    "LIGHTNING_CLOUD_PROVIDER",
    "LIGHTNING_ARTIFACTS_DIR",
    "CONFORMANCE_GIVEN",
    "CONFORMANCE_STUDIORC",
    "MASTER_PORT",
    "NODE_RANK",
    "NUM_NODES",
    "WORLD_SIZE",
)
DRIVE = "/teamspace"
SECONDS = 60


def attempt(*argv: str) -> tuple[int, str]:
    """Return the exit code and the end of the output of a command; -1 if there is no such program."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, type(error).__name__
    return done.returncode, done.stdout.decode(errors="replace").strip()[-300:]


def can_write(folder: str) -> str:
    """Return `yes`, the error's number, or `absent`."""
    if not os.path.isdir(folder):
        return "absent"
    path = os.path.join(folder, "conformance-%d" % os.getpid())
    try:
        with open(path, "w"):
            pass
        os.remove(path)
    except OSError as error:
        return "errno %s" % error.errno
    return "yes"


def can_lock(folder: str) -> bool:
    """Return whether a second holder of a lock on a file is refused, and a file can be renamed over another."""
    first, second = os.path.join(folder, ".conformance-a"), os.path.join(folder, ".conformance-b")
    with open(first, "w") as one, open(first) as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused = True
        else:
            refused = False
    with open(second, "w") as stream:
        stream.write("new")
    os.replace(second, first)
    with open(first) as stream:
        renamed = stream.read() == "new"
    os.remove(first)
    return refused and renamed


def user_name() -> str:
    """Return the name of the user; empty if the system does not know one."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def image() -> dict[str, Any]:
    """Return what the machine's own software does, which takes longer to find out."""
    return {
        "sudo": attempt("sudo", "-n", "true")[0],
        "numpy": attempt("python", "-c", "import numpy; print(numpy.__version__)"),
    }


def facts(kind: str) -> dict[str, Any]:
    """Return the facts of this machine; the folder `conformance` of the home may have files to look for."""
    home = os.path.expanduser("~")
    work = os.path.join(home, "conformance")
    found: dict[str, Any] = {
        "user": user_name(),
        "python": "%d.%d" % sys.version_info[:2],
        "executable": sys.executable,
        "home": home,
        "cwd": os.getcwd(),
        "cwd_is_home": os.path.realpath(os.getcwd()) == os.path.realpath(home),
        "this_studio": os.path.realpath(DRIVE + "/studios/this_studio") == os.path.realpath(home),
        "names": sorted(name for name in os.environ if name.startswith(("LIGHTNING_", "MASTER_", "UV_"))),
        "values": {name: os.environ[name] for name in SHOWN if name in os.environ},
        "artifacts_is_home": os.path.realpath(os.environ.get("LIGHTNING_ARTIFACTS_DIR") or "/nowhere")
        == os.path.realpath(home),
        "folders": sorted(os.listdir(DRIVE)) if os.path.isdir(DRIVE) else [],
        "files": sorted(os.listdir(work)) if os.path.isdir(work) else [],
        "git": os.path.isdir(os.path.join(work, ".git")),
        "link": os.path.islink(os.path.join(work, "link")),
        "writes": {
            folder: can_write(os.path.join(DRIVE, folder)) for folder in ("jobs", "uploads", "lightning_storage")
        },
        "locks": can_lock(home),
        "shell": os.environ.get("SHELL", ""),
    }
    # Only on the platform's own machines, because others have other software.
    if kind == "studio" and found["user"] == "zeus":
        found["image"] = image()
    if kind == "job":
        write_artifacts(home)
    return found


def write_artifacts(home: str) -> None:
    """Write the files by which the job's artifacts are recognised."""
    for path in ("conformance-out/file", "conformance-out/.hidden", ".cache/conformance/blob"):
        target = os.path.join(home, path)
        if not os.path.isdir(os.path.dirname(target)):
            os.makedirs(os.path.dirname(target))
        with open(target, "w") as stream:
            stream.write(path)


if __name__ == "__main__":
    kind, mark = sys.argv[1:]
    sys.stdout.write("\n%s %s\n" % (mark, json.dumps(facts(kind))))
