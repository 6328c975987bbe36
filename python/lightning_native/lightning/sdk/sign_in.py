"""A sign-in by key only: a process of ours never opens a browser and never waits for a person.

The SDK has no setting for either.
"""

from typing import NoReturn

from lightning_native.errors import CredentialsError
from lightning_native.lightning.sdk.internals import decide_retries, refuse_browser

_FORBIDDEN = 403


def sign_in_by_key_only() -> None:
    """Let the SDK in this process fail at once instead of opening a browser or repeating a refused request."""
    refuse_browser(_refuse)
    decide_retries(never_for=_FORBIDDEN)


def _refuse(*_arguments: object) -> NoReturn:
    raise CredentialsError(
        "Lightning credentials are missing: LIGHTNING_API_KEY and LIGHTNING_USER_ID are not set; "
        "the key and the user id are on your Lightning profile under Keys"
    )
