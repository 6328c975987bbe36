"""One local cloud for all kills but those of the cloud itself, and the table that `make kills` prints."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_native.lightning.local import attach


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("home")
    with attach(home / "cloud") as environ:
        yield home, environ


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = [value for report in reports for name, value in report.user_properties if name == "kill"]
    if not rows or os.environ.get("SPREAD") == "day":
        return
    width = max(len(row[0]) for row in rows)
    terminalreporter.section("kills: the point, what was found after it, what brought the run to rest")
    for point, found, way in sorted(rows):
        terminalreporter.write_line(f"{point:{width}}  {found:30}  {way}")
    terminalreporter.write_line(f"{len(rows)} points")
