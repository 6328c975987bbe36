"""Settings and configuration of the orchestrator and of the step operator."""

from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, model_validator
from zenml.config.base_settings import BaseSettings
from zenml.orchestrators import BaseOrchestratorConfig
from zenml.step_operators import BaseStepOperatorConfig
from zenml.utils.secret_utils import SecretField

from lightning_native.placement import CAPABILITIES, PlacementName

if TYPE_CHECKING:
    from zenml.stack import StackComponent


class LightningNativeStepSettings(BaseSettings):
    """The settings of a single step on Lightning, for the orchestrator and the step operator alike."""

    machine_type: str | None = Field(
        default=None,
        description="Machine by its lightning-sdk name, such as CPU, T4 or H100_X_8. On the pipeline: the main "
        "studio's. On a step: a step that asks for another machine gets a studio of its own.",
    )
    user_id: str | None = SecretField(default=None, description="Lightning user id; else LIGHTNING_USER_ID.")
    api_key: str | None = SecretField(default=None, description="Lightning API key; else LIGHTNING_API_KEY.")
    username: str | None = Field(
        default=None, description="Owner of the teamspace, if a user; else LIGHTNING_USERNAME."
    )
    teamspace: str | None = Field(default=None, description="Teamspace to run in; else LIGHTNING_TEAMSPACE.")
    organization: str | None = Field(
        default=None, description="Owner of the teamspace, if an organization; else LIGHTNING_ORG."
    )
    custom_commands: list[str] | None = Field(
        default=None,
        description="Shell commands run once in each studio, in the code's folder, after the requirements.",
    )
    cloud: Literal["lightning", "local"] = Field(
        default="lightning",
        description="`lightning`: Lightning AI. `local`: the local cloud on this machine, started if none is running.",
    )
    # Not DEFAULT_PLACEMENT: ZenML's steps are often short, and the run's studio starts once, where each job waits for a
    # snapshot and a machine of its own. In a live run of 2026-09-25 a job ran 40 s after its creation, 11 s of them for
    # the snapshot; Lightning's own guide has 5 min 14 s for the first job of a studio.
    placement: PlacementName = Field(
        default="studio",
        description="`studio`: steps are commands in studios made for the run. `job`: each step is a Lightning job, "
        "from a template studio that is prepared once for each environment and kept, stopped, for later runs. "
        "`platform`: the run is a Lightning pipeline of such jobs, driven by Lightning; schedules always are.",
    )
    packaging: Literal["source", "wheel", "image"] = Field(
        default="source",
        description="How the code reaches the steps. `source`: as a tree of files, beside an environment that is "
        "prepared from the Docker settings. `wheel`: the same, with the code as an installed package. `image`: ZenML "
        "builds images from the Docker settings, or takes those with skip_build, and each step is a job in its image.",
    )
    image_credentials: str | None = Field(
        default=None,
        description="Name of the Lightning secret with which private images are pulled; never the secret itself.",
    )
    cloud_account_auth: bool = Field(
        default=False, description="Pull images with the rights of the cloud account, as from its own registry (ECR)."
    )
    cloud_account: str | None = Field(
        default=None,
        description="Id of the cloud account on which studios and jobs are created, such as lightning-public-prod; "
        "without it, for each machine the account that offers it best.",
    )
    machines: list[str] | None = Field(
        default=None,
        description="Machines in the order of preference: the first that can be had is used. Instead of machine_type, "
        "on the pipeline or on a step.",
    )
    interruptible: bool = Field(
        default=False,
        description="Run on cheaper machines that may be interrupted; needs placement `job`, `platform` or "
        "images. That does not count as one of the step's retries. On the pipeline or on a step.",
    )
    step_timeout: float | None = Field(
        default=None, gt=0, description="Seconds one attempt at a step may run. On the pipeline or on a step."
    )
    outputs: list[str] | None = Field(
        default=None,
        description="Patterns of files that come back to the run's folder and that a later attempt finds, relative to "
        "the step's working folder or `~/…`, such as checkpoints/**. On the pipeline or on a step.",
    )
    outputs_every: float | None = Field(
        default=None,
        gt=0,
        description="Seconds between two copies of the outputs while a step runs; without it, only at its end. On the "
        "pipeline or on a step.",
    )
    boot_timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds in which a studio's machine must start before another studio replaces it; half an hour "
        "without it.",
    )
    num_machines: int = Field(
        default=1,
        ge=1,
        description="Machines that run a step at once, as one job: each runs its function, finds the others by "
        "NODE_RANK and MASTER_ADDR, and only rank 0 returns its outputs; needs placement `job`. On the pipeline or on "
        "a step.",
    )
    scratch_disks: dict[str, int] | None = Field(
        default=None,
        description="Fast disks of a step's machine, such as {'data': 500}: gigabytes by name, below "
        "/teamspace/scratch; needs placement `job`, `platform` or images. On the pipeline or on a step.",
    )
    path_mappings: dict[str, str] | None = Field(
        default=None,
        description="Data connections that are mounted on a step's machine, such as {'/data': 'my-bucket:train'}; "
        "needs placement `job`, `platform` or images. On the pipeline or on a step.",
    )
    pending_timeout: float = Field(
        default=600.0,
        gt=0,
        description="Seconds a job may wait for its machine before the next of the step's machines is tried.",
    )
    tags: list[str] | None = Field(default=None, description="Tags of the run's jobs on Lightning.")
    keep_alive: Literal["never", "on_failure", "always"] = Field(
        default="never",
        description="What happens at the end to studios made for the run: deleted (`never`), or stopped and kept with "
        "their files, those in which a step failed (`on_failure`) or all of them (`always`).",
    )
    reuse_environments: bool = Field(
        default=True,
        description="With placement `job`: take environments that earlier runs prepared, and keep those of this one.",
    )

    @model_validator(mode="after")
    def _one_way_to_name_machines(self) -> "LightningNativeStepSettings":
        if self.machines is not None and not self.machines:
            raise ValueError("machines is an empty list; name at least one machine, or leave it out")
        return self

    def step_placement(self) -> PlacementName:
        """Return the placement of the steps; where that takes no images, a step in an image is a job all the same."""
        takes_it = self.packaging != "image" or CAPABILITIES[self.placement].takes_images
        return self.placement if takes_it else "job"

    def preferred_machines(self) -> tuple[str, ...]:
        """Return the machines that are named, in the order of preference; `machines` has precedence."""
        if self.machines:
            return tuple(self.machines)
        return (self.machine_type,) if self.machine_type else ()


class LightningNativeOrchestratorSettings(LightningNativeStepSettings):
    """The settings of a pipeline, and where it makes sense of a step.

    The fields of ZenML's own Lightning integration keep their names and meaning, so that a stack moves over by
    changing its flavor.
    """

    main_studio_name: str | None = Field(
        default=None,
        description="Studio to run in. It is started if need be and kept; without a name, one is made and deleted.",
    )
    max_parallelism: int | None = Field(
        default=None, ge=1, description="The most steps that run at the same time; without it, all that are ready."
    )
    machine_limits: dict[str, int] | None = Field(
        default=None, description="The most steps at the same time for single machines, such as {'H100': 2}."
    )
    run_timeout: float | None = Field(default=None, gt=0, description="Seconds the whole run may take.")
    budget: float | None = Field(
        default=None,
        gt=0,
        description="The most dollars that the whole run may cost; then it is stopped. Refused if more is expected.",
    )
    timezone: str = Field(default="UTC", description="Time zone of a schedule's cron expression.")
    runtime: dict[str, Any] | None = Field(
        default=None,
        description="A job runtime as {'type': …, 'spec': …}, such as a notebook or a Git script, that runs in the "
        "folder of the code before the step's function does. Only on a step.",
    )
    synchronous: bool = Field(
        default=True,
        description="Wait for the run to end and show the logs of its steps. Otherwise a studio of its own drives the "
        "run, cleans up after it and deletes itself.",
    )
    warm_steps: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: steps that share a studio are forked from one process that has loaded ZenML, which takes "
        "seconds otherwise. `off`: each step is a fresh process.",
    )
    on_terminate: Literal["stop", "detach"] = Field(
        default="stop",
        description="What SIGTERM or SIGHUP to a process that waits for its run does, such as of a cancelled CI job: "
        "`stop` the run, as Ctrl-C does, or `detach`: the run goes on. Ctrl-C always stops it.",
    )


# The settings that a step may have for itself; the others are the run's.
STEP_SETTINGS = frozenset(
    {
        "machine_type",
        "machines",
        "interruptible",
        "step_timeout",
        "custom_commands",
        "runtime",
        "outputs",
        "outputs_every",
        "num_machines",
        "scratch_disks",
        "path_mappings",
    }
)


class LightningNativeOrchestratorConfig(BaseOrchestratorConfig, LightningNativeOrchestratorSettings):
    """Configuration of the stack component: the defaults of all settings."""

    @property
    def is_local(self) -> bool:
        """Whether steps run on this machine as far as ZenML is concerned: never, they run in studios."""
        return False

    @property
    def is_remote(self) -> bool:
        """Whether steps need a ZenML server they can reach from outside: not on the local cloud."""
        return self.cloud != "local"

    @property
    def is_synchronous(self) -> bool:
        """Whether submitting waits for the run to end."""
        return self.synchronous

    @property
    def is_schedulable(self) -> bool:
        """Whether pipelines can have schedules: yes, Lightning's."""
        return True

    @property
    def handles_step_retries(self) -> bool:
        """Whether we try failed steps again, each time in a process of its own: yes."""
        return True

    @property
    def supports_client_side_caching(self) -> bool:
        """Whether cached steps are found before anything is started."""
        return True


class LightningNativeStepOperatorConfig(BaseStepOperatorConfig, LightningNativeStepSettings):
    """Configuration of the step operator: the defaults of its settings."""

    @property
    def is_local(self) -> bool:
        """Whether steps run on this machine as far as ZenML is concerned: never, they run on Lightning."""
        return False

    @property
    def is_remote(self) -> bool:
        """Whether steps need a ZenML server they can reach from outside: not on the local cloud."""
        return self.cloud != "local"


def settings_of(component: "StackComponent", container: object) -> LightningNativeStepSettings:
    """Return the settings of an orchestrator or step operator for a pipeline, a step or a run."""
    return cast(LightningNativeStepSettings, component.get_settings(container))  # type: ignore[arg-type]  # ZenML checks


def orchestrator_settings(orchestrator: "StackComponent", container: object) -> LightningNativeOrchestratorSettings:
    """Return the settings of an orchestrator for a pipeline, a step or a run."""
    return cast(LightningNativeOrchestratorSettings, settings_of(orchestrator, container))


def configured_settings(orchestrator: "StackComponent") -> LightningNativeOrchestratorSettings:
    """Return the settings that an orchestrator is configured with, where there is no pipeline."""
    return LightningNativeOrchestratorSettings.model_validate(orchestrator.config.model_dump(exclude_unset=True))
