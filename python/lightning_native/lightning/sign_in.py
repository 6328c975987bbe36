"""Keeps the SDK from signing in by itself: a process of ours never opens a browser and never waits for a person.

The names that are changed here are private to the SDK, which has no setting for either.
"""

from typing import NoReturn

from lightning_native.errors import CredentialsError

_FORBIDDEN = 403


def sign_in_by_key_only() -> None:
    """Have the SDK in this process fail at once where it would open a browser, or ask again what it was refused."""
    from lightning_sdk.lightning_cloud import login, rest_client

    # The server that it would run here waits for the browser without a limit.
    login.AuthServer.login_with_browser = _refuse
    may_retry = rest_client._should_retry
    if may_retry.__module__ == __name__:
        return

    def should_retry(error: BaseException) -> bool:
        # It takes a 403 for a passing fault, and repeats it for more than four minutes.
        return getattr(error, "status", None) != _FORBIDDEN and bool(may_retry(error))

    rest_client._should_retry = should_retry


def _refuse(*_arguments: object) -> NoReturn:
    raise CredentialsError(
        "Lightning credentials are missing: LIGHTNING_API_KEY and LIGHTNING_USER_ID are not set; "
        "the key and the user id are on your Lightning profile under Keys"
    )
