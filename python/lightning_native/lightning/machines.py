"""The machines that the installed `lightning_sdk` names, and those that Lightning's price list has besides."""

import difflib
import re
from functools import cache

from lightning_native.errors import UnknownMachineError
from lightning_native.lightning.sdk.internals import machine_table

# A slug: the kind of GPU, maybe with its memory, and the number. `lit-h100-80gb-8` is the SDK's `lit-h100-8`, and
# `lit-h200x-8` is its `lit-h200-8`.
_SLUG = re.compile(r"(?P<kind>lit(?:-[a-z0-9]+)+?)(?:-\d+gb)?-(?P<count>\d+)")
_MEMORY = re.compile(r"_\d+GB")


@cache
def machine_slugs() -> dict[str, str]:
    """Return each machine's name and its slug, `{"L4": "lit-l4-1", …}`, in the SDK's order."""
    return machine_table()


def canonical_machine(name: str) -> str:
    """Return the SDK's name of a machine given by name (in any case) or slug; else the slug, as the price list has it.

    Raises:
        UnknownMachineError: there is no such machine; the message lists the nearest names.

    """
    wanted = name.strip()
    known = sdk_name(wanted)
    if known is not None:
        return known
    if _SLUG.fullmatch(wanted.lower()):
        # Lightning has machines that this SDK does not name, and takes their slugs.
        return wanted.lower()
    slugs = machine_slugs()
    near = difflib.get_close_matches(wanted.upper().replace("-", "_"), slugs, n=4, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"the machines are: {', '.join(slugs)}"
    raise UnknownMachineError(f"unknown machine {name!r}; {hint}")


def sdk_name(wanted: str) -> str | None:
    """Return the SDK's name of a machine given by name or by a slug of any account; None if it has none."""
    slug, known = wanted.lower(), machine_slugs()
    # The slug as it is comes first: `lit-a100-40gb-1` is another machine than `lit-a100-1`.
    for name, other in known.items():
        if wanted.upper() == name or slug == other:
            return name
    match = _SLUG.fullmatch(slug)
    slugs = {f"{kind}-{match['count']}" for kind in (match["kind"], match["kind"].removesuffix("x"))} if match else ()
    return next((name for name, other in known.items() if other in slugs), None)


def is_slug(text: str) -> bool:
    """Return whether a text has the form of a slug, by which Lightning may know a machine that has no name."""
    return _SLUG.fullmatch(text) is not None


def machine_slug(name: str) -> str:
    """Return the slug by which the SDK asks for a machine.

    Raises:
        UnknownMachineError: there is no such machine.
    """
    canonical = canonical_machine(name)
    return machine_slugs().get(canonical, canonical)


def same_machine(one: str, other: str) -> bool:
    """Return whether two machine names mean the same hardware, as `CPU` and `CPU_X_4` do."""
    return machine_slug(one) == machine_slug(other)


def provides(offered: str, wanted: str) -> bool:
    """Return whether a machine is what a name asks for: an `A100_40GB` is an `A100`, as the platform decides."""
    if same_machine(offered, wanted):
        return True
    name = canonical_machine(offered)
    return _MEMORY.search(name) is not None and _MEMORY.sub("", name) == canonical_machine(wanted)


def has_gpu(name: str) -> bool:
    """Return whether a machine has GPUs."""
    return machine_slug(name).startswith("lit-") and "-tpu-" not in machine_slug(name)
