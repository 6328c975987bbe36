"""Wheels of this package as files: written with the same bytes from the same content, and read without trust."""

import csv
import io
import re
import zipfile
import zlib
from email.parser import Parser
from pathlib import Path

from lightning_native.engine.own.running_package import LIBRARY, PACKAGE, RunningPackage, is_source, record_hash
from lightning_native.engine.own.shared_library import OtherPlatformError, platform_tag
from lightning_native.errors import PlanError

_PYTHON = "cp310-abi3"
_NAME = re.compile(rf"{PACKAGE}-(?P<version>[^-]+)-cp3\d+-abi3-(?P<platforms>[^-]+)\.whl")
_TAG = re.compile(r"^Tag:.*\n?", re.MULTILINE)
_MOST_BYTES = 1 << 29
# The earliest time that a zip file can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_wheel(running: RunningPackage, folder: Path) -> Path:
    """Write a wheel of the running package into a folder, and return its path.

    Raises:
        OtherPlatformError: the package has no native library, or one that is not for Linux on x86_64.
    """
    library = running.files.get(LIBRARY)
    if library is None:
        raise OtherPlatformError(f"without {LIBRARY}")
    tag = f"{_PYTHON}-{platform_tag(library)}"
    information = f"{PACKAGE}-{running.version}.dist-info"
    files = {**running.files}
    # The tag is replaced, because that of an editable installation may be wrong: no installer has checked it.
    described = files.get(f"{information}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n").decode()
    files[f"{information}/WHEEL"] = (_TAG.sub("", described).rstrip("\n") + f"\nTag: {tag}\n").encode()
    record = io.StringIO()
    rows = [(name, f"sha256={record_hash(files[name])}", len(files[name])) for name in sorted(files)]
    csv.writer(record, lineterminator="\n").writerows([*rows, (f"{information}/RECORD", "", "")])
    path = folder / f"{PACKAGE}-{running.version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in sorted(files):
            wheel.writestr(_member(name), files[name])
        wheel.writestr(_member(f"{information}/RECORD"), record.getvalue())
    path.chmod(0o600)
    return path


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
    return member


def check_wheel(path: Path, running: RunningPackage) -> None:
    """Check that a wheel is the running version's, for Linux on x86_64.

    Raises:
        PlanError: it is not; the message gives the reason.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise PlanError(f"{path} has no name of a wheel of lightning-native for abi3, such as {_example(running)}")
    if match["version"] != running.version:
        raise PlanError(f"{path} is a wheel of version {match['version']}, and version {running.version} runs here")
    if not re.search(r"(^|\.)(many)?linux\w*_x86_64(\.|$)", match["platforms"]):
        raise PlanError(f"{path} is a wheel for {match['platforms']}; Lightning's machines need manylinux on x86_64")
    files = _read(path)
    information = f"{PACKAGE}-{running.version}.dist-info"
    described = Parser().parsestr(files.get(f"{information}/METADATA", b"").decode(errors="replace"))
    if (described.get("Name"), described.get("Version")) != ("lightning-native", running.version):
        raise PlanError(f"{path} is described as {described.get('Name')} {described.get('Version')}; take another one")
    strange = [
        name
        for name in files
        if not is_source(name) and name != LIBRARY and not name.startswith((f"{information}/", f"{PACKAGE}.libs/"))
    ]
    if strange:
        raise PlanError(f"{path} has {strange[0]!r}, which no wheel of lightning-native has; take another one")
    sources = {name: content for name, content in files.items() if is_source(name)}
    different = sorted(name for name, _ in sources.items() ^ running.sources.items())
    if different:
        raise PlanError(
            f"{path} is not what runs here: {different[0]} is another; make the wheel of the source that is installed"
        )
    try:
        platform_tag(files.get(LIBRARY, b""))
    except OtherPlatformError as error:
        raise PlanError(f"{LIBRARY} in {path} is {error}; Lightning's machines need Linux on x86_64") from None


def _example(running: RunningPackage) -> str:
    return f"{PACKAGE}-{running.version}-{_PYTHON}-manylinux_2_28_x86_64.whl"


def _read(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel, each checked against its RECORD."""
    try:
        with zipfile.ZipFile(path) as wheel:
            if sum(member.file_size for member in wheel.infolist()) > _MOST_BYTES:
                raise PlanError(
                    f"{path} holds more than {_MOST_BYTES >> 20} MB, which no wheel of lightning-native does"
                )
            files = {member.filename: wheel.read(member) for member in wheel.infolist() if not member.is_dir()}
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise PlanError(f"{path} cannot be read as a wheel: {error}") from error
    (record, *_) = [name for name in files if name.endswith(".dist-info/RECORD")] or [""]
    rows = csv.reader(io.StringIO(files.get(record, b"").decode(errors="replace")))
    hashes = {row[0]: row[1] for row in rows if len(row) > 1}
    for name, content in files.items():
        if name != record and hashes.get(name) != f"sha256={record_hash(content)}":
            raise PlanError(f"{path} is damaged: {name} is not what its RECORD says")
    return files
