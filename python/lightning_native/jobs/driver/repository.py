"""The Git repository with a job's code."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile
import uuid

from .accounts import expanded, without_accounts
from .errors import DriverError, say
from .execution import call

# The variable with the name of the variable with the SSH key, which is a secret of the teamspace.
KEY_VARIABLE = "LIGHTNING_NATIVE_JOB_KEY"

# No question to a person, and an end to the wait for a silent server.
SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
PATIENCE = {"GIT_HTTP_LOW_SPEED_LIMIT": "100", "GIT_HTTP_LOW_SPEED_TIME": "60"}

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
        # Kept under another name: it is an earlier attempt's, or the user's.
        os.rename(folder, f"{folder}_{uuid.uuid4().hex[:8]}")
    with git_environment() as own, without_accounts([spec["url"]]) as ((bare,), accounts):
        environment, url = {**own, **accounts}, expanded(bare)
        if call(["git", "clone", "--quiet", "--", url, folder], environment):
            raise DriverError(f"the repository {url} cannot be cloned")
        revision = spec.get("commit") or spec.get("branch")
        is_option = str(revision).startswith("-")
        if revision and (is_option or call(["git", "-C", folder, "checkout", "--quiet", revision, "--"], environment)):
            raise DriverError(f"{url} has no commit or branch {revision}")
        call(["git", "-C", folder, "submodule", "--quiet", "update", "--init", "--recursive"], environment)
    commit = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], stdout=subprocess.PIPE, check=False).stdout
    say(f"{url} at commit {commit.decode().strip()}")
    return folder


@contextlib.contextmanager
def git_environment() -> Iterator[dict[str, str]]:
    """Yield the variables for Git, with the SSH key of a secret in a file that is removed afterwards."""
    environment = {**PATIENCE, **os.environ, "GIT_TERMINAL_PROMPT": "0"}
    if "GIT_SSH" not in environment:
        environment.setdefault("GIT_SSH_COMMAND", "ssh " + SSH_OPTIONS)
    name = os.environ.get(KEY_VARIABLE)
    if not name:
        yield environment
        return
    key = os.environ.get(name)
    if not key:
        raise DriverError(f"the teamspace has no secret {name}, which is to hold the key of the repository")
    # The user's code needs no key, so it gets none.
    del os.environ[name], environment[name]
    descriptor, path = tempfile.mkstemp(prefix="lightning-native-")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(key if key.endswith("\n") else key + "\n")
        # A new machine does not know the host yet.
        ssh = f"ssh -i {shlex.quote(path)} {SSH_OPTIONS} -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
        yield {**environment, "GIT_SSH_COMMAND": ssh}
    finally:
        os.unlink(path)
