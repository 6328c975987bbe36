"""Runs of the engine against one local cloud, each test with a journal of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.runner import Runner

from lightning_native.emulator import LocalCloud
from lightning_native.engine.journal import Journal
from lightning_native.lightning.session import connect


@pytest.fixture
def runner(lightning_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    runner = Runner(lightning_cloud, tmp_path)
    yield runner
    with Journal() as journal:
        assert journal.open_leases() == []
    cloud = connect()
    # Other tests of the session have studios of their own there.
    assert [name for name in cloud.studio_names() + cloud.job_names() if name.startswith("engine-test")] == []
