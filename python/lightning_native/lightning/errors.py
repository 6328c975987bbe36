"""The translation of the SDK's errors to our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.errors import CloudError, OutOfCapacityError


@contextmanager
def cloud_errors(attempt: str) -> Iterator[None]:
    """Turn every error of the SDK into a CloudError that names the attempt."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        text = str(error).strip()
        message = f"cannot {attempt}: {text.splitlines()[0] if text else type(error).__name__}"
        # By name, because this module must not import the SDK before the session does.
        kind = OutOfCapacityError if type(error).__name__ == "OutOfCapacityError" else CloudError
        raise kind(message) from error


def is_gone(error: BaseException) -> bool:
    """Return whether an error of the SDK means that the requested thing does not exist any more.

    The text "does not exist" proves nothing, because the SDK reports it about a job whenever a status call fails.
    """
    return 404 in (getattr(error, "status", None), getattr(error, "status_code", None))
