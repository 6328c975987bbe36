"""The one way to read a file that the user names: never for ever, and never more than a person writes."""

import os
import stat
from pathlib import Path

MOST_BYTES = 16 << 20


def read_user_text(path: Path, *, most: int = MOST_BYTES) -> str:
    """Return the text of a regular file, in UTF-8, with or without a byte order mark.

    Raises:
        OSError: it cannot be read, is a device, a pipe or a folder, or has more than `most` bytes.
        UnicodeDecodeError: it is not UTF-8 text.
    """
    try:
        # A pipe that nobody writes to would keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(f"its name cannot be that of a file ({error})") from error
    try:
        check_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it has more than {most >> 20} MiB")
    return content.decode("utf-8-sig")


def check_regular(status: os.stat_result) -> None:
    """Refuse what is not read to an end, such as a device.

    Raises:
        OSError: it is no regular file.
    """
    if stat.S_ISDIR(status.st_mode):
        raise OSError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a device, a pipe or a socket, and no regular file")
