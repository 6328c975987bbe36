"""A later attempt at a step goes by what ZenML has recorded of the earlier one."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration
from zenml.enums import ExecutionStatus
from zenml.exceptions import EntityExistsError

from lightning_native.zenml.step_process import entrypoints
from lightning_native.zenml.step_process.entrypoints import LightningNativeStepEntrypointConfiguration as Entrypoint


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch) -> Callable[[ExecutionStatus | None], list[UUID]]:
    """Return a function that makes another attempt, of which ZenML wants to create no step run any more.

    Its argument is the status of the earlier attempt; it returns the step runs that are continued.
    """

    def run(status: ExecutionStatus | None) -> list[UUID]:
        def refuse(_self: Any) -> None:
            raise EntityExistsError("a step with this name exists")

        before = None if status is None else SimpleNamespace(id=uuid4(), status=status)
        continued: list[UUID] = []
        monkeypatch.setattr(StepEntrypointConfiguration, "run", refuse)
        monkeypatch.setattr(entrypoints, "current_step_run", lambda _name: before)
        monkeypatch.setattr(Entrypoint, "_continue", lambda _self, step_run: continued.append(step_run))
        Entrypoint(["--snapshot_id", str(uuid4()), "--step_name", "a"])._run_once()
        assert continued in ([], [before and before.id])
        return continued

    return run


def test_a_completed_step_is_not_repeated(attempt: Callable[[ExecutionStatus | None], list[UUID]]) -> None:
    assert attempt(ExecutionStatus.COMPLETED) == []


def test_a_step_that_lost_its_machine_goes_on_as_the_same_step_run(
    attempt: Callable[[ExecutionStatus | None], list[UUID]],
) -> None:
    assert len(attempt(ExecutionStatus.RUNNING)) == 1


@pytest.mark.parametrize("status", [ExecutionStatus.FAILED, None])
def test_another_refusal_is_the_users_to_see(
    attempt: Callable[[ExecutionStatus | None], list[UUID]], status: ExecutionStatus | None
) -> None:
    with pytest.raises(EntityExistsError):
        attempt(status)
