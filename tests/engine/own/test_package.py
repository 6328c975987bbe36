"""The Python part of this package: the same from any installation, and first on the path of the steps."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.runner import Runner

import lightning_native
from lightning_native import engine, extract_archive
from lightning_native.engine.own import package as own_package
from lightning_native.engine.own.package import pack_own_package
from lightning_native.engine.plan import ContainerImage, Retry, RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.memory import MemoryCloud
from lightning_native.placement import PlacementName

SOURCE = Path(lightning_native.__file__).parent
IMAGE = ContainerImage("registry.example/tool:1")
SHOW = "import lightning_native.errors as found, os; print(found.__file__, os.environ['PYTHONPATH'].split(':')[1:])"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our package that is packed instead of the original."""
    copy = tmp_path / "copy" / "lightning_native"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(own_package.resources, "files", lambda _name: copy)
    return copy


def test_every_module_is_packed_and_nothing_else(tmp_path: Path) -> None:
    packed = pack_own_package(tmp_path / "package.tar.gz")
    assert packed.archive.stat().st_mode & 0o777 == 0o600
    extract_archive(packed.archive, tmp_path / "unpacked")
    unpacked = {path.relative_to(tmp_path / "unpacked") for path in (tmp_path / "unpacked").rglob("*.*")}
    assert unpacked == {path.relative_to(SOURCE.parent) for path in SOURCE.rglob("*.py")}


def test_it_is_the_same_from_a_checkout_a_read_only_installation_and_a_zip_file(tmp_path: Path, copy: Path) -> None:
    from_copy = pack_own_package(tmp_path / "copy.tar.gz")
    for path in copy.rglob("*.py"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o555)
    compiled = copy / "__pycache__" / "errors.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    (copy / "notes.txt").write_text("not a module")
    assert pack_own_package(tmp_path / "other.tar.gz").digest == from_copy.digest
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in copy.rglob("*.py"):
            archive.write(path, path.relative_to(copy.parent))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'package.zip')!r})\n"
        "from pathlib import Path\n"
        "from lightning_native.engine.own import package as own_package\n"
        "print(own_package.__file__, own_package.pack_own_package(Path(sys.argv[1])).digest)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "zip.tar.gz")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    file, digest = done.stdout.split()
    assert file.startswith(str(tmp_path / "package.zip"))
    assert digest == from_copy.digest


@pytest.mark.parametrize(
    ("placement", "image"),
    [("studio", None), ("job", None), ("platform", None), ("job", IMAGE), ("platform", IMAGE)],
    ids=["studio", "job", "platform", "job-image", "platform-image"],
)
def test_steps_that_want_it_import_it_before_everything_and_others_do_not(
    runner: Runner, placement: PlacementName, image: ContainerImage | None
) -> None:
    ours = StepPlan("ours", ("python3", "-c", SHOW), image=image, package=True, retry=Retry(1))
    theirs = StepPlan("theirs", ("sh", "-c", "echo ${PYTHONPATH-none}"), image=image)
    folder = runner.make(placement, ours, theirs, variables={"ours": {"PYTHONPATH": "/of/the/user"}})
    digest = folder.own_package().digest
    assert runner.drive(folder) == 0
    file, rest = folder.log("ours").read_text().split(maxsplit=1)
    assert rest.strip() == "['/of/the/user']"
    *_, place, package, module = Path(file).parts
    assert (package, module) == ("lightning_native", "errors.py")
    if image is None:
        assert place == digest[:32]
        assert ".lightning-native/package" in file
    else:
        # The package in a container is private to the job, and deleted with it.
        assert not Path(file).exists()
    assert ".lightning-native" not in folder.log("theirs").read_text()
    assert list(folder.path.glob("*.tar.gz")) == []


def test_a_template_keeps_the_package_and_gets_a_new_version_of_it(
    tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    cloud = MemoryCloud()
    (tmp_path / "code").mkdir()
    plan = RunPlan("first", "package", (StepPlan("a", ("true",), package=True),), placement="job")

    def uploads(run_id: str) -> list[str]:
        result = engine.run(replace(plan, run_id=run_id), tmp_path / "code", cloud=cloud)
        assert result.state == "completed", result
        with Journal() as journal:
            rows = journal.query("SELECT path FROM uploaded_files WHERE path LIKE '%/package/%' ORDER BY used", ())
        return [row["path"] for row in rows]

    (first,) = uploads("first")
    assert uploads("second") == [first]
    (copy / "newer.py").touch()
    before, after = uploads("third")
    assert before == first
    (template,) = cloud.studios.values()
    assert after in template.files


def test_a_plan_from_before_has_steps_without_it() -> None:
    plan = RunPlan("r", "n", (StepPlan("a", ("true",), package=True),))
    assert RunPlan.from_json(plan.to_json()) == plan
    before = plan.to_json().replace('"package": true', '"image": null')
    assert RunPlan.from_json(before).step("a").package is False
