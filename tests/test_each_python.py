"""The parts that run on machines, with each Python of this computer: the agent from 3.8, the package from 3.10."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_native import agent
from lightning_native.engine.own.package import pack_own_package
from lightning_native.jobs.driver.code import CODE_VARIABLE
from lightning_native.jobs.lightning.program import driver_program

AGENT_FROM, PACKAGE_FROM, NEWEST = (3, 8), (3, 10), (3, 13)
IMPORTS = """
import sys, importlib
for module in (
    "child_process", "errors", "home", "terminal", "user_input.url_credentials", "agent", "zenml.variables",
    "zenml.step_process.schedule_window",
):
    importlib.import_module(f"lightning_native.{module}")
import lightning_native
from lightning_native.child_process import end_of_standard_library, python_module
assert end_of_standard_library() > 0
try:
    lightning_native.select_files
except ImportError as error:
    print(lightning_native.__file__, "needs the native module" in str(error))
"""


def _pythons() -> dict[tuple[int, int], str]:
    """Return a Python of each version that this machine has, by its version."""
    found = {sys.version_info[:2]: sys.executable}
    # pyenv keeps other versions beside the running interpreter.
    versions = Path(sys.base_prefix).parent
    for minor in range(AGENT_FROM[1], NEWEST[1] + 1):
        kept = sorted(str(path) for path in versions.glob(f"3.{minor}.*/bin/python3"))
        for path in filter(None, [*kept, shutil.which(f"python3.{minor}")]):
            # A shim of pyenv on the PATH may stand for no Python.
            if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                found.setdefault((3, minor), path)
    return found


PYTHONS = _pythons()


def each(oldest: tuple[int, int]) -> pytest.MarkDecorator:
    chosen = {version: path for version, path in sorted(PYTHONS.items()) if version >= oldest}
    return pytest.mark.parametrize("python", chosen.values(), ids=[f"{major}.{minor}" for major, minor in chosen])


def run(*argv: str, **options: object) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@each(AGENT_FROM)
def test_the_agent_unpacks_the_package_and_runs_a_command_that_has_it_on_its_path(python: str, tmp_path: Path) -> None:
    place = tmp_path / ".lightning-native"
    (place / "ops").mkdir(parents=True)
    shutil.copy(agent.__file__, place)
    packed = pack_own_package(tmp_path / "package.tar.gz")
    destination = place / "package" / packed.digest[:32]
    call = (python, str(place / "agent.py"))
    run(*call, "unpack", str(packed.archive), packed.sha256, str(destination))
    show = "import os; print(os.environ['PYTHONPATH'], os.listdir(os.environ['PYTHONPATH']))"
    spec = {"argv": [python, "-c", show], "cwd": str(tmp_path), "word": "w", "pythonpath": [str(destination)]}
    content = json.dumps({"steps": {"a": spec}}).encode()
    (place / "ops" / "jobs.json").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    printed = run(*call, "job", "jobs", "--spec-sha256", sha256, "--step", "a")
    assert printed.splitlines()[1] == f"{destination} ['lightning_native']"
    start = json.dumps({"argv": [python, "-c", "print(6 * 7)"], "cwd": str(tmp_path)}).encode()
    (place / "ops" / "run.a.json").write_bytes(start)
    answer = run(*call, "start", "run.a", "--spec-sha256", hashlib.sha256(start).hexdigest(), "--wait", "60")
    assert json.loads(answer)["result"]["exit_code"] == 0


@each(AGENT_FROM)
def test_the_driver_of_jobs_runs_a_script(python: str, tmp_path: Path) -> None:
    (tmp_path / "driver.pyz").write_bytes(driver_program())
    (tmp_path / "train.py").write_text("print('trained')\n")
    job = {"spec": {"runtime": {"type": "python", "spec": {"scriptPathURI": "train.py"}}}}
    environment = {**os.environ, "LIGHTNING_NATIVE_JOB": json.dumps(job), CODE_VARIABLE: "."}
    assert "trained" in run(python, "driver.pyz", cwd=tmp_path, env=environment)


@each(PACKAGE_FROM)
def test_the_package_compiles_and_its_own_parts_load_without_anything_installed(python: str, tmp_path: Path) -> None:
    packed = pack_own_package(tmp_path / "package.tar.gz")
    folder = tmp_path / "package"
    run(python, agent.__file__, "unpack", str(packed.archive), packed.sha256, str(folder))
    run(python, "-m", "compileall", "-q", str(folder))
    # Without `site`, no installed package can be imported.
    printed = run(python, "-S", "-W", "error", "-c", IMPORTS, env={"PYTHONPATH": str(folder)})
    assert printed.split() == [str(folder / "lightning_native" / "__init__.py"), "True"]
