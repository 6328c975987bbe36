"""The shared local cloud that `--local` starts has the profile that a variable names."""

import json
import urllib.request
from pathlib import Path

import pytest

from lightning_native.emulator.client.attach import attach
from lightning_native.errors import EmulatorError


def machines(environ: dict[str, str]) -> set[str]:
    """Return the slugs of the machines of the default cloud account."""
    url = f"{environ['LIGHTNING_CLOUD_URL']}/v1/core/clusters/lightning-public-prod/accelerators"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {environ['LIGHTNING_API_KEY']}"})  # noqa: S310  ours
    with urllib.request.urlopen(request) as answer:  # noqa: S310  ours
        return {item["slug"] for item in json.loads(answer.read())["accelerator"]}


def test_a_variable_names_the_profile_of_the_shared_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with attach(tmp_path / "quick") as environ:
        everywhere = machines(environ)
    monkeypatch.setenv("LIGHTNING_NATIVE_PROFILE", "platform")
    with attach(tmp_path / "platform") as environ:
        # There, machines differ by account.
        assert machines(environ) < everywhere


def test_a_profile_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_PROFILE", "nonsense")
    with (
        pytest.raises(EmulatorError, match="'nonsense' is no profile; there are quick, platform, free-plan"),
        attach(tmp_path / "x"),
    ):
        pass
