"""Ports of studios: those of strict machines are forwarded from ports of this computer."""

import socket

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.state.cloud import Cloud

PORT = "port"
_LOOPBACK = "127.0.0.1"


def studio_of(content: dict[str, object]) -> str:
    """Return the id of the studio that a recorded port belongs to."""
    named = content.get("cloudspace")
    return str(named.get("cloudspaceId") or "") if isinstance(named, dict) else ""


def ports_of(cloud: Cloud, studio_id: str) -> dict[int, int]:
    """Return the ports of this computer that are forwarded to a studio, by the studio's ports."""
    found = {}
    for item in cloud.documents:
        if item.kind == PORT and studio_of(item.content) == studio_id:
            for port, url in zip(item.content["ports"], item.content["urls"], strict=True):
                found[int(port)] = int(url.rpartition(":")[2])
    return found


async def open_port(cloud: Cloud, studio_id: str, port: str) -> int:
    """Open a port of a studio, and return the port of this computer that leads to it."""
    if not (port.isdecimal() and port.isascii() and 0 < int(port) < 2**16):
        raise ApiError(400, f"{port!r} is no port")
    studio = cloud.studios.get(studio_id)
    if cloud.strict is None or studio is None or not cloud.strict.has_network:
        # Commands run on this computer itself, so their ports are this computer's.
        return int(port)
    host_port = ports_of(cloud, studio_id).get(int(port)) or _free_port(int(port))
    if (machine := cloud.strict.get(studio.marker)) is not None:
        await machine.forward(int(port), host_port)
    return host_port


async def close_ports(cloud: Cloud, content: dict[str, object]) -> None:
    """Release the ports of this computer that belonged to a deleted record."""
    studio_id = studio_of(content)
    studio = cloud.studios.get(studio_id)
    machine = cloud.strict.get(studio.marker) if cloud.strict and studio else None
    urls = content.get("urls")
    for url in urls if machine and isinstance(urls, list) else ():
        host_port = int(str(url).rpartition(":")[2])
        if machine is not None and host_port not in ports_of(cloud, studio_id).values():
            await machine.stop_forwarding(host_port)


def _free_port(wanted: int) -> int:
    """Return a free port of this computer: the wanted one, if possible."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise ApiError(503, "this computer has no free port")
