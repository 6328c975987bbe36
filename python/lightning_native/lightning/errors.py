"""The translation of the SDK's errors to our own."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.errors import (
    CloudError,
    MachineRefusedError,
    OutOfCapacityError,
    OutOfFundsError,
    RateLimitedError,
    RefusedError,
)

_FUNDS = re.compile(r"insufficient (balance|funds|credits)|out of (funds|credits)|top up", re.IGNORECASE)
# A machine that the cloud account, the plan or the list lacks.
_MACHINE = re.compile(
    r"\b(accelerator|(instance|machine) type)\b.*\bnot (found|available|supported)\b|\bhas no machine\b",
    re.IGNORECASE | re.DOTALL,
)
_PLAN = re.compile(r"tier.?restricted|upgrade|your (current )?(plan|tier)|(plan|tier) does not", re.IGNORECASE)
_MISSING = re.compile(r"\b(HTTP|status( code)?:?) 404\b|\bFileNotFound", re.IGNORECASE)
_LONGEST = 500


@contextmanager
def cloud_errors(attempt: str) -> Iterator[None]:
    """Turn every error of the SDK into a CloudError with the attempt and the words of Lightning's answer."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        raise _kind_of(error)(f"cannot {attempt}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return the reason that Lightning gave for an error of the SDK, in its own words; without any, the SDK's."""
    if answer := _answer_in(error):
        return answer
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def is_gone(error: BaseException) -> bool:
    """Return whether an error of the SDK means that the requested thing does not exist any more.

    The text "does not exist" proves nothing, because the SDK reports it about a job whenever a status call fails.
    """
    return _status_of(error) == 404


def is_missing(error: BaseException) -> bool:
    """Return whether a download failed because there is no such file; the SDK has the status in its text only."""
    return is_gone(error) or isinstance(error, FileNotFoundError) or _MISSING.search(str(error)) is not None


def _kind_of(error: BaseException) -> type[CloudError]:
    # By name, because this module must not import the SDK before the session does.
    if type(error).__name__ == "OutOfCapacityError":
        return OutOfCapacityError
    status = next((found for each in _chain(error) if (found := _status_of(each))), None)
    if status == 429:
        return RateLimitedError
    if status not in (400, 403):
        return CloudError
    reason = reason_of(error)
    if _FUNDS.search(reason):
        return OutOfFundsError
    if _MACHINE.search(reason) or _PLAN.search(reason):
        return MachineRefusedError
    return RefusedError if status == 403 else CloudError


def _answer_in(error: BaseException) -> str:
    """Return the message of the answer that caused an error, because the SDK's own text begins with the status."""
    for each in _chain(error):
        body = getattr(each, "body", None)
        if not body:
            continue
        text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        try:
            message = json.loads(text)["message"]
        except (ValueError, KeyError, TypeError):
            continue
        return " ".join(str(message).split())[:_LONGEST]
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, because the SDK raises a bare one about an answer with text."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _status_of(error: BaseException) -> int | None:
    for name in ("status", "status_code"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    return None
