"""The wheel of the running version: built from an installation or a checkout, named by the user, or from an index."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.servers.private_index import Index

from lightning_native import _native
from lightning_native.engine.own import wheel as module
from lightning_native.engine.own.running_package import LIBRARY, RunningPackage, running_package
from lightning_native.engine.own.shared_library import OtherPlatformError, platform_tag
from lightning_native.engine.own.wheel import ENV_WHEEL, own_wheel
from lightning_native.engine.own.wheel_file import write_wheel
from lightning_native.errors import PlanError

AARCH64 = b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00" + bytes(64)
MACOS = b"\xcf\xfa\xed\xfe" + bytes(64)
# Variables for other environments than this one, in which there is nothing of this package.
BARE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV_WHEEL, raising=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_wheel(tmp_path_factory.mktemp("wheel"))


def pythons() -> dict[str, str]:
    """Return the interpreters that this machine has, by version."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for version in ("3.10", "3.11", "3.12", "3.13"):
        candidates = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
        for candidate in filter(None, candidates):
            # A shim of pyenv may exist without the version that it stands for.
            if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
                found.setdefault(version, str(candidate))
    return found


PYTHONS = pythons()


def run(*argv: str | Path, environment: dict[str, str] = BARE, cwd: Path | None = None) -> str:
    result = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("version", sorted(PYTHONS))
def test_pip_and_uv_install_it_on_every_python_and_its_native_verbs_run(
    version: str, wheel: Path, tmp_path: Path
) -> None:
    run(PYTHONS[version], "-m", "venv", tmp_path / "venv")
    inside = tmp_path / "venv" / "bin" / "python"
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    for installer in ([inside, "-m", "pip"], [uv, "pip"]):
        target = ["--python", inside] if installer[0] == uv else []
        run(*installer, "install", *target, "--no-deps", "--no-index", "--force-reinstall", wheel)
        assert run(inside, "-m", "lightning_native", "name", "My Studio!", cwd=tmp_path).startswith("my-studio-")
        code = "import lightning_native as n; print(n.merge_requirements([('a', 'x==1\\nx==1')]).lines, n.__file__)"
        assert run(inside, "-c", code, cwd=tmp_path).startswith(f"['x==1'] {tmp_path}")
        assert "archive" in run(tmp_path / "venv" / "bin" / "lightning-native", "--help", cwd=tmp_path)


def test_it_has_the_same_bytes_again_and_nothing_that_is_not_of_the_package(wheel: Path, tmp_path: Path) -> None:
    package = Path(_native.__file__).parent
    before = os.umask(0o077)
    strange = [package / "__pycache__" / "x.cpython-311.pyc", package / ".ipynb_checkpoints" / "x.py"]
    try:
        for path in strange:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        assert own_wheel(tmp_path).read_bytes() == wheel.read_bytes()
    finally:
        os.umask(before)
        for path in strange:
            path.unlink()
        strange[1].parent.rmdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.read(LIBRARY) == Path(_native.__file__).read_bytes()
        tags = re.findall(r"^Tag: (.*)$", archive.read("lightning_native-0.1.0.dist-info/WHEEL").decode(), re.M)
    assert tags == ["-".join(wheel.stem.split("-")[2:])]
    assert "lightning_native/zenml/remote_controller/supervisor.py" in names
    assert [name for name in names if ".dist-info/" not in name and not name.endswith((".py", ".pyi", "py.typed"))] == [
        LIBRARY
    ]


@pytest.fixture
def installation(wheel: Path, tmp_path: Path) -> Path:
    """Return an environment into which the wheel was installed."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    run(uv, "pip", "install", "--python", tmp_path / "venv", "--no-deps", "--no-index", wheel)
    return tmp_path / "venv"


MAKE = """
import sys
from pathlib import Path
from lightning_native.engine.own.wheel import own_wheel
from lightning_native.errors import PlanError
try:
    print(own_wheel(Path(sys.argv[1])))
except PlanError as error:
    sys.exit(f"refused: {error}")
"""


def make_in(environment: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    folder.mkdir(exist_ok=True)
    argv = [environment / "bin" / "python", "-c", MAKE, folder]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=BARE, cwd=folder)


def test_of_an_installation_it_is_the_wheel_that_was_installed(installation: Path, wheel: Path, tmp_path: Path) -> None:
    package = next(installation.glob("lib/*/site-packages/lightning_native"))
    (package / "mine.py").write_text("mine")
    made = make_in(installation, tmp_path / "made")
    assert made.returncode == 0, made.stderr
    assert Path(made.stdout.strip()).read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("change", ["altered", "missing"])
def test_an_installation_that_was_changed_is_refused(installation: Path, tmp_path: Path, change: str) -> None:
    file = next(installation.glob("lib/*/site-packages/lightning_native/zenml/remote_controller/supervisor.py"))
    if change == "altered":
        file.write_text(file.read_text() + "\n")
    else:
        file.unlink()
    made = make_in(installation, tmp_path / "made")
    assert made.returncode == 1
    assert f"refused: {file}" in made.stderr
    assert "pip install --force-reinstall" in made.stderr
    assert list((tmp_path / "made").iterdir()) == []


def test_the_tag_names_the_newest_glibc_that_the_library_needs() -> None:
    library = Path(_native.__file__).read_bytes()
    newest = max(int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)", library))
    assert platform_tag(library) == f"manylinux_2_{newest}_x86_64"


@pytest.mark.parametrize(
    ("library", "problem"),
    [(AARCH64, "for Linux on aarch64"), (MACOS, "not for Linux"), (b"", "not for Linux"), (b"\x7fELF", "damaged")],
)
def test_a_library_of_another_platform_has_no_tag(library: bytes, problem: str) -> None:
    with pytest.raises(OtherPlatformError, match=problem):
        platform_tag(library)


def test_a_cut_or_changed_library_is_read_to_an_end() -> None:
    library = Path(_native.__file__).read_bytes()
    headers = int.from_bytes(library[40:48], "little")
    for wrong in (library[:headers], library[: headers + 100], library[:64] + bytes(len(library) - 64)):
        with pytest.raises(OtherPlatformError):
            platform_tag(wrong)
    endless = bytearray(library)
    for start in range(headers, len(library) - 64, 64):
        if endless[start + 4 : start + 8] == (0x6FFFFFFE).to_bytes(4, "little"):
            endless[start + 44 : start + 48] = b"\xff\xff\xff\xff"
    with pytest.raises(OtherPlatformError, match="damaged"):
        platform_tag(bytes(endless))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> RunningPackage:
    """Return the running package as it would be on a Mac, installed from an index."""
    running = running_package()
    mac = replace(running, files={**running.files, LIBRARY: MACOS}, from_index=True, checkout=None)
    monkeypatch.setattr(module, "running_package", lambda: mac)
    monkeypatch.setattr(module.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(module.platform, "machine", lambda: "arm64")
    return mac


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    served = Index(tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:{quote(served.password, safe='')}@{served.host}/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield served
    served.close()


def publish(index: Index, wheel: Path) -> None:
    page = index.folder / "simple" / "lightning-native"
    page.mkdir(parents=True)
    (index.folder / "files").mkdir()
    shutil.copy(wheel, index.folder / "files")
    (page / "index.html").write_text(f'<a href="../../files/{wheel.name}">{wheel.name}</a>')


@pytest.mark.usefixtures("elsewhere")
def test_another_platform_downloads_what_it_was_installed_from(index: Index, wheel: Path, tmp_path: Path) -> None:
    publish(index, wheel)
    (tmp_path / "made").mkdir()
    made = own_wheel(tmp_path / "made")
    assert (made.name, made.read_bytes()) == (wheel.name, wheel.read_bytes())


@pytest.mark.usefixtures("elsewhere")
def test_a_wheel_of_the_index_with_other_code_is_not_trusted(index: Index, tmp_path: Path) -> None:
    running = running_package()
    evil = {**running.files, "lightning_native/errors.py": b"import os\n"}
    (tmp_path / "evil").mkdir()
    publish(index, write_wheel(replace(running, files=evil), tmp_path / "evil"))
    (tmp_path / "made").mkdir()
    with pytest.raises(PlanError, match=r"cannot be trusted: .*lightning_native/errors.py is another"):
        own_wheel(tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
def test_without_any_wheel_the_error_has_the_command_and_no_password(index: Index, tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        own_wheel(tmp_path)
    message = str(caught.value)
    assert "Darwin on arm64" in message
    assert "pip download --no-deps --only-binary=:all:" in message
    assert "lightning-native==0.1.0, and set LIGHTNING_NATIVE_WHEEL" in message
    assert index.password not in message
    assert quote(index.password, safe="") not in message


def test_a_checkout_on_another_platform_is_told_how_to_build_one(
    elsewhere: RunningPackage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout = replace(elsewhere, from_index=False, checkout=Path("/src/ln"))
    monkeypatch.setattr(module, "running_package", lambda: checkout)
    with pytest.raises(PlanError, match=r"docker run .* -v /src/ln:/io .*, and set LIGHTNING_NATIVE_WHEEL .*/src/ln"):
        own_wheel(tmp_path)


@pytest.mark.usefixtures("elsewhere")
def test_another_platform_takes_the_wheel_that_is_named(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ENV_WHEEL, str(wheel))
    assert own_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def renamed(wheel: Path, folder: Path, name: str) -> Path:
    return Path(shutil.copy(wheel, folder / name))


def damaged(wheel: Path, folder: Path) -> Path:
    path = folder / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(path, "w") as copy:
        for name in whole.namelist():
            copy.writestr(name, b"#" if name.endswith("/errors.py") else whole.read(name))
    return path


def changed(folder: Path, name: str, content: bytes) -> Path:
    running = running_package()
    return write_wheel(replace(running, files={**running.files, name: content}), folder)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda _, folder: folder / "none.whl", "where there is no file"),
        (lambda wheel, folder: renamed(wheel, folder, "other-0.1.0-cp310-abi3-linux_x86_64.whl"), "no name of a wheel"),
        (
            lambda wheel, folder: renamed(wheel, folder, "lightning_native-0.2.0-cp310-abi3-linux_x86_64.whl"),
            "version 0.2.0, and version 0.1.0 runs here",
        ),
        (
            lambda wheel, folder: renamed(wheel, folder, "lightning_native-0.1.0-cp310-abi3-macosx_11_0_arm64.whl"),
            "for macosx_11_0_arm64",
        ),
        (damaged, "errors.py is not what its RECORD says"),
        (lambda _, folder: changed(folder, "lightning_native/more.py", b""), "more.py is another"),
        (lambda _, folder: changed(folder, "sitecustomize.py", b""), "'sitecustomize.py', which no wheel"),
    ],
)
def test_a_named_wheel_that_is_not_what_runs_is_refused(
    make: object, problem: str, wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    path = make(wheel, tmp_path)  # type: ignore[operator]
    monkeypatch.setenv(ENV_WHEEL, str(path))
    with pytest.raises(PlanError, match=rf"LIGHTNING_NATIVE_WHEEL names .*{re.escape(str(path))}.*{problem}"):
        own_wheel(tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []
