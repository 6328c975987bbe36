"""Specifications of operations, which may hold secrets, on their way to the agent."""

import hashlib
import tempfile
from pathlib import Path

import pytest

from lightning_native.engine.studios.agent_client import upload_specification


def test_a_specification_is_in_no_file_that_outlives_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    uploaded: list[bytes] = []

    def upload(path: Path, remote_path: str) -> None:
        assert remote_path.endswith("/an-operation.json")
        assert list(tmp_path.iterdir()) == []
        # Two pieces, as several threads read them: each reader has a position of its own.
        with path.open("rb") as first, path.open("rb") as second:
            second.seek(1)
            uploaded.append(first.read(1) + second.read())
        assert path.stat().st_size == len(uploaded[0])

    sha256 = upload_specification(upload, "an-operation", {"environment": {"TOKEN": "x" * 100_000}})
    assert hashlib.sha256(uploaded[0]).hexdigest() == sha256
