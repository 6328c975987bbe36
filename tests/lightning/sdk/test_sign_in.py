"""No process of ours opens a browser or waits for a sign-in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.actions import Action, actions

from lightning_native.emulator import LocalCloud
from lightning_native.errors import CredentialsError, LightningNativeError
from lightning_native.lightning.session import open_teamspace

TALKING = [
    pytest.param(action, id=" ".join(action.path))
    for action in actions()
    # Without a sign-in, `plan` does not fail, but shows no prices; `init` asks first whether an account is meant.
    if "--local" in action.options and action.path not in (("plan",), ("init",))
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("account")) as cloud:
        yield cloud


@dataclass
class User:
    """A user with a browser, and with no other variables than these."""

    environment: dict[str, str]
    folder: Path

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self.python("-m", "lightning_native", *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not (self.folder / "opened").exists(), (self.folder / "opened").read_text()
        return done


@pytest.fixture
def user(cloud: LocalCloud, tmp_path: Path) -> User:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/opened\n')
    browser.chmod(0o700)
    (tmp_path / "workflow.yaml").write_text("steps: {a: {command: 'true'}}\n")
    runtime = {"kind": "runtime", "type": "container", "spec": {"image": "ubuntu", "cmd": "true"}}
    spec = {"name": "a", "infrastructure": {"kind": "infrastructure", "type": "lightning", "spec": {}}}
    (tmp_path / "job.yaml").write_text(json.dumps({"kind": "job", "spec": {**spec, "runtime": runtime}}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    mine = {
        "HOME": str(tmp_path),
        "LIGHTNING_NATIVE_HOME": str(tmp_path / "home"),
        "BROWSER": str(browser),
        "DISPLAY": ":0",
        # The sign-in page is on this machine.
        "LIGHTNING_CLOUD_URL": cloud.url,
    }
    return User({**clean, **mine}, tmp_path)


@pytest.mark.parametrize("action", TALKING)
def test_a_command_without_credentials_says_what_to_set(user: User, action: Action) -> None:
    done = user.call(*action.path, *action.required)
    assert done.returncode == 1, done.stderr
    for variable in ("LIGHTNING_API_KEY", "LIGHTNING_USER_ID", "LIGHTNING_TEAMSPACE", "LIGHTNING_USERNAME"):
        assert variable in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (("LIGHTNING_USER_ID",), "user_id (LIGHTNING_USER_ID)"),
        (("LIGHTNING_API_KEY", "LIGHTNING_USER_ID"), "api_key (LIGHTNING_API_KEY)"),
        (("LIGHTNING_TEAMSPACE",), "teamspace (LIGHTNING_TEAMSPACE)"),
        (("LIGHTNING_USERNAME",), "username (LIGHTNING_USERNAME)"),
    ],
)
def test_a_teamspace_is_not_opened_with_half_of_the_credentials(
    user: User, cloud: LocalCloud, missing: tuple[str, ...], named: str
) -> None:
    environ = {name: value for name, value in cloud.environ.items() if name not in missing}
    script = "from lightning_native.lightning.session import connect; connect()"
    done = user.python("-c", script, **environ)
    assert done.returncode == 1
    assert "CredentialsError: " in done.stderr
    assert named in done.stderr
    assert user.call("schedules", **environ).returncode == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIGHTNING_API_KEY", "secret-key\n"),
        ("LIGHTNING_API_KEY", "secret-key\r\nX-Other: 1"),
        ("LIGHTNING_API_KEY", "secret-kéy"),
        ("LIGHTNING_AUTH_TOKEN", " secret-key"),
        ("LIGHTNING_USER_ID", "secret-key\t"),
        ("LIGHTNING_TEAMSPACE", "team\nspace"),
        ("LIGHTNING_USERNAME", "\x1b[31mme"),
    ],
)
def test_a_value_that_no_request_can_have_is_named_and_a_secret_not_shown(
    user: User, cloud: LocalCloud, variable: str, value: str
) -> None:
    done = user.call("schedules", **{**cloud.environ, variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {variable}")
    assert "secret" not in done.stdout + done.stderr
    assert "\x1b" not in done.stderr


def test_a_pipe_in_place_of_the_file_of_credentials_is_not_waited_for(user: User) -> None:
    (user.folder / ".lightning").mkdir()
    os.mkfifo(user.folder / ".lightning" / "credentials.json")
    done = user.call("schedules")
    assert done.returncode == 1
    assert "is no regular file" in done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"api_key": "x"}', '{"user_id": "x"}', "\xff\x00"])
def test_a_damaged_file_of_credentials_is_named(user: User, cloud: LocalCloud, text: str) -> None:
    file = user.folder / ".lightning" / "credentials.json"
    file.parent.mkdir()
    file.write_text(text, encoding="latin-1")
    named = ("LIGHTNING_USERNAME", "LIGHTNING_TEAMSPACE")
    for command in ("schedules", "gc", "environments"):
        done = user.call(command, **{name: cloud.environ[name] for name in named})
        assert (done.returncode, done.stdout) == (1, "")
        assert str(file) in done.stderr
        assert "lightning login" in done.stderr


def test_a_whole_file_of_credentials_is_used(user: User, cloud: LocalCloud) -> None:
    file = user.folder / ".lightning" / "credentials.json"
    file.parent.mkdir()
    key = {"user_id": cloud.environ["LIGHTNING_USER_ID"], "api_key": cloud.environ["LIGHTNING_API_KEY"]}
    file.write_text(json.dumps(key))
    named = ("LIGHTNING_USERNAME", "LIGHTNING_TEAMSPACE", "LIGHTNING_DISABLE_VERSION_CHECK")
    environ = {name: cloud.environ[name] for name in named}
    done = user.call("schedules", "--json", **environ)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    # A file that a variable names is found, too, also by the processes that we start.
    elsewhere = file.rename(user.folder / "my key.json")
    ran = user.call(
        "run", "workflow.yaml", "--placement", "studio", LIGHTNING_CREDENTIAL_PATH=str(elsewhere), **environ
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("kind", "options"), [("expired-key", {}), ("status", {"status": 403})])
def test_a_refused_key_is_an_error_at_once(user: User, cloud: LocalCloud, kind: str, options: dict[str, int]) -> None:
    fault = cloud.faults.add(kind, match="* /v1/*", times=0, **options)
    try:
        done = user.call("schedules", **cloud.environ)
        (fired,) = [each.fired for each in cloud.faults.list() if each.id == fault.id]
    finally:
        cloud.faults.remove(fault.id)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot open teamspace ")
    assert "check the API key" in done.stderr
    # One sign-in has up to three requests, and a refused key is tried once more.
    assert 0 < fired <= 6, "the SDK asked again for what it was refused"


def test_the_sdk_does_not_sign_in_later_either(user: User, cloud: LocalCloud) -> None:
    """The file of credentials may be deleted before the SDK creates another client."""
    script = """
import os
from lightning_native.errors import CredentialsError
from lightning_native.lightning.session import open_teamspace
open_teamspace()
for name in ("LIGHTNING_API_KEY", "LIGHTNING_USER_ID"):
    del os.environ[name]
from lightning_sdk.api import llm_api
from lightning_sdk.lightning_cloud.login import Auth
for sign_in in (lambda: Auth().authenticate(), lambda: llm_api.authenticate("a", shall_confirm=False)):
    try:
        sign_in()
    except CredentialsError as error:
        print(error)
"""
    done = user.python("-W", "ignore", "-c", script, **cloud.environ)
    assert done.stdout.count("LIGHTNING_API_KEY and LIGHTNING_USER_ID are not set") == 2, done.stderr


def test_a_library_call_without_credentials_raises_before_the_sdk_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("LIGHTNING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CredentialsError, match="LIGHTNING_API_KEY"):
        open_teamspace()


def test_a_process_does_not_talk_to_another_cloud_than_its_environment_names(user: User, cloud: LocalCloud) -> None:
    script = """
import lightning_sdk, os
os.environ["LIGHTNING_CLOUD_URL"] = "http://127.0.0.1:1"
from lightning_native.lightning.session import open_teamspace
open_teamspace()
"""
    done = user.python("-W", "ignore", "-c", script, **cloud.environ)
    assert f"{LightningNativeError.__name__}: this process talks to {cloud.url}" in done.stderr


def test_a_fault_of_the_local_cloud_is_not_added_at_the_account(user: User) -> None:
    account = {"LIGHTNING_CLOUD_URL": "https://lightning.invalid", "LIGHTNING_API_KEY": "of the account"}
    done = user.call("emulator", "fault", "list", **account)
    assert done.returncode == 1
    assert done.stderr == f"error: no local cloud runs in {user.folder / 'home' / 'cloud'}\nhint: give its --root\n"
