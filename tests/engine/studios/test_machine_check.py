"""A studio that is started on a machine: on another one, or without a GPU, it is stopped and no step runs in it."""

from collections.abc import Sequence

import pytest

from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.studios import machine_check
from lightning_native.engine.studios.machine_check import find_device, start_on
from lightning_native.errors import CloudError, OutOfCapacityError
from lightning_native.lightning.memory.cloud import MemoryCloud
from lightning_native.lightning.memory.studio import MemoryStudio


class Studio(MemoryStudio):
    """A studio in memory whose commands end with given exit codes; None: the call fails."""

    def __init__(self, *codes: int | None, comes_up_on: str | None = None) -> None:
        cloud = MemoryCloud()
        super().__init__(cloud, "studio")
        cloud.studios["studio"] = self
        self._codes = list(codes)
        self._comes_up_on = comes_up_on
        self.commands: list[Sequence[str]] = []

    def start(self, machine: str | None, timeout: float | None = None) -> None:  # noqa: ARG002  it takes no time here
        super().start(self._comes_up_on or machine)

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        self.commands.append(argv)
        code = self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]
        if code is None:
            raise CloudError("no answer")
        return "", code


@pytest.fixture(autouse=True)
def on_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_CLOUD_URL", "https://lightning.ai")
    monkeypatch.setattr(machine_check, "_DEVICE_PAUSE_SECONDS", 0.0)


def test_a_studio_on_another_machine_is_stopped() -> None:
    studio = Studio(0, comes_up_on="CPU")
    with pytest.raises(OutOfCapacityError, match="'studio' was started on L4, but it came up on CPU"):
        start_on(studio, "L4", Cancellation())
    assert not studio.is_running()


def test_a_studio_that_is_not_ours_to_stop_goes_on() -> None:
    studio = Studio(0, comes_up_on="CPU")
    with pytest.raises(OutOfCapacityError):
        start_on(studio, "L4", Cancellation(), stop=False)
    assert studio.is_running()


def test_a_machine_without_its_gpu_is_none() -> None:
    studio = Studio(1)
    with pytest.raises(OutOfCapacityError, match="no GPU was found"):
        start_on(studio, "L4", Cancellation())
    assert not studio.is_running()
    assert len(studio.commands) > 1


def test_a_gpu_may_take_a_while_and_a_failed_call_reveals_nothing() -> None:
    studio = Studio(None, 127, 0)
    start_on(studio, "L4", Cancellation())
    assert studio.is_running()
    with pytest.raises(CloudError, match="no answer"):
        find_device(Studio(None), Cancellation(), pause_seconds=0.0)


def test_a_stop_ends_the_wait_for_a_gpu() -> None:
    cancellation = Cancellation()
    cancellation.request("the run was stopped")
    with pytest.raises(Cancelled):
        find_device(Studio(1), cancellation)


@pytest.mark.parametrize(
    ("machine", "url"),
    [
        ("CPU", "https://lightning.ai"),
        ("lit-tpu-v6e-1", "https://lightning.ai"),
        ("L4", "http://127.0.0.1:8080"),
        ("L4", "http://10.0.2.2:8080"),
        ("L4", "http://localhost:80"),
    ],
)
def test_no_gpu_is_looked_for_where_none_was_asked_for_or_can_be(
    machine: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_CLOUD_URL", url)
    studio = Studio(1)
    start_on(studio, machine, Cancellation())
    assert studio.commands == []
