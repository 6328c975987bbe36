"""An address of this computer that machines with a network of their own reach, and no other computer does."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def host_address() -> Iterator[str]:
    """Put an address on the loopback interface that no other process of the tests has."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can give this computer a further address")
    number = os.getpid()
    address = f"10.77.{number // 254 % 254 + 1}.{number % 254 + 1}"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield address
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)
