"""The Git repository that has a job's code."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile

from .errors import DriverError, say
from .execution import call

# Names the variable with the SSH key for the repository: a secret of the teamspace.
KEY_VARIABLE = "LIGHTNING_NATIVE_JOB_KEY"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def repository_name(url: str) -> str:
    return os.path.basename(url.rstrip("/")).split(".", 1)[0]


def clone(spec: Mapping[str, Any], folder: str) -> str:
    """Clone a repository, check out the commit, else the branch, and return the folder."""
    folder = os.path.abspath(os.path.expanduser(folder))
    if os.path.isdir(folder) and os.listdir(folder):
        raise DriverError("the folder for the repository, {}, is not empty; set CODE_DIR to another one".format(folder))
    with git_environment() as environment:
        if call(["git", "clone", "--quiet", "--", spec["url"], folder], environment):
            raise DriverError("the repository {} cannot be cloned".format(spec["url"]))
        revision = spec.get("commit") or spec.get("branch")
        if revision and call(["git", "-C", folder, "checkout", "--quiet", revision, "--"], environment):
            raise DriverError("{} has no commit or branch {}".format(spec["url"], revision))
        call(["git", "-C", folder, "submodule", "--quiet", "update", "--init", "--recursive"], environment)
    commit = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], stdout=subprocess.PIPE, check=False).stdout
    say("{} at commit {}".format(spec["url"], commit.decode().strip()))
    return folder


@contextlib.contextmanager
def git_environment() -> Iterator[dict[str, str]]:
    """Give Git the SSH key that a secret holds, for as long as it is needed."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    name = os.environ.get(KEY_VARIABLE)
    if not name:
        yield environment
        return
    key = os.environ.get(name)
    if not key:
        raise DriverError("the teamspace has no secret {}, which is to hold the key of the repository".format(name))
    # The user's code has no use for it.
    del os.environ[name], environment[name]
    descriptor, path = tempfile.mkstemp(prefix="lightning-native-")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(key if key.endswith("\n") else key + "\n")
        # The host is not known yet, on a machine that is new.
        ssh = "ssh -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new".format(shlex.quote(path))
        yield {**environment, "GIT_SSH_COMMAND": ssh}
    finally:
        os.unlink(path)
