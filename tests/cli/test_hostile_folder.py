"""Working folders with files named like modules: none of these files runs in our processes."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.support.hostile import HostileFolder, imported_by_python_itself

from lightning_native.child_process import python_module

SCRIPT = str(Path(sys.executable).with_name("lightning-native"))
WORKFLOW = """
placement: studio
steps:
  shell: {command: echo from a shell}
  python:
    runtime: {type: python, spec: {scriptPathURI: ours.py, entryFunction: main}}
"""
OURS = """
import helper

def main():
    print("from", helper.NAME)
    import wave
"""
JOB = {
    "kind": "job",
    "spec": {
        "name": "careful",
        "infrastructure": {"kind": "infrastructure", "type": "lightning", "spec": {}},
        "runtime": {
            "kind": "runtime",
            "type": "python",
            "spec": {"scriptPathURI": ".", "entrypoint": "ours.py", "outputDir": "out", "outputUri": "brought"},
        },
    },
}


class Place:
    """A user's folder and a home."""

    def __init__(self, folder: Path, *, spare: frozenset[str] = frozenset()) -> None:
        self.folder = folder / "code"
        self.folder.mkdir()
        self.hostile = HostileFolder(self.folder, spare=spare)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
        self.environment = {**clean, "LIGHTNING_NATIVE_HOME": str(folder / "home")}

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(text))

    def run(self, *argv: str) -> str:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.hostile.imported() == []
        return done.stdout + done.stderr


@pytest.mark.parametrize("started", ["as a command", "as a module"])
def test_files_named_like_modules_neither_break_nor_enter_a_run(tmp_path: Path, started: str) -> None:
    module = started == "as a module"
    spare = imported_by_python_itself() | {"lightning_native"} if module else frozenset[str]()
    place = Place(tmp_path, spare=spare)
    ours = [sys.executable, "-m", "lightning_native"] if module else [SCRIPT]
    place.write("helper.py", "NAME = 'a helper'\n")
    place.write("ours.py", OURS.replace("import wave", "pass"))
    place.write("workflow.yaml", WORKFLOW)
    printed = place.run(*ours, "run", "workflow.yaml", "--local")
    assert "[shell] from a shell" in printed
    assert "[python] from a helper" in printed
    run_id = place.run(*ours, "run", "workflow.yaml", "--local", "--detach").splitlines()[0]
    assert "completed" in place.run(*ours, "runs", "wait", run_id)
    place.run(*ours, "schedules", "--local")
    place.run(*ours, "gc", "--local", "--yes")


def test_files_named_like_modules_neither_break_nor_enter_the_driver_of_a_job(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("helper.py", "NAME = 'a helper'\n")
    place.write("ours.py", "import os, helper\nos.mkdir('out')\nopen('out/file', 'w').close()\nprint(helper.NAME)\n")
    place.write("job.yaml", json.dumps(JOB))
    printed = place.run(SCRIPT, "job", "run", "job.yaml", "--local")
    assert "a helper" in printed
    assert "the output is at brought" in printed


def test_the_users_own_modules_are_first_for_the_users_own_code(tmp_path: Path) -> None:
    place = Place(tmp_path, spare=frozenset({"wave"}))
    place.write("helper.py", "NAME = 'a helper'\n")
    place.write("wave.py", "print('a wave of the user')\n")
    place.write("ours.py", OURS)
    place.write("workflow.yaml", WORKFLOW)
    assert "[python] a wave of the user" in place.run(SCRIPT, "run", "workflow.yaml", "--local")


def test_a_local_cloud_of_a_library_user_starts_there(tmp_path: Path) -> None:
    place = Place(tmp_path)
    script = tmp_path / "elsewhere.py"
    script.write_text(
        "from lightning_native.emulator import LocalCloud\nwith LocalCloud() as cloud:\n    print(cloud.url)\n"
    )
    assert "http://127.0.0.1:" in place.run(sys.executable, str(script))


def test_a_module_of_ours_keeps_its_arguments_and_its_name(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert "lightning-native name" in place.run(*python_module("lightning_native", "name", "--help"))


def test_a_module_that_people_start_themselves_imports_nothing_from_there(tmp_path: Path) -> None:
    place = Place(tmp_path, spare=imported_by_python_itself() | {"lightning_native"})
    for arguments in (["zenml.remote", "--help"], ["engine.process.controller", "--help"]):
        place.run(sys.executable, "-m", f"lightning_native.{arguments[0]}", *arguments[1:])


def test_a_program_of_somebody_else_keeps_its_folder_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("import lightning_native\n")
    (tmp_path / "theirs" / "__main__.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("print('found')\n")
    printed = subprocess.run([sys.executable, "-m", "theirs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout == "found\n"
