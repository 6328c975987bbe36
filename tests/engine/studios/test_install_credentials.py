"""Credentials for the installation of requirements reach the installer, and are never anywhere else."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.canary import CanaryWatch
from tests.support.runner import Runner
from tests.support.search import files_with
from tests.support.servers.private_index import Index

from lightning_native.cli import main
from lightning_native.emulator import LocalCloud
from lightning_native.engine.plan import Installer, RunPlan, Setup, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.layout import merged_requirements
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.studios.install_credentials import InstallCredentials, Masked
from lightning_native.engine.studios.setup import described_variables, setup_variables
from lightning_native.errors import LightningNativeError, PlanError, RequirementError
from lightning_native.placement import PlacementName
from lightning_native.user_input.url_credentials import has_credentials, without_credentials
from lightning_native.workflow.loader import load_workflow


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    index = Index(folder)
    yield index
    index.close()


@pytest.mark.spread(3)
@pytest.mark.parametrize(
    ("placement", "installer"), [("job", "uv"), ("studio", "uv"), ("studio", "pip"), ("platform", "uv")]
)
def test_requirements_are_installed_with_an_account_that_nobody_sees(
    runner: Runner,
    lightning_cloud: LocalCloud,
    index: Index,
    tmp_path: Path,
    placement: PlacementName,
    installer: Installer,
) -> None:
    of_index, of_file, of_git = (f"ln_{kind}_{uuid4().hex[:8]}" for kind in ("index", "file", "git"))
    index.add(of_index)
    index.add(of_file)
    index.add_repository(of_git)
    account = f"me:${{INDEX_PASSWORD}}@{index.host}"
    lines = [
        f"--index-url http://{account}/simple",
        of_index,
        f"{of_file} @ http://{account}/files/{of_file}-1.0-py3-none-any.whl",
        f"{of_git} @ git+http://{account}/{of_git}.git",
    ]
    secret = quote(index.password, safe="")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    cache = tmp_path / "cache"
    environment = {
        "INDEX_PASSWORD": secret,
        "TMPDIR": str(temporary),
        "UV_CACHE_DIR": str(cache),
        "PIP_CACHE_DIR": str(cache),
        "UV_NO_PROGRESS": "1",
    }
    check = f"python -c 'import {of_index}, {of_file}, {of_git}'"
    setup = Setup(installer=installer, commands=(check,), variables=("TMPDIR", "UV_CACHE_DIR", "PIP_CACHE_DIR"))
    home = tmp_path / "home"
    folders = {"home": home, "temporary": temporary, "cache": cache, "cloud": lightning_cloud.root}
    with CanaryWatch({"password": index.password, "quoted": secret}, folders) as watch:
        folder = runner.make(
            placement,
            StepPlan("use", ("sh", "-c", check), requirements=(("r.txt", "\n".join(lines)),), setup=setup),
            variables={"use": environment},
            reuse_environments=True,
            custom_commands=("echo the password is $INDEX_PASSWORD",),
        )
        code = runner.drive(folder)
    log = next((folder.path / "logs").glob("setup-*")).read_text()
    assert code == 0, log
    assert watch.looks
    assert watch.arguments == set()
    assert "the password is ***" in log
    assert watch.scan() == set()


REFUSED = [
    "x @ git+https://user:hunter2@host/x.git",
    "x @ git+https://ghp_hunter2hunter2hunter2@github.com/x/y.git",
    "git+https://user:hunter2@host/x.git#egg=x",
    "-e git+ssh://git:hunter2@host/x.git#egg=x",
    "--index-url https://user:hunter2@host/simple",
    "--extra-index-url=https://user:hunter2@host/simple",
    "-i https://user:hunter2@host/simple",
    "--find-links https://user:hunter2@host/x",
    "x @ https://${USER}:hunter2@host/x-1-py3-none-any.whl",
    "x @ https://host/x-1-py3-none-any.whl?token=hunter2",
    "x @ https://host/x-1-py3-none-any.whl?a=b&X-Amz-Signature=hunter2",
    "x @ https://host/x-1-py3-none-any.whl?private_token=hunter2",
    "x @ https://hunter2hunter2hunter2hunter2@host/x-1-py3-none-any.whl",
]
ACCEPTED = [
    "x @ git+https://${TOKEN}@host/x.git",
    "x @ git+https://oauth2:${TOKEN}@host/x.git",
    "x @ git+ssh://git@github.com/x/y.git",
    "--index-url https://${USER}:${PASSWORD}@host/simple",
    "x @ https://host/x-1-py3-none-any.whl?token=${TOKEN}",
    "x @ https://me@dev.azure.com/x-1-py3-none-any.whl",
    "x @ git+https://a-team-with-a-long-name-2@dev.azure.com/x/_git/y",
    "x @ https://host/x-1-py3-none-any.whl?tokenizer=fast&design=2#sha256=0123456789abcdef",
]


@pytest.mark.parametrize("line", REFUSED)
def test_credentials_that_are_written_out_are_refused_and_not_shown(tmp_path: Path, line: str) -> None:
    step = StepPlan("a", ("true",), requirements=(("r.txt", line),))
    with pytest.raises(PlanError, match=r"write a variable in their place") as refused:
        check_plan(RunPlan("run", "name", (step,)))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(PlanError, match=r"setup command"):
        check_plan(RunPlan("run", "name", (StepPlan("a", ("true",)),), custom_commands=(f"pip install '{line}'",)))
    (tmp_path / "r.txt").write_text(f"{line}\n")
    for requirements in ("r.txt", f"['{line}']"):
        (tmp_path / "w.yaml").write_text(f"steps: {{a: {{command: x, requirements: {requirements}}}}}\n")
        with pytest.raises(PlanError) as error:
            load_workflow(tmp_path / "w.yaml", environment={})
        assert "hunter2" not in str(error.value)
        assert "w.yaml:1" in str(error.value)


@pytest.mark.parametrize("line", ACCEPTED)
def test_variables_and_names_of_users_are_no_credentials(line: str) -> None:
    assert not has_credentials(line)
    check_plan(RunPlan("run", "name", (StepPlan("a", ("true",), requirements=(("r.txt", line),)),)))


def test_no_plan_with_credentials_is_ever_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    plan = RunPlan("run", "name", (StepPlan("a", ("true",), requirements=(("r.txt", REFUSED[0]),)),))
    with pytest.raises(PlanError, match="write a variable"):
        RunFolder.of("run").write(plan, tmp_path / "code", {})
    assert not RunFolder.of("run").path.exists()


def test_a_file_that_another_includes_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "inner.txt").write_text("x @ git+https://user:hunter2@host/x.git\n")
    step = StepPlan("a", ("true",), requirements=((str(tmp_path / "r.txt"), "-r inner.txt\n"),))
    with pytest.raises(RequirementError, match="write a variable") as refused:
        merged_requirements([step])
    assert "hunter2" not in str(refused.value)


def test_requirements_that_do_not_parse_are_quoted_without_their_password(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("requirements: ['x y https://me:hunter2@h']\nsteps: {a: {command: x}}\n")
    with pytest.raises(LightningNativeError) as error:
        load_workflow(tmp_path / "w.yaml", environment={})
    assert "hunter2" not in str(error.value)


def test_a_refused_workflow_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(home))
    (tmp_path / "w.yaml").write_text(f"setup: [pip install '{REFUSED[0]}']\nsteps: {{a: {{command: x}}}}\n")
    for action in ("plan", "run"):
        assert main([action, str(tmp_path / "w.yaml"), "--local"]) == 1
        output = "".join(capsys.readouterr())
        assert "hunter2" not in output
        assert "setup" in output
    assert files_with("hunter2", home) == []


def test_one_host_with_two_accounts_leaves_the_second_to_the_installer() -> None:
    text = "x @ git+https://a:${A}@h/x.git\ny @ git+https://b:${B}@h/y.git\n"
    separate = InstallCredentials.of(text)
    assert separate.requirements == "x @ git+https://h/x.git\ny @ git+https://b:${B}@h/y.git\n"
    assert InstallCredentials.of("x\n") == InstallCredentials("x\n")


@given(
    secrets=st.lists(st.text("abc", min_size=4, max_size=6), max_size=3),
    text=st.text("abc", max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_masked_output_is_as_long_and_has_no_secret(secrets: list[str], text: str, cuts: list[int]) -> None:
    masked = Masked(secrets)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [masked.feed(text[begin:end].encode()) for begin, end in pairwise(places)]
    shown = b"".join([*pieces, masked.end()]).decode()
    assert len(shown) == len(text)
    assert not any(secret in shown for secret in secrets)


def test_a_step_command_that_may_hold_a_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(
        "steps: {a: {command: 'git clone https://me:hunter2@h/x.git'}, b: {command: login --password hunter2},"
        " c: {command: login --password $PASSWORD}}\n"
    )
    warnings = load_workflow(tmp_path / "w.yaml", environment={}).warnings
    places = ["the command of step a", "the command of step b"]
    assert [warning.partition(" may have")[0] for warning in warnings] == places
    assert not any("hunter2" in warning for warning in warnings)


@pytest.mark.parametrize(
    "command", ["login --password hunter2", "TOKEN=hunter2 login", "cli --api-key='hunter2'", "x -secret hunter2"]
)
def test_a_setup_command_with_a_secret_written_out_is_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(json.dumps({"setup": ["make", command], "steps": {"a": {"command": "true"}}}))
    with pytest.raises(PlanError, match=r"write \$NAME in its place") as refused:
        load_workflow(tmp_path / "w.yaml", environment={})
    assert "hunter2" not in str(refused.value)
    step = StepPlan("a", ("true",), setup=Setup(commands=(command,)))
    with pytest.raises(PlanError, match="secret written out"):
        check_plan(RunPlan("run", "name", (step,)))


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "login --password $PASSWORD",
        'TOKEN="$MINE" login',
        "cli --no-token -v",
        "cli --use-token=false",
        "tokenize --vocabulary data/tokens.txt",
    ],
)
def test_a_setup_command_without_a_secret_is_accepted(command: str) -> None:
    check_plan(RunPlan("run", "name", (StepPlan("a", ("true",)),), custom_commands=(command,)))


@given(st.text("a:/@?&=${}tokensecret ", max_size=200))
def test_masking_is_done_once(text: str) -> None:
    assert without_credentials(without_credentials(text)) == without_credentials(text)


def test_an_account_does_not_make_another_environment_but_what_is_installed_does() -> None:
    requirements = (("r.txt", "x @ git+https://${ACCOUNT}@host/${NAME}.git"),)
    plan = RunPlan("run", "name", (StepPlan("a", ("true",), requirements=requirements),))

    def described(**variables: str) -> dict[str, str]:
        context: Any = SimpleNamespace(plan=plan, variables={"a": variables})
        assert setup_variables(context, ["a"]) == {name: variables[name] for name in ("ACCOUNT", "NAME")}
        return described_variables(context, "a")

    assert (
        described(ACCOUNT="one", NAME="x", OTHER="1") == described(ACCOUNT="two", NAME="x", OTHER="2") == {"NAME": "x"}
    )
    assert described(ACCOUNT="one", NAME="y") == {"NAME": "y"}
