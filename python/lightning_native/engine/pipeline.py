"""A plan as a Lightning pipeline: its studios, its steps, and the file with what they run."""

from collections.abc import Mapping, Sequence
from functools import partial
from shlex import join as shell_join

from lightning_native import unique_studio_name
from lightning_native.agent import COMMAND
from lightning_native.engine.environments import Environments
from lightning_native.engine.operation import REMOTE_HOME, specification_sha256, upload_specification
from lightning_native.engine.placements.base import RunContext, patiently
from lightning_native.engine.placements.job import job_specification, step_machines
from lightning_native.engine.plan import StepPlan
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import PipelineHandle, PipelineRequest, PipelineStepRequest, StudioHandle

# A machine that is reclaimed this often will not be had for long enough.
INTERRUPTION_RETRIES = 20


def pipeline_step_name(step: StepPlan) -> str:
    """Return what a step is called in a pipeline."""
    return unique_studio_name(step.name)


def prepare_studios(
    context: RunContext, steps: Sequence[StepPlan], owner: str | None = None
) -> tuple[dict[str, StudioHandle], dict[str, str]]:
    """Prepare the studios that steps start from, all at once.

    Args:
        context: the run.
        steps: those that will run.
        owner: whose studios they are; None: environments that runs share.

    Returns:
        The studio of each step, and for each step without one the reason.

    Raises:
        Cancelled: the run was stopped meanwhile.
    """
    environments = Environments(context, owner)
    templates = {step.name: environments.of(step) for step in steps}
    for template in templates.values():
        template.prepared.begin()
    studios: dict[str, StudioHandle] = {}
    problems: dict[str, str] = {}
    for step, template in templates.items():
        try:
            studios[step] = template.prepared.wait()
        except CloudError as error:
            problems[step] = str(error)
    return studios, problems


class PipelinePlan:
    """The pipeline of some steps of a run.

    What the steps run, with their secrets, is in one file in each of their studios: the jobs of a pipeline begin when
    Lightning decides, each with a copy of the studio's files of that moment.
    """

    def __init__(
        self,
        context: RunContext,
        name: str,
        steps: Sequence[StepPlan],
        studios: Mapping[str, StudioHandle],
        waits: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Plan the pipeline `name` of steps that start from `studios`, by the step's name.

        `waits`: what each step of the plan waits for, in an order of the steps; None: what it has upstream.
        """
        upstream = {step.name: step.upstream for step in context.plan.steps}
        self._waits = waits or {step: upstream[step] for step in context.plan.dag().order()}
        self._context = context
        self._steps = {step.name: step for step in steps}
        self._studios = {studio.name: studio for studio in studios.values()}
        self._studio_of = {step.name: studios[step.name].name for step in steps}
        self._specifications: dict[str, dict[str, dict[str, object]]] = {
            studio: {"steps": {}} for studio in self._studios
        }
        for step in steps:
            retry = {"count": step.retry.count, "delay": step.retry.delay, "backoff": step.retry.backoff}
            specification = {**job_specification(context, step), "retry": retry}
            self._specifications[self._studio_of[step.name]]["steps"][pipeline_step_name(step)] = specification
        self._sha256 = {studio: specification_sha256(each) for studio, each in self._specifications.items()}
        self._request = PipelineRequest(
            name,
            tuple(self._step_request(self._steps[step]) for step in self._waits if step in self._steps),
            stop_on_failure=context.plan.on_failure != "continue",
            interruption_retries=INTERRUPTION_RETRIES if any(step.interruptible for step in steps) else 0,
        )

    def _step_request(self, step: StepPlan) -> PipelineStepRequest:
        studio = self._studio_of[step.name]
        sha256 = self._sha256[studio]
        name = pipeline_step_name(step)
        return PipelineStepRequest(
            name,
            step_machines(self._context, step)[0],
            shell_join([*COMMAND, "job", self._context.plan.run_id, "--spec-sha256", sha256, "--step", name]),
            studio,
            tuple(pipeline_step_name(self._steps[other]) for other in self._waits[step.name] if other in self._steps),
            step.interruptible,
            self._context.plan.tags,
        )

    def create(self) -> PipelineHandle:
        """Upload what the steps run, and create the pipeline, which begins at once.

        Raises:
            CloudError: it could not be created.
        """
        self.upload()
        return self.create_without_upload()

    def upload(self) -> None:
        """Upload what the steps run to their studios."""
        run_id = self._context.plan.run_id
        for name, specification in self._specifications.items():
            self._context.journal.lease("file", f"{name}:{REMOTE_HOME}/ops/{run_id}.json", on_release="delete")
            upload = partial(upload_specification, self._studios[name].upload, run_id, specification)
            patiently(self._context, upload)

    def create_without_upload(self) -> PipelineHandle:
        """Create the pipeline only; its jobs wait for what they are to run.

        Raises:
            CloudError: it could not be created.
        """
        name, cloud = self._request.name, self._context.cloud
        self._context.journal.lease("pipeline", name, on_release="delete")
        created = False

        def create() -> PipelineHandle:
            nonlocal created
            # It may have been created all the same, and only the answer was lost.
            found = cloud.find_pipeline(name) if created else None
            created = True
            return found or cloud.create_pipeline(self._request)

        return patiently(self._context, create)
