import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lightning_native.emulator import LocalCloud


def get(cloud: Any, path: str) -> Any:
    request = urllib.request.Request(cloud.url + path)  # noqa: S310 - our own server
    request.add_header("Authorization", f"Bearer {cloud.environ['LIGHTNING_API_KEY']}")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def test_secrets_reach_code_and_nobody_else(lightning_cloud: Any, studio: Any) -> None:
    studio.teamspace.set_secret("DATABASE_PASSWORD", "correct horse battery")
    assert studio.run("echo $DATABASE_PASSWORD") == "correct horse battery"
    listed = get(lightning_cloud, f"/v1/projects/{studio.teamspace.id}/secrets")
    assert "correct horse" not in json.dumps(listed)
    assert "correct horse" not in (lightning_cloud.root / "server.log").read_text()
    studio.teamspace.delete_secret("DATABASE_PASSWORD")
    assert studio.run("echo ${DATABASE_PASSWORD:-none}") == "none"


def test_a_studio_may_be_without_secrets(sdk: Any, lightning_cloud: Any) -> None:
    assert lightning_cloud.url
    studio = sdk.Studio("no-secrets", disable_secrets=True)
    studio.start()
    studio.teamspace.set_secret("HIDDEN", "value")
    assert studio.run("echo ${HIDDEN:-none}") == "none"
    studio.teamspace.delete_secret("HIDDEN")
    studio.delete()


def test_reports_of_the_sdk_are_kept_without_secrets(lightning_cloud: Any, sdk: Any, studio: Any) -> None:
    # The SDK reports the arguments of a failed call as plain text.
    studio.teamspace.set_secret("KNOWN", "a-known-secret")
    with pytest.raises(ValueError, match="Secret keys"):
        studio.teamspace.set_secret("not a name", "a-secret-of-a-failed-call")
    with pytest.raises(Exception, match="no machine"):
        sdk.Job.run(name="j", machine="nothing", command="echo a-known-secret", studio=studio, env={"A": "in-the-env"})
    kept = json.dumps(get(lightning_cloud, "/v1/sdk-command-history"))
    assert "Job._submit" in kept
    for secret in ("a-known-secret", "a-secret-of-a-failed-call", "in-the-env"):
        assert secret not in kept
    studio.teamspace.delete_secret("KNOWN")


TRACE = " | Traceback: Traceback (most recent call last):\n  File 'x'\nValueError: bad"
SECRET = "hunter2-of-the-test"  # noqa: S105 - an invented password
REPORTS = {
    "nested braces": f"ARGS: name: j, env: {{'A': {{'B': {{}}}}, 'C': '{SECRET}'}}  | Error: ValueError: bad{TRACE}",
    "braces in a value": f"ARGS: env: {{'A': '}}', 'B': '{SECRET}'}}  | Error: ValueError: bad{TRACE}",
    "quotes": f'ARGS: env: {{"A": "it\'s }} \'", \'B\': "{SECRET}"}}  | Error: ValueError: bad{TRACE}',
    "lines": f"ARGS: env: {{'A': '\n\n}}\n', 'B': '{SECRET}'}}\n  | Error: ValueError: bad{TRACE}",
    "another argument": f"ARGS: command: curl -H 'X: {SECRET}', name: j  | Error: ValueError: bad{TRACE}",
    "cut off": f"ARGS: env: {{'A': '{{', 'B': '{SECRET}",
    "cut off after a word that looks like an error": f"ARGS: env: {{'A': ' | Error: {SECRET}: ', 'B': '",
    "an error that shows its input": f"ARGS: name: j  | Error: ValueError: input_value='{SECRET}'{TRACE}",
    "a traceback that shows its input": f"ARGS: name: j  | Error: ValueError: bad{TRACE} {SECRET}",
    "two errors": f"ARGS: x: a | Error: A{SECRET}: b  | Error: ValueError: bad{TRACE}",
    "no arguments": SECRET,
    "an object": f"ARGS: self: <X env={{'A': '{SECRET}'}}>, credentials: Credentials(password={SECRET!r}) ",
}


@pytest.mark.parametrize("message", REPORTS.values(), ids=REPORTS.keys())
def test_no_value_of_a_report_is_kept_whatever_it_looks_like(lightning_cloud: Any, message: str) -> None:
    report = {"command": "Job._submit", "message": message, "severity": "ERROR"}
    request = urllib.request.Request(  # noqa: S310 - our own server
        lightning_cloud.url + "/v1/sdk-command-history", data=json.dumps(report).encode(), method="POST"
    )
    request.add_header("Authorization", f"Bearer {lightning_cloud.environ['LIGHTNING_API_KEY']}")
    urllib.request.urlopen(request).close()  # noqa: S310 - our own server
    kept = get(lightning_cloud, "/v1/sdk-command-history")["commands"][-1]
    assert SECRET not in json.dumps(kept)
    assert kept["command"] == "Job._submit"
    assert ("ValueError" in kept["message"]) == (TRACE in message)


def places(root: Path, secret: str) -> list[str]:
    """Return the files below a root that have a secret in them."""
    found = []
    # Not `rglob`, which raises because the server deletes the content of the trash meanwhile.
    for path in (Path(folder) / name for folder, _, names in os.walk(root) for name in names):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes():
                found.append(str(path.relative_to(root)))
    return sorted(found)


def test_a_secret_is_in_the_records_only_and_gone_when_it_is_deleted(tmp_path: Path) -> None:
    stored, replaced, of_job, of_studio, of_pipeline = (f"secret-{uuid4().hex}" for _ in range(5))
    everything = (stored, replaced, of_job, of_studio, of_pipeline)
    keep = f"""
from lightning_sdk import Job, Studio
from lightning_sdk.pipeline import JobStep, Pipeline
studio = Studio("s")
studio.start()
studio.teamspace.set_secret("STORED", {replaced!r})
studio.teamspace.set_secret("STORED", {stored!r})
studio.set_env({{"OF_STUDIO": {of_studio!r}}})
assert studio.run("test -n \\"$STORED$OF_STUDIO\\" && echo there") == "there"
job = Job.run("j", machine="CPU", studio=studio, command='test -n "$OF_JOB"', env={{"OF_JOB": {of_job!r}}})
job.wait(interval=0.05)
assert str(job.status) == "Completed", job.status
pipeline = Pipeline("p", studio=studio)
step = JobStep(name="a", studio=studio, machine="CPU", command="true", env={{"OF_PIPELINE": {of_pipeline!r}}})
pipeline.run([step])
"""
    forget = """
from lightning_sdk import Job, Studio
from lightning_sdk.pipeline import Pipeline
studio = Studio("s")
studio.teamspace.delete_secret("STORED")
Pipeline("p", studio=studio).delete()
for job in studio.teamspace.jobs:
    job.delete()
studio.delete()
"""
    with LocalCloud(tmp_path / "root") as cloud:
        for script, kept in ((keep, True), (forget, False)):
            argv = [sys.executable, "-W", "ignore", "-c", script]
            environ = {**os.environ, **cloud.environ}
            result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
            assert result.returncode == 0, result.stderr[-3000:]
            for secret in everything:
                found = places(cloud.root, secret)
                allowed = {"state.sqlite", "state.sqlite-wal"} if kept and secret != replaced else set()
                assert set(found) <= allowed, (script, everything.index(secret), found)
                assert bool(found) == bool(allowed)
    for secret in everything:
        assert places(tmp_path / "root", secret) == []


def test_credentials_of_what_is_only_recorded_are_not_kept(lightning_cloud: Any, studio: Any) -> None:
    secret = uuid4().hex
    project = f"/v1/projects/{studio.teamspace.id}"
    bodies = {
        f"{project}/agent-managed-endpoints": {"endpoint": {"name": "e", "openai": {"apiKey": secret}}},
        f"{project}/agents": {"name": "a", "model": {"authToken": secret}, "endpoint": {"x": secret}},
        f"{project}/data-connections": {"name": uuid4().hex, "efs": {"password": secret}, "credentials": [secret]},
        f"{project}/endpoints": {"name": "p", "ports": ["80"], "auth": {"userPassword": secret}},
    }
    for path, body in bodies.items():
        request = urllib.request.Request(lightning_cloud.url + path, data=json.dumps(body).encode(), method="POST")  # noqa: S310 - our own server
        request.add_header("Authorization", f"Bearer {lightning_cloud.environ['LIGHTNING_API_KEY']}")
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            assert secret not in answer.read().decode()
    assert places(lightning_cloud.root, secret) == []
