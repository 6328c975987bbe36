"""The metadata that ZenML shows of a run: addresses, the commands for its logs, what it runs and its expected cost."""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote

from zenml.constants import METADATA_ORCHESTRATOR_LOGS_URL, METADATA_ORCHESTRATOR_RUN_ID, METADATA_ORCHESTRATOR_URL
from zenml.metadata.metadata_types import MetadataType, Uri

from lightning_native import ArchiveReport
from lightning_native.engine.placements import address_of
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.records import StepRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.step_process.metadata import job_url

_LIGHTNING = "https://lightning.ai"


def teamspace_url(environ: Mapping[str, str]) -> str:
    """Return the address of the teamspace that these variables name."""
    cloud = environ.get("LIGHTNING_CLOUD_URL", _LIGHTNING).rstrip("/")
    owner = environ.get("LIGHTNING_ORG") or environ.get("LIGHTNING_USERNAME", "")
    return f"{cloud}/{quote(owner)}/{quote(environ.get('LIGHTNING_TEAMSPACE', ''))}"


def studio_url(environ: Mapping[str, str], name: str) -> str:
    """Return the address of a studio."""
    return f"{teamspace_url(environ)}/studios/{quote(name)}"


def pipeline_url(environ: Mapping[str, str], name: str) -> str:
    """Return the address of a pipeline."""
    return f"{teamspace_url(environ)}/pipelines/{quote(name)}?app_id=pipeline"


def step_urls(plan: RunPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the address at which each step runs: its studio's, its first job's, or its pipeline's."""
    urls = {
        "studio": partial(studio_url, environ),
        "job": partial(job_url, teamspace_url(environ)),
        "pipeline": partial(pipeline_url, environ),
    }
    addresses = {step.name: address_of(plan, step.name) for step in plan.steps}
    return {step: urls[address.kind](address.name) for step, address in addresses.items()}


def single_step_metadata(
    plan: RunPlan, folder: RunFolder | None, environ: Mapping[str, str]
) -> dict[str, MetadataType]:
    """Return the metadata of a submitted step that is a run of its own.

    Args:
        plan: of the run.
        folder: of the run; None if it is on a machine that goes away, and its logs are in ZenML alone.
        environ: names the teamspace.
    """
    (url,) = step_urls(plan, environ).values()
    return {
        METADATA_ORCHESTRATOR_URL: Uri(url),
        METADATA_ORCHESTRATOR_LOGS_URL: Uri(url),
        **(_where_logs_are(plan.run_id, folder) if folder is not None else {}),
    }


def _where_logs_are(run_id: str, folder: RunFolder) -> dict[str, MetadataType]:
    return {"logs": str(folder.logs), "logs_command": f"lightning-native runs logs {run_id}"}


def cost_metadata(cost: CostSummary, steps: Sequence[StepRecord]) -> dict[str, MetadataType]:
    """Return the metadata of a run that has ended: its cost, and the costs and times of all attempts at its steps."""
    return {
        "cost_dollars": round(cost.dollars, 6),
        "cost_parts": {str(part): round(dollars, 6) for part, dollars in cost.parts.items()},
        "step_costs": {step.name: round(step.cost, 6) for step in steps if step.cost is not None},
        "step_seconds": {step.name: round(step.seconds, 3) for step in steps if step.seconds is not None},
    }


def run_metadata(
    plan: RunPlan,
    folder: RunFolder,
    report: ArchiveReport | None,
    environ: Mapping[str, str],
    cost: float | None,
) -> dict[str, MetadataType]:
    """Return the metadata of a submitted run.

    Args:
        plan: of the run.
        folder: of the run.
        report: what was packed; None where the code is in images.
        environ: names the teamspace.
        cost: the dollars it is expected to cost; None: unknown.
    """
    urls = step_urls(plan, environ)
    first = urls[plan.dag().order()[0]]
    metadata: dict[str, MetadataType] = {
        METADATA_ORCHESTRATOR_RUN_ID: plan.run_id,
        METADATA_ORCHESTRATOR_URL: Uri(first),
        METADATA_ORCHESTRATOR_LOGS_URL: Uri(first),
        "step_urls": dict(urls),
        **_where_logs_are(plan.run_id, folder),
        "placement": plan.placement,
        "machines": {
            step.name: list(step.machines or ([plan.main_machine] if plan.main_machine else [])) for step in plan.steps
        },
    }
    if report is not None:
        metadata |= {"code_digest": report.digest, "code_files": report.files}
    if images := {step.name: step.image.name for step in plan.steps if step.image}:
        metadata["images"] = images
    if cost is not None:
        metadata["estimated_cost_dollars"] = round(cost, 4)
    return metadata
