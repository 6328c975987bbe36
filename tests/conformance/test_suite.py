"""The local cloud behaves as this package assumes of the platform, but for what the list of pending checks names."""

from pathlib import Path

import pytest
from tests.conformance.pending import PENDING, UNSEEN
from tests.conformance.runner import conformance, verdicts

from lightning_native.conformance.checks import CHECKS


@pytest.mark.spread(5)
@pytest.mark.timeout(600)
def test_the_local_cloud_is_as_assumed_and_nothing_is_left(tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    code, report, said = conformance(tmp_path / "home", {}, "--local", "--report", str(page))
    assert report["left"] == []
    assert report["ended"] == ""
    assert verdicts(report, "different") == PENDING
    assert verdicts(report, "not checkable") == UNSEEN
    assert code == (1 if PENDING else 0)
    assert len(verdicts(report, "as assumed")) >= 40
    assert [check["id"] for check in report["checks"]] == [check.id for check in CHECKS]
    # Its account is in neither report.
    text = page.read_text()
    assert "local-user" not in text + str(report)
    assert "local-teamspace" not in text + str(report)
    assert all(f"`{check.id}`" in text for check in CHECKS)
    assert "Traceback" not in said


def test_checks_have_names_of_their_own_and_say_what_they_assume() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS) >= 40
    for check in CHECKS:
        assert check.assumption.endswith("."), check.id
        assert check.expected, check.id
