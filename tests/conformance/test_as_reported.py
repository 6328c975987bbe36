"""A report becomes the behaviour of a local cloud, or is refused with one clear line."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.runner import check_of, conformance

from lightning_native.conformance import checks
from lightning_native.conformance.check import Outcome
from lightning_native.conformance.checks import CHECKS
from lightning_native.conformance.report import FORMAT, described, markdown
from lightning_native.conformance.run import Result
from lightning_native.emulator import LocalCloud
from lightning_native.emulator.state.profile import PARTS
from lightning_native.emulator.state.reported import read_report
from lightning_native.errors import EmulatorError
from lightning_native.lightning.inspection.records import ListedMachine

RATE = 60.0


def report_file(folder: Path, **values: Any) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps({"format": FORMAT, "checks": [], **values}))
    return path


def measured(**values: Any) -> list[dict[str, Any]]:
    return [{"id": "some-check", "measured": values}]


def test_a_cloud_behaves_as_another_was_seen(tmp_path: Path) -> None:
    only = ("--yes", f"--clock-rate={RATE}", "--only", "job-pending-while-saving")
    page = tmp_path / "report.json"
    parts = {"save_seconds": 120.0, "settle_seconds": 0.0, "log_seconds": 0.0}
    with LocalCloud(profile="platform", parts=parts, clock_rate=RATE) as cloud:
        code, seen, _ = conformance(tmp_path / "one", cloud.environ, *only, "--report", str(page))
    assert code == 0
    saved = check_of(seen, "job-pending-while-saving")["measured"]["save_seconds"]
    assert saved > 0
    assert read_report(page).parts["save_seconds"] == saved
    # Without the report, this profile saves nothing.
    with LocalCloud(profile="quick", as_reported=page, clock_rate=RATE) as cloud:
        code, again, _ = conformance(tmp_path / "two", cloud.environ, *only)
    assert code == 0, check_of(again, "job-pending-while-saving")


@pytest.mark.parametrize("profile", ["platform", "quick"])
def test_price_lists_become_those_of_the_report(profile: str, tmp_path: Path) -> None:
    account = "lightning-public-prod"
    machines = [
        ListedMachine(account, "cpu-4", "", "CPU", 4, 0.44, 0.5, 70.0, False, None),
        ListedMachine("lightning-baremetal", "cpu-4", "", "CPU", 4, 0.42, 0.5, 70.0, False, None),
        # By the name that it has in the list alone.
        ListedMachine(account, "lit-h100-80gb-8", "lit-h100-80gb-8", "H100", 8, 30.0, 0.0, 20_000.0, True, None),
        ListedMachine("an-account-of-somebody", "cpu-4", "", "CPU", 4, 0.01, 0.0, None, False, None),
        ListedMachine(account, "a-machine-of-tomorrow", "", "X", 1, 1.0, 0.0, None, False, None),
    ]
    page = tmp_path / "report.json"
    page.write_text(json.dumps(described(Result(machines=machines), cloud="test")))
    with LocalCloud(as_reported=page, profile=profile) as cloud:
        url = f"{cloud.url}/v1/core/clusters/{account}/accelerators"
        request = urllib.request.Request(url, headers=_signed(cloud))  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            found = {machine["slug"]: machine for machine in json.load(answer)["accelerator"]}
    if profile == "platform":
        assert set(found) == {"cpu-4", "lit-h100-80gb-8"}
        assert (found["cpu-4"]["cost"], found["cpu-4"]["availableInSeconds"]) == (0.44, "70")
        assert found["lit-h100-80gb-8"]["outOfCapacity"] is True
    else:
        # Without accounts, each has every machine, at the lowest price.
        assert len(found) > 10
        assert found["cpu-4"]["cost"] == 0.42
    assert found["cpu-4"]["spotPrice"] == 0.5
    assert found["lit-h100-80gb-8"]["cost"] == 30.0


def _signed(cloud: LocalCloud) -> dict[str, str]:
    return {"Authorization": f"Bearer {cloud.environ['LIGHTNING_API_KEY']}"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"format": "another/1"}, "format"),
        ({"checks": "all"}, "checks"),
        ({"checks": [1]}, "checks"),
        ({"checks": [{"id": "a", "measured": 3}]}, "measured"),
        ({"checks": measured(save_minutes=1)}, "save_minutes"),
        ({"checks": measured(save_seconds="41")}, "save_seconds"),
        ({"checks": measured(save_seconds=-1)}, "save_seconds"),
        ({"checks": measured(save_seconds=float("nan"))}, "save_seconds"),
        ({"checks": measured(platform_lines=1)}, "platform_lines"),
        ({"checks": [*measured(save_seconds=1), *measured(save_seconds=2)]}, "differently"),
        ({"prices": [{"account": "a", "slug": "cpu-4", "cost": "cheap"}]}, "cpu-4"),
        ({"prices": [{"account": "a", "slug": "cpu-4", "cost": float("inf")}]}, "cpu-4"),
        ({"prices": [{"account": "a", "slug": "cpu-4", "cost": 1.0, "wait": -1}]}, "wait"),
        ({"prices": [{"account": "a", "cost": 1.0}]}, "slug"),
        ({"prices": [{"slug": "cpu-4", "cost": 1.0}]}, "account"),
    ],
)
def test_a_report_that_cannot_be_used_is_one_clear_line(values: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = report_file(tmp_path, **values)
    with pytest.raises(EmulatorError, match=reason) as caught:
        read_report(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]"])
def test_a_file_that_is_no_report_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    result = subprocess.run(
        [sys.executable, "-m", "lightning_native", "emulator", "--ephemeral", "--as-reported", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_all_that_checks_measure_is_a_part_of_a_profile() -> None:
    # The only values that checks give by name: those of `holds` and of the tables for it.
    folder = Path(checks.__file__).parent
    text = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    given = set(re.findall(r"[ (](\w+)=(?:round|bool|hidden|late|found|len)\b", text))
    tables = set(re.findall(r'"(\w+_seconds|platform_lines)":', text))
    assert len(given | tables) >= 10
    assert given | tables <= {part.name for part in PARTS}


def test_a_report_has_no_word_of_the_account() -> None:
    check = CHECKS[0]
    result = Result(
        outcomes={check: Outcome("different", "owner jane-doe, key s3cr3t", {})},
        left=["studio-of-jane-doe"],
        private=["jane-doe", "s3cr3t"],
    )
    data = described(result, cloud="Lightning AI")
    for text in (json.dumps(data, ensure_ascii=False), markdown(data)):
        assert "jane-doe" not in text
        assert "s3cr3t" not in text
        assert "owner …, key …" in text
