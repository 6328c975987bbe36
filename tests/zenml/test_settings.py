"""Each of ZenML's settings ends in the plan, or in an error that names it."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from zenml.config import DockerSettings, ResourceSettings
from zenml.config.retry_config import StepRetryConfig
from zenml.enums import ExecutionMode

from lightning_native.engine.plan import Retry, StepPlan
from lightning_native.engine.planning.machine_choice import MachineOffer, ResourceRequest
from lightning_native.errors import PlanError
from lightning_native.zenml.compiler.docker_settings import (
    check_docker_settings,
    check_packaging,
    image_variables,
    own_requirements,
    step_requirements,
    step_setup,
)
from lightning_native.zenml.compiler.pipeline import FAILURE_MODES
from lightning_native.zenml.compiler.resources import choose_machines, resource_request, step_machine
from lightning_native.zenml.compiler.step import StepSource, check_known, plan_step, retry_of
from lightning_native.zenml.config import (
    STEP_SETTINGS,
    LightningNativeOrchestratorConfig,
    LightningNativeOrchestratorSettings,
    LightningNativeStepSettings,
)
from lightning_native.zenml.remote_controller.plan import controller_plan
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec

Settings = LightningNativeOrchestratorSettings


class Stack(SimpleNamespace):
    """A stack with requirements."""

    apt_packages = ("from-stack",)

    def requirements(self) -> set[str]:
        return {"of-the-stack", "another-of-the-stack"}


def test_requirements_come_in_zenmls_order_and_as_they_are_written() -> None:
    docker = DockerSettings(
        requirements=["numpy>=1.20  # why", "-e ./local", 'tomli; python_version < "3.11"', "x==1 --hash=sha256:00"],
        required_integrations=["sklearn"],
    )
    names, texts = zip(*step_requirements(docker, Stack()), strict=True)
    assert names == (
        "lightning-native",
        ".zenml_stack_integration_requirements",
        ".zenml_integration_requirements",
        ".zenml_user_requirements",
    )
    assert texts[0].splitlines() == own_requirements()
    assert any(line.startswith("zenml==") for line in own_requirements())
    assert texts[-1].splitlines() == docker.requirements


def test_outputs_of_a_step_are_in_its_plan() -> None:
    def planned(settings: Settings) -> StepPlan:
        config: Any = SimpleNamespace(docker_settings=DockerSettings())
        return plan_step(StepSource("train", ("true",), config, settings, {}, lambda: ""), (), Stack())

    step = planned(Settings(outputs=["checkpoints/**", "*.csv"], outputs_every=60))
    assert (step.outputs, step.outputs_every) == (("checkpoints/**", "*.csv"), 60.0)
    # The pipeline's period is for its steps with outputs.
    assert planned(Settings(outputs_every=60)).outputs_every is None
    assert {"outputs", "outputs_every"} <= STEP_SETTINGS


def test_disks_and_mounted_folders_of_a_step_are_in_its_plan() -> None:
    config: Any = SimpleNamespace(docker_settings=DockerSettings())
    settings = Settings(scratch_disks={"data": 5}, path_mappings={"/data": "bucket"}, placement="job")
    step = plan_step(StepSource("train", ("true",), config, settings, {}, lambda: ""), (), Stack())
    assert (step.scratch_disks, step.path_mappings) == ((("data", 5),), (("/data", "bucket"),))
    assert {"scratch_disks", "path_mappings"} <= STEP_SETTINGS


@pytest.mark.parametrize("component", [Settings, LightningNativeStepSettings])
def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(component: Any) -> None:
    with pytest.raises(PlanError, match=r"the pipeline sets machin_type, which does not exist; did you mean 'machine_"):
        check_known("the pipeline", component(machin_type="L4"))
    # ZenML hands the configuration of the component over with its settings.
    check_known("the pipeline", component(synchronous=False))


def test_a_controller_gets_the_wheel_of_what_runs_and_no_other_version_of_it() -> None:
    named = ["numpy", "Lightning_Native[zenml]>=0.0.1 \\", "  --hash=sha256:00", "lightning-native-more==1", "zenml"]
    docker = DockerSettings(requirements=[*named, "lightning.native @ https://x.example/a.whl"])
    plan = controller_plan(SupervisorSpec("1", (), None, None), "p", Stack(), docker=docker)
    lines = [line for _, text in plan.steps[0].requirements for line in text.splitlines()]
    assert [line for line in lines if "native" in line.lower()] == ["lightning-native-more==1"]
    assert not [line for line in lines if "hash" in line]
    assert {"numpy", "zenml", "of-the-stack"} <= set(lines)


def test_no_requirements_of_the_user_are_no_source_at_all() -> None:
    docker = DockerSettings(requirements=[], install_stack_requirements=False)
    assert [name for name, _ in step_requirements(docker, Stack())] == ["lightning-native"]


def test_a_pyproject_is_exported_by_the_command_that_is_given(tmp_path: Any) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    docker = DockerSettings(
        pyproject_path=str(tmp_path / "pyproject.toml"),
        pyproject_export_command=["echo", "from-pyproject==1", "#", "{directory}"],
        install_stack_requirements=False,
    )
    assert step_requirements(docker, Stack())[-1] == (".zenml_pyproject_requirements", "from-pyproject==1\n")


def test_packages_installer_commands_and_variables_are_in_the_setup() -> None:
    docker = DockerSettings(
        apt_packages=["tree", "from-stack"],
        python_package_installer="pip",
        python_package_installer_args={"no-deps": None, "timeout": 7, "system": None},
        local_project_install_command="pip install .",
        environment={"early": 1},
        runtime_environment={"LATE": "2"},
    )
    setup = step_setup(docker, Stack(), ["echo mine"])
    assert setup.packages == ("tree", "from-stack")
    assert (setup.installer, setup.installer_arguments) == ("pip", ("--no-deps", "--timeout=7"))
    assert setup.commands == ("pip install .", "echo mine")
    assert setup.variables == ("EARLY",)
    assert image_variables(docker) == {"EARLY": "1", "LATE": "2"}


@pytest.mark.parametrize(
    "name",
    ["parent_image", "dockerfile", "build_context_root", "image_tag", "target_repository", "user"],
)
def test_what_only_an_image_could_honour_is_refused_by_name(name: str) -> None:
    with pytest.raises(PlanError, match=f"'train'.*DockerSettings.{name}"):
        check_docker_settings("train", DockerSettings(**{name: "x"}))


def test_images_take_all_of_it_and_run_as_jobs() -> None:
    everything = DockerSettings(dockerfile="Dockerfile", user="me", image_tag="7", local_project_install_command="x")
    check_packaging("train", everything, Settings(packaging="image"))
    assert Settings(packaging="image").step_placement() == "job"
    assert Settings(packaging="wheel", placement="platform").step_placement() == "platform"
    with pytest.raises(PlanError, match="have ZenML build images with packaging='image'"):
        check_packaging("train", everything, Settings())


def test_docker_settings_that_need_no_image_are_taken() -> None:
    check_docker_settings("train", DockerSettings(requirements=["x"], apt_packages=["y"], prevent_build_reuse=True))


def test_resources_become_a_request() -> None:
    request = resource_request("it", ResourceSettings(cpu_count=8, gpu_count=2, gpu_class="a100", memory="64GiB"))
    assert request is not None
    assert (request.cpus, request.gpus, request.gpu_type, request.memory_gb) == (8, 2, "a100", 64)
    assert resource_request("it", ResourceSettings()) is None


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (ResourceSettings(gpu_class="TPUv9"), "gpu_class is 'TPUv9'"),
        (ResourceSettings(resources={"licences": 2}), "licences of a resource pool"),
    ],
)
def test_resources_that_cannot_be_had_are_refused(resources: ResourceSettings, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        resource_request("step 'train'", resources)


def test_what_a_step_says_itself_beats_what_it_has_from_its_pipeline() -> None:
    none, gpu = ResourceSettings(), ResourceSettings(gpu_count=1)
    cpu, l4 = Settings(machine_type="CPU"), Settings(machines=["L4", "T4"])
    assert step_machine("s", l4, none, cpu, none) == (("L4", "T4"), None)
    machines, request = step_machine("s", cpu, gpu, cpu, none)
    assert machines == ()
    assert request is not None
    assert step_machine("s", l4, gpu, Settings(), gpu) == (("L4", "T4"), None)
    with pytest.raises(PlanError, match="asks for machine L4 and, in its ResourceSettings, for 1 GPU"):
        step_machine("s", l4, gpu, cpu, none)


@pytest.mark.parametrize(
    ("config", "retry"),
    [
        (None, Retry()),
        (StepRetryConfig(max_retries=3), Retry(3, 0.0, 1.0)),
        (StepRetryConfig(max_retries=2, delay=5, backoff=3), Retry(2, 5.0, 3.0)),
    ],
)
def test_retries_are_zenmls(config: StepRetryConfig | None, retry: Retry) -> None:
    assert retry_of(config) == retry


@pytest.mark.parametrize(
    "wrong", [{"machines": []}, {"step_timeout": 0}, {"max_parallelism": 0}, {"budget": 0}, {"keep_alive": "x"}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)


def test_all_of_zenmls_execution_modes_are_supported() -> None:
    assert set(FAILURE_MODES) == set(ExecutionMode)
    assert FAILURE_MODES[ExecutionMode.FAIL_FAST] == "fail_fast"


def test_every_field_of_zenmls_own_integration_is_there_with_its_default() -> None:
    from zenml.integrations.lightning.flavors.lightning_orchestrator_flavor import LightningOrchestratorConfig

    theirs = LightningOrchestratorConfig.model_fields
    ours = LightningNativeOrchestratorConfig.model_fields
    assert {name: field.default for name, field in theirs.items()}.items() <= {
        name: field.default for name, field in ours.items()
    }.items()
    assert all(field.description for field in ours.values())


def test_secrets_do_not_show_and_may_be_references() -> None:
    settings = Settings(api_key="{{lightning.api_key}}", user_id="u", organization="acme", username="me")
    fields = LightningNativeOrchestratorSettings.model_fields
    for name in ("api_key", "user_id"):
        assert (fields[name].json_schema_extra or {}).get("sensitive") or "sensitive" in str(fields[name])
    assert {secret.name for secret in settings.required_secrets} == {"lightning"}


def test_a_cloud_account_is_the_only_one_whose_machines_count() -> None:
    offers = [
        MachineOffer("L4", 0.7, gpus=1, gpu_type="L4", gpu_memory_gb=24, cloud_account="near"),
        MachineOffer("L4_X_4", 2.8, gpus=4, gpu_type="L4", gpu_memory_gb=24, cloud_account="far"),
    ]
    request = ResourceRequest(gpu_type="L4")
    assert choose_machines("a", request, offers, Settings()) == ("L4", "L4_X_4")
    assert choose_machines("a", request, offers, Settings(cloud_account="far")) == ("L4_X_4",)
    with pytest.raises(PlanError, match="a: no machine has 1 L4"):
        choose_machines("a", request, offers, Settings(cloud_account="unknown"))
