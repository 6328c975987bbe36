"""The Python of new machines, as far as it is known before one of them is asked."""

import re
from collections.abc import Mapping

from lightning_native.errors import UsageError

# The local cloud sets it to the version that its machines have; a user may, where Lightning's have another.
ENV_MACHINE_PYTHON = "LIGHTNING_NATIVE_MACHINE_PYTHON"
# Of every studio that was seen in 2026; it was 3.10 until 2025.
_LIGHTNING_PYTHON = "3.12"


def machine_python(environ: Mapping[str, str]) -> str:
    """Return the version of Python, such as `3.12`, that new machines of the cloud have which an environment names.

    Raises:
        UsageError: the environment names no version.
    """
    named = environ.get(ENV_MACHINE_PYTHON) or _LIGHTNING_PYTHON
    version = re.fullmatch(r"(3\.\d{1,3})(\.\d{1,3})?", named)
    if version is None:
        raise UsageError(f"{ENV_MACHINE_PYTHON} is {named!r}; set it to a version of Python such as 3.12, or unset it")
    return version[1]


def is_local(environ: Mapping[str, str]) -> bool:
    """Tell whether an environment names the local cloud."""
    return bool(environ.get("LIGHTNING_NATIVE_CLOUD_ROOT"))
