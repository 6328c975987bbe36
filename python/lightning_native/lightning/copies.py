"""Second things that one of our requests has made: it was carried out, its answer was lost, and it was sent again.

The platform gives the second one the name that was asked for and something short behind it: a number, or a few random
characters. Our own names end in 15 characters of a hash, so that none of them is another one and something short.
"""

import re
from datetime import datetime

# A request is sent again within seconds; what a person copies by hand, such as a studio, comes later.
_SECONDS = 900.0
_SUFFIX = re.compile(r"-[a-z0-9]{1,8}", re.IGNORECASE)


def is_name_of_copy(name: str, found: str) -> bool:
    """Tell whether `found` is what the platform may have called the second thing that was to be called `name`."""
    return found[: len(name)].lower() == name.lower() and bool(_SUFFIX.fullmatch(found, len(name)))


def came_together(first: datetime | None, second: datetime | None) -> bool:
    """Tell whether two things were created by what may have been the same request; so, too, if it is not known."""
    return first is None or second is None or abs((second - first).total_seconds()) <= _SECONDS
