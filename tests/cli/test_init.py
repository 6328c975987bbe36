"""`init` sets up ZenML for the local cloud or an account, again without harm, and keeps no secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.person import talk_at_terminal

ACTIVE = """
from zenml.client import Client
stack = Client().active_stack
print(stack.name, stack.artifact_store.name, stack.orchestrator.config.model_dump(exclude_unset=True))
"""
STORE = """
from zenml.client import Client
from zenml.enums import StackComponentType
Client().create_stack_component("mine", "s3", StackComponentType.ARTIFACT_STORE, {"path": "s3://bucket"})
"""
ACCOUNT = {
    "LIGHTNING_API_KEY": "the-secret-key",
    "LIGHTNING_USER_ID": "u",
    "LIGHTNING_USERNAME": "me",
    "LIGHTNING_TEAMSPACE": "team",
}
INIT = (sys.executable, "-m", "lightning_native", "init")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))},
        "LIGHTNING_NATIVE_HOME": str(tmp_path / "home"),
        "ZENML_CONFIG_PATH": str(tmp_path / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_LOGGING_VERBOSITY": "ERROR",
        # `python -c` has no main module by which ZenML finds the code.
        "ZENML_CUSTOM_SOURCE_ROOT": str(tmp_path),
    }


def run(environment: dict[str, str], *argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=False, timeout=240, stdin=subprocess.DEVNULL
    )


def test_a_stack_on_the_local_cloud_is_made_once_and_active(environment: dict[str, str]) -> None:
    asked = run(environment, *INIT)
    assert (asked.returncode, "hint: say --local or --account" in asked.stderr) == (2, True), asked.stderr
    code, shown = talk_at_terminal(INIT, ("[L/a] ", "\n"), env={**environment, "TERM": "xterm"})
    assert (code, "stack local-cloud is active now" in shown) == (0, True), shown
    again = run(environment, *INIT, "--yes")
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "stack local-cloud is there already"), again.stderr
    active = run(environment, sys.executable, "-c", ACTIVE)
    assert active.stdout.splitlines()[-1] == "local-cloud default {'cloud': 'local'}", active.stderr


def test_a_stack_on_an_account_needs_credentials_and_a_store_and_keeps_no_secret(environment: dict[str, str]) -> None:
    unknown = run(environment, *INIT, "--account")
    assert (unknown.returncode, "credentials are incomplete" in unknown.stderr) == (1, True), unknown.stderr
    environment |= ACCOUNT
    nowhere = run(environment, *INIT, "--account")
    assert (nowhere.returncode, "zenml artifact-store register" in nowhere.stderr) == (1, True), nowhere.stderr
    made = run(environment, sys.executable, "-c", STORE)
    assert made.returncode == 0, made.stderr
    good = run(environment, *INIT, "--account", "--name", "there")
    assert good.returncode == 0, good.stderr
    active = run(environment, sys.executable, "-c", ACTIVE)
    assert active.stdout.splitlines()[-1] == "there mine {'username': 'me', 'teamspace': 'team'}", active.stderr
