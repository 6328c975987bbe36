"""Signatures with the key of a local cloud: for addresses, and for clients that do not have the key itself."""

import base64
import hashlib
import hmac
import json
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.state.cloud import Cloud


def signature(cloud: Cloud, content: str) -> str:
    """Return a text that only a holder of the key can create for this content."""
    return hmac.new(cloud.api_key.encode(), content.encode(), hashlib.sha256).hexdigest()


def sign(cloud: Cloud, payload: dict[str, Any]) -> str:
    """Return a text that carries a value and that only this cloud can create."""
    content = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode()
    return f"{content}.{signature(cloud, content)}"


def verify(cloud: Cloud, token: str) -> dict[str, Any]:
    """Return the value that was signed; 403 for anything else."""
    content, _, signed = token.partition(".")
    if not hmac.compare_digest(signed.encode(), signature(cloud, content).encode()):
        raise ApiError(403, "the address is not signed by this server")
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content))
    return payload
