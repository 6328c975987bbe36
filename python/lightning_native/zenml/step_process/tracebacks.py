"""The tracebacks that people see: of the user's code alone, without the frames of ZenML and of this package."""

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import zenml

import lightning_native
from lightning_native.errors import LightningNativeError
from lightning_native.zenml.variables import ENV_VERBOSE

_FRAMEWORKS = tuple(str(Path(module.__file__ or "").parent) + os.sep for module in (zenml, lightning_native))
_FROZEN = "<frozen "
# Where the last frames are of ZenML, so many of them show what it was doing.
_MOST_LAST_FRAMES = 3


def shorten_tracebacks(*, logged: bool = False) -> None:
    """Print the exception that ends this process without the frames of frameworks, unless the user wants them all.

    A hook of the user's stays; ZenML's is that of rich. `logged`: also in logs, as ZenML logs the exceptions of dynamic
    pipelines; only for a process that is ours.
    """
    is_users = sys.excepthook is not sys.__excepthook__ and not sys.excepthook.__module__.startswith("rich.")
    if not os.environ.get(ENV_VERBOSE) and not is_users:
        sys.excepthook = _print
        if logged:
            logging.Formatter.formatException = _formatted  # type: ignore[assignment,method-assign]  # for all of ZenML's


def _print(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, LightningNativeError):
        # It names its cause itself.
        sys.stderr.write(f"error: {error}\n")
        return
    sys.stderr.write(_text(kind, error, trace))


def _formatted(_formatter: logging.Formatter, info: Any) -> str:
    return _text(*info).rstrip("\n")


def _text(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    shown = traceback.TracebackException(kind, error, trace)
    _shorten(shown)
    return "".join(shown.format())


def _shorten(shown: traceback.TracebackException) -> None:
    """Leave out the frames up to the innermost call of the user's code by a framework, in each exception of a chain."""
    others: Iterable[traceback.TracebackException | None] = (shown.__cause__, shown.__context__)
    for other in (*others, *(getattr(shown, "exceptions", None) or ())):
        if other is not None:
            _shorten(other)
    frames = list(shown.stack)
    ours = [_is_framework(frame.filename) for frame in frames]
    last = next((index for index in reversed(range(len(frames))) if not ours[index]), -1)
    first = next((index + 1 for index in reversed(range(last + 1)) if ours[index]), 0) if last >= 0 else 0
    after = frames[last + 1 :]
    shown.stack[:] = [*frames[first : last + 1], *after[-_MOST_LAST_FRAMES:]]


def _is_framework(file: str) -> bool:
    return file.startswith((*_FRAMEWORKS, _FROZEN))
