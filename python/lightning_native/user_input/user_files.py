"""The reader of files that the user names, with a bound on their size and on the wait for them."""

import os
import select
import stat
import time
from pathlib import Path

MOST_BYTES = 16 << 20
# The longest wait for the writer of a pipe, as in `<(command)`.
_PATIENCE_SECONDS = 30.0
_CHUNK = 1 << 20


def read_user_text(path: Path, *, most: int = MOST_BYTES) -> str:
    """Return the UTF-8 text, with or without a byte order mark, of a file or of a pipe that has a writer.

    Raises:
        OSError: it cannot be read, is a device, a folder or a pipe without an end, or has more than `most` bytes.
        UnicodeDecodeError: it is not UTF-8 text.
    """
    try:
        # Without O_NONBLOCK, a pipe without a writer would block the open for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(f"its name cannot be that of a file ({error})") from error
    try:
        status = os.fstat(descriptor)
        is_pipe = stat.S_ISFIFO(status.st_mode)
        if not is_pipe:
            check_regular(status)
        content = _read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(f"it has more than {most >> 20} MiB")
    if is_pipe and not content:
        raise OSError("it is a pipe that nobody writes to, and no regular file")
    return content.decode("utf-8-sig")


def check_regular(status: os.stat_result) -> None:
    """Refuse everything but a regular file, because a device, for example, has no end.

    Raises:
        OSError: it is no regular file.
    """
    if stat.S_ISDIR(status.st_mode):
        raise OSError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a device, a pipe or a socket, and no regular file")


def _read(descriptor: int, most: int) -> bytes:
    content = bytearray()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while len(content) < most:
        try:
            data = os.read(descriptor, min(_CHUNK, most - len(content)))
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                raise OSError(f"it is a pipe that has not ended after {_PATIENCE_SECONDS:g} s") from None
            continue
        if not data:
            break
        content += data
    return bytes(content)
