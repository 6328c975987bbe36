"""The server process of a local cloud: one for each root, announced in `server.json` while it is ready."""

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from lightning_native.emulator.app import create_app
from lightning_native.emulator.cloud_accounts import use_list
from lightning_native.emulator.connection_limits import Connection
from lightning_native.emulator.host import processes
from lightning_native.emulator.host.keep_alive import is_kept
from lightning_native.emulator.host.proxies import without_proxy
from lightning_native.emulator.services import lifecycle
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.key_file import read_or_create_key
from lightning_native.emulator.state.records import Fact
from lightning_native.emulator.state.root import (
    DATABASE_FILE,
    KEY_FILE,
    LIFELINE,
    SERVER_FILE,
    START_LOCK,
    lock_root,
    make_private,
    open_private,
    open_root,
)
from lightning_native.emulator.state.server_file import announce, exports, kept_aside, read_server
from lightning_native.emulator.state.settings import Settings
from lightning_native.emulator.state.store import damaged
from lightning_native.errors import EmulatorError

_HOST = "127.0.0.1"
_OPEN_FILES = 65_536
_TRIES = 20
# The interval at which a cloud without users searches for processes that keep it.
_KEPT_SECONDS = 0.5

logger = logging.getLogger("lightning_native.emulator")


class _Server(uvicorn.Server):
    """Leaves signals to us, because studios end before connections do."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Options:
    """The options of the server process itself.

    Attributes:
        port: the port on 127.0.0.1; 0 for the one of last time, or any free one.
        stop_with_stdin: end when stdin ends.

    """

    port: int = 0
    stop_with_stdin: bool = False


def serve(root: Path, settings: Settings, options: Options) -> None:
    """Serve a root until SIGTERM, SIGINT or, if the options say so, the end of stdin.

    Raises:
        EmulatorError: the root is not ours or damaged, another server has it, the port is taken, or this system
            cannot do it.

    """
    processes.require_linux()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Every studio and job holds its namespace open.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, _OPEN_FILES)), hard))
    root = open_root(root)
    lock = lock_root(root)
    if lock is None:
        hint = "stop that server or choose another --root"
        raise EmulatorError(f"{root} is served already{_announced(root)}; {hint}")
    with lock:
        # From here on, only the owner can read what is created below the root; code in studios has its own umask.
        os.umask(0o077)
        try:
            make_private(root)
            asyncio.run(_serve(root, settings, options))
        except OSError as error:
            where = error.filename or root
            hint = "make room or let this user write there, or choose another --root"
            raise EmulatorError(f"cannot use {where}: {error.strerror or error}; {hint}") from error


def _announced(root: Path) -> str:
    server = read_server(root)
    return f" at {server['url']} by process {server['pid']}" if server else ""


def breaks_links(port: int) -> bool:
    """Return whether the SDK cuts a port: it removes `:443` from the links that it prints, also from `:44397`."""
    return str(port).startswith("443")


def _listen(root: Path, cloud: Cloud, port: int) -> socket.socket:
    last = cloud.facts.get("port")
    # The same address as last time, if it is free, so that processes that know it can continue.
    candidates = [port] if port else [*([last.value] if last else []), *[0] * _TRIES]
    for candidate in candidates:
        listener = socket.socket()
        # Accepted connections inherit it; small answers must not wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, candidate))
        except OSError as error:
            listener.close()
            if candidate == candidates[-1]:
                where = f"{_HOST}:{candidate}"
                raise EmulatorError(f"cannot listen on {where}: {error.strerror}; choose another --port") from error
            continue
        if candidate == 0 and breaks_links(listener.getsockname()[1]):
            listener.close()
            continue
        listener.listen(512)
        break
    else:
        raise EmulatorError(f"no port on {_HOST} is free; choose one with --port")
    cloud.facts.save(Fact("port", listener.getsockname()[1]))
    cloud.url = f"http://{_HOST}:{listener.getsockname()[1]}"
    logger.info("serving %s at %s", root, cloud.url)
    return listener


async def _serve(root: Path, settings: Settings, options: Options) -> None:
    key = read_or_create_key(root / KEY_FILE)
    use_list(settings.machines)
    with _of_the_records(root):
        cloud = Cloud(root, settings, key)
        listener = _listen(root, cloud, options.port)
    config = uvicorn.Config(
        create_app(cloud),
        http=Connection,
        # Clients send only pings through a WebSocket.
        ws_max_size=65_536,
        log_config=None,
        # Only clients receive the errors of their requests, because nobody without the key may write into the log.
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, cloud.closing.set)
    if options.stop_with_stdin:
        try:
            loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_stdin, loop, cloud, root)
        except PermissionError:
            # A file or /dev/null cannot be polled, and nobody will end it.
            cloud.closing.set()
    if cloud.strict is not None:
        await cloud.strict.check()
    with _of_the_records(root):
        kept = await lifecycle.recover(cloud)
    if kept:
        logger.warning("%s", kept_aside(root, kept))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        _announce(root, cloud, kept)
        closing = asyncio.create_task(cloud.closing.wait())
        await asyncio.wait([serving, closing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        (root / SERVER_FILE).unlink(missing_ok=True)
        await lifecycle.shut_down(cloud)
        server.should_exit = True
        await serving
        await cloud.close()
        logger.info("stopped")


@contextlib.contextmanager
def _of_the_records(root: Path) -> Iterator[None]:
    """Turn errors in the values of records into an error about their file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise damaged(root / DATABASE_FILE, f"{type(error).__name__}: {error}") from error


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, cloud: Cloud, root: Path) -> None:
    if os.read(sys.stdin.fileno(), 4096):
        return
    loop.remove_reader(sys.stdin.fileno())
    if _is_lifeline(root):
        cloud.start_task(_close_when_unused(loop, cloud, root))
    else:
        cloud.closing.set()


def _is_lifeline(root: Path) -> bool:
    """Whether stdin is the lifeline that users of the root hold open and new users can open."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(sys.stdin.fileno()), (root / LIFELINE).stat())
    return False


async def _close_when_unused(loop: asyncio.AbstractEventLoop, cloud: Cloud, root: Path) -> None:
    """Close when no controller on a machine of this cloud keeps it, unless it has a user again."""
    was_kept = False
    while await asyncio.to_thread(is_kept, root):
        was_kept = True
        await asyncio.sleep(_KEPT_SECONDS)
        if _is_used():
            loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_stdin, loop, cloud, root)
            return
    if was_kept:
        with open_private(root / START_LOCK) as starting:
            await asyncio.to_thread(fcntl.flock, starting, fcntl.LOCK_EX)
            if _is_used():
                loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_stdin, loop, cloud, root)
                return
            # Held until this process is gone, so that no user attaches to an ending server.
            os.dup(starting.fileno())
    cloud.closing.set()


def _is_used() -> bool:
    """Whether a user holds the other end of the lifeline."""
    try:
        return bool(os.read(sys.stdin.fileno(), 4096))
    except BlockingIOError:
        return True


def _announce(root: Path, cloud: Cloud, kept: list[str]) -> None:
    announce(root, cloud.url, cloud.environ, kept, strict=cloud.settings.strict)
    print(exports({**cloud.environ, **without_proxy(os.environ)}), flush=True)  # noqa: T201 - the result of the command
