"""A Lightning cloud on this machine, for the unmodified `lightning-sdk`: no account, no network, no bill.

`LocalCloud` runs one for the length of a `with` block; `lightning-native emulator` runs one in a terminal.
"""

from lightning_native.emulator.client.fault_client import Faults
from lightning_native.emulator.client.local_cloud import LocalCloud, stop_server
from lightning_native.emulator.state.faults import Fault
from lightning_native.emulator.state.server_file import read_environ

__all__ = ["Fault", "Faults", "LocalCloud", "read_environ", "stop_server"]
