"""A secret of each kind in workflows and jobs: no command line and nothing that stays has one.

The table in `docs/reference/security.md` lists the places that may have one, and until when.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.canary import new_canary
from tests.support.servers.private_index import Index
from tests.support.watched_place import WatchedPlace, assert_kept

KINDS = ("workflow-env", "step-env", "setup-secret", "index-password", "git-token")
# A command that proves the presence of the secrets without printing them.
DIGESTS = (
    'for name in WORKFLOW STEP; do printf %s "$(printenv "$name")" | sha256sum; done; python -c "import ln_a, ln_b"'
)


@pytest.fixture
def canaries() -> dict[str, str]:
    return {kind: new_canary(kind) for kind in (*KINDS, "job-env", "notebook-env", "registry-credential")}


@pytest.fixture
def variables(canaries: dict[str, str]) -> dict[str, str]:
    """The user's variables."""
    return {"CANARY_" + kind.upper().replace("-", "_"): value for kind, value in canaries.items()}


@pytest.fixture
def packages(tmp_path: Path, canaries: dict[str, str]) -> Iterator[Index]:
    """A package index with a password."""
    (tmp_path / "packages").mkdir()
    index = Index(tmp_path / "packages", canaries["index-password"])
    index.add("ln_a")
    yield index
    index.close()


@pytest.fixture
def repositories(tmp_path: Path, canaries: dict[str, str]) -> Iterator[Index]:
    """A Git server with a token."""
    (tmp_path / "repositories").mkdir()
    index = Index(tmp_path / "repositories", canaries["git-token"])
    index.add_repository("ln_b", {"canary.py": PROGRAM})
    yield index
    index.close()


@pytest.mark.parametrize(
    ("placement", "schedule"), [("studio", False), ("job", False), ("platform", False), ("platform", True)]
)
def test_a_workflow_keeps_its_secrets(
    place: WatchedPlace,
    canaries: dict[str, str],
    variables: dict[str, str],
    packages: Index,
    repositories: Index,
    placement: str,
    schedule: bool,
) -> None:
    workflow = {
        "name": "canaries",
        "placement": placement,
        "env": {
            "WORKFLOW": "${CANARY_WORKFLOW_ENV}",
            "INDEX_PASSWORD": "${CANARY_INDEX_PASSWORD}",
            "GIT_TOKEN": "${CANARY_GIT_TOKEN}",
            "SETUP": "${CANARY_SETUP_SECRET}",
        },
        "requirements": [
            f"--index-url http://me:${{INDEX_PASSWORD}}@{packages.host}/simple",
            "ln_a",
            f"ln_b @ git+http://me:${{GIT_TOKEN}}@{repositories.host}/ln_b.git",
        ],
        "setup": ['printf "%s" "$SETUP" | sha256sum'],
        "steps": {
            "a": {"command": DIGESTS, "env": {"STEP": "${CANARY_STEP_ENV}"}},
            "fails": {"command": "exit 3", "env": {"STEP": "${CANARY_STEP_ENV}"}, "needs": "a"},
        },
    }
    if schedule:
        workflow["schedule"] = {"cron": "*/5 * * * *"}
    (place.code / "workflow.yaml").write_text(yaml.safe_dump(workflow))
    # Failing calls, because the SDK reports them with their arguments.
    for match in ("POST */execute", "POST */jobs", "POST */pipelines"):
        place.cloud.faults.add("status", match=match, status=400, times=1)
    with place.watch(canaries) as watch:
        code, printed = place.call("run", "workflow.yaml", "--local", **variables)
        if schedule:
            assert code == 0, printed
            printed += place.wait_for_scheduled_run("canaries")
            printed += place.call("schedules", "delete", "canaries", "--local", "--yes")[1]
        else:
            assert code == 1, printed
            # The steps had the secrets.
            for kind in ("workflow-env", "step-env"):
                assert hashlib.sha256(canaries[kind].encode()).hexdigest() in printed, printed
            assert "exit code 3" in printed
        shown = place.shown()
        assert '"commands": []' not in shown
    printed += shown
    assert_kept(watch, printed)
    assert {sighting.kind for sighting in watch.files} >= set(KINDS)


def job(kind: str, **spec: object) -> str:
    """Return a job file."""
    runtime = {"kind": "runtime", "type": kind, "spec": spec}
    infrastructure = {"kind": "infrastructure", "type": "lightning", "spec": {}}
    return yaml.safe_dump(
        {"kind": "job", "spec": {"name": "canary", "infrastructure": infrastructure, "runtime": runtime}}
    )


PROGRAM = """
import hashlib, os
print("SEEN", hashlib.sha256(os.environ["SECRET"].encode()).hexdigest())
raise SystemExit(3)
"""


def notebook() -> str:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": PROGRAM, "outputs": [], "execution_count": None}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize("kind", ["python", "notebook", "container", "gitPython"])
def test_a_job_keeps_its_secrets(
    place: WatchedPlace, canaries: dict[str, str], repositories: Index, tmp_path: Path, kind: str
) -> None:
    (place.code / "main.py").write_text(PROGRAM)
    (place.code / "main.ipynb").write_text(notebook())
    seen = canaries["notebook-env" if kind == "notebook" else "job-env"]
    specs: dict[str, dict[str, object]] = {
        "python": {"scriptPathURI": "main.py"},
        "notebook": {"notebookPathURI": "main.ipynb"},
        "container": {
            "image": "registry.example/tool:1",
            "entrypoint": ["/bin/sh", "-c"],
            "cmd": ['echo SEEN "$(printf %s "$SECRET" | sha256sum)"; exit 3'],
        },
        "gitPython": {
            "url": f"http://me:${{GIT_TOKEN}}@{repositories.host}/ln_b.git",
            "entrypoint": "canary.py",
        },
    }
    # The user's own file is outside of the watched folders.
    file = tmp_path / "job.yaml"
    file.write_text(job(kind, env=[{"name": "SECRET", "value": seen}], **specs[kind]))
    place.cloud.faults.add("status", match="POST */jobs", status=400, times=1)
    with place.watch(canaries) as watch:
        place.set_secret("GIT_TOKEN", canaries["git-token"])
        place.set_secret("REGISTRY_LOGIN", canaries["registry-credential"])
        refused, printed = place.call("job", "run", str(file), "--local")
        assert refused == 1
        code, output = place.call("job", "run", str(file), "--local")
        assert code == 1, output
        assert f"SEEN {hashlib.sha256(seen.encode()).hexdigest()}" in output
        printed += output + place.call("job", "list", "--local", "--json")[1] + place.shown()
    assert_kept(watch, printed)
