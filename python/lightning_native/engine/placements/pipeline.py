"""A plan as a Lightning pipeline: its studios, its steps, and the files with their specifications."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from shlex import join as shell_join

from lightning_native.agent import COMMAND
from lightning_native.agent_protocol import specification_path
from lightning_native.engine.context import RunContext
from lightning_native.engine.placements.container import ContainerFolder
from lightning_native.engine.placements.costs import JobCosts
from lightning_native.engine.placements.job import job_spec, step_machines, step_outputs
from lightning_native.engine.plan import MAX_INTERRUPTIONS, StepPlan
from lightning_native.engine.resource_names import drive_folder, pipeline_operation_id, pipeline_step_name
from lightning_native.engine.studios.agent_client import specification_sha256, upload_specification
from lightning_native.engine.studios.templates import PreparedStudio, TemplateStudios
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import (
    JobRequest,
    PipelineHandle,
    PipelineRequest,
    PipelineStepRequest,
)

_UPLOADS_AT_ONCE = 8


def prepare_studios(
    context: RunContext, steps: Sequence[StepPlan], owner: str | None = None
) -> tuple[dict[str, PreparedStudio], dict[str, str]]:
    """Prepare the template studios of steps without images, all at once.

    Args:
        context: the run.
        steps: the steps that will run.
        owner: the only owner of the studios; None: template studios that runs share.

    Returns:
        The studio of each such step, and for each step without one the reason.

    Raises:
        Cancelled: the run was stopped meanwhile.
    """
    studios_of_run = TemplateStudios(context, owner)
    templates = {step.name: studios_of_run.of(step) for step in steps if not step.image}
    for template in templates.values():
        template.prepared.begin()
    studios: dict[str, PreparedStudio] = {}
    problems: dict[str, str] = {}
    for step, template in templates.items():
        try:
            studios[step] = template.prepared.wait()
        except CloudError as error:
            problems[step] = str(error)
    return studios, problems


class PipelinePlan:
    """The pipeline of some steps of a run.

    The specifications of the steps, with their secrets, are in one file in each of their studios, because Lightning
    decides when a pipeline's job begins, with a copy of the studio's files of that moment. A step in an image has a
    folder of its own.
    """

    def __init__(
        self,
        context: RunContext,
        name: str,
        steps: Sequence[StepPlan],
        studios: Mapping[str, PreparedStudio],
        waits: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Plan the pipeline `name` of steps that start from `studios`, by the step's name, or from their images.

        `waits`: the steps that each step of the plan waits for, in an order of the steps; None: its upstream steps.
        """
        upstream = {step.name: step.upstream for step in context.plan.steps}
        self._waits = waits or {step: upstream[step] for step in context.plan.dag().order()}
        self._context = context
        self._steps = {step.name: step for step in steps}
        self._studios = {studio.handle.name: studio.handle for studio in studios.values()}
        self._studio_of = {step.name: studios[step.name].handle.name for step in steps if not step.image}
        self._folders = {
            step.name: ContainerFolder(context, f"{name}/{pipeline_step_name(step.name)}")
            for step in steps
            if step.image
        }
        self._in_studios: dict[str, dict[str, dict[str, object]]] = {studio: {"steps": {}} for studio in self._studios}
        self._in_folders: dict[str, dict[str, dict[str, object]]] = {step: {"steps": {}} for step in self._folders}
        # Shared once for all, because Lightning drives the pipeline.
        known = JobCosts(context).budgets([(step, step.name, step_machines(context, step)[0]) for step in steps])
        budgets = dict(zip(self._steps, known, strict=True))
        self._outputs = {step.name: step_outputs(context, step) for step in steps}
        for step in steps:
            operation = pipeline_operation_id(name, step.name)
            folder = self._folders.get(step.name)
            spec = (
                folder.spec(step, operation)
                if folder
                else job_spec(context, step, operation, studios[step.name].interpreter)
            )
            file = self._in_folders[step.name] if step.image else self._in_studios[self._studio_of[step.name]]
            wish = self._outputs[step.name].wish()
            spec = replace(spec, retry=asdict(step.retry), budget=budgets[step.name], outputs=wish)
            file["steps"][pipeline_step_name(step.name)] = spec.to_json()
        self._sha256 = {studio: specification_sha256(file) for studio, file in self._in_studios.items()}
        self._request = PipelineRequest(
            name,
            tuple(self._step_request(self._steps[step]) for step in self._waits if step in self._steps),
            stop_on_failure=context.plan.on_failure != "continue",
            interruption_retries=MAX_INTERRUPTIONS if any(step.interruptible for step in steps) else 0,
        )

    def _step_request(self, step: StepPlan) -> PipelineStepRequest:
        name, machine = pipeline_step_name(step.name), step_machines(self._context, step)[0]

        def arguments(sha256: str) -> tuple[str, ...]:
            return (self._context.plan.run_id, "--spec-sha256", sha256, "--step", name)

        if step.image:
            call = arguments(specification_sha256(self._in_folders[step.name]))
            outputs = self._outputs[step.name]
            job = self._folders[step.name].job(step, step.image, call, name=name, machine=machine, outputs=outputs)
        else:
            studio = self._studio_of[step.name]
            command = shell_join([*COMMAND, "job", *arguments(self._sha256[studio])])
            interruptible = self._context.is_interruptible(step, machine)
            job = JobRequest(
                name,
                machine,
                command,
                studio,
                interruptible,
                self._context.plan.tags,
                scratch_disks=dict(step.scratch_disks),
                path_mappings=dict(step.path_mappings),
            )
        waits = (other for other in self._waits[step.name] if other in self._steps)
        return PipelineStepRequest(job, tuple(map(pipeline_step_name, waits)))

    def create(self) -> PipelineHandle:
        """Upload the steps' specifications, and create the pipeline, which begins at once.

        Raises:
            CloudError: an upload or the creation failed.
        """
        self.upload()
        return self.create_without_upload()

    def upload(self) -> None:
        """Upload the steps' specifications to their studios and folders."""
        run_id = self._context.plan.run_id
        for studio in self._in_studios:
            self._context.journal.lease("file", f"{studio}:{specification_path(run_id)}", on_release="delete")
        self._lease_folders()
        self._upload_all(
            *(
                partial(upload_specification, self._studios[studio].upload, run_id, file)
                for studio, file in self._in_studios.items()
            ),
            *(partial(self._folders[step].upload, run_id, file) for step, file in self._in_folders.items()),
            *(outputs.prepare for outputs in self._outputs.values()),
        )

    def _lease_folders(self) -> None:
        if self._folders:
            self._context.journal.lease("folder", drive_folder(self._request.name))

    def _upload_all(self, *uploads: Callable[[], object]) -> None:
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            list(pool.map(self._context.patiently, uploads))

    def create_without_upload(self) -> PipelineHandle:
        """Create the pipeline only, without the specifications of its jobs.

        Raises:
            CloudError: an upload of the agent or the creation failed.
        """
        name, cloud = self._request.name, self._context.cloud
        self._lease_folders()
        self._upload_all(
            *(partial(folder.upload_agent, package=self._steps[step].package) for step, folder in self._folders.items())
        )
        self._context.journal.lease("pipeline", name, on_release="delete")
        created = False

        def create() -> PipelineHandle:
            nonlocal created
            # A failed request may have created the pipeline, because only its answer may be lost.
            found = cloud.find_pipeline(name) if created else None
            created = True
            return found or cloud.create_pipeline(self._request)

        return self._context.patiently(create)
