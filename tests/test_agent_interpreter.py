"""`agent.py` finds the machine's interpreter, and puts it first on the PATH of its commands."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_native import agent

ANSWER = """echo 'a wrapper greets'; echo '{{"executable": "{path}", "version": "3.9.18"}}'"""
SETTING_UP = "Error: We are still setting things up for you. Please try again in a moment."


def command(folder: Path, name: str, script: str) -> Path:
    """Write a shell command."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def interpreter(folder: Path) -> dict[str, str]:
    """Write a command that answers as an interpreter does, and return the agent's answer for it."""
    path = command(folder, "python", ANSWER.format(path=folder / "python"))
    return {"executable": str(path), "version": "3.9.18", "bin": str(folder)}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no other interpreters than the test adds."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_LIGHTNING_VIRTUALENV_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(agent, "CONDA_FOLDERS", (str(tmp_path / "system" / "bin"), str(tmp_path / "zeus" / "bin")))
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_the_interpreter_behind_a_shim_answers(machine: Path) -> None:
    command(machine / "path", "python", f'exec "{sys.executable}" "$@"')
    version = ".".join(map(str, sys.version_info[:3]))
    assert agent.find_interpreter() == {
        "executable": sys.executable,
        "version": version,
        "bin": os.path.dirname(sys.executable),  # noqa: PTH120  as the agent does
    }


def test_the_verb_prints_one_line(machine: Path) -> None:
    expected = interpreter(machine / "path")
    result = subprocess.run(
        [sys.executable, "-I", "-S", agent.__file__, "python"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout) == expected
    assert result.stdout.count("\n") == 1


def test_an_active_environment_then_conda_then_its_folders_then_path(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(machine / "venv"))
    monkeypatch.setenv("CONDA_PREFIX", str(machine / "conda"))
    command(machine / "path", "python3", ANSWER.format(path=machine / "path" / "python3"))
    assert agent.find_interpreter()["executable"] == str(machine / "path" / "python3")
    # Each folder comes before the earlier ones.
    for folder in ("path", "zeus/bin", "system/bin", "conda/bin", "venv/bin"):
        expected = interpreter(machine / folder)
        assert agent.find_interpreter() == expected


def test_broken_interpreters_are_passed_over_and_named_where_none_answers(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_PREFIX", str(machine / "conda"))
    command(machine / "conda" / "bin", "python", "echo 'no module named encodings' >&2; exit 1")
    command(machine / "system" / "bin", "python", "exit 0").chmod(0o644)
    command(machine / "zeus" / "bin", "python", """echo '{"executable": "", "version": "3.12.1"}' >&2; exit 2""")
    (machine / "path" / "python").symlink_to(machine / "gone")
    problem = agent.find_interpreter()["problem"]
    for name, reason in (("conda", "exit code 1: no module"), ("system", "Permission denied"), ("zeus", "exit code 2")):
        assert f"{machine / name / 'bin' / 'python'}: {reason}" in problem
    expected = interpreter(machine / "good")
    monkeypatch.setenv("PATH", f"{machine / 'path'}:{machine / 'good'}")
    assert agent.find_interpreter() == expected


def test_a_machine_without_an_interpreter_says_so() -> None:
    assert agent.find_interpreter() == {
        "problem": "there is no python, neither on PATH nor in a conda environment",
    }


@pytest.mark.parametrize(
    "script",
    [
        f"echo '{SETTING_UP}'",
        f"echo '{SETTING_UP}' >&2",
        f"echo '{SETTING_UP}'; exit 1",
        # A machine with other words for the same state.
        "echo 'please wait'",
        # Outputs without a valid path or version.
        """echo '{"executable": "python", "version": "3.12.1"}'""",
        """echo '{"executable": "/usr/bin/python", "version": "twelve"}'""",
        "echo '[1]'",
        "echo '" + "[" * 100_000 + "'",
    ],
)
def test_a_machine_that_is_not_ready_is_not_taken_for_an_answer(machine: Path, script: str) -> None:
    command(machine / "system" / "bin", "python", script)
    # An interpreter that answers at once, but is not the one that steps will have.
    interpreter(machine / "path")
    with pytest.raises(SystemExit, match="this machine is not ready"):
        agent.find_interpreter()


def test_an_interpreter_that_does_not_answer_is_not_waited_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "QUESTION_SECONDS", 0.1)
    command(machine / "path", "python", "exec /bin/sleep 600")
    with pytest.raises(SystemExit, match="does not answer"):
        agent.find_interpreter()


def environment(**specification: Any) -> dict[str, str]:
    specification = agent.check_specification({"argv": ["python"], **specification})
    return agent.command_environment(specification)


def test_the_interpreters_folder_is_first_on_path_once(machine: Path) -> None:
    folder = machine / "conda" / "bin"
    expected = interpreter(folder)
    assert environment(bin=str(folder))["PATH"] == f"{folder}:{machine / 'path'}"
    assert agent.find_program("python", environment(bin=str(folder))) == expected["executable"]
    # The folder is also first, and only once, on a PATH that the step sets itself.
    given = environment(bin=str(folder), env={"PATH": f"/mine:{folder}"})
    assert given["PATH"] == f"{folder}:/mine"


def test_a_folder_that_is_not_there_changes_nothing(machine: Path) -> None:
    assert environment(bin=str(machine / "gone")) == environment() == dict(os.environ)
    assert environment(bin=None) == dict(os.environ)


def test_an_active_environment_of_the_machine_comes_before_that_of_the_studio_that_was_asked(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter(machine / "template" / "bin")
    monkeypatch.setenv("VIRTUAL_ENV", str(machine / "job"))
    (machine / "job" / "bin").mkdir(parents=True)
    (machine / "job" / "bin" / "python").symlink_to(machine / "gone")
    assert environment(bin=str(machine / "template" / "bin"))["PATH"].startswith(str(machine / "template" / "bin"))
    (machine / "job" / "bin" / "python").unlink()
    interpreter(machine / "job" / "bin")
    assert environment(bin=str(machine / "template" / "bin"))["PATH"].startswith(str(machine / "job" / "bin"))


@pytest.mark.parametrize("folder", ["conda/bin", 7, ["/conda"]])
def test_a_folder_must_be_absolute(folder: object) -> None:
    with pytest.raises(SystemExit, match="wrong bin"):
        agent.check_specification({"argv": ["true"], "bin": folder})


def test_uvs_folder_of_environments_is_named_only_where_it_is(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_LIGHTNING_VIRTUALENV_ROOT", str(machine / "venvs"))
    assert "UV_LIGHTNING_VIRTUALENV_ROOT" not in environment()
    (machine / "venvs").mkdir()
    assert environment()["UV_LIGHTNING_VIRTUALENV_ROOT"] == str(machine / "venvs")
