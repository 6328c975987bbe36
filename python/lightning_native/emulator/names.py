"""Names of studios, jobs and pipelines."""

from collections.abc import Iterable

from lightning_native.emulator.api import ApiError

_MAX_LENGTH = 255


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number behind it if it is taken: the platform too renames rather than refuses."""
    name = name.strip()
    if not name or "/" in name or len(name) > _MAX_LENGTH:
        raise ApiError(400, f"{name!r} is no name")
    names = set(taken)
    free, number = name, 2
    while free in names:
        free, number = f"{name}-{number}", number + 1
    return free
