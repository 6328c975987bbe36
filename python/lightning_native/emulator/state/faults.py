"""Faults on demand: named, counted, and each fires exactly as often as asked.

`cloud.faults.add("status", match="POST */execute", status=503, after_accept=True)` makes the next such request fail
after it was carried out. The kinds are listed in `KINDS`.
"""

import json
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

from lightning_native.errors import EmulatorError

KINDS = {
    "status": "a request is answered with a status, before or after it is carried out",
    "delay": "a request waits so many seconds before it is carried out",
    "reset": "the connection breaks, before or after the request is carried out",
    "truncate": "only the first half of an upload is stored, and the answer says all is well",
    "corrupt": "one byte of an upload is changed, and the answer says all is well",
    "full-disk": "an upload is refused: no space is left",
    "expired-key": "a request is answered as if the key had expired",
    "out-of-capacity": "a machine is not to be had: studios do not start on it, jobs stay pending",
    "boot-fails": "the machine of a studio fails to start",
    "boot-hangs": "the machine of a studio stays pending",
    "studio-dies": "a studio loses its machine so many seconds after a command began",
    "reclaim": "an interruptible job loses its machine so many seconds after it began",
}
# Kinds that a request triggers, with the requests that they are about unless told otherwise.
REQUEST_KINDS = {
    "status": "* *",
    "delay": "* *",
    "reset": "* *",
    "truncate": "PUT /storage/*",
    "corrupt": "PUT /storage/*",
    "full-disk": "PUT /storage/*",
    "expired-key": "* /v1/*",
}


@dataclass
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        match: the requests it is about, `METHOD PATH` with `*` for anything; the method may be left out.
        times: how often it fires; 0 for always.
        status: the HTTP status of the answer.
        seconds: simulated seconds of a delay, or until a machine is lost.
        after_accept: whether the request is carried out all the same.
        machine: the machine it is about, as a slug; any when empty.
        name: the studio or job it is about; any when empty.
        fired: how often it has fired.
        id: the number it is removed by.

    """

    kind: str
    match: str = ""
    times: int = 1
    status: int = 503
    seconds: float = 0.0
    after_accept: bool = False
    machine: str = ""
    name: str = ""
    fired: int = 0
    id: int = 0

    def check(self) -> None:
        """Raise `EmulatorError` for a fault that cannot be."""
        for name, kind in (("kind", str), ("match", str), ("machine", str), ("name", str)):
            if not isinstance(getattr(self, name), kind):
                raise EmulatorError(f"a fault's `{name}` is a text, not {getattr(self, name)!r:.50}")
        for name in ("times", "status", "seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= abs(value) < float("inf"):
                raise EmulatorError(f"a fault's `{name}` is a number, not {value!r:.50}")
        if self.kind not in KINDS:
            raise EmulatorError(f"{self.kind!r} is no fault; there are {', '.join(KINDS)}")
        if self.times < 0 or self.seconds < 0:
            raise EmulatorError(f"fault {self.kind!r}: `times` and `seconds` are at least 0")
        if not 400 <= self.status <= 599:
            raise EmulatorError(f"fault {self.kind!r}: {self.status} is no error status; give one from 400 to 599")
        if self.match and self.kind not in REQUEST_KINDS:
            raise EmulatorError(f"fault {self.kind!r}: `match` is for requests; use `machine` or `name`")


# No proxy of the user's reaches a server on this computer.
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
