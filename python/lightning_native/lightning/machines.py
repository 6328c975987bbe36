"""The machines that the installed `lightning_sdk` names."""

import difflib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from lightning_native.errors import LightningNativeError, UnknownMachineError

DEFAULT_MACHINE = "CPU"


@cache
def _machine_module() -> ModuleType:
    # Importing the package would fix the cloud's URL for this process, cost 0.4 s and ask the package index for news;
    # this one file of it stands alone.
    package = importlib.util.find_spec("lightning_sdk")
    if package is None or not package.submodule_search_locations:
        raise LightningNativeError(
            "lightning-sdk is not installed; install it with: pip install 'lightning-native[engine]'"
        )
    path = Path(package.submodule_search_locations[0]) / "machine.py"
    spec = importlib.util.spec_from_file_location("lightning_native.lightning._sdk_machine", path)
    if spec is None or spec.loader is None:
        raise LightningNativeError(f"{path} of the installed lightning-sdk cannot be read; reinstall lightning-sdk")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def machine_slugs() -> dict[str, str]:
    """Return each machine's name and its slug, `{"L4": "lit-l4-1", …}`, in the SDK's order."""
    machine = _machine_module().Machine
    return {name: value.slug for name, value in vars(machine).items() if isinstance(value, machine)}


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
    """Tell whether two machine names stand for the same hardware (`CPU` and `CPU_X_4` do)."""
    slugs = machine_slugs()
    return slugs[canonical_machine(one)] == slugs[canonical_machine(other)]
