"""`lightning-native doctor` names each problem with its remedy, and nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_native.cli.doctor import diagnosis
from lightning_native.cli.doctor.account import account_findings
from lightning_native.emulator import LocalCloud
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.inspection.account import Account
from lightning_native.lightning.offers import MachineOffer


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


@pytest.mark.usefixtures("lightning_cloud")
@pytest.mark.parametrize(("installed", "ok"), [("2026.10.13", True), ("2026.11.1", False), ("2025.1.1", False)])
def test_a_version_that_was_not_tested_is_wrong(installed: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "version", lambda _name: installed)
    finding = {found.check: found for found in diagnosis.diagnose()}["lightning-sdk"]
    assert finding.ok is ok


def test_the_account_is_shown_with_what_is_assumed(lightning_cloud: LocalCloud, tmp_path: Path) -> None:
    _, findings = doctor(tmp_path, **lightning_cloud.environ)
    assert re.fullmatch(r"local-teamspace \(id \S+\) of user local-user \(id \S+\)", findings["account"]["found"])
    machines = findings["machines of lightning-public-prod"]["found"].splitlines()
    assert machines[0].startswith("CPU_SMALL ($")
    assert any(line.startswith("H100 ($") for line in machines[1:])
    assert (findings["plan"]["found"], "four hours" in findings["assumed"]["found"]) == ("Pro", True)


def test_machines_that_cannot_be_had_now_are_counted_apart() -> None:
    offers = [
        MachineOffer("L4", 0.79, cloud_account="here", wait_seconds=120.0),
        MachineOffer("A100", 2.19, cloud_account="here", needs_plan=True),
        MachineOffer("H100", 5.68, cloud_account="here", wait_seconds=1e6),
        MachineOffer("H200", 4.5, cloud_account="there", available=False),
    ]
    account = Account("me", "user", "u1", "mine", "t1", 2, None, 0.0, offers)
    found = {finding.check: finding for finding in account_findings(account)}
    assert (
        found["machines of here"].found.splitlines()[0]
        == "L4 ($0.79/h, 2 min), A100 ($2.19/h, with a plan); not now: 1"
    )
    assert found["machines of there"].found.splitlines()[0] == "none; not now: 1"
    assert "2 teamspaces are called so" in found["account"].found
    assert (found["balance"].ok, found["plan"].found) == (False, "Lightning does not tell")
