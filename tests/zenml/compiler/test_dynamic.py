"""Settings of a dynamic pipeline end in its plan, or in an error that names them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from zenml.config import DockerSettings
from zenml.enums import StepRuntime

from lightning_native.errors import PlanError
from lightning_native.zenml.compiler.dynamic import check_dynamic
from lightning_native.zenml.config import LightningNativeOrchestratorSettings as Settings
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec
from lightning_native.zenml.step_process.inline_step import check_inline, check_run_settings


class Orchestrator:
    """An orchestrator that finds its settings in the objects they are about."""

    can_run_isolated_steps = True

    def get_settings(self, container: Any) -> Settings:
        return cast(Settings, container.settings)


def snapshot(settings: Settings, *, schedule: object = None, **steps: Settings) -> Any:
    configuration = SimpleNamespace(docker_settings=DockerSettings())
    configured = {name: SimpleNamespace(settings=own) for name, own in steps.items()}
    return SimpleNamespace(
        settings=settings,
        schedule=schedule,
        is_dynamic=True,
        pipeline_configuration=configuration,
        step_configurations=configured,
    )


def check(settings: Settings, **options: Any) -> None:
    check_dynamic(cast(Any, Orchestrator()), snapshot(settings, **options))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(max_parallelism=2), "max_parallelism"),
        (Settings(machine_limits={"L4": 1}), "machine_limits"),
        (Settings(main_studio_name="mine"), "main_studio_name"),
        (Settings(budget=5), "budget"),
    ],
)
def test_what_only_a_graph_can_keep_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(PlanError, match=f"a dynamic pipeline cannot .*{name}"):
        check(settings)


def test_a_schedule_is_refused() -> None:
    with pytest.raises(PlanError, match="cannot have a schedule"):
        check(Settings(), schedule=SimpleNamespace())


@pytest.mark.parametrize("settings", [Settings(run_timeout=5), Settings(keep_alive="always"), Settings(tags=["a"])])
def test_what_the_studio_of_a_dynamic_pipeline_keeps_is_taken(settings: Settings) -> None:
    check(settings, step=settings)


def test_a_step_sets_nothing_of_the_run() -> None:
    with pytest.raises(PlanError, match="'a' of a dynamic pipeline sets run_timeout"):
        check_run_settings("a", Settings(run_timeout=5), Settings())
    with pytest.raises(PlanError, match="'a' of a dynamic pipeline sets runtime"):
        check(Settings(), a=Settings(runtime={"type": "python", "spec": {}}))


@pytest.mark.parametrize(
    ("own", "pipeline", "name"),
    [
        (Settings(machine_type="L4"), Settings(), "machine_type"),
        (Settings(machine_type="L4"), Settings(machine_type="L4"), ""),
        (Settings(machines=["L4"]), Settings(machine_type="L4"), "machine_type"),
        (Settings(interruptible=True), Settings(), "interruptible"),
        (Settings(step_timeout=5), Settings(), "step_timeout"),
        # The pipeline's is meant for each step, and an inline one cannot keep it either.
        (Settings(step_timeout=5), Settings(step_timeout=5), "step_timeout"),
        (Settings(outputs=["a"]), Settings(), "outputs"),
        (Settings(tags=["a"]), Settings(), "tags"),
        (Settings(), Settings(), ""),
    ],
)
@pytest.mark.parametrize("runtime", list(StepRuntime))
def test_an_inline_step_has_no_machine_of_its_own(
    own: Settings, pipeline: Settings, name: str, runtime: StepRuntime
) -> None:
    config = SimpleNamespace(
        step_operator=None,
        runtime=runtime,
        docker_settings=DockerSettings(),
        resource_settings=SimpleNamespace(has_basic_resource_demands=False),
    )
    info = SimpleNamespace(settings=own, config=config, pipeline_step_name="a", snapshot=snapshot(pipeline))
    if not name or runtime == StepRuntime.ISOLATED:
        check_inline(cast(Any, Orchestrator()), cast(Any, info))
        return
    with pytest.raises(PlanError, match=f"'a' runs inline.* where {name} has no effect"):
        check_inline(cast(Any, Orchestrator()), cast(Any, info))


def test_a_supervisor_gets_its_task_as_it_was_given() -> None:
    spec = SupervisorSpec("0", ("-m", "x"), None, "studio", timeout=5.0, keep="on_failure", may_be_cached=True)
    assert SupervisorSpec.from_json(spec.command()[-1]) == spec
