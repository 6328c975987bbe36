"""A finding of `doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` is empty if nothing is wrong.

    `found` begins with the line that is shown; JSON has the further ones as well.
    """

    check: str
    ok: bool
    found: str
    remedy: str = ""
