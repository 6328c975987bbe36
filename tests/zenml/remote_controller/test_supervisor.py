"""The supervisor of a dynamic pipeline judges its process's end, and keeps the run's time limit."""

from pathlib import Path

import pytest

from lightning_native.zenml.remote_controller import supervisor
from lightning_native.zenml.remote_controller.supervisor import _drive, _Logs, _Stop
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec

CONFIRMED = "import os; open(os.environ['LIGHTNING_NATIVE_CONFIRMATION'], 'w').close(); "


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(supervisor, "_RELEASE_SECONDS", 60.0)


def drive(code: str, timeout: float | None = None) -> tuple[int, str]:
    stop = _Stop()
    spec = SupervisorSpec("0123", ("-c", code), None, None, timeout=timeout)
    return _drive(spec, stop, _Logs()), stop.reason


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (CONFIRMED, 0),
        (CONFIRMED + "os._exit(45)", 45),
        ("import os; os._exit(0)", 1),
        ("import os; os._exit(3)", 3),
    ],
)
def test_a_process_that_ends_with_0_has_confirmed_that_zenml_has_its_end(code: str, expected: int) -> None:
    assert drive(code) == (expected, "")


def test_a_run_that_takes_longer_than_its_limit_is_stopped_for_that_reason() -> None:
    assert drive("import time; time.sleep(600)", timeout=1.5) == (1, "it ran longer than its limit of 1.5 s")
