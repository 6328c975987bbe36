"""The Linux that a shared library needs, read from the library itself: its processor and its version of glibc."""

import re
import struct

# The oldest glibc with a tag that every installer knows; newer ones have all of its symbols.
_OLDEST_MINOR = 17
_X86_64 = 62
_PROCESSORS = {3: "x86", 40: "arm", 183: "aarch64", 243: "riscv64"}
_VERSIONS_NEEDED = 0x6FFFFFFE
# The loader only warns if such a version is missing.
_WEAK = 0x2
# Far more than any library has, so that reading a forged one ends.
_MOST = 1000


class OtherPlatformError(Exception):
    """The library is not one that Linux with glibc loads on x86_64; the message describes it."""


def platform_tag(library: bytes) -> str:
    """Return the platform tag of a wheel that has this library, such as `manylinux_2_28_x86_64`.

    Raises:
        OtherPlatformError: no Linux with glibc loads it on x86_64.
    """
    try:
        _check_header(library)
        versions = list(_versions_needed(library))
    except (struct.error, ValueError):
        raise OtherPlatformError("damaged") from None
    minors = [int(match[1]) for version in versions if (match := re.fullmatch(r"GLIBC_2\.(\d+)(?:\.\d+)*", version))]
    if not minors:
        raise OtherPlatformError("for a Linux without glibc")
    return f"manylinux_2_{max(_OLDEST_MINOR, *minors)}_x86_64"


def _check_header(library: bytes) -> None:
    if library[:4] != b"\x7fELF":
        raise OtherPlatformError("not for Linux")
    (machine,) = struct.unpack_from("<H", library, 18)
    # 64 bits, the lowest byte first.
    if library[4:6] != b"\x02\x01" or machine != _X86_64:
        raise OtherPlatformError(f"for Linux on {_PROCESSORS.get(machine, 'another processor')}")


def _versions_needed(library: bytes) -> list[str]:
    """Return the symbol versions of other libraries without which the loader refuses this one."""
    (sections,) = struct.unpack_from("<Q", library, 40)
    size, count = struct.unpack_from("<HH", library, 58)
    found = []
    for number in range(_bounded(count)):
        _, kind, _, _, offset, _, link, entries = struct.unpack_from("<IIQQQQII", library, sections + number * size)
        if kind != _VERSIONS_NEEDED:
            continue
        _, _, _, _, names, _ = struct.unpack_from("<IIQQQQ", library, sections + link * size)
        for _ in range(_bounded(entries)):
            _, versions, _, first, following = struct.unpack_from("<HHIII", library, offset)
            at = offset + first
            for _ in range(_bounded(versions)):
                _, flags, _, name, after = struct.unpack_from("<IHHII", library, at)
                if not flags & _WEAK:
                    start = names + name
                    found.append(library[start : library.index(b"\0", start)].decode("ascii"))
                at += after
            offset += following
    return found


def _bounded(count: int) -> int:
    if count > _MOST:
        raise ValueError(count)
    return count
