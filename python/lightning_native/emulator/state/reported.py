"""A conformance report as the local cloud reads it: values that were measured on the platform become its own."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_native.emulator.state.profile import PARTS, profile_of
from lightning_native.errors import EmulatorError

# The form that `lightning-native conformance --report FILE.json` writes.
_FORMAT = "lightning-native-conformance/1"
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class ReportedMachine:
    """A machine in the price list of a cloud account; dollars an hour, and seconds until one is available."""

    account: str
    slug: str
    cost: float
    spot: float = 0.0
    wait: float = 0.0
    full: bool = False


@dataclass(frozen=True)
class Reported:
    """The values of a report: parts of the profile by name, and the price lists."""

    parts: dict[str, Any] = field(default_factory=dict)
    machines: tuple[ReportedMachine, ...] = ()


def read_report(path: Path) -> Reported:
    """Return the values of a report.

    Raises:
        EmulatorError: it cannot be read, is no report, or has a value that no local cloud can have.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES)
        data = json.loads(text)
    except OSError as error:
        raise EmulatorError(f"cannot read the report {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise EmulatorError(f"{path} is no report: it is no JSON ({error})") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise EmulatorError(f"{path} is no report that this version reads: its `format` is not {_FORMAT!r}")
    try:
        reported = Reported(_parts(data), _machines(data))
        profile_of("platform", reported.parts)
    except EmulatorError as error:
        raise EmulatorError(f"the report {path} cannot be used: {error}") from error
    return reported


def _parts(data: dict[str, Any]) -> dict[str, Any]:
    kinds = {part.name: part.type for part in PARTS}
    parts: dict[str, Any] = {}
    for check in _list(data, "checks"):
        measured = check.get("measured", {})
        if not isinstance(measured, dict):
            raise EmulatorError(f"`measured` of check {check.get('id')!r:.50} is no table")
        for name, value in measured.items():
            if name in parts and parts[name] != value:
                raise EmulatorError(f"two checks measured {name!r:.50} differently")
            parts[name] = round(value) if kinds.get(name) is int and isinstance(value, float) else value
    return parts


def _machines(data: dict[str, Any]) -> tuple[ReportedMachine, ...]:
    return tuple(_machine(each) for each in _list(data, "prices"))


def _machine(row: dict[str, Any]) -> ReportedMachine:
    for name in ("account", "slug"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise EmulatorError(f"a price has no `{name}`, but {row.get(name)!r:.50}")
    for name in ("cost", "spot", "wait"):
        value = row.get(name) or 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise EmulatorError(f"`{name}` of {row['slug']!r:.50} is a number of at least 0, not {value!r:.50}")
    numbers = {name: float(row.get(name) or 0.0) for name in ("cost", "spot", "wait")}
    return ReportedMachine(row["account"], row["slug"], full=row.get("full") is True, **numbers)


def _list(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise EmulatorError(f"`{name}` is no list of tables")
    return found
