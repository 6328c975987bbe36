"""The sign-in to the teamspace that this process's variables name."""

import gc
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.errors import (
    AccessRefusedError,
    CloudError,
    CredentialsError,
    LightningNativeError,
    RateLimitedError,
    UnreachableError,
)
from lightning_native.home import home
from lightning_native.lightning.credentials import Credentials
from lightning_native.lightning.errors import cloud_errors
from lightning_native.lightning.sdk.internals import address_of_process, import_configuration
from lightning_native.lightning.sdk.sign_in import sign_in_by_key_only
from lightning_native.lightning.sdk.version import check_sdk_version, how_to_install
from lightning_native.lightning.teamspace import LightningCloud

if TYPE_CHECKING:
    from lightning_sdk import Teamspace

_LIGHTNING = "https://lightning.ai"
# The pause after which a refused key is tried once more, because a single refusal may be a mistake.
_KEY_PAUSE = 1.0


def cloud_name(environ: Mapping[str, str] = os.environ) -> str:
    """Return the journal's name of the cloud and the teamspace that variables name, by default this process's.

    The root names a local cloud, because the cloud has another port after each start.
    """
    where = environ.get("LIGHTNING_NATIVE_CLOUD_ROOT") or environ.get("LIGHTNING_CLOUD_URL", _LIGHTNING)
    owner = environ.get("LIGHTNING_ORG") or environ.get("LIGHTNING_USERNAME", "")
    return f"{where} {owner}/{environ.get('LIGHTNING_TEAMSPACE', '')}"


def connect() -> LightningCloud:
    """Sign in with the credentials in this process's variables.

    Raises:
        CredentialsError: the credentials or the teamspace are missing or refused.
        UnreachableError, RateLimitedError: Lightning does not answer now.
        LightningNativeError: lightning-sdk is not installed, or too old.

    """
    return LightningCloud(open_teamspace())


def _have_home() -> None:
    """Give this process a home if its user has none, because the import of the SDK fails without one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(home())


def open_teamspace() -> "Teamspace":
    """Sign in, and return the SDK's own teamspace.

    Raises:
        CredentialsError: the credentials or the teamspace are missing or refused.
        UnreachableError, RateLimitedError: Lightning does not answer now.
        LightningNativeError: lightning-sdk is not installed, or too old.

    """
    # Checked here first, because the SDK would open a browser and wait for a person to sign in there.
    Credentials.from_environment(os.environ).environ()
    # The import of the SDK would ask the package index for new versions, without a time limit.
    os.environ.setdefault("LIGHTNING_DISABLE_VERSION_CHECK", "1")
    check_sdk_version()
    _have_home()
    try:
        with warnings.catch_warnings(), _kept_for_good():
            warnings.simplefilter("ignore")
            from lightning_sdk import Teamspace

            import_configuration()
    except ImportError as error:
        raise LightningNativeError(f"lightning-sdk cannot be imported ({error}); {how_to_install()}") from error
    sign_in_by_key_only()
    organization = os.environ.get("LIGHTNING_ORG")
    name = os.environ.get("LIGHTNING_TEAMSPACE")
    user = None if organization else os.environ.get("LIGHTNING_USERNAME")
    url = os.environ.get("LIGHTNING_CLOUD_URL", _LIGHTNING)
    _check_address(url)

    def sign_in() -> "Teamspace":
        with warnings.catch_warnings(), cloud_errors(f"open teamspace {name!r} of {organization or user!r} at {url}"):
            # The SDK warns that it prefers the owner in the name, which its older versions do not read.
            warnings.simplefilter("ignore", DeprecationWarning)
            return Teamspace(name=name, org=organization, user=user)

    try:
        try:
            return sign_in()
        except AccessRefusedError:
            time.sleep(_KEY_PAUSE)
            return sign_in()
    except (UnreachableError, RateLimitedError):
        raise
    except CloudError as error:
        raise CredentialsError(f"{error}; check the API key, the user id and the names") from error


def _check_address(url: str) -> None:
    """Refuse a cloud at another address than the SDK's, because the SDK keeps the address of its import."""
    address = address_of_process(url)
    if url != address:
        raise LightningNativeError(
            f"this process talks to {address}, since it imported lightning_sdk, and cannot talk to "
            f"{url}; use another process for each cloud, or set LIGHTNING_CLOUD_URL before the import"
        )


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Exempt the many objects of an import from garbage collection, both now and at the process's end."""
    if "lightning_sdk" in sys.modules:
        yield
        return
    was_enabled = gc.isenabled()
    # Collected first, because present garbage would be exempt, too.
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
