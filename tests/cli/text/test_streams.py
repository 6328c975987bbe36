"""A command that cannot write its output, or was started without streams, ends in order."""

import os
import subprocess
import sys

import pytest

COMMANDS = (("name", "x"), ("runs",), ("name", "--help"))
NAME = [sys.executable, "-m", "lightning_native"]


def run(redirection: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", *NAME, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_full_disk_is_one_error() -> None:
    result = run("> /dev/full", "name", "x")
    assert (result.returncode, result.stderr) == (1, "error: No space left on device\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_command_without_streams_runs(redirection: str, command: tuple[str, ...]) -> None:
    result = run(redirection, *command)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_is_no_news() -> None:
    assert run("| true", "name", "x").stderr == ""


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_any_locale_will_do(locale: str) -> None:
    result = run("", "name", "ü", LC_ALL=locale, LANG=locale)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_a_home_that_cannot_be_made_is_one_error_with_the_way_out(home: str) -> None:
    result = run("", "runs", LIGHTNING_NATIVE_HOME=home)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: cannot make {home}: ")
    assert "\nhint: set LIGHTNING_NATIVE_HOME " in result.stderr


def test_a_mistake_of_ours_is_one_error_and_a_traceback_on_request() -> None:
    code = "import lightning_native.cli.name as name; name.sanitize_studio_name = lambda text: 1 / 0\n"
    code += "from lightning_native.cli import main; raise SystemExit(main(['name', 'x']))"
    short = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert short.returncode == 1
    assert short.stderr.startswith("error: a mistake in lightning-native itself: ZeroDivisionError: division by zero\n")
    verbose = {**os.environ, "LIGHTNING_NATIVE_VERBOSE": "1"}
    long = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=verbose)
    assert "Traceback" in long.stderr
