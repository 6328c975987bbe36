"""The machines that the installed `lightning_sdk` names."""

import difflib
from functools import cache

from lightning_native.errors import UnknownMachineError
from lightning_native.lightning.sdk.internals import machine_table


@cache
def machine_slugs() -> dict[str, str]:
    """Return each machine's name and its slug, `{"L4": "lit-l4-1", …}`, in the SDK's order."""
    return machine_table()


def canonical_machine(name: str) -> str:
    """Return the SDK's name of a machine given by name (in any case) or slug.

    Raises:
        UnknownMachineError: there is no such machine; the message lists the nearest names.

    """
    wanted = name.strip()
    slugs = machine_slugs()
    for known, slug in slugs.items():
        if wanted.upper() == known or wanted.lower() == slug:
            return known
    near = difflib.get_close_matches(wanted.upper().replace("-", "_"), slugs, n=4, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"the machines are: {', '.join(slugs)}"
    raise UnknownMachineError(f"unknown machine {name!r}; {hint}")


def same_machine(one: str, other: str) -> bool:
    """Return whether two machine names mean the same hardware, as `CPU` and `CPU_X_4` do."""
    slugs = machine_slugs()
    return slugs[canonical_machine(one)] == slugs[canonical_machine(other)]
