"""Copies: second studios and jobs of one request that was repeated because the answer to it was lost.

The platform gives a copy the requested name with a short suffix: a number, or a few random characters. Our own names
end in 15 characters of a hash, so that none of them is another one with a short suffix.
"""

import re
from datetime import datetime

# A request is repeated within seconds; a studio that a person copies by hand comes later.
_SECONDS = 900.0
_SUFFIX = re.compile(r"-[a-z0-9]{1,8}", re.IGNORECASE)


def is_name_of_copy(name: str, found: str) -> bool:
    """Return whether `found` is a name that the platform may have given to a copy of `name`."""
    return found[: len(name)].lower() == name.lower() and bool(_SUFFIX.fullmatch(found, len(name)))


def came_together(first: datetime | None, second: datetime | None) -> bool:
    """Return whether the same request may have created two things; True if one of the times is unknown."""
    return first is None or second is None or abs((second - first).total_seconds()) <= _SECONDS
