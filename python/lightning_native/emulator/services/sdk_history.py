"""Reports of the SDK about itself: accepted, and kept in memory only, without any value.

The SDK sends the arguments of a call that failed, in clear and in one text whose parts cannot be told apart: an
argument may itself have braces, commas, lines, or words that look like the next part. Therefore only the kind of the
error is kept.
"""

import re
from typing import Any

from lightning_native.emulator.state.cloud import Cloud

_MASK = "***"
# A truncated report ends before its traceback: an apparent error in it may be part of an argument.
_ERROR = re.compile(r"\| Error: ([A-Za-z_][A-Za-z0-9_.]{0,79}): ")
_TRACEBACK = " | Traceback: Traceback (most recent call last):\n"
# A method of the SDK, and a word of its API.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>]{0,199}")


def masked(message: str) -> str:
    """Return the parts of a message that are never secret: that it had arguments, and the kind of the error."""
    if not message:
        return ""
    before, traceback, _ = message.rpartition(_TRACEBACK)
    errors = _ERROR.findall(before) if traceback else []
    return f"ARGS: {_MASK}" + (f" | Error: {errors[-1]}: {_MASK}" if errors else "")


def _word(value: object) -> str:
    text = str(value or "")
    return text if not text or _WORD.fullmatch(text) else _MASK


def record(cloud: Cloud, body: dict[str, Any]) -> None:
    """Keep a report of the SDK, without its values."""
    report = {
        "command": _word(body.get("command")),
        "message": masked(str(body.get("message") or "")),
        "severity": _word(body.get("severity")),
    }
    cloud.history.append(report)
