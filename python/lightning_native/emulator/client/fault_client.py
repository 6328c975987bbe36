"""The client for the faults of a running local cloud."""

import json
import urllib.error
import urllib.request
from dataclasses import asdict
from typing import Any

from lightning_native.emulator.state.faults import Fault
from lightning_native.errors import EmulatorError

# A proxy of the user cannot reach a server on this computer.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Faults:
    """The faults of a running local cloud, added and removed through its address."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/emulator/faults"
        self._key = key

    def add(self, kind: str, **options: Any) -> Fault:
        """Add a fault and return it with its number; the options are the attributes of `Fault`."""
        try:
            fault = Fault(kind, **options)
        except TypeError as error:
            raise EmulatorError(f"fault {kind!r}: {error}") from None
        fault.check()
        return Fault(**self._call("POST", self._url, asdict(fault)))

    def list(self) -> list[Fault]:
        """Return the faults that have not fired as often as asked."""
        return [Fault(**item) for item in self._call("GET", self._url)["faults"]]

    def remove(self, number: int) -> None:
        """Remove a fault."""
        self._call("DELETE", f"{self._url}/{number}")

    def clear(self) -> None:
        """Remove all faults."""
        self._call("DELETE", self._url)

    def _call(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=content, method=method)  # noqa: S310 - the address of our own server
        request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with _DIRECT.open(request) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise EmulatorError(json.load(error)["message"]) from None
        except urllib.error.URLError as error:
            raise EmulatorError(f"no local cloud answers at {url}: {error.reason}") from None
