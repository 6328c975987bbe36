"""The machine's Python is determined once: it names template studios, and steps have it first on their PATH."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.support.other_python import OWN, give_machines, other_python
from tests.support.runner import Runner

from lightning_native import engine, unique_studio_name
from lightning_native.emulator import LocalCloud
from lightning_native.engine.placements import PLACEMENTS
from lightning_native.engine.plan import ContainerImage, Installer, RunPlan, Setup, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Environment
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios.interpreter import python_difference
from lightning_native.errors import UsageError
from lightning_native.lightning.machine_python import machine_python
from lightning_native.lightning.memory import MemoryCloud
from lightning_native.placement import PlacementName

CLOUD = "MemoryCloud"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalCloud, str]]:
    """A cloud whose machines have another Python than it reports, and the version of that Python."""
    interpreter, other = other_python()
    root = tmp_path / "cloud"
    with LocalCloud(root):
        # The first start makes the folder a root.
        pass
    give_machines(root, interpreter)
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(root) as cloud:
        yield cloud, other


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def package_of(folder: Path, version: str) -> Path:
    """Write the source of a package whose wheel records the Python that built it, and return its folder."""
    package = folder / f"package-{version}"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        f"[project]\nname = 'tiny-of-ours'\nversion = '{version}'\n"
    )
    (package / "backend.py").write_text(
        "import sys, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        f"    name = 'tiny_of_ours-{version}-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(folder + '/' + name, 'w') as wheel:\n"
        "        wheel.writestr('tiny_of_ours.py', f'made_by = {sys.version.split()[0]!r}\\n')\n"
        f"        info = 'tiny_of_ours-{version}.dist-info/'\n"
        f"        about = 'Metadata-Version: 2.1\\nName: tiny-of-ours\\nVersion: {version}\\n'\n"
        "        wheel.writestr(info + 'METADATA', about)\n"
        "        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        files = ['tiny_of_ours.py', *(info + each for each in ('METADATA', 'WHEEL', 'RECORD'))]\n"
        "        wheel.writestr(info + 'RECORD', ''.join(f'{each},,\\n' for each in files))\n"
        "    return name\n"
    )
    return package


def events(run_id: str) -> str:
    with Journal() as journal:
        return "\n".join(event.text for event in journal.events(run_id))


def environments() -> list[Environment]:
    """Return the template studios of all clouds."""
    with Journal() as journal:
        clouds = {row["cloud"] for row in journal.query("SELECT cloud FROM environments")}
        return [environment for cloud in clouds for environment in journal.environments(cloud)]


def studios(cloud: LocalCloud) -> list[str]:
    """Return the names of the studios on a cloud; the SDK of this process may be connected to another one."""
    script = (
        "import json; from lightning_native.lightning.session import connect; "
        "print(json.dumps(connect().studio_names()))"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(command, env={**os.environ, **cloud.environ}, check=True, capture_output=True, text=True)
    found: list[str] = json.loads(result.stdout)
    return found


def test_an_environment_is_made_for_the_python_that_its_machine_has(
    elsewhere: tuple[LocalCloud, str], tmp_path: Path
) -> None:
    cloud, other = elsewhere
    runner = Runner(cloud, tmp_path)
    (runner.code / "tell.py").write_text(
        f"import pathlib, sys; pathlib.Path({str(runner.results)!r}, sys.argv[1]).write_text(sys.version.split()[0])"
    )
    steps = [StepPlan(name, ("python", "tell.py", name)) for name in ("one", "two")]
    steps[1] = StepPlan("two", ("python", "tell.py", "two"), setup=Setup(commands=("python tell.py setup",)))
    folder = runner.make("job", *steps)
    assert runner.drive(folder) == 0
    assert [runner.lines(name) for name in ("one", "two", "setup")] == [[other]] * 3
    # The two template studios for the expected Python are deleted.
    assert {environment.version for environment in environments()} == {other}
    assert sorted(studios(cloud)) == sorted(environment.studio for environment in environments())
    assert all(environment.ready for environment in environments())
    assert f"has Python {other}" in events(folder.path.name)
    assert f"where {OWN} was expected" in events(folder.path.name)

    again = runner.make("job", *steps)
    assert runner.drive(again) == 0
    assert not list((again.path / "logs").glob("setup-*"))
    assert len(environments()) == 2
    # The second run knows the machines' Python before it creates anything.
    assert "was expected" not in events(again.path.name)
    assert f"the machines have Python {minor(other)}, and this computer {OWN}" in events(again.path.name)


@pytest.mark.spread(4)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_requirements_are_installed_for_the_machines_python(
    elsewhere: tuple[LocalCloud, str], tmp_path: Path, installer: Installer
) -> None:
    cloud, other = elsewhere
    runner = Runner(cloud, tmp_path)
    package = package_of(tmp_path, "1.0")
    (runner.code / "tell.py").write_text(
        f"import pathlib, tiny_of_ours as t; pathlib.Path({str(runner.results)!r}, 'made').write_text(t.made_by)"
    )
    step = StepPlan(
        "use",
        ("python", "tell.py"),
        requirements=(("r.txt", f"tiny-of-ours @ file://{package}\n"),),
        setup=Setup(installer=installer, installer_arguments=("--no-index",)),
    )
    folder = runner.make("studio", step)
    assert runner.drive(folder) == 0
    assert runner.lines("made") == [other]
    log = next((folder.path / "logs").glob("setup-*")).read_text()
    assert log.startswith(f"Python {other} at /")


def test_a_machine_that_is_not_ready_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter, other = other_python()
    root = tmp_path / "cloud"
    with LocalCloud(root):
        pass
    template = give_machines(root, interpreter)
    (template / "bin" / "python").unlink()
    asked = tmp_path / "asked"
    # The wrappers of a real machine answer so to the first calls.
    (template / "bin" / "python").write_text(
        f"#!/bin/sh\necho x >>'{asked}'\n"
        f"if [ \"$(wc -l <'{asked}')\" -lt 3 ]; then echo 'Error: We are still setting things up for you'; exit 0; fi\n"
        'exec "$(dirname "$0")/python3" "$@"\n'
    )
    (template / "bin" / "python").chmod(0o755)
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    with LocalCloud(root) as cloud:
        runner = Runner(cloud, tmp_path)
        folder = runner.make("job", StepPlan("a", ("python3", "-c", "pass")), reuse_environments=False)
        assert runner.drive(folder) == 0
    assert len(asked.read_text().split()) == 3
    assert f"has Python {other} (" in events(folder.path.name)


@pytest.mark.spread(4)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_studio_of_the_users_keeps_what_it_has_and_what_was_replaced_is_reported(
    runner: Runner, lightning_cloud: LocalCloud, tmp_path: Path, installer: Installer
) -> None:
    studio = f"mine-{uuid.uuid4().hex[:8]}"
    setup = Setup(installer=installer, installer_arguments=("--no-index",))

    def run(*requirements: str) -> RunFolder:
        step = StepPlan(
            "use",
            ("python", "-c", "from importlib.metadata import version as v; print(v('tiny-of-ours'), v('iniconfig'))"),
            requirements=(("r.txt", "\n".join(requirements)),),
            setup=setup,
        )
        folder = runner.make("studio", step, main_studio=studio)
        assert runner.drive(folder) == 0
        return folder

    try:
        first = run(f"tiny-of-ours @ file://{package_of(tmp_path, '1.0')}")
        assert "other versions" not in events(first.path.name)
        # The installed version satisfies this requirement.
        second = run("tiny-of-ours>=0.5", "iniconfig")
        assert "other versions" not in events(second.path.name)
        assert second.log("use").read_text() == f"1.0 {version('iniconfig')}\n"
        third = run(f"tiny-of-ours @ file://{package_of(tmp_path, '2.0')}")
        assert f"studio {studio} had other versions: tiny-of-ours 1.0 by 2.0\n" in f"{events(third.path.name)}\n"
        assert "replaced here: tiny-of-ours 1.0 by 2.0" in third.log(f"setup-{studio}").read_text()
        assert third.log("use").read_text() == f"2.0 {version('iniconfig')}\n"
    finally:
        script = (
            "import sys; from lightning_native.lightning.session import connect; "
            "connect().find_studio(sys.argv[1]).release(delete=True)"
        )
        command = [sys.executable, "-W", "ignore", "-c", script, studio]
        subprocess.run(command, env={**os.environ, **lightning_cloud.environ}, check=True)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_environments_commands_come_first_on_the_path_of_steps(runner: Runner, placement: PlacementName) -> None:
    # The studio's Python is determined before set-up puts another `python` first on its PATH, and its jobs' PATH.
    begin = (
        "mkdir -p ~/shims ~/.lightning_studio",
        r"""printf '#!/bin/sh\necho another\n' >~/shims/python""",
        "chmod +x ~/shims/python",
        """echo 'export PATH="$HOME/shims:$PATH"' >~/.lightning_studio/.studiorc""",
        """echo 'export UV_LIGHTNING_VIRTUALENV_ROOT=/missing' >>~/.lightning_studio/.studiorc""",
    )
    folder = runner.make(
        placement,
        StepPlan("prepare", ("sh", "-c", "command -v python"), setup=Setup(commands=begin)),
        StepPlan("direct", ("python", "-c", "import sys; print(sys.version_info[:2])"), setup=Setup(commands=begin)),
        StepPlan(
            "shell",
            ("sh", "-c", "python -c 'import sys; print(sys.version_info[:2])'; env | grep -c UV_LIGHTNING"),
            setup=Setup(commands=begin),
        ),
        reuse_environments=False,
    )
    assert runner.drive(folder) == 1
    own = f"{tuple(sys.version_info[:2])}\n"
    assert folder.log("direct").read_text() == own
    # Because the variable is not set, grep counts 0 and fails.
    assert folder.log("shell").read_text() == f"{own}0\n"
    assert folder.log("prepare").read_text().endswith("/bin/python\n")
    assert "shims" not in folder.log("prepare").read_text()


def memory_run(placement: PlacementName, cloud: MemoryCloud, **options: object) -> str:
    run_id = uuid.uuid4().hex
    plan = RunPlan(run_id, "in memory", (StepPlan("a", ("true",)),), placement=placement, **options)  # type: ignore[arg-type]
    root = Path(os.environ["LIGHTNING_NATIVE_HOME"]) / "code"
    root.mkdir(parents=True, exist_ok=True)
    result = engine.run(plan, root, cloud=cloud)
    assert result.state == "completed", result
    return run_id


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("own_home")
def test_only_new_studios_say_what_new_studios_have() -> None:
    with Journal() as journal:
        journal.machine_python_found(CLOUD, "3.8")
    cloud = MemoryCloud()
    run = memory_run("studio", cloud, main_studio="mine")
    assert "where 3.8 was expected" in events(run)
    with Journal() as journal:
        assert journal.machine_python(CLOUD) == "3.8"
    run = memory_run("studio", cloud)
    assert "where 3.8 was expected" in events(run)
    with Journal() as journal:
        assert journal.machine_python(CLOUD) == OWN


@pytest.mark.usefixtures("own_home")
def test_machines_that_do_not_agree_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = MemoryCloud()
    answers = iter(["3.8.1", "3.9.1"])
    monkeypatch.setattr("platform.python_version", lambda: next(answers))
    plan = RunPlan("disagree", "in memory", (StepPlan("a", ("true",)),), placement="job")
    root = Path(os.environ["LIGHTNING_NATIVE_HOME"]) / "code"
    root.mkdir(parents=True)
    result = engine.run(plan, root, cloud=cloud)
    assert result.state == "failed"
    assert "one has Python 3.8 and one 3.9" in result.message
    assert result.left == ()
    assert not cloud.studios


@pytest.mark.usefixtures("own_home")
def test_an_environment_of_before_whose_python_was_not_asked_is_neither_used_nor_touched() -> None:
    fingerprint = hashlib.sha256(json.dumps(["", [], OWN]).encode()).hexdigest()
    cloud = MemoryCloud()
    with Journal() as journal:
        before = unique_studio_name("env", fingerprint[:12], journal.home_id())
        journal.environment_used(CLOUD, fingerprint, before, ready=True)
    path = Path(os.environ["LIGHTNING_NATIVE_HOME"]) / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        # The journal of an earlier version of this package, which had no interpreters.
        connection.execute("DROP TABLE interpreters")
        connection.execute("PRAGMA user_version = 0")
    studio = cloud.create_studio(before)
    memory_run("job", cloud)
    new, old = environments()
    assert (old.studio, old.version, old.executable) == (before, None, None)
    assert cloud.studios[before] is studio
    assert new.executable == sys.executable
    made = cloud.studios[new.studio]
    memory_run("job", cloud)
    assert cloud.studios[new.studio] is made


def test_the_difference_says_what_follows_from_it() -> None:
    steps = (StepPlan("a", ("true",)), StepPlan("b", ("true",), image=ContainerImage("python:3.9")))
    plan = RunPlan("r", "n", steps)
    assert python_difference(plan, OWN, local=False) == ""
    line = python_difference(plan, "3.8", local=False)
    assert line.startswith(f"the machines have Python 3.8, and this computer {OWN}: ")
    assert "uv venv --python 3.8" in line
    assert "emulator" not in line
    assert f"emulator --strict --python {OWN}" in python_difference(plan, "3.8", local=True)
    # A container has the Python of its image.
    assert python_difference(RunPlan("r", "n", steps[1:]), "3.8", local=False) == ""


def test_what_is_expected_is_named_by_the_environment_else_that_of_lightning() -> None:
    assert machine_python({}) == "3.12"
    assert machine_python({"LIGHTNING_NATIVE_MACHINE_PYTHON": "3.10"}) == "3.10"
    assert machine_python({"LIGHTNING_NATIVE_MACHINE_PYTHON": "3.10.4"}) == "3.10"
    for wrong in ("3", "312", "3.x", "3.12\n", "2.7"):
        with pytest.raises(UsageError, match="LIGHTNING_NATIVE_MACHINE_PYTHON is"):
            machine_python({"LIGHTNING_NATIVE_MACHINE_PYTHON": wrong})
