"""Keeps the SDK from signing in by itself: a process of ours never opens a browser and never waits for a person.

The SDK has no setting for either.
"""

from typing import NoReturn

from lightning_native.errors import CredentialsError
from lightning_native.lightning.sdk_internals import decide_retries, refuse_browser

_FORBIDDEN = 403


def sign_in_by_key_only() -> None:
    """Have the SDK in this process fail at once where it would open a browser, or ask again what it was refused."""
    refuse_browser(_refuse)
    decide_retries(never_for=_FORBIDDEN)


def _refuse(*_arguments: object) -> NoReturn:
    raise CredentialsError(
        "Lightning credentials are missing: LIGHTNING_API_KEY and LIGHTNING_USER_ID are not set; "
        "the key and the user id are on your Lightning profile under Keys"
    )
