"""The price list of Lightning, read by a process of its own: `python -m lightning_native.zenml.price_list`.

The SDK takes credentials from the environment of its process; they have no business in the user's.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict

from lightning_native.child_process import python_module
from lightning_native.engine.process.credentialed import controller_environment
from lightning_native.errors import CloudError
from lightning_native.home import home, write_private
from lightning_native.lightning.offers import MachineOffer, fetch_offers
from lightning_native.lightning.session import open_teamspace
from lightning_native.terminal import one_line

_FRESH_SECONDS = 3600.0
_PATIENCE_SECONDS = 60.0


def read_price_list(environ: Mapping[str, str]) -> list[MachineOffer]:
    """Return what machines there are and what they cost, at most an hour old.

    Args:
        environ: how the SDK reaches Lightning, credentials among it.

    Raises:
        CloudError: it cannot be read.
    """
    names = ("LIGHTNING_NATIVE_CLOUD_ROOT", "LIGHTNING_ORG", "LIGHTNING_USERNAME", "LIGHTNING_TEAMSPACE")
    where = hashlib.sha256(json.dumps([environ.get(name) for name in names]).encode()).hexdigest()[:16]
    kept = home() / f"prices-{where}.json"
    if kept.exists() and time.time() - kept.stat().st_mtime < _FRESH_SECONDS:
        text = kept.read_text()
    else:
        text = _fetch(environ)
        partial = kept.with_suffix(f".{time.monotonic_ns()}")
        write_private(partial, text)
        partial.replace(kept)
    return [MachineOffer(**offer) for offer in json.loads(text)]


def _fetch(environ: Mapping[str, str]) -> str:
    try:
        result = subprocess.run(
            python_module(__name__),
            env=controller_environment(environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CloudError(f"the price list did not come within {_PATIENCE_SECONDS:g} s") from error
    if result.returncode != 0:
        reason = one_line((result.stderr.strip().splitlines() or ["no reason"])[-1])
        raise CloudError(f"cannot read the price list: {reason}")
    return result.stdout


if __name__ == "__main__":
    json.dump([asdict(offer) for offer in fetch_offers(open_teamspace())], sys.stdout)
