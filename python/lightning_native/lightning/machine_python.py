"""The Python version of new machines, as known before any of them is asked."""

import re
from collections.abc import Mapping

from lightning_native.errors import UsageError

# The local cloud sets it to its machines' version; a user may set it if Lightning's machines have another one.
ENV_MACHINE_PYTHON = "LIGHTNING_NATIVE_MACHINE_PYTHON"
# The version of every studio in 2026; until 2025, it was 3.10.
_LIGHTNING_PYTHON = "3.12"


def machine_python(environ: Mapping[str, str]) -> str:
    """Return the Python version of new machines, such as `3.12`, on the cloud that variables name.

    Raises:
        UsageError: the variable for it is no version.
    """
    named = environ.get(ENV_MACHINE_PYTHON) or _LIGHTNING_PYTHON
    version = re.fullmatch(r"(3\.\d{1,3})(\.\d{1,3})?", named)
    if version is None:
        raise UsageError(f"{ENV_MACHINE_PYTHON} is {named!r}; set it to a version of Python such as 3.12, or unset it")
    return version[1]


def is_local(environ: Mapping[str, str]) -> bool:
    """Return whether variables name the local cloud."""
    return bool(environ.get("LIGHTNING_NATIVE_CLOUD_ROOT"))
