"""`lightning-native doctor` names each problem with its remedy, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_native.cli import diagnosis
from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal


def doctor(home: Path, *arguments: str, **environ: str) -> tuple[int, dict[str, dict[str, Any]]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    result = subprocess.run(
        [sys.executable, "-m", "lightning_native", "doctor", "--json", *arguments],
        env={**clean, "HOME": str(home), "LIGHTNING_NATIVE_HOME": str(home / "data"), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.stderr == ""
    return result.returncode, {finding["check"]: finding for finding in json.loads(result.stdout)}


def test_all_is_well_until_a_dead_run_holds_something(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    code, findings = doctor(tmp_path, **lightning_cloud.environ)
    assert code == 0, findings
    assert findings["wheel"]["found"].startswith("lightning_native-")
    assert findings["teamspace"]["found"].startswith("local-teamspace of ")
    assert not any(finding["remedy"] for finding in findings.values())

    environ = lightning_cloud.environ
    cloud = f"{environ['LIGHTNING_CLOUD_URL']} {environ['LIGHTNING_USERNAME']}/{environ['LIGHTNING_TEAMSPACE']}"
    with Journal(tmp_path / "data" / "journal.db") as journal:
        journal.drive("dead", "a run", cloud, 1, []).lease("studio", "forgotten", on_release="delete")
    code, findings = doctor(tmp_path, **environ)
    assert code == 1
    assert [name for name, finding in findings.items() if not finding["ok"]] == ["leftovers"]
    assert "studio forgotten" in findings["leftovers"]["found"]
    assert "lightning-native gc" in findings["leftovers"]["remedy"]


def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path) -> None:
    code, findings = doctor(tmp_path, PATH=str(tmp_path), LIGHTNING_NATIVE_WHEEL=str(tmp_path / "x.whl"))
    assert code == 1
    wrong = {name: finding["remedy"] for name, finding in findings.items() if not finding["ok"]}
    assert set(wrong) == {"git", "wheel", "credentials", "teamspace"}
    assert f"LIGHTNING_NATIVE_WHEEL names {tmp_path / 'x.whl'}" in wrong["wheel"]
    assert "install git" in wrong["git"]
    assert "LIGHTNING_API_KEY" in wrong["credentials"]


@pytest.mark.parametrize(("installed", "ok"), [("2026.10.13", True), ("2026.11.1", False), ("2025.1.1", False)])
def test_a_version_that_was_not_tested_is_wrong(installed: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "version", lambda _name: installed)
    finding = {found.check: found for found in diagnosis.diagnose()}["lightning-sdk"]
    assert finding.ok is ok
