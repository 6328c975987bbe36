import json
import urllib.request
from typing import Any

import pytest


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
    # The SDK sends the arguments of a call that failed, in clear.
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
