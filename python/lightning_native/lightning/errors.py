"""From whatever the SDK raises to errors of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.errors import CloudError, OutOfCapacityError


@contextmanager
def cloud_errors(attempt: str) -> Iterator[None]:
    """Turn whatever the SDK raises into a CloudError that says what was attempted."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        text = str(error).strip()
        message = f"cannot {attempt}: {text.splitlines()[0] if text else type(error).__name__}"
        # By name: this must not import the SDK before the session has.
        kind = OutOfCapacityError if type(error).__name__ == "OutOfCapacityError" else CloudError
        raise kind(message) from error


def is_gone(error: BaseException) -> bool:
    """Tell whether an error of the SDK means that the thing asked for is not there any more.

    "Does not exist" in its text means nothing: the SDK says so of a job whenever a status call fails.
    """
    return 404 in (getattr(error, "status", None), getattr(error, "status_code", None))
