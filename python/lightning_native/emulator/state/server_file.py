"""The file in a root by which its server announces itself: its address, its process, the variables that reach it."""

import json
import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_native.emulator.host import processes
from lightning_native.emulator.host.proxies import without_proxy
from lightning_native.emulator.state.root import KEY_FILE, LOST_AND_FOUND, SERVER_FILE

_NAMED = 5

logger = logging.getLogger("lightning_native.emulator")


def announce(root: Path, url: str, environ: Mapping[str, str], kept: Sequence[str], *, strict: bool) -> None:
    """Write that this process serves a root, all of it or nothing.

    Args:
        root: the root.
        url: the address.
        environ: the environment variables with which the SDK reaches it.
        kept: the entries without a record, which are kept in `lost+found`.
        strict: whether its machines know nothing about this computer.

    """
    partial = root / f"{SERVER_FILE}.new"
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    server = {
        "url": url,
        "pid": os.getpid(),
        "started": processes.start_time(os.getpid()),
        "key_file": str(root / KEY_FILE),
        "environ": environ,
        "kept_aside": kept,
        "strict": strict,
    }
    partial.write_text(json.dumps(server))
    partial.rename(root / SERVER_FILE)


def read_environ(root: str | os.PathLike[str]) -> dict[str, str] | None:
    """Return the environment variables that reach the server of a root; None when none is running."""
    server = read_server(Path(root))
    if server is None:
        return None
    started = processes.start_time(server["pid"])
    # After a crash, another process may have its id or its port, and must not receive the key.
    if started is None or started != server.get("started", started):
        return None
    return {**server["environ"], **without_proxy(os.environ)}


def exports(environ: Mapping[str, str]) -> str:
    """Return the lines with which a shell sets variables."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environ.items())


def read_server(root: Path) -> dict[str, Any] | None:
    """Return the content of a root's server file; None when it is missing or damaged."""
    try:
        server = json.loads((root / SERVER_FILE).read_text())
        whole = (
            isinstance(server["url"], str)
            and isinstance(server["pid"], int)
            and server["pid"] > 0
            and {"LIGHTNING_CLOUD_URL", "LIGHTNING_API_KEY"} <= set(server["environ"])
            and all(isinstance(value, str) for value in server["environ"].values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return server if whole else None


def warn_of_kept(root: Path) -> None:
    """Log the entries that the server of a root kept aside at its start."""
    server = read_server(root)
    if server and server.get("kept_aside"):
        logger.warning("%s", kept_aside(root, server["kept_aside"]))


def kept_aside(root: Path, kept: Sequence[str]) -> str:
    """Return a sentence about entries without a record."""
    named = ", ".join(str(name) for name in kept[:_NAMED]) + (", …" if len(kept) > _NAMED else "")
    folder = root / LOST_AND_FOUND
    return f"{len(kept)} folders had no record and are kept in {folder}: {named}; delete there what is not needed"
