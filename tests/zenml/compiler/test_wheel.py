"""A wheel has every file of an archive of the code, and the files that it cannot have are reported."""

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_native import select_files
from lightning_native.errors import ArchiveError, PlanError
from lightning_native.zenml.compiler import wheel as wheels
from lightning_native.zenml.compiler.wheel import build_wheel, copy_project, made_wheel, package_name

HELD = [
    "__init__.py",
    "no package/module.py",
    "package/__init__.py",
    "data/with blank.txt",
    "café/naïve.txt",
    "odd [1]*?.txt",
    "#comment; rm -rf",
    ".hidden/settings.toml",
    "setup.py",
    "pyproject.toml",
]


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


def make_tree(root: Path) -> Path:
    for name in [*HELD, ".env", "__pycache__/module.pyc"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
    (root / "run.sh").write_text("true")
    (root / "run.sh").chmod(0o755)
    (root / "link.py").symlink_to("package/__init__.py")
    return root


def replace_by_link(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize(
    "change",
    [
        lambda root, secret: replace_by_link(root / "setup.py", secret),
        lambda root, secret: replace_by_link(root / "package" / "__init__.py", secret),
        lambda root, secret: (
            (root / "package").rename(root / "moved"),
            (root / "package").symlink_to(secret.parent),
        ),
        lambda root, _: ((root / "setup.py").unlink(), os.mkfifo(root / "setup.py")),
    ],
    ids=["file", "target of a link", "folder", "pipe"],
)
def test_what_becomes_a_link_or_a_pipe_while_it_is_copied_is_not_read(
    change: Callable[[Path, Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "project")
    secret = tmp_path / "outside" / "__init__.py"
    secret.parent.mkdir()
    secret.write_text("secret")
    problem = wheels._problem

    def change_after_the_check(root: Path, name: str, selected: frozenset[str]) -> str | None:
        found = problem(root, name, selected)
        if name == max(selected):
            change(root, secret)
        return found

    monkeypatch.setattr(wheels, "_problem", change_after_the_check)
    with pytest.raises(ArchiveError):
        copy_project(root)
    # The temporary copy is deleted.
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_wheel_has_the_files_of_an_archive_with_their_content_and_modes(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "My-Project.é")
    with made_wheel(root) as folder:
        (wheel,) = folder.iterdir()
        with zipfile.ZipFile(wheel) as opened:
            package = "zenmlproject_my_project"
            members = {info.filename: info for info in opened.infolist() if info.filename.startswith(f"{package}/")}
            assert set(members) == {f"{package}/{name}" for name in select_files(root).files}
            assert {*HELD, "run.sh", "link.py"} == {name.removeprefix(f"{package}/") for name in members}
            for name in HELD:
                assert opened.read(f"{package}/{name}").decode() == f"this is {name}"
            assert opened.read(f"{package}/link.py") == b"this is package/__init__.py"
        assert members[f"{package}/run.sh"].external_attr >> 16 & 0o777 == 0o755
    assert not folder.exists()


def test_the_same_code_makes_the_same_wheel_whoever_makes_it(tmp_path: Path) -> None:
    found = []
    for place, mask in (("a", 0o022), ("b", 0o077)):
        before = os.umask(mask)
        try:
            root = make_tree(tmp_path / place / "project")
            os.utime(root / "setup.py", (0, 1e9))
            with made_wheel(root) as folder:
                found += [wheel.read_bytes() for wheel in folder.iterdir()]
        finally:
            os.umask(before)
    assert found[0] == found[1]


def test_what_a_wheel_cannot_hold_is_reported_and_no_secret_comes_in_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "project")
    (root / "line\nbreak").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.bin")).write_text("x")
    (root / "leak").symlink_to(".env")
    (root / "outside").symlink_to("/etc/hostname")
    (root / "folder").symlink_to("data")
    (root / "empty").mkdir()
    said: list[str] = []
    monkeypatch.setattr(wheels.logger, "warning", lambda text, *values: said.append(text % values))
    copy = copy_project(root)
    expected = {
        "'line\\nbreak'": "control characters",
        "'\\xff.bin'": "not UTF-8",
        "'leak'": "a link to what is not packed",
        "'outside'": "a link to what is not packed",
        "'folder'": "a link to a folder",
        "'empty/'": "an empty folder",
    }
    (report,) = said
    for name, reason in expected.items():
        assert f"{name} (" in report
        assert reason in report.split(f"{name} (")[1].split(")")[0]
    assert report.count(" (") == len(expected)
    with zipfile.ZipFile(build_wheel(copy)) as opened:
        assert all(b"this is .env" not in opened.read(name) for name in opened.namelist())


def test_a_wheel_that_cannot_be_made_says_why_and_what_is_lost_is_an_error(tmp_path: Path) -> None:
    copy = copy_project(make_tree(tmp_path / "project"))
    (copy / "zenmlproject_project" / "unheard-of.txt").write_text("not in setup.py")
    with pytest.raises(PlanError, match="lost 1 files on the way into the wheel: zenmlproject_project/unheard-of"):
        build_wheel(copy)
    (copy / "setup.py").write_text("raise SystemExit('no way')")
    with pytest.raises(PlanError, match="no way"):
        build_wheel(copy)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My-Project.é", "zenmlproject_my_project"),
        ("...", "zenmlproject"),
        ("zenmlproject_again", "zenmlproject_again"),
    ],
)
def test_a_project_becomes_a_package_that_python_can_import(folder: str, name: str) -> None:
    assert package_name(Path("/somewhere") / folder) == name
