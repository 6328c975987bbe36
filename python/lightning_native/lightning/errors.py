"""The translation of the SDK's errors to our own."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.errors import (
    AccessRefusedError,
    BootError,
    CloudError,
    CredentialsError,
    MachineRefusedError,
    OutOfCapacityError,
    OutOfFundsError,
    RateLimitedError,
    RefusedError,
    UnreachableError,
)

_FUNDS = re.compile(r"insufficient (balance|funds|credits)|out of (funds|credits)|top up", re.IGNORECASE)
# A machine that the cloud account, the plan or the list lacks.
_MACHINE = re.compile(
    r"\b(accelerator|(instance|machine) type)\b.*\bnot (found|available|supported)\b|\bhas no machine\b",
    re.IGNORECASE | re.DOTALL,
)
_PLAN = re.compile(r"tier.?restricted|upgrade|your (current )?(plan|tier)|(plan|tier) does not", re.IGNORECASE)
_MISSING = re.compile(r"\b(HTTP|status( code)?:?) 404\b|\bFileNotFound", re.IGNORECASE)
_NEW_KEY = "Lightning refused the API key: create a new one there, and set LIGHTNING_API_KEY"
# The store of files is full.
_NO_ROOM = 507
_FREE = "no space is left for files at Lightning: free some"
# The status of an answer, where the SDK has it in its text only.
_STATUS = re.compile(r"\b(?:HTTP|Status code:) (\d{3})\b")
# The SDK's own words for an answer of 401.
_NO_ACCESS = re.compile(r"\b(HTTP|status( code)?:?) 401\b|\bunauthorized\b", re.IGNORECASE)
# The SDK's words when the machine of a studio ended before it was ready.
_NO_BOOT = re.compile(r"failed to start|before becoming ready", re.IGNORECASE)
# Errors of the connection, by name: of urllib3, requests, websockets and Python itself.
_CONNECTION = re.compile(r"Connection|Timeout|MaxRetry|Protocol|IncompleteRead|ChunkedEncoding|SSL|gaierror")
_LONGEST = 500


@contextmanager
def cloud_errors(attempt: str) -> Iterator[None]:
    """Turn every error of the SDK into a CloudError with the attempt and the words of Lightning's answer."""
    try:
        yield
    except (CloudError, CredentialsError):
        raise
    except Exception as error:
        raise _translated(error, attempt) from error


def _translated(error: BaseException, attempt: str) -> CloudError:
    kind, message = _kind_of(error), f"cannot {attempt}: {reason_of(error)}"
    if kind is RateLimitedError:
        return RateLimitedError(message, _retry_after(error))
    if kind is AccessRefusedError:
        return AccessRefusedError(f"{message}; {_NEW_KEY}")
    return kind(f"{message}; {_FREE}" if _status_in(error) == _NO_ROOM else message)


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
    status = _status_in(error)
    if status == 401 or any(_NO_ACCESS.search(str(each)) for each in _chain(error)):
        return AccessRefusedError
    if status == 429:
        return RateLimitedError
    if status == _NO_ROOM:
        return RefusedError
    if (status is not None and status >= 500) or (
        status is None and any(_CONNECTION.search(type(each).__name__) for each in _chain(error))
    ):
        return UnreachableError
    if status not in (400, 403):
        return BootError if _NO_BOOT.search(str(error)) else CloudError
    reason = reason_of(error)
    if _FUNDS.search(reason):
        return OutOfFundsError
    if _MACHINE.search(reason) or _PLAN.search(reason):
        return MachineRefusedError
    return RefusedError if status == 403 else CloudError


def _answer_in(error: BaseException) -> str:
    """Return the message of the answer that caused an error, because the SDK's own text begins with the status."""
    for each in _chain(error):
        body = getattr(each, "body", None) or getattr(getattr(each, "response", None), "content", None)
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


def _status_in(error: BaseException) -> int | None:
    """Return the status of the answer that caused an error of the SDK; None if there was none."""
    for each in _chain(error):
        response = getattr(each, "response", None)
        if status := _status_of(each) or (None if response is None else _status_of(response)):
            return status
        if found := _STATUS.search(str(each)):
            return int(found[1])
    return None


def _retry_after(error: BaseException) -> float:
    """Return the seconds of the header by which an answer asks for a pause; 0 without one."""
    for each in _chain(error):
        headers = getattr(each, "headers", None) or getattr(getattr(each, "response", None), "headers", None) or {}
        value = headers.get("Retry-After", "")
        if value.isdigit():
            return float(value)
    return 0.0


def _status_of(error: BaseException) -> int | None:
    for name in ("status", "status_code"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status
    return None
