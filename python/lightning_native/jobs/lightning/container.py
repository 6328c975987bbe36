"""The entrypoint and the command of a container, as the SDK expects them."""

import shlex

from lightning_native.errors import JobError
from lightning_native.jobs.lightning.checks import CheckedContainer
from lightning_native.user_input.url_credentials import without_credentials


def container_command(checked: CheckedContainer) -> tuple[str | None, str | None]:
    """Return entrypoint and command of a container.

    Lightning splits the command into words, unless the entrypoint is a shell with the command as its script.

    Raises:
        JobError: a text cannot be split into words.
    """
    entrypoint = _words(checked.entrypoint)
    # After an entrypoint, text is one word: the script of its shell.
    words = [checked.cmd] if isinstance(checked.cmd, str) and entrypoint else _words(checked.cmd)
    words += checked.args
    if not entrypoint:
        # An empty entrypoint is the image's own; with None, the SDK would put `sh -c` before the command.
        return ("", shlex.join(words)) if words else (None, None)
    if entrypoint[-1] != "-c":
        return shlex.join(entrypoint), shlex.join(words) or None
    if len(words) > 1:
        # Only the first word after -c is the script; the others are its arguments.
        return "/bin/sh -c", f"exec {shlex.join([*entrypoint, *words])}"
    return shlex.join(entrypoint), words[0] if words else None


def _words(value: str | list[str] | None) -> list[str]:
    if not isinstance(value, str):
        return list(value or [])
    try:
        return shlex.split(value)
    except ValueError as error:
        raise JobError(f"{without_credentials(value)!r} cannot be read as words: {error}; write a list") from error
