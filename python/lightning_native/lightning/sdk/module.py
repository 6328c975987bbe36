"""Single modules of `lightning_sdk`, without the side effects of the package's import."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from lightning_native.errors import LightningNativeError
from lightning_native.lightning.sdk.version import how_to_install


@cache
def sdk_module(path: str) -> ModuleType:
    """Return a module of the installed SDK that imports no other one of it: `machine`, `pipeline/schedule`.

    The package's import would fix the cloud's URL for this process, last 0.4 s and ask the package index for versions.

    Raises:
        LightningNativeError: lightning-sdk is not installed.
        FileNotFoundError: it has no such module.
    """
    package = importlib.util.find_spec("lightning_sdk")
    if package is None or not package.submodule_search_locations:
        raise LightningNativeError(f"lightning-sdk is not installed; {how_to_install()}")
    file = Path(package.submodule_search_locations[0]) / f"{path}.py"
    name = f"lightning_native.lightning._sdk_{path.replace('/', '_')}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(f"the installed lightning-sdk has no {file}")
    module = importlib.util.module_from_spec(spec)
    # Data classes search for their module there.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
